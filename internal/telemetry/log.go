// Package telemetry is how Gatehouse is seen from outside: structured logs that
// cannot carry a secret, and the Prometheus registry.
//
// The logger is the last line of defence, not the first. Callers still log ids
// and counts instead of what people typed; this package makes sure that the one
// time somebody forgets, the value does not reach the disk. It knows nothing of
// HTTP or of realms beyond the words request_id and realm, which web puts into
// the context.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
)

// NewLogger returns a logger that writes one line per record to w. The format is
// "json", "text", or "auto": text when w is a terminal, else JSON. Attributes
// that may carry a secret are masked (see redact), control characters are
// escaped, and request_id and realm are added from the context.
func NewLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	return newLogger(&lines{w: w}, format, level, terminal(w))
}

// NewServerLogger is NewLogger for a server, whose lines leave many at a time: each within 50 ms, a warning or an error
// at once and with all before it. A process that is killed loses what had not left. To a terminal lines go one by one.
// Nothing else may write to w before finish, which writes what is left, and is called at the end.
func NewServerLogger(w io.Writer, format string, level slog.Leveler) (log *slog.Logger, finish func() error, err error) {
	out := &lines{w: w}
	if !terminal(w) {
		out = gather(w)
	}
	log, err = newLogger(out, format, level, terminal(w))
	return log, out.finish, err
}

func newLogger(out *lines, format string, level slog.Leveler, watched bool) (*slog.Logger, error) {
	switch {
	case format == "text", format == "auto" && watched:
		return slog.New(&handler{out: out, level: level}), nil
	case format == "json", format == "auto":
		return slog.New(&handler{out: out, level: level, json: true}), nil
	}
	return nil, fmt.Errorf("unknown log format %q", format)
}

// terminal reports whether w is a character device.
func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Facts are what the log lines of a ctx bear.
type Facts struct{ RequestID, Realm string }

// FactsKey is where a ctx has its *Facts.
type FactsKey struct{}

// WithRealm returns a context whose log lines bear that realm's slug.
func WithRealm(ctx context.Context, slug string) context.Context {
	return context.WithValue(ctx, FactsKey{}, &Facts{factsOf(ctx).RequestID, slug})
}

func factsOf(ctx context.Context) Facts {
	if f, ok := ctx.Value(FactsKey{}).(*Facts); ok {
		return *f
	}
	return Facts{}
}

func (f Facts) appendTo(l *line) {
	if f.RequestID != "" {
		l.key("request_id")
		l.text(f.RequestID)
	}
	if f.Realm != "" {
		l.key("realm")
		l.text(f.Realm)
	}
}

// handler writes a record as a line: time, level, message, then the facts of the context, at the top level even when the
// logger has open groups, and then the attributes, redacted. It is a handler of its own because redacting in one before
// slog's takes twice as long, and every request leaves a line.
type handler struct {
	out    *lines
	level  slog.Leveler
	json   bool
	given  []byte   // what With and WithGroup gave, as it is written
	groups []string // that are open
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	l := h.out.room()
	defer h.out.free(l)
	l.b, l.json, l.groups = l.b[:0], h.json, nil
	l.start(record)
	factsOf(ctx).appendTo(l)
	l.b, l.groups = append(l.b, h.given...), h.groups
	record.Attrs(func(attr slog.Attr) bool {
		l.attr(redact(h.groups, attr))
		return true
	})
	for len(l.groups) > 0 {
		l.leave()
	}
	l.end()
	return h.out.write(l.b, record.Level >= slog.LevelWarn)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(l *line) {
		for _, attr := range attrs {
			l.attr(redact(h.groups, attr))
		}
	})
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h // as slog has it
	}
	return h.with(func(l *line) { l.enter(name) })
}

// with returns a handler to which more is given.
func (h *handler) with(give func(*line)) *handler {
	l := line{b: slices.Clip(h.given), json: h.json, groups: h.groups}
	give(&l)
	return &handler{out: h.out, level: h.level, json: h.json, given: l.b, groups: l.groups}
}
