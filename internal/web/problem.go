package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Status is the HTTP status of a problem, for surfaces that write errors in a form of their own.
func Status(code problem.Code) int { return statusOf(code) }

// statusOf is the one table of HTTP statuses.
func statusOf(code problem.Code) int {
	switch code {
	case problem.InvalidRequest, problem.CookieMissing, problem.ClientUnknown, problem.RedirectDenied:
		return http.StatusBadRequest
	case problem.Unauthorized:
		return http.StatusUnauthorized
	case problem.Forbidden, problem.CrossSite, problem.RealmDisabled:
		return http.StatusForbidden
	case problem.NotFound, problem.RealmUnknown, problem.HostUnknown, problem.FlowUnknown:
		return http.StatusNotFound
	case problem.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case problem.NotAcceptable:
		return http.StatusNotAcceptable
	case problem.Conflict:
		return http.StatusConflict
	case problem.Stale:
		return http.StatusPreconditionFailed
	case problem.Gone, problem.FlowExpired:
		return http.StatusGone
	case problem.PayloadTooLarge:
		return http.StatusRequestEntityTooLarge
	case problem.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case problem.TooManyRequests:
		return http.StatusTooManyRequests
	case problem.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// codeOf is what echo's own errors mean.
func codeOf(status int) problem.Code {
	switch status {
	case http.StatusUnauthorized:
		return problem.Unauthorized
	case http.StatusForbidden:
		return problem.Forbidden
	case http.StatusNotFound:
		return problem.NotFound
	case http.StatusMethodNotAllowed:
		return problem.MethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		return problem.PayloadTooLarge
	case http.StatusUnsupportedMediaType:
		return problem.UnsupportedMedia
	case http.StatusTooManyRequests:
		return problem.TooManyRequests
	case http.StatusServiceUnavailable:
		return problem.Unavailable
	}
	if status >= 400 && status < 500 {
		return problem.InvalidRequest
	}
	return problem.Internal
}

// shortPause is what a client is told to wait when something we depend on is away.
const shortPause = 5 * time.Second

// asProblem is problem.From, with the errors of echo, net/http and the database in our words.
func asProblem(err error) *problem.E {
	p := problem.From(err)
	if p.Code != problem.Internal {
		return p
	}
	var tooLarge *http.MaxBytesError
	switch status := echo.StatusCode(err); {
	case errors.As(err, &tooLarge):
		return problem.New(problem.PayloadTooLarge).Because(err)
	case postgres.Unavailable(err):
		return problem.New(problem.Unavailable).WithRetryAfter(shortPause).Because(err)
	case status != 0 && codeOf(status) != problem.Internal:
		return problem.New(codeOf(status)).Because(err)
	}
	return p
}

// Error answers with an error: a page, or a problem document in the API group and for whoever prefers JSON. It logs
// the cause under the request's id, at Error when somebody must look, and never shows it. A response that has begun
// is left alone.
func (w *Web) Error(c *echo.Context, err error) {
	p := asProblem(err)
	of(c).problem = p
	ctx := c.Request().Context()
	w.logCause(ctx, err, p)
	if response, unwrapErr := echo.UnwrapResponse(c.Response()); unwrapErr == nil && response.Committed {
		return
	}
	h := c.Response().Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "ETag", "Last-Modified", "Location"} {
		h.Del(name) // of the answer that was about to be given
	}
	if wantsPage(of(c).group, c.Request().Header.Get(echo.HeaderAccept)) {
		err = w.problemPage(c, p)
	} else {
		err = w.problemDocument(c, p)
	}
	if err != nil {
		w.o.Log.ErrorContext(ctx, "an error could not be shown", "err", err)
	}
}

// logCause writes a line of its own for what a human must look at; everything else is part of the request's line.
func (w *Web) logCause(ctx context.Context, err error, p *problem.E) {
	if !serious(p.Code) {
		return
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // the client went away
	}
	attrs := []slog.Attr{slog.Any("err", p)}
	var panicked *panicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.stack)))
	}
	w.o.Log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
}

// serious tells what is our fault, or our surroundings', from what the request brought about.
func serious(code problem.Code) bool { return code == problem.Internal || code == problem.Unavailable }

// wantsPage decides between page and document. Browsers always name HTML, and a page's address shows a page unless JSON
// is liked better; where no group says what an address is for, only who names HTML gets a page.
func wantsPage(g group, accept string) bool {
	if g == api || g == public {
		return false
	}
	html, document := Accepts(accept, echo.MIMETextHTML, "application/xhtml+xml"), Accepts(accept, echo.MIMEApplicationJSON, echo.MIMEApplicationProblemJSON)
	if html < 0 && document < 0 {
		return g == pages
	}
	return html >= document
}

// Accepts is the highest weight that an Accept header gives to any of the media types, from 0 (refused) to 1; -1 when it
// names none of them. Wildcards do not count.
func Accepts(header string, mediaTypes ...string) float64 {
	best := -1.0
	for entry := range strings.SplitSeq(header, ",") {
		media, params, _ := strings.Cut(entry, ";")
		if slices.Contains(mediaTypes, strings.ToLower(strings.TrimSpace(media))) {
			best = max(best, quality(params))
		}
	}
	return best
}

