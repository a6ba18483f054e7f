// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	killWait = 2 * time.Second
	killStep = 5 * time.Millisecond
)

var errStop = errors.New("received SIGTSTP but was not able to stop")

// Watch waits for the end of a child, forwarding signals to it (if `forward`) as Apptainer's own monitor does, and takes
// the decision meanwhile: nil on `decided` opens the barrier, an error ends the child and is returned.
//
// A child that ends before the decision (Ctrl-C while the image is scanned) ends the watch: nothing was started.
func Watch(pid int, signals <-chan os.Signal, forward bool, barrier *Barrier, decided <-chan error) (syscall.WaitStatus, error) {
	for {
		select {
		case refusal := <-decided:
			if refusal != nil {
				return 0, errors.Join(refusal, end(pid))
			}
			barrier.Open()
			decided = nil
		case signal := <-signals:
			status, over, err := take(pid, signal, forward)
			if over || err != nil {
				return status, err
			}
		}
	}
}

// take obeys one signal; `over` says that the child has ended.
func take(pid int, signal os.Signal, forward bool) (status syscall.WaitStatus, over bool, err error) {
	number, known := signal.(syscall.Signal)
	switch {
	case !known || number == syscall.SIGURG: // Go's own, for preemption
		return status, false, nil
	case number == syscall.SIGCHLD:
		found, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err != nil {
			return status, false, fmt.Errorf("error while waiting child: %w", err)
		}
		return status, found == pid && (status.Exited() || status.Signaled()), nil
	}
	if forward && syscall.Kill(pid, number) != nil {
		return status, false, fmt.Errorf("interrupted by signal %s", number)
	}
	// Ctrl-Z: this process is the shell's child, not the container.
	if number == syscall.SIGTSTP && syscall.Kill(os.Getpid(), syscall.SIGSTOP) != nil {
		return status, false, errStop
	}
	return status, false, nil
}

// end kills the child and waits a moment for it, so that it is no zombie of whoever inherits it.
func end(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cannot end the container: %w", err)
	}
	for limit := time.Now().Add(killWait); time.Now().Before(limit); time.Sleep(killStep) {
		if found, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); found == pid || errors.Is(err, syscall.ECHILD) {
			return nil
		}
	}
	return nil
}
