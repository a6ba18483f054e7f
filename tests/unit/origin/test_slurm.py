# SPDX-License-Identifier: Apache-2.0
"""What a Slurm step starts: words before the runtime, shells, multi-prog files, scripts, container options."""

from __future__ import annotations

import pytest

from sifgate.model.image import ReferenceKind
from sifgate.origin.sighting import RawLaunch, Sighting
from sifgate.origin.slurm import sightings

CWD = "/w"


def seen(*argv: str, env: dict[str, str] | None = None) -> list[str]:
    """Return the images that argv starts: paths, or `kind:text`."""
    return named(sightings(RawLaunch(argv=argv, env=env or {}, cwd=CWD)))


def named(found: tuple[Sighting, ...]) -> list[str]:
    """Return one word for each sighting."""
    return [s.reference.path or f"{s.reference.kind.value}:{s.reference.text}" for s in found]


BEFORE = (
    "env A=b C=d",
    "env -u HOME -i A=b",
    "env --unset=HOME --",
    "A=b",
    "A=b C=",
    "time",
    "/usr/bin/time -v -o out.txt",
    "/usr/bin/time -f %e --output=o",
    "nice",
    "nice -n 10",
    "nice -10",
    "nice --adjustment 5",
    "ionice -c 2 -n 7",
    "ionice -c2",
    "timeout 60",
    "timeout -k 5 -s KILL 60s",
    "timeout --kill-after=5 --signal TERM 60",
    "taskset -c 0-3",
    "taskset 0xff",
    "numactl -N 0 -m 0",
    "numactl --cpunodebind=0 --membind 0 --localalloc",
    "stdbuf -oL -e L",
    "setsid -w",
    "nohup",
    "chrt -f 10",
    "xvfb-run -a -s '-screen'",
    "exec -a name",
    "command",
    "builtin exec",
    "sudo -u bob",
    "env A=b timeout 60 nice -n 5 time",
    "nsys profile -o r --stats=true",
    "perf stat -e cycles --",
    "strace -f -o out",
    "gdb --args",
    "mpirun -n 4",
    "mpiexec.hydra -bootstrap slurm -n 4",
    "srun -n 4 --mpi=pmix",
    "some-launcher --with options",
    "find . -name x -exec",
)


@pytest.mark.parametrize("prefix", BEFORE)
def test_the_runtime_is_found_behind_what_starts_it(prefix: str) -> None:
    """Programs that start programs do not hide the image."""
    assert seen(*prefix.split(), "apptainer", "exec", "-B", "/d", "x.sif", "ls") == ["/w/x.sif"]


