// SPDX-License-Identifier: Apache-2.0

// Package trust says whose word counts on this node: root's, and the user's own (in tests).
package trust

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const writableByOthers = 0o022

// ErrUnsafe says that others than root could have changed something.
var ErrUnsafe = errors.New("others than root can change it")

// IsKnown returns whether a uid is root's or this process' own.
func IsKnown(uid uint32) bool {
	return uid == 0 || int(uid) == os.Geteuid()
}

// MayBeRoot returns whether a uid is what root is seen as here. In a user namespace that does not map the host's root,
// where an unprivileged starter waits for its container, that is the overflow uid, which stands for all whom the
// namespace does not map: then only the directories, which root alone can write, tell root from the others.
func MayBeRoot(uid uint32) bool {
	return uid == overflow() && !rootIsMapped()
}

// Status returns nil where nobody but root and this user owns a file or directory or can write it. A sticky directory
// keeps others out of what is in it.
func Status(status os.FileInfo) error {
	owner, known := status.Sys().(*syscall.Stat_t)
	if !known || !(IsKnown(owner.Uid) || MayBeRoot(owner.Uid)) {
		return ErrUnsafe
	}
	sticky := status.IsDir() && status.Mode()&os.ModeSticky != 0
	if !sticky && status.Mode().Perm()&writableByOthers != 0 {
		return ErrUnsafe
	}
	return nil
}

// Parents returns nil where no directory above a resolved path could be changed by others.
func Parents(resolved string) error {
	for parent := filepath.Dir(resolved); ; parent = filepath.Dir(parent) {
		status, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if err := Status(status); err != nil {
			return err
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}
