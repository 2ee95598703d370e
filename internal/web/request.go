package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

// request is what this package remembers of a request while it is answered. It is the request's ctx too: what log lines
// bear and where events come from is asked of it, instead of being put into a ctx for each.
type request struct {
	context.Context

	http    *http.Request
	facts   telemetry.Facts
	group   group
	realm   realm.Realm
	back    Link
	app     string
	problem *problem.E
	notes   []slog.Attr
	room    [3]slog.Attr // for the notes of most requests
	address netip.Addr   // of the client

	form     url.Values
	formErr  error
	formRead bool
}

// of is the request of c, which entry made.
func of(c *echo.Context) *request {
	if r, ok := c.Request().Context().(*request); ok {
		return r
	}
	return begin(c, "", netip.Addr{}) // in a test of a handler alone
}

func begin(c *echo.Context, id string, address netip.Addr) *request {
	r := &request{Context: c.Request().Context(), facts: telemetry.Facts{RequestID: id}, address: address}
	r.notes = r.room[:0]
	r.http = c.Request().WithContext(r)
	c.SetRequest(r.http)
	return r
}

// Value implements context.Context.
func (r *request) Value(key any) any {
	switch key.(type) {
	case telemetry.FactsKey:
		return &r.facts
	case event.OriginKey:
		return r
	}
	return r.Context.Value(key)
}

// Origin implements event.Originator: somebody, until it is known who. It changes nothing, since whoever has the ctx may
// ask at any time.
func (r *request) Origin() event.Origin {
	return event.Origin{
		Kind: event.Anonymous, RequestID: r.facts.RequestID, Address: r.address.String(), UserAgent: r.http.UserAgent(),
	}
}

// Extend puts more into the request's ctx: what more makes of it. It is for middleware, before another goroutine has the
// ctx; so is SetRealm.
func Extend(c *echo.Context, more func(ctx context.Context) context.Context) {
	r := of(c)
	r.Context = more(r.Context)
}

// SetRealm says which realm the request is for. Pages, cookies and log lines follow it.
func SetRealm(c *echo.Context, r realm.Realm) {
	state := of(c)
	state.realm, state.facts.Realm = r, r.Slug
}

// Realm is the realm of the request; before SetRealm it is zero, its Facts nil.
func Realm(c *echo.Context) realm.Realm { return of(c).realm }

// RequestID is the request's id: 128 random bits in lower-case base32. What the client sent as such is ignored.
func RequestID(c *echo.Context) string { return of(c).facts.RequestID }

// Peeks tells that the request is HEAD: somebody asks what is there, a program that reads mails above all, and nothing
// may change. Where GET answers by what it does, HEAD leaves that out (RFC 9110 §9.3.2).
func Peeks(c *echo.Context) bool { return c.Request().Method == http.MethodHead }

// Link is an address that a page may offer. It must be validated where it is known: web refuses only what no page
// may ever link to.
type Link struct {
	URL string
	// App is the name of the application it leads to; "" when it is not one application's.
	App string
}

// OfferReturn says where an error page may send the person back to: the application's start address or its validated
// redirect address. Without it the realm's own start address is offered.
func OfferReturn(c *echo.Context, l Link) { of(c).back = l }

// SetApplication names the application in the details that an error page shows for support.
func SetApplication(c *echo.Context, name string) { of(c).app = name }

// Note adds to the request's log line, which costs less than a line of its own.
func Note(c *echo.Context, attrs ...slog.Attr) { r := of(c); r.notes = append(r.notes, attrs...) }

// entry is the outermost middleware: it gives the request its id, turns a panic into an error, writes every error,
// and then writes the log line and the metric.
func (w *Web) entry(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		start := w.o.Now()
		id, err := w.newRequestID()
		state := begin(c, id, w.address(c.Request()))
		if err == nil {
			c.Response().Header()[echo.HeaderXRequestID] = []string{id}
			err = protect(next, c)
		}
		if err != nil {
			w.Error(c, err)
		}
		w.record(c, state, start)
		return nil
	}
}

func (w *Web) newRequestID() (string, error) {
	var raw [16]byte
	if _, err := io.ReadFull(w.o.Random, raw[:]); err != nil {
		return "", fmt.Errorf("draw a request id: %w", err)
	}
	return w.ids.EncodeToString(raw[:]), nil
}

// panicError is a panic of a handler with the stack it came from.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// protect runs a handler and returns its panic as an error, so that the process and the other requests go on (AU-06).
func protect(next echo.HandlerFunc, c *echo.Context) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p) // net/http's own way to end a connection; it recovers it silently
		default:
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return next(c)
}

// record writes the one log line of a request. It has the route's pattern, never the path or the query: both may
// hold codes and tokens (WB-11).
func (w *Web) record(c *echo.Context, state *request, start time.Time) {
	status, end := http.StatusOK, w.o.Now()
	took := end.Sub(start)
	if response, err := echo.UnwrapResponse(c.Response()); err == nil {
		status = response.Status
	}
	method, route := c.Request().Method, c.Path()
	if ctx, level := c.Request().Context(), state.level(status); w.o.Log.Enabled(ctx, level) {
		line := slog.NewRecord(end, level, "request", 0) // no program counter: finding it costs more than the rest of the record
		line.AddAttrs(
			slog.String("method", method),
			slog.String("route", route),
			slog.Int("status", status),
			slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		)
		if p := state.problem; p != nil {
			line.AddAttrs(outcome(p))
		}
		line.AddAttrs(state.notes...)
		_ = w.o.Log.Handler().Handle(ctx, line)
	}
	if w.o.Metrics != nil {
		w.o.Metrics.ObserveRequest(route, method, status, took.Seconds())
	}
}

// level of the request's line: what anybody may fetch, and gets, is not worth one.
func (r *request) level(status int) slog.Level {
	if (r.group == static || r.group == public) && status < http.StatusBadRequest {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// outcome is what the request's line says of its problem; the cause of a serious one has a line of its own.
func outcome(p *problem.E) slog.Attr {
	if serious(p.Code) {
		return slog.String("failed", string(p.Code))
	}
	return slog.Any("refused", p)
}

// refuseMethod answers a method that the address does not have, and names those that it has (RFC 9110 §15.5.6).
func refuseMethod(c *echo.Context) error {
	// echo lists OPTIONS always, because it would answer it; here only a route answers.
	allowed, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
	allowed = strings.TrimPrefix(allowed, http.MethodOptions+", ")
	if strings.HasPrefix(allowed, http.MethodGet) { // echo does not list what it answers by itself
		allowed = http.MethodGet + ", " + http.MethodHead + strings.TrimPrefix(allowed, http.MethodGet)
	}
	c.Response().Header().Set(echo.HeaderAllow, allowed)
	return problem.New(problem.MethodNotAllowed)
}
