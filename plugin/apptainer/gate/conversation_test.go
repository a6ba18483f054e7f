// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/link"
	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

func none(string, string) (int, func(), error) {
	return -1, nil, syscall.EACCES
}

func talk(path string, open Opener) *Conversation {
	return &Conversation{Socket: path, Deadline: time.Second, Open: open}
}

func script(turns ...wire.Message) func(int) []wire.Message {
	return func(int) []wire.Message { return turns }
}

func TestADecisionIsTakenOver(t *testing.T) {
	there := serve(t, script(turn("decision", "action", Block, "notice", "no", "reference", "7QX4-19", "quiet", "1")))
	got := talk(there.path, none).Hold(&wire.Message{Verb: "ask"})
	want := Answer{Decided: true, Action: Block, Notice: "no", Reference: "7QX4-19", Quiet: true}
	if got != want {
		t.Fatalf("%+v", got)
	}
}

func TestTheImageIsHandedOverAndProgressIsShown(t *testing.T) {
	image := filepath.Join(t.TempDir(), "x.sif")
	if err := os.WriteFile(image, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	var shown, released []string
	conversation := talk("", func(path, directory string) (int, func(), error) {
		descriptor, err := syscall.Open(filepath.Join(directory, path), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		return descriptor, func() { released = append(released, path); _ = syscall.Close(descriptor) }, err
	})
	conversation.Progress = func(text string) { shown = append(shown, text) }
	there := serve(t, script(
		turn("open", "path", "x.sif", "cwd", filepath.Dir(image)),
		turn("open", "path", "other.sif", "cwd", filepath.Dir(image)),
		turn("wait", "text", ""), turn("wait", "text", "scanning"),
		turn("decision", "action", Allow)))
	conversation.Socket = there.path
	if got := conversation.Hold(&wire.Message{Verb: "ask"}); got.Action != Allow {
		t.Fatalf("%+v", got)
	}
	_, opened, content := there.seen()
	if content[0] != "content" || opened[1].First("errno") != "2" {
		t.Fatal(content, opened)
	}
	if len(shown) != 1 || shown[0] != "scanning" || len(released) != 1 {
		t.Fatal(shown, released)
	}
}

func TestWhoeverHasTooManyConversationsAsksAgain(t *testing.T) {
	there := serve(t, func(number int) []wire.Message {
		if number < 2 {
			return []wire.Message{turn("error", "code", "busy", "text", "too many")}
		}
		return []wire.Message{turn("decision", "action", Warn)}
	})
	got := talk(there.path, none).Hold(&wire.Message{Verb: "ask"})
	if asked, _, _ := there.seen(); got.Action != Warn || len(asked) != 3 {
		t.Fatalf("%+v after %d", got, len(asked))
	}
}

func TestABusyAgentIsLeftAtTheDeadline(t *testing.T) {
	there := serve(t, script(turn("error", "code", "busy")))
	conversation := talk(there.path, none)
	conversation.Deadline = 100 * time.Millisecond
	if got := conversation.Hold(&wire.Message{Verb: "ask"}); got.Decided || got.Failure != errBusy.Error() {
		t.Fatalf("%+v", got)
	}
}

func TestNothingThatAnAgentDoesHangsALaunch(t *testing.T) {
	waits := make([]wire.Message, turnsLimit+1)
	for i := range waits {
		waits[i] = turn("wait", "text", "")
	}
	for why, turns := range map[string][]wire.Message{
		"agent gave no sign of life":                {turn("hang")},
		"agent closed the connection":               nil,
		"agent answered with an error: not you":     {turn("error", "code", "internal", "text", "not you")},
		"agent answered with an unknown verb":       {turn("dance")},
		"agent gave a decision without an action":   {turn("decision", "action", "maybe")},
		"agent never came to a decision":            waits,
		"agent gave no sign of life after the open": {turn("open", "path", "x.sif"), turn("hang")},
	} {
		began := time.Now()
		got := talk(serve(t, script(turns...)).path, none).Hold(&wire.Message{Verb: "ask"})
		if got.Decided || !strings.HasPrefix(why, got.Failure) {
			t.Errorf("%s: %+v", why, got)
		}
		if took := time.Since(began); took > link.Silence+grace {
			t.Errorf("%s: %s", why, took)
		}
	}
}

func TestAnAgentThatIsNotThereFailsAtOnce(t *testing.T) {
	got := talk(filepath.Join(t.TempDir(), "none.sock"), none).Hold(&wire.Message{Verb: "ask"})
	if got.Decided || !strings.HasSuffix(got.Failure, "no such file or directory") {
		t.Fatalf("%+v", got)
	}
}
