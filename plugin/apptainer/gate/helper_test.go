// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"os"
	"path/filepath"
	"testing"
)

// unpacker makes the directory that Apptainer makes to unpack an image in.
func unpacker(t *testing.T) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "rootfs-123", "tmp-rootfs-456")
	for _, directory := range []string{"dev", "image", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(image, directory), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(image, "usr/bin/unsquashfs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestTheUnpackerHoldsNothingToJudge(t *testing.T) {
	if image := unpacker(t); !IsUnpacker(image, []string{"/usr/bin/unsquashfs", "-f"}) {
		t.Fatal(image)
	}
}

func TestWhatHoldsContentIsNoUnpacker(t *testing.T) {
	image := unpacker(t)
	if IsUnpacker(image, []string{"/bin/sh"}) || IsUnpacker(image, nil) || IsUnpacker(filepath.Dir(image), []string{"unsquashfs"}) {
		t.Error("by its name or its words")
	}
	if err := os.Symlink("/bin/sh", filepath.Join(image, "sh")); err != nil {
		t.Fatal(err)
	}
	if IsUnpacker(image, []string{"unsquashfs"}) {
		t.Error("with a link")
	}
	image = unpacker(t)
	if err := os.WriteFile(filepath.Join(image, "usr/bin/unsquashfs"), []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if IsUnpacker(image, []string{"/usr/bin/unsquashfs"}) {
		t.Error("with a program")
	}
	if IsUnpacker(filepath.Join(filepath.Dir(image), "tmp-rootfs-none"), []string{"unsquashfs"}) {
		t.Error("that is not there")
	}
}
