// The path under which Apptainer's own module sees these packages once they lie in its source tree, in plugins/sifgate:
// there this file is left out, and every import stays as it is.
module github.com/apptainer/apptainer/plugins/sifgate

go 1.21
