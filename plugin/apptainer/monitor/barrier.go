// SPDX-License-Identifier: Apache-2.0

// Package monitor holds a container that is being created until somebody has decided, and then waits for its end, as
// Apptainer does where no plugin does it.
package monitor

import "sync"

// Barrier stands between the goroutine that creates a container and the one that decides.
type Barrier struct {
	arriving sync.Once
	arrived  chan struct{}
	passing  sync.Once
	passed   chan struct{}
}

// NewBarrier returns a closed one.
func NewBarrier() *Barrier {
	return &Barrier{arrived: make(chan struct{}), passed: make(chan struct{})}
}

// Wait says that creation has come this far, and returns when it may go on. Where it may not, it never returns: the
// other goroutine ends the process, and what the user reads comes from there alone.
func (b *Barrier) Wait() {
	b.arriving.Do(func() { close(b.arrived) })
	<-b.passed
}

// Arrived is closed when creation waits: from then on nothing runs beside who decides.
func (b *Barrier) Arrived() <-chan struct{} {
	return b.arrived
}

// Open lets creation go on, now and ever after.
func (b *Barrier) Open() {
	b.passing.Do(func() { close(b.passed) })
}