@pytest.mark.parametrize(
    "text",
    [
        "apptainer exec x.sif ls",
        "cd /w && apptainer exec x.sif ls",
        "true;apptainer exec x.sif ls",
        "true|apptainer exec x.sif ls",
        "true & apptainer exec x.sif ls",
        "false || apptainer exec x.sif ls",
        "true\napptainer exec x.sif ls\n",
        "echo $(apptainer exec x.sif ls)",
        'echo "a $(apptainer exec "x.sif" ls) b"',
        "echo `apptainer exec x.sif ls`",
        "(apptainer exec x.sif ls)",
        "{ apptainer exec x.sif ls; }",
        "if apptainer exec x.sif ls; then true; fi",
        "for i in 1 2; do apptainer exec x.sif ls $i; done",
        "while read l; do apptainer exec x.sif ls; done < list",
        "f() { apptainer exec x.sif ls; }; f",
        "apptainer exec \\\n  --nv \\\n  x.sif ls",
        "apptainer exec 'x.sif' ls",
        'apptainer exec "x.sif" ls',
        "apptainer exec x.s'i'\"f\" ls",
        "apptainer exec $'x.sif' ls",
        "I=x.sif; apptainer exec $I ls",
        'I=x; apptainer exec "${I}.sif" ls',
        "export I=x.sif\napptainer exec $I ls",
        "O='--nv -B /d'; apptainer exec $O x.sif ls",
        "apptainer exec ${I:-x.sif} ls",
        "R='apptainer exec x.sif'; $R ls",
        "apptainer exec x.sif ls > out 2>&1 < in",
        "2>err >out apptainer exec x.sif ls",
        "apptainer exec x.sif ls &> out",
        "# it's\napptainer exec x.sif ls # don't",
        "[[ -f a ]] && exec apptainer exec x.sif ls",
        "case $1 in a) apptainer exec x.sif ls;; esac",
        "diff <(apptainer exec x.sif ls) b",
        "A=$((1 + 2)) apptainer exec x.sif ls",
        "((i++)); apptainer exec x.sif ls",
        "cat <<EOF\nit's\nEOF\napptainer exec x.sif ls",
        "C=(apptainer exec x.sif)",
        "eval apptainer exec x.sif ls",
        "bash -c 'apptainer exec x.sif ls'",
        "( cd /elsewhere; true ); apptainer exec x.sif ls",
        "time -p apptainer exec x.sif ls",
        "! apptainer exec x.sif ls",
        "trap 'rm -f t' EXIT; apptainer exec x.sif ls",
        "apptainer exec --env 'A=b' \\x.sif ls",
        'apptainer exec --env "A=\\"b\\" \\c" "x.sif" ls',
        "test $# -gt 0 && apptainer exec x.sif $? $!",
        "apptainer exec x.sif ls; cat <<EOF\nnever ended",
        "busybox sh -c 'apptainer exec x.sif ls'",
        "echo a; echo b & apptainer exec x.sif ls >& out",
        "echo ${A/b/c} $; apptainer exec x.sif ls",
        "watch 'apptainer exec x.sif ls'",
        "bash <<EOF\napptainer exec x.sif ls\nEOF",
    ],
)
def test_a_shells_text_is_read(text: str) -> None:
    """`bash -c` is read as a shell would read it."""
    assert seen("bash", "-c", text) == ["/w/x.sif"]


@pytest.mark.parametrize(
    "options",
    [
        "-c",
        "-lc",
        "-l -c",
        "--login -c",
        "-euo pipefail -c",
        "-e -o pipefail -c",
        "--norc -xc",
        "--rcfile f -c",
        "-c --",
    ],
)
def test_options_of_a_shell_do_not_hide_its_text(options: str) -> None:
    """Login shells, `-o pipefail` and clusters come before the text."""
    assert seen("/bin/bash", *options.split(), "apptainer exec x.sif ls") == ["/w/x.sif"]


def test_arguments_of_a_shell_are_put_in() -> None:
    """`bash -c 'exec "$@"' name words…` starts the words."""
    assert seen("bash", "-c", 'exec "$@"', "_", "apptainer", "exec", "x.sif", "ls") == ["/w/x.sif"]
    assert seen("bash", "-c", 'apptainer exec "$1" ls', "_", "x.sif") == ["/w/x.sif"]


@pytest.mark.parametrize(
    "text",
    [
        "apptainer exec $IMAGE ls",
        "apptainer exec $(ls *.sif) ls",
        "apptainer exec *.sif ls",
        "apptainer exec ~bob/x.sif ls",
        "cd $D; apptainer exec x.sif ls",
        "I=$(pwd)/x.sif; apptainer exec $I ls",
        "apptainer exec x.sif 'ls",
        "apptainer exec ${I ls",
        "$(apptainer",
        "apptainer exec " + "$(" * 100,
        "a " + "bash x " * 100 + "apptainer",
        "apptainer exec x$# ls",
        "apptainer oci run id",
    ],
)
def test_what_only_the_shell_knows_is_unknown(text: str) -> None:
    """An image that depends on a variable, a pattern or broken text is unknown, never nothing and never guessed."""
    found = sightings(RawLaunch(argv=("bash", "-c", text), cwd=CWD))
    assert found
    assert found[-1].reference.kind is ReferenceKind.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ls -l",
        "which apptainer",
        "echo apptainer exec x.sif ls",
        "command -v apptainer",
        "env -u apptainer printenv",
        "python train.py --image x.sif",
        "bash script.sh",
        "cp x.sif y.sif",
        "sha256sum x.sif",
        "env",
        "timeout 5",
        "mpirun -n 2 python a.py x.sif",
        "srun -n 1 which apptainer",
    ],
)
def test_other_programs_are_no_launch(line: str) -> None:
    """Programs that only handle the names start nothing."""
    assert seen(*line.split()) == []


