package telemetry

import (
	"io"
	"sync"
	"time"
)

// lines writes the lines of a log, and gathers those of a busy server, so that they go out many at a time: a line for each
// request costs more to write than to make. A gathered line waits for lineDelay at most, and not at all once an urgent one
// follows it.
type lines struct {
	w     io.Writer
	rooms sync.Pool // of *line

	mu      sync.Mutex
	pending []byte
	timer   *time.Timer // nil when lines go one by one
	err     error       // of a write that nobody waited for
}

const (
	lineDelay = 50 * time.Millisecond
	lineRoom  = 32 << 10
)

// gather returns lines that wait for each other.
func gather(w io.Writer) *lines {
	l := &lines{w: w, pending: make([]byte, 0, lineRoom+maxText)}
	l.timer = time.AfterFunc(lineDelay, l.late)
	return l
}

// room is where a line is made; free takes it back.
func (l *lines) room() *line {
	if made, ok := l.rooms.Get().(*line); ok {
		return made
	}
	return &line{b: make([]byte, 0, 1<<10)}
}

func (l *lines) free(made *line) {
	if cap(made.b) <= maxText {
		l.rooms.Put(made)
	}
}

// write takes a copy of a whole line. It returns the error of an earlier write, once.
func (l *lines) write(p []byte, urgent bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 && l.timer != nil {
		l.timer.Reset(lineDelay)
	}
	l.pending = append(l.pending, p...)
	if urgent || l.timer == nil || len(l.pending) >= lineRoom {
		l.flush()
	}
	err := l.err
	l.err = nil
	return err
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
