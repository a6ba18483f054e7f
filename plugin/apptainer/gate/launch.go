// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"strconv"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

// payloadLimit bounds the words behind the image, which are for the record only: most questions then fit one packet.
const payloadLimit = 16384

// Launch is what is known about one start of a container.
type Launch struct {
	Words       []string // of the runtime's command, from its name on
	Image       int      // index of the image among them
	Environment []string // NAME=VALUE; only what concerns the gate is sent
	Directory   string
	Name        string // what the user called the image, where the runtime made a file of it
	Origin      Origin
}

// Origin is where in a parallel program a launch happens, as its environment says: display only.
type Origin struct {
	Rank int    `json:"rank"` // -1: not said
	Job  string `json:"job"`  // empty: not said
}

// Question returns the message to ask with.
func (l *Launch) Question(deadline time.Duration) *wire.Message {
	ask := l.facts(deadline)
	for _, variable := range l.Environment {
		if isRead(variable) {
			ask.Add("env", variable)
		}
	}
	size := 0
	for index, word := range l.Words {
		if index > l.Image {
			if size += len(word); size > payloadLimit {
				break
			}
		}
		ask.Add("arg", word)
	}
	return ask
}

// Short returns the message for a launch whose words no message can hold.
func (l *Launch) Short(deadline time.Duration) *wire.Message {
	ask := l.facts(deadline)
	ask.Add("truncated", "1")
	return ask
}

func (l *Launch) facts(deadline time.Duration) *wire.Message {
	ask := &wire.Message{Verb: "ask"}
	ask.Add("door", "apptainer-plugin")
	ask.Add("deadline_ms", strconv.FormatInt(deadline.Milliseconds(), 10))
	if l.Directory != "" {
		ask.Add("cwd", l.Directory)
	}
	if l.Name != "" {
		ask.Add("name", l.Name)
	}
	if l.Origin.Rank >= 0 {
		ask.Add("rank", strconv.Itoa(l.Origin.Rank))
	}
	if l.Origin.Job != "" {
		ask.Add("job", l.Origin.Job)
	}
	return ask
}

// Ask holds the conversation about a launch.
func (l *Launch) Ask(conversation *Conversation) Answer {
	question := l.Question(conversation.Deadline)
	if _, err := wire.Encode(question); errors.Is(err, wire.ErrGrammar) {
		question = l.Short(conversation.Deadline)
	}
	return conversation.Hold(question)
}
