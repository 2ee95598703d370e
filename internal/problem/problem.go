// Package problem is the one public error of Gatehouse: a code that is stable,
// a message key that the pages translate, and a cause that only the log sees.
//
// Whoever knows the fact makes the problem (a domain package, a step, the
// protocol layer); web alone writes it to a response, and oidc maps its code to
// the code of the RFC. The package therefore knows neither HTTP status numbers
// nor sentences. Text meant for people lives in i18n, text meant for
// operators in the cause, and the two never meet in a response.
package problem

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Field names one input that was refused and why.
type Field struct {
	Name   string         // the field's name in the form or the JSON document
	Key    string         // message key of the reason
	Params map[string]any // what the message's placeholders stand for; safe to show
}

// E is a public error. Everything but the cause and the Hint is safe to show to
// the person who caused it.
//
// Treat an E as immutable: the With methods return a changed copy, so that a
// package may keep one as a variable and refine it per request.
type E struct {
	Code       Code           // what happened, for programs
	Key        string         // message key; empty means "error." + Code (see MessageKey)
	Params     map[string]any // what the message's placeholders stand for; safe to show
	Fields     []Field        // the inputs at fault, in the order they were checked
	RetryAfter time.Duration  // how long to wait before another try; zero means not said
	Hint       string         // the exact cause and its mend; shown in development only

	cause error
}

// New returns a problem of that code without any detail.
func New(code Code) *E { return &E{Code: code} }

// From returns the problem in err's chain, or err wrapped as Internal when there
// is none. It returns nil for nil. When a problem was wrapped with more context,
// the context is kept in the cause so that the log has it.
func From(err error) *E {
	if err == nil {
		return nil
	}
	var found *E
	if !errors.As(err, &found) || found == nil {
		return New(Internal).Because(err)
	}
	if same, ok := err.(*E); ok && same == found { //nolint:errorlint // asks whether err itself is the problem, not its chain
		return found
	}
	return found.Because(err)
}

// Has reports whether err's chain carries a problem of that code.
func Has(err error, code Code) bool {
	var found *E
	return errors.As(err, &found) && found != nil && found.Code == code
}

// WithKey returns a copy whose message is the one of that key.
func (e *E) WithKey(key string) *E {
	c := e.clone()
	c.Key = key
	return c
}

// WithParam returns a copy with one more placeholder of the message filled in.
// The value is shown to people: never pass a secret.
func (e *E) WithParam(name string, value any) *E {
	c := e.clone()
	if c.Params == nil {
		c.Params = map[string]any{}
	}
	c.Params[name] = value
	return c
}

// WithField returns a copy that names one more input at fault. The params may be
// nil.
func (e *E) WithField(name, key string, params map[string]any) *E {
	c := e.clone()
	c.Fields = append(c.Fields, Field{Name: name, Key: key, Params: maps.Clone(params)})
	return c
}

// WithRetryAfter returns a copy that tells how long to wait.
func (e *E) WithRetryAfter(d time.Duration) *E {
	c := e.clone()
	c.RetryAfter = d
	return c
}

// WithHint returns a copy that explains to a developer exactly what is wrong and
// how to mend it. It reaches a page in development only; still, no secret may
// stand in it, because it is logged.
func (e *E) WithHint(format string, args ...any) *E {
	c := e.clone()
	c.Hint = fmt.Sprintf(format, args...)
	return c
}

// Because returns a copy whose hidden cause is err. The cause is logged and
// found by errors.Is and errors.As, and never shown.
func (e *E) Because(err error) *E {
	c := e.clone()
	c.cause = err
	return c
}

// MessageKey is the key of the message to show: Key, or "error." + Code.
func (e *E) MessageKey() string {
	if e.Key != "" {
		return e.Key
	}
	return "error." + string(e.Code)
}

// Error is the text for logs: the code, the fields at fault and the cause. It
// never belongs in a response.
func (e *E) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if names := e.fieldNames(); len(names) > 0 {
		b.WriteString(" (" + strings.Join(names, ", ") + ")")
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// Unwrap returns the hidden cause.
func (e *E) Unwrap() error { return e.cause }

// LogValue is how slog shows a problem. Params and field values are left out:
// they may hold what a person typed.
func (e *E) LogValue() slog.Value {
	if e == nil {
		return slog.StringValue("none")
	}
	attrs := []slog.Attr{slog.String("problem", string(e.Code))}
	if e.Key != "" {
		attrs = append(attrs, slog.String("message_key", e.Key))
	}
	if names := e.fieldNames(); len(names) > 0 {
		attrs = append(attrs, slog.Any("fields", names))
	}
	if e.cause != nil {
		attrs = append(attrs, slog.String("cause", e.cause.Error()))
	}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	return slog.GroupValue(attrs...)
}

// fieldNames lists each field's name with its message key.
func (e *E) fieldNames() []string {
	names := make([]string, 0, len(e.Fields))
	for _, f := range e.Fields {
		names = append(names, f.Name+" "+f.Key)
	}
	return names
}

// clone copies e deeply enough that a With method never changes the original.
func (e *E) clone() *E {
	c := *e
	c.Params = maps.Clone(e.Params)
	c.Fields = slices.Clone(e.Fields)
	return &c
}
