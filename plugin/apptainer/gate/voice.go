// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

const (
	textLimit  = 4096
	entryLimit = 900
	logSocket  = "/dev/log"
	priority   = 4<<3 | 4 // auth, warning
	logWait    = 200 * time.Millisecond
)

// Say writes to the user's terminal, with control characters as '?'; nothing for an empty text.
func Say(text string) {
	if text == "" {
		return
	}
	if len(text) > textLimit {
		text = text[:textLimit]
	}
	_, _ = os.Stderr.WriteString(strings.TrimSuffix(plain(text, "\n\t"), "\n") + "\n")
}

// Enter tells the system's log, where there is one: a launch that passed unjudged must leave a trace.
func Enter(entry string) {
	if entry == "" {
		return
	}
	if len(entry) > entryLimit {
		entry = entry[:entryLimit]
	}
	connection, err := net.Dial("unixgram", logSocket)
	if err != nil {
		return
	}
	defer connection.Close()
	if connection.SetWriteDeadline(time.Now().Add(logWait)) != nil {
		return
	}
	line := fmt.Sprintf("<%d>sifgate[%d]: sifgate: uid %d: %s", priority, os.Getpid(), os.Getuid(), plain(entry, ""))
	_, _ = connection.Write([]byte(line))
}

// plain returns text without control characters, but for those named.
func plain(text, but string) string {
	out := []byte(text)
	for i, c := range out {
		if (c < ' ' || c == 0x7f) && strings.IndexByte(but, c) < 0 {
			out[i] = '?'
		}
	}
	return string(out)
}

func host() string {
	name, err := os.Hostname()
	if err != nil {
		return "this node"
	}
	return name
}
