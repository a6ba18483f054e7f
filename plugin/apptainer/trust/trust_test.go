// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAMapOfANamespaceSaysWhetherRootIsInIt(t *testing.T) {
	for lines, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"0 1000 1\n":                         false,
		"0 1000 1\n1 100000 65536\n":         false,
		"1000 1000 1\n0 0 1\n":               true,
		"":                                   false,
	} {
		if got := mapsRoot(lines); got != want {
			t.Errorf("%q: %v", lines, got)
		}
	}
}

func TestOnlyRootAndTheUserHimselfAreKnown(t *testing.T) {
	if !IsKnown(0) || !IsKnown(uint32(os.Geteuid())) || IsKnown(overflow()) {
		t.Error("who is known")
	}
	if rootIsMapped() && MayBeRoot(overflow()) {
		t.Error("where root is mapped, nobody else may be root")
	}
}

func TestADirectoryThatOthersCanWriteIsUnsafe(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "file")
	for mode, want := range map[os.FileMode]error{
		0o755: nil, 0o777: ErrUnsafe, 0o775: ErrUnsafe, 0o777 | os.ModeSticky: nil,
	} {
		if err := os.Chmod(directory, mode); err != nil {
			t.Fatal(err)
		}
		if err := Parents(file); !errors.Is(err, want) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}
