// SPDX-License-Identifier: Apache-2.0

// Package gate asks the agent about one launch and says what follows from its answer, or from the lack of one.
//
// It needs nothing but the standard library and knows nothing of Apptainer: images are what an Opener returns.
package gate

import (
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/link"
	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

const (
	turnsLimit = 512         // of the agent: 40 s of signs of life, and a few dozen images
	grace      = time.Second // past the deadline, for the decision that the agent makes at the deadline
	busyLeast  = 20 * time.Millisecond
	busyMost   = 100 * time.Millisecond
)

// Opener returns a descriptor of what the agent wants to see, and how to give it back; or an error.
type Opener func(path, directory string) (descriptor int, release func(), err error)

// Conversation is how the agent is asked.
type Conversation struct {
	Socket   string
	Deadline time.Duration // of all of it, as told to the agent
	Open     Opener
	Progress func(text string) // shows one line; may be nil
}

// Answer is what came of it.
type Answer struct {
	Decided   bool // false: nobody decided, Failure says why
	Action    string
	Notice    string
	Reference string
	Quiet     bool // a warning that was shown in this job already
	Failure   string
}

var errBusy = errors.New("agent is busy")

// Hold asks and returns the answer; a user who has too many conversations open is let in again until the deadline.
// Whatever the other side does, it ends: after two seconds of silence, or at the deadline.
func (c *Conversation) Hold(ask *wire.Message) Answer {
	end := time.Now().Add(c.Deadline + grace)
	for {
		answer, err := c.once(ask, end)
		if err == nil {
			return answer
		}
		if !errors.Is(err, errBusy) || time.Now().After(end.Add(-grace)) {
			return Answer{Failure: err.Error()}
		}
		time.Sleep(busyLeast + time.Duration(rand.Int63n(int64(busyMost-busyLeast))))
	}
}

func (c *Conversation) once(ask *wire.Message, end time.Time) (Answer, error) {
	connection, err := link.Open(c.Socket)
	if err != nil {
		return Answer{}, reason(c.Socket, err)
	}
	defer connection.Close()
	if err := connection.Send(ask, -1); err != nil {
		return Answer{}, fmt.Errorf("cannot ask the agent: %w", err)
	}
	for turn := 0; turn < turnsLimit; turn++ {
		until := time.Now().Add(link.Silence)
		if until.After(end) {
			until = end
		}
		message, err := connection.Receive(until)
		if err != nil {
			return Answer{}, reason("agent", err)
		}
		answer, err := c.take(connection, message)
		if err != nil || answer.Decided {
			return answer, err
		}
	}
	return Answer{}, errors.New("agent never came to a decision")
}

// take obeys one turn of the agent.
func (c *Conversation) take(connection *link.Link, message *wire.Message) (Answer, error) {
	switch message.Verb {
	case "decision":
		return decision(message)
	case "open":
		return Answer{}, c.opened(connection, message.First("path"), message.First("cwd"))
	case "wait":
		if text := message.First("text"); text != "" && c.Progress != nil {
			c.Progress(text)
		}
		return Answer{}, nil
	case "error":
		if message.First("code") == "busy" {
			return Answer{}, errBusy
		}
		return Answer{}, fmt.Errorf("agent answered with an error: %s", message.First("text"))
	}
	return Answer{}, errors.New("agent answered with an unknown verb")
}

func (c *Conversation) opened(connection *link.Link, path, directory string) error {
	opened := &wire.Message{Verb: "opened"}
	descriptor := -1
	if path == "" || strings.ContainsRune(path+directory, 0) {
		opened.Add("errno", number(syscall.EINVAL))
	} else if found, release, err := c.Open(path, directory); err != nil {
		opened.Add("errno", number(err))
	} else {
		defer release()
		descriptor = found
	}
	if err := connection.Send(opened, descriptor); err != nil {
		return reason("agent went away", err)
	}
	return nil
}

func decision(message *wire.Message) (Answer, error) {
	answer := Answer{
		Decided:   true,
		Action:    message.First("action"),
		Notice:    message.First("notice"),
		Reference: message.First("reference"),
		Quiet:     message.First("quiet") == "1",
	}
	switch answer.Action {
	case Allow, Log, Warn, Block:
		return answer, nil
	}
	return Answer{}, errors.New("agent gave a decision without an action")
}

// number returns the decimal number of an error of the system, of EIO for any other.
func number(err error) string {
	var code syscall.Errno
	if !errors.As(err, &code) || code == 0 {
		code = syscall.EIO
	}
	return strconv.Itoa(int(code))
}

func reason(what string, err error) error {
	var at *os.SyscallError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("agent gave no sign of life")
	case errors.Is(err, io.EOF):
		return errors.New("agent closed the connection")
	case errors.Is(err, wire.ErrGrammar):
		return errors.New("agent does not speak sifgate/1")
	case errors.As(err, &at):
		return fmt.Errorf("%s: %w", what, at.Err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