def test_the_value_of_an_option_is_no_program() -> None:
    """A job called `test` or `which` hides nothing."""
    for name in ("test", "which", "file"):
        assert seen("srun", "-J", name, "apptainer", "exec", "x.sif", "ls") == ["/w/x.sif"]
        assert seen("srun", "-J", name, "apptainer") == ["unknown:apptainer"]
        assert seen("srun", "-J", name, "apptainer", "exec", "--new-flag", "x.sif") != []


def test_an_image_is_started_by_its_name() -> None:
    """`./x.sif` runs through its shebang, behind launchers too."""
    assert seen("./x.sif", "arg") == ["/w/x.sif"]
    assert seen("/data/x.simg") == ["/data/x.simg"]
    assert seen("mpirun", "-n", "4", "./x.sif", "arg") == ["/w/x.sif"]
    assert seen("bash", "-c", "./x.sif | sort") == ["/w/x.sif"]


def test_each_part_of_an_mpmd_launch_is_seen() -> None:
    """`mpirun a : b` starts two images."""
    line = "mpirun -n 1 apptainer exec a.sif x : -n 2 bash -c 'singularity run b.sif' : ./c.sif"
    words = [
        "singularity run b.sif" if w == "X" else w
        for w in line.replace("'singularity run b.sif'", "X").split()
    ]
    assert seen(*words) == ["/w/a.sif", "/w/b.sif", "/w/c.sif"]


def test_the_same_image_is_seen_once() -> None:
    """Ten starts of one image are one question."""
    assert seen("bash", "-c", "apptainer exec x.sif a\n" * 10) == ["/w/x.sif"]


def test_variables_before_the_command_inject_content() -> None:
    """`env APPTAINER_BIND=… apptainer` is the same as the flag."""
    for argv in (
        ("env", "APPTAINER_BIND=/x:/usr", "apptainer", "exec", "x.sif", "ls"),
        ("bash", "-c", "export APPTAINER_BIND=/x:/usr; apptainer exec x.sif ls"),
        ("APPTAINER_BIND=/x:/usr", "apptainer", "exec", "x.sif", "ls"),
    ):
        (found,) = sightings(RawLaunch(argv=argv, cwd=CWD))
        assert found.content_injected == ("APPTAINER_BIND=/x:/usr",)


def test_a_changed_directory_counts() -> None:
    """Relative images are meant against where the shell has gone."""
    assert seen("bash", "-c", "cd sub && apptainer exec x.sif ls") == ["/w/sub/x.sif"]
    assert seen("env", "-C", "/other", "apptainer", "exec", "x.sif", "ls") == ["/other/x.sif"]
    assert seen("env", "--chdir=/other", "apptainer", "exec", "x.sif", "ls") == ["/other/x.sif"]


MULTIPROG = """\
# ranks program arguments
0      apptainer exec a.sif x "two words"
1-2    apptainer exec b%t.sif y --rank=%t
3,5    bash -c 'singularity run c%o.sif'
6-7    ls /
*      apptainer exec \\
       rest.sif z
"""


