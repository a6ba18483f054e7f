// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"strings"

	"github.com/apptainer/apptainer/plugins/sifgate/posture"
)

// The four words of a decision, weakest first.
const (
	Allow = "allow"
	Log   = "log"
	Warn  = "warn"
	Block = "block"
)

// Outcome is what a launch comes to.
type Outcome struct {
	Refused   bool
	Text      string // what the user reads; empty: nothing
	Reference string // of the record; empty: the agent made none
	Entry     string // what the system's log is told; empty: nothing
}

// Outcome returns what follows from an answer. `told` is the reference of a warning that was shown for this launch.
func (a *Answer) Outcome(origin Origin, told string) Outcome {
	found := Outcome{Refused: a.Action == Block, Reference: a.Reference}
	if found.Refused || (!a.Quiet && (told == "" || told != a.Reference)) {
		found.Text = spoken(a.Notice, origin, found.Refused)
	}
	return found
}

// Without returns what follows where nobody decided.
func Without(found posture.Posture, failure string, origin Origin) Outcome {
	entry := fmt.Sprintf("door apptainer-plugin: action %q without an answer: %s", found.AgentUnreachable, failure)
	if found.Problem != "" {
		entry += "; default posture: " + found.Problem
	}
	outcome := Outcome{Refused: found.AgentUnreachable == Block, Entry: entry}
	if found.AgentUnreachable != Warn && !outcome.Refused {
		return outcome
	}
	done, contact := "not checked", ""
	if outcome.Refused {
		done = "refused"
	}
	if found.Contact != "" {
		contact = ", or ask " + found.Contact
	}
	text := fmt.Sprintf("sifgate: launch %s: nobody on this node could judge the image (cause \"agent_unreachable\")\n"+
		"  why    %s\n  do     try again later%s", done, failure, contact)
	outcome.Text = spoken(text, origin, outcome.Refused)
	return outcome
}

// spoken returns what this process of a parallel program says: the first one all of it, the others one line of a refusal.
func spoken(text string, origin Origin, refused bool) string {
	if origin.Rank <= 0 {
		return text
	}
	if !refused {
		return ""
	}
	first, _, _ := strings.Cut(text, "\n")
	return "sifgate: " + host() + ": " + strings.TrimPrefix(first, "sifgate: ")
}
