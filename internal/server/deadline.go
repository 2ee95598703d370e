package server

import (
	"context"
	"sync"
	"time"
)

// deadline is a request's ctx with a timeout, as context.WithTimeout makes it, that begins when somebody first waits: the
// requests that are answered from memory wait for nothing, and a timer would be a hundredth of what they cost.
type deadline struct {
	context.Context // of the request

	timeout time.Duration

	mu     sync.Mutex
	timed  context.Context // once somebody waits
	cancel context.CancelFunc
	over   bool
}

// stop ends it.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.timed != nil {
		d.cancel()
	}
}

// waited is the ctx that has the timer.
func (d *deadline) waited() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithTimeout(d.Context, d.timeout)
		if d.over {
			d.cancel()
		}
	}
	return d.timed
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.waited().Deadline() }

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.waited().Done() }

// Err implements context.Context.
func (d *deadline) Err() error { return d.waited().Err() }

// Value implements context.Context. What package context asks for its own sake, after Done, leads to the ctx that has the
// timer, so that those made from this one end with it without a goroutine of theirs.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}
