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
	"errors"
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
	inner, err := newInner(w, format, level, terminal(w))
	if err != nil {
		return nil, err
	}
	return slog.New(&handler{root: inner, inner: inner}), nil
}

// NewServerLogger is NewLogger for a server, whose lines leave many at a time: each within 50 ms, a warning or an error
// at once and with all before it. A process that is killed loses what had not left. To a terminal lines go one by one.
// Nothing else may write to w before finish, which writes what is left, and is called at the end.
func NewServerLogger(w io.Writer, format string, level slog.Leveler) (log *slog.Logger, finish func() error, err error) {
	if terminal(w) {
		log, err = NewLogger(w, format, level)
		return log, func() error { return nil }, err
	}
	gathered := newLines(w)
	inner, err := newInner(gathered, format, level, false)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(&handler{lines: gathered, root: inner, inner: inner}), gathered.finish, nil
}

func newInner(w io.Writer, format string, level slog.Leveler, watched bool) (slog.Handler, error) {
	// Not by ReplaceAttr: with it slog writes each attribute, time and level too, by a slower way.
	options := &slog.HandlerOptions{Level: level}
	switch {
	case format == "text", format == "auto" && watched:
		return slog.NewTextHandler(w, options), nil
	case format == "json", format == "auto":
		return slog.NewJSONHandler(w, options), nil
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

// contextKey keys the facts of a request in its context.
type contextKey struct{}

type facts struct{ requestID, realm string }

// WithRequest returns a context whose log lines bear that request id.
func WithRequest(ctx context.Context, requestID string) context.Context {
	f, _ := factsOf(ctx)
	return context.WithValue(ctx, contextKey{}, &facts{requestID: requestID, realm: f.realm})
}

// WithRealm returns a context whose log lines bear that realm's slug.
func WithRealm(ctx context.Context, slug string) context.Context {
	f, _ := factsOf(ctx)
	return context.WithValue(ctx, contextKey{}, &facts{requestID: f.requestID, realm: slug})
}

// SetRealm is WithRealm for the context that WithRequest returned and all that come of it, without another context: a
// request learns its realm on its way. Nothing else may use the context meanwhile.
func SetRealm(ctx context.Context, slug string) {
	if _, own := factsOf(ctx); own != nil {
		own.realm = slug
	}
}

// RequestID returns the request id of the context, or nothing.
func RequestID(ctx context.Context) string {
	f, _ := factsOf(ctx)
	return f.requestID
}

// factsOf returns the facts of the context and where they are kept, nil when there are none.
func factsOf(ctx context.Context) (facts, *facts) {
	if f, ok := ctx.Value(contextKey{}).(*facts); ok {
		return *f, f
	}
	return facts{}, nil
}

func (f facts) appendTo(attrs []slog.Attr) []slog.Attr {
	if f.requestID != "" {
		attrs = append(attrs, slog.String("request_id", f.requestID))
	}
	if f.realm != "" {
		attrs = append(attrs, slog.String("realm", f.realm))
	}
	return attrs
}

// handler redacts each record and adds the facts of the context to it, at the top level even when the logger has open
// groups: it then replays what was done to it on the root handler.
type handler struct {
	lines  *lines // that urgent records do not wait in; nil when nothing waits
	root   slog.Handler
	inner  slog.Handler
	steps  []func(slog.Handler) slog.Handler
	groups []string // that are open
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	var room [12]slog.Attr // most lines have fewer, and then stay off the heap
	attrs := room[:0]
	record.Attrs(func(attr slog.Attr) bool {
		attrs = append(attrs, redact(h.groups, attr))
		return true
	})
	f, _ := factsOf(ctx)
	target := h.inner
	if len(h.groups) == 0 {
		attrs = f.appendTo(attrs)
	} else if f != (facts{}) {
		target = h.root.WithAttrs(f.appendTo(nil))
		for _, step := range h.steps {
			target = step(target)
		}
	}
	clean := slog.NewRecord(record.Time, record.Level, escape(scrub(record.Message)), record.PC)
	clean.AddAttrs(attrs...)
	err := target.Handle(ctx, clean)
	if h.lines != nil && record.Level >= slog.LevelWarn {
		return errors.Join(err, h.lines.finish())
	}
	return err
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, attr := range attrs {
		clean[i] = redact(h.groups, attr)
	}
	return h.with(h.groups, func(inner slog.Handler) slog.Handler { return inner.WithAttrs(clean) })
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h // as slog has it
	}
	return h.with(append(slices.Clip(h.groups), name), func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *handler) with(groups []string, step func(slog.Handler) slog.Handler) slog.Handler {
	return &handler{
		lines:  h.lines,
		root:   h.root,
		inner:  step(h.inner),
		steps:  append(slices.Clip(h.steps), step),
		groups: groups,
	}
}
