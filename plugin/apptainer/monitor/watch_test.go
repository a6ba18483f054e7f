// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const limit = 20 * time.Second

type ending struct {
	status syscall.WaitStatus
	err    error
}

// watch runs a shell's words under the watch and returns how it ends, its pid, and the channel of signals.
func watch(t *testing.T, words string, barrier *Barrier, decided <-chan error, forward bool) (<-chan ending, int, chan os.Signal) {
	t.Helper()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGURG)
	t.Cleanup(func() { signal.Stop(signals) })
	child := exec.Command("/bin/sh", "-c", words)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan ending, 1)
	go func() {
		status, err := Watch(child.Process.Pid, signals, forward, barrier, decided)
		over <- ending{status, err}
	}()
	return over, child.Process.Pid, signals
}

func await(t *testing.T, over <-chan ending) ending {
	t.Helper()
	select {
	case found := <-over:
		return found
	case <-time.After(limit):
		t.Fatal("the watch does not end")
		return ending{}
	}
}

func isOpen(barrier *Barrier) bool {
	select {
	case <-barrier.passed:
		return true
	default:
		return false
	}
}

func TestTheStatusOfTheChildSurvives(t *testing.T) {
	for words, want := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 255": 255} {
		decided := make(chan error, 1)
		decided <- nil
		over, _, _ := watch(t, "sleep 0.05; "+words, NewBarrier(), decided, true)
		if found := await(t, over); found.err != nil || found.status.ExitStatus() != want {
			t.Errorf("%s: %+v", words, found)
		}
	}
}

func TestASignalIsForwardedAndItsEndIsSeen(t *testing.T) {
	decided := make(chan error, 1)
	decided <- nil
	over, _, signals := watch(t, "exec sleep 60", NewBarrier(), decided, true)
	signals <- syscall.SIGURG
	signals <- syscall.SIGTERM
	if found := await(t, over); found.err != nil || found.status.Signal() != syscall.SIGTERM {
		t.Fatalf("%+v", found)
	}
}

func TestWithoutPropagationTheChildIsLeftAlone(t *testing.T) {
	decided := make(chan error, 1)
	decided <- nil
	over, _, signals := watch(t, "sleep 0.3; exit 3", NewBarrier(), decided, false)
	signals <- syscall.SIGTERM
	if found := await(t, over); found.err != nil || found.status.ExitStatus() != 3 {
		t.Fatalf("%+v", found)
	}
}

func TestARefusalEndsTheChildAndKeepsTheBarrierClosed(t *testing.T) {
	barrier, decided, refusal := NewBarrier(), make(chan error, 1), errors.New("no")
	over, pid, _ := watch(t, "exec sleep 60", barrier, decided, true)
	decided <- refusal
	if found := await(t, over); !errors.Is(found.err, refusal) {
		t.Fatalf("%+v", found)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil || isOpen(barrier) {
		t.Fatal("the child or its way is still there")
	}
}

func TestCreationWaitsForTheDecision(t *testing.T) {
	barrier, decided := NewBarrier(), make(chan error, 1)
	over, pid, _ := watch(t, "exec sleep 60", barrier, decided, true)
	passed := make(chan struct{})
	go func() {
		barrier.Wait()
		close(passed)
	}()
	<-barrier.Arrived()
	select {
	case <-passed:
		t.Fatal("passed before the decision")
	case <-time.After(50 * time.Millisecond):
	}
	decided <- nil
	<-passed
	barrier.Wait() // open once is open for ever
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if found := await(t, over); found.status.Signal() != syscall.SIGKILL {
		t.Fatalf("%+v", found)
	}
}

func TestAChildThatEndsBeforeTheDecisionEndsTheWatch(t *testing.T) {
	barrier := NewBarrier()
	over, _, signals := watch(t, "exec sleep 60", barrier, make(chan error), true)
	signals <- syscall.SIGINT // Ctrl-C while the image is scanned
	if found := await(t, over); found.err != nil || found.status.Signal() != syscall.SIGINT || isOpen(barrier) {
		t.Fatalf("%+v", found)
	}
}

func TestAChildThatIsNotOursIsAnError(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGCHLD
	if _, err := Watch(os.Getppid(), signals, true, NewBarrier(), nil); !errors.Is(err, syscall.ECHILD) {
		t.Fatal(err)
	}
}
