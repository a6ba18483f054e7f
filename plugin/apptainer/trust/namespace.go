// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"fmt"
	"os"
	"strings"
)

const (
	overflowFile = "/proc/sys/kernel/overflowuid"
	mapFile      = "/proc/self/uid_map"

	usualOverflow = 65534
)

// overflow returns the uid under which those are seen whom this user namespace does not map.
func overflow() uint32 {
	uid := uint32(usualOverflow)
	if data, err := os.ReadFile(overflowFile); err == nil {
		_, _ = fmt.Sscan(string(data), &uid)
	}
	return uid
}

// rootIsMapped returns whether this user namespace shows the uid 0 of its parent under some number; also where it
// cannot be told, which is the stricter answer.
func rootIsMapped() bool {
	data, err := os.ReadFile(mapFile)
	return err != nil || mapsRoot(string(data))
}

// mapsRoot reads lines of "inside outside count" (user_namespaces(7)).
func mapsRoot(lines string) bool {
	for _, line := range strings.Split(lines, "\n") {
		var inside, outside, count uint64
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err == nil && outside == 0 && count > 0 {
			return true
		}
	}
	return false
}
