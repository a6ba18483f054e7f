// SPDX-License-Identifier: Apache-2.0

// Package posture reads what a shim obeys when no agent answers: the flat file that the agent writes from the policy
// (docs/protocol.md, section 1). A file that others than root could have written counts for nothing.
package posture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/trust"
)

// Path is where the posture file lies on a node.
const Path = "/etc/sifgate/posture"

const (
	fileLimit   = 4096
	waitDefault = 10 * time.Second
	waitMost    = 40 * time.Second
	firstLine   = "sifgate-posture 1"
	openFlags   = os.O_RDONLY | syscall.O_CLOEXEC | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_NOCTTY
)

var actions = map[string]bool{"allow": true, "log": true, "warn": true, "block": true}

var errNoFile = errors.New("not a regular file")

// Posture is what holds without an agent.
type Posture struct {
	AgentUnreachable string        // allow, log, warn or block
	ScanWait         time.Duration // how long a launch may wait for a scan
	Contact          string
	Problem          string // why the file was not believed; empty: it was
}

// Read returns what the file says, or the defaults (allow) with a Problem; it never fails.
func Read(path string) Posture {
	text, err := slurp(path)
	if err != nil {
		return distrusted("%s: %v", path, err)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if lines[0] != firstLine {
		return distrusted("%s: does not begin with %q", path, firstLine)
	}
	found := distrusted("")
	for _, line := range lines[1:] {
		if !found.take(line) {
			return distrusted("%s: cannot use line %.80q", path, line)
		}
	}
	return found
}

func distrusted(format string, words ...any) Posture {
	return Posture{AgentUnreachable: "allow", ScanWait: waitDefault, Problem: fmt.Sprintf(format, words...)}
}

// take reads one line "key value"; keys of later versions are passed over. It returns false for a value that is none.
func (p *Posture) take(line string) bool {
	key, value, found := strings.Cut(line, " ")
	if !found {
		return line == ""
	}
	switch key {
	case "agent_unreachable":
		p.AgentUnreachable = value
		return actions[value]
	case "contact":
		p.Contact = value
	case "scan_wait_ms":
		milliseconds, err := strconv.ParseUint(value, 10, 32)
		p.ScanWait = min(time.Duration(milliseconds)*time.Millisecond, waitMost)
		return err == nil
	}
	return true
}

// slurp returns the first bytes of a file that only root (or who runs this, in tests) can change.
func slurp(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", bare(err)
	}
	if err := trust.Parents(resolved); err != nil {
		return "", bare(err)
	}
	file, err := os.OpenFile(resolved, openFlags, 0)
	if err != nil {
		return "", bare(err)
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil || !status.Mode().IsRegular() {
		return "", errNoFile
	}
	if err := trust.Status(status); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(file, fileLimit))
	return string(data), err
}

// bare returns the error without the path, which the caller says himself.
func bare(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