// quality is the weight of an entry of an Accept header (RFC 9110 §12.4.2).
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(param), "q="); ok {
			if q, err := strconv.ParseFloat(value, 64); err == nil {
				return q
			}
		}
	}
	return 1
}

// document is a problem document (RFC 9457).
type document struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Detail    string          `json:"detail"`
	Code      problem.Code    `json:"code"`
	RequestID string          `json:"request_id"`
	Errors    []documentError `json:"errors,omitempty"`
	Hint      string          `json:"hint,omitempty"`
}

type documentError struct {
	Pointer string `json:"pointer"` // RFC 6901
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

func (w *Web) problemDocument(c *echo.Context, p *problem.E) error {
	locale := w.locale(c, Realm(c))
	d := document{
		Type:  w.o.PublicURL + "/docs/errors/" + string(p.Code),
		Title: locale.T(titleKey(locale, p), nil), Status: statusOf(p.Code), Detail: locale.T(p.MessageKey(), p.Params),
		Code: p.Code, RequestID: RequestID(c),
	}
	for _, f := range p.Fields {
		d.Errors = append(d.Errors, documentError{
			Pointer: "/" + strings.TrimPrefix(f.Name, "/"), Code: f.Key, Detail: locale.T(f.Key, f.Params),
		})
	}
	if w.o.Dev {
		d.Hint = p.Hint
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	w.setHeaders(h, api)
	setRetryAfter(h, p.RetryAfter)
	return c.Blob(d.Status, echo.MIMEApplicationProblemJSON, body)
}

// titleKey is the title of the problem's own message if it has one, else that of its code.
func titleKey(l i18n.Locale, p *problem.E) string {
	if own := p.MessageKey() + ".title"; l.Has(own) {
		return own
	}
	return "error." + string(p.Code) + ".title"
}

// errorData is the data of "error".
type errorData struct {
	Message, Help, Wait string
	Fields              []FieldError
	Actions             []action // the first one is the way on
	Hint                string
	RequestID           string
	Time                time.Time
	App                 string
	Code                problem.Code
}

type action struct{ URL, Text string }

func (w *Web) problemPage(c *echo.Context, p *problem.E) error {
	r := Realm(c)
	locale := w.locale(c, r)
	data := errorData{
		Message: locale.T(p.MessageKey(), p.Params), Help: locale.T("error."+string(p.Code)+".help", p.Params),
		Wait: waitText(locale, p.RetryAfter), Actions: actions(c, r, locale, p.Code),
		RequestID: RequestID(c), Time: w.o.Now().UTC(), App: of(c).app, Code: p.Code,
	}
	if own := p.MessageKey() + ".help"; locale.Has(own) {
		data.Help = locale.T(own, p.Params)
	}
	for _, f := range p.Fields {
		data.Fields = append(data.Fields, FieldError{Name: f.Name, Text: locale.T(f.Key, f.Params)})
	}
	if w.o.Dev {
		data.Hint = p.Hint
	}
	page := Page{Status: statusOf(p.Code), Template: "error", Title: Message{Key: titleKey(locale, p)}, Data: data}
	v := w.newView(c, r, page)
	v.Title = locale.T("layout.error_title", map[string]any{"title": v.Heading})
	if !readOnly(c.Request()) {
		v.Languages = nil // the address may not answer to GET
	}
	body, err := w.render(page.Template, v)
	if err != nil {
		return errors.Join(err, lastResort(c, page.Status))
	}
	h := c.Response().Header()
	w.setHeaders(h, pages)
	h.Set("Content-Language", v.Lang)
	setRetryAfter(h, p.RetryAfter)
	return c.HTMLBlob(page.Status, body)
}

// lastResort answers when even the error page cannot be made.
func lastResort(c *echo.Context, status int) error {
	return c.String(status, "Something went wrong. Request: "+RequestID(c))
}

func waitText(l i18n.Locale, d time.Duration) string {
	switch n := seconds(d); {
	case n <= 0:
		return ""
	case n < 120:
		return l.T("error.wait", map[string]any{"n": n})
	default:
		return l.T("login.wait_only", map[string]any{"n": (n + 59) / 60})
	}
}

func readOnly(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// actions lists the ways on from an error, the best one first. None is offered that would only fail again.
func actions(c *echo.Context, r realm.Realm, l i18n.Locale, code problem.Code) []action {
	var list []action
	offer := func(address, text string) {
		if link(address) != "" {
			list = append(list, action{address, text})
		}
	}
	address := c.Request().URL
	again := "" // the flow's page that the form was on
	if tx := c.QueryParam("tx"); tx != "" {
		again = (&url.URL{Path: address.Path, RawPath: address.RawPath, RawQuery: url.Values{"tx": {tx}}.Encode()}).String()
	}
	switch code {
	case problem.FlowExpired, problem.CrossSite, problem.CookieMissing:
		offer(again, l.T("restart.submit", nil))
	case problem.Internal, problem.Unavailable, problem.TooManyRequests:
		if readOnly(c.Request()) {
			again = address.RequestURI()
		}
		offer(again, l.T("try_again", nil))
	default: // trying again would fail again
	}
	back := of(c).back
	if back.URL == "" && r.Facts != nil {
		back.URL = r.Settings.StartURL
	}
	if back.App == "" {
		back.App = l.T("app.unnamed", nil)
	}
	offer(back.URL, l.T("app.return", map[string]any{"app": back.App}))
	return list
}
