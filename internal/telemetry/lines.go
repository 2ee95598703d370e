package telemetry

import (
	"io"
	"sync"
	"time"
)

// lines gathers the lines of a busy server's log, so that they go out many at a time: a line for each request costs
// more to write than to make. A line waits for lineDelay at most, and not at all once a warning or an error follows it.
type lines struct {
	w io.Writer

	mu      sync.Mutex
	pending []byte
	timer   *time.Timer
	err     error // of a write that nobody waited for
}

const (
	lineDelay = 50 * time.Millisecond
	lineRoom  = 32 << 10
)

func newLines(w io.Writer) *lines {
	l := &lines{w: w, pending: make([]byte, 0, lineRoom+maxText)}
	l.timer = time.AfterFunc(lineDelay, l.late)
	return l
}

// Write keeps a copy of p, which is one whole line. It returns the error of an earlier write, once.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		l.timer.Reset(lineDelay)
	}
	l.pending = append(l.pending, p...)
	if len(l.pending) >= lineRoom {
		l.flush()
	}
	err := l.err
	l.err = nil
	return len(p), err
}

// finish writes what waits.
func (l *lines) finish() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	err := l.err
	l.err = nil
	return err
}

// late writes what waited long enough; its error is the next writer's to hear.
func (l *lines) late() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
}

// flush needs the lock.
func (l *lines) flush() {
	if len(l.pending) == 0 {
		return
	}
	if _, err := l.w.Write(l.pending); err != nil {
		l.err = err
	}
	l.pending = l.pending[:0]
}