def test_a_multi_prog_file_is_read_line_by_line() -> None:
    """Ranks, quotes, `%t`, `%o` and joined lines are those of srun."""
    found = sightings(RawLaunch(argv=("conf", MULTIPROG, "extra"), cwd=CWD, multiprog=True))
    assert named(found) == ["/w/a.sif", "/w/b1.sif", "/w/b2.sif", "/w/c0.sif", "/w/c1.sif", "/w/rest.sif"]


def test_a_word_made_to_look_like_a_multi_prog_file_hides_nothing() -> None:
    """A step that only looks like multi-prog is read as a command as well."""
    for argv in (
        ("env", "0 A=b", "apptainer", "exec", "x.sif", "ls"),
        ("timeout", "0 5", "apptainer", "run", "x.sif"),
    ):
        assert named(sightings(RawLaunch(argv=argv, cwd=CWD, multiprog=True))) == ["/w/x.sif"]


@pytest.mark.parametrize("ranks", ["*", "0-99999999", "x", "5-", ""])
def test_a_rank_in_the_image_of_unknown_ranks_is_unknown(ranks: str) -> None:
    """`%t` cannot be written out where the ranks are not known or too many."""
    found = sightings(
        RawLaunch(argv=("conf", f"{ranks} apptainer exec b%t.sif y", ""), cwd=CWD, multiprog=True)
    )
    assert not ranks or [s.reference.kind for s in found] == [ReferenceKind.UNKNOWN]


SCRIPT = """\
#!/bin/bash -l
#SBATCH --job-name=it's
module load apptainer
IMAGE=$HOME/x.sif
cd "$SLURM_SUBMIT_DIR"
srun --mpi=pmix apptainer exec "$IMAGE" prog
for i in 1 2; do srun -n 1 --exclusive singularity run sub/y.sif & done; wait
"""


def test_a_batch_script_gives_guesses() -> None:
    """What a script will start is seen in its text, and marked as a guess."""
    env = {"HOME": "/home/a", "SLURM_SUBMIT_DIR": "/scratch/a"}
    found = sightings(RawLaunch(argv=("/var/spool/job7/slurm_script",), env=env, cwd=CWD, script=SCRIPT))
    assert named(found) == ["/home/a/x.sif", "/scratch/a/sub/y.sif"]
    assert all(sighting.guess for sighting in found)


def test_a_script_of_another_language_is_not_read_as_shell() -> None:
    """A Python batch script is no shell text."""
    script = "#!/usr/bin/env python3\nsubprocess.run(['apptainer', 'exec', 'x.sif'])\n"
    assert sightings(RawLaunch(argv=("slurm_script",), cwd=CWD, script=script)) == ()


CONTAINERS = {
    "bundle": ({"SLURM_CONTAINER": "/b/"}, "/b/rootfs"),
    "pyxis registry": ({"PYXIS_CONTAINER_IMAGE": "reg#a/b:1"}, "transport:docker://reg#a/b:1"),
    "pyxis file": ({"PYXIS_CONTAINER_IMAGE": "/a/b.sqsh"}, "/a/b.sqsh"),
    "pyxis relative": ({"PYXIS_CONTAINER_IMAGE": "./b.sqsh"}, "/w/b.sqsh"),
    "pyxis option": ({"_SLURM_SPANK_OPTION_pyxis_container_image": "dockerd://a"}, "transport:dockerd://a"),
    "pyxis in a prolog": ({"SPANK__SLURM_SPANK_OPTION_pyxis_container_image": "/a.sqsh"}, "/a.sqsh"),
    "pyxis named": ({"PYXIS_CONTAINER_NAME": "dev"}, "instance:dev"),
    "gsi": ({"SLURM_SINGULARITY_CONTAINER": "x.sif"}, "/w/x.sif"),
}


@pytest.mark.parametrize(("env", "image"), CONTAINERS.values(), ids=CONTAINERS)
def test_container_options_of_slurm_are_launches(env: dict[str, str], image: str) -> None:
    """The image of `--container` and of SPANK plugins is in the environment."""
    assert seen("hostname", env=env) == [image]
