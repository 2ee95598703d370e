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
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	var inner slog.Handler
	switch {
	case format == "text", format == "auto" && terminal(w):
		inner = slog.NewTextHandler(w, options)
	case format == "json", format == "auto":
		inner = slog.NewJSONHandler(w, options)
	default:
		return nil, fmt.Errorf("unknown log format %q", format)
	}
	return slog.New(&handler{root: inner, inner: inner}), nil
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
	f := factsOf(ctx)
	f.requestID = requestID
	return context.WithValue(ctx, contextKey{}, f)
}

// WithRealm returns a context whose log lines bear that realm's slug.
func WithRealm(ctx context.Context, slug string) context.Context {
	f := factsOf(ctx)
	f.realm = slug
	return context.WithValue(ctx, contextKey{}, f)
}

// RequestID returns the request id of the context, or nothing.
func RequestID(ctx context.Context) string { return factsOf(ctx).requestID }

func factsOf(ctx context.Context) facts {
	f, _ := ctx.Value(contextKey{}).(facts)
	return f
}

func (f facts) attrs() []slog.Attr {
	var attrs []slog.Attr
	if f.requestID != "" {
		attrs = append(attrs, slog.String("request_id", f.requestID))
	}
	if f.realm != "" {
		attrs = append(attrs, slog.String("realm", f.realm))
	}
	return attrs
}

// handler adds the facts of the context to each record, at the top level even
// when the logger has open groups: it then replays what was done to it on the
// root handler.
type handler struct {
	root    slog.Handler
	inner   slog.Handler
	steps   []func(slog.Handler) slog.Handler
	grouped bool
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	record.Message = escape(scrub(record.Message))
	attrs := factsOf(ctx).attrs()
	if len(attrs) == 0 {
		return h.inner.Handle(ctx, record)
	}
	if !h.grouped {
		record.AddAttrs(attrs...)
		return h.inner.Handle(ctx, record)
	}
	target := h.root.WithAttrs(attrs)
	for _, step := range h.steps {
		target = step(target)
	}
	return target.Handle(ctx, record)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(h.grouped, func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

func (h *handler) WithGroup(name string) slog.Handler {
	return h.with(h.grouped || name != "", func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *handler) with(grouped bool, step func(slog.Handler) slog.Handler) slog.Handler {
	return &handler{
		root:    h.root,
		inner:   step(h.inner),
		steps:   append(slices.Clip(h.steps), step),
		grouped: grouped,
	}
}
