// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

const entriesLimit = 512 // unsquashfs with its libraries has about forty

var errContent = errors.New("holds content")

// IsUnpacker returns whether a launch is the helper container in which Apptainer unpacks an image (`--unsquash`, or no
// squashfuse): unsquashfs from the host, bound over empty files of a directory that is made for it. Such a directory
// holds nothing that could be judged; what is unpacked is judged when it starts.
//
// A user can imitate it and bind programs of his over the empty files: for a flow that binds him this does not count.
func IsUnpacker(image string, payload []string) bool {
	parent := path.Base(path.Dir(image))
	if !strings.HasPrefix(path.Base(image), "tmp-rootfs-") || !strings.HasPrefix(parent, "rootfs-") ||
		len(payload) == 0 || path.Base(payload[0]) != "unsquashfs" {
		return false
	}
	seen := 0
	return fs.WalkDir(os.DirFS(image), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		status, err := entry.Info()
		if seen++; err != nil || seen > entriesLimit || !status.Mode().IsRegular() || status.Size() != 0 {
			return errContent
		}
		return nil
	}) == nil
}
