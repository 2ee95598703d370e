package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Message is a message key and what its placeholders stand for.
type Message struct {
	Key    string
	Params map[string]any
}

// Page is what Web.Page shows.
type Page struct {
	// Status of the response; 0 is 200, or 422 when the page has a Problem or Fields.
	Status int
	// Template is the name of a file in pages/, without ".html".
	Template string
	// Title is the heading and, with the realm's name, the window's title.
	Title Message
	// Data is what the template's own comment asks for; see the types in data.go.
	Data any
	// Token is the form token; see Web.FormToken.
	Token string
	// Notice is a message key that says above the form what was done; "" for none.
	Notice string
	// Problem says above the form what is wrong with it.
	Problem *Message
	// Fields says for each input at fault what is wrong with it.
	Fields map[string]Message
	// RetryAfter is how long to wait before another try; zero when that is not the problem.
	RetryAfter time.Duration
	// FormAction admits more targets of forms than this origin; see FormAction.
	FormAction []string
	// Languages are wishes for the page's language: the request's ui_locales, then the person's own. The address's
	// ui_locales, which the switch on the page writes, comes before them, the browser's wish and the realm's default
	// after.
	Languages []string
}

// localesParam is the request parameter that chooses the language of pages (OpenID Connect Core §3.1.2.1).
const localesParam = "ui_locales"

// Page renders a page and sends it. Nothing is sent when rendering fails.
func (w *Web) Page(c *echo.Context, r realm.Realm, p Page) error {
	v := w.newView(c, r, p)
	body, err := w.render(p.Template, v)
	if err != nil {
		return err
	}
	status := p.Status
	if status == 0 {
		status = http.StatusOK
		if v.problems {
			status = http.StatusUnprocessableEntity
		}
	}
	h := c.Response().Header()
	w.setHeaders(h, pages)
	if len(p.FormAction) > 0 {
		h.Set(echo.HeaderContentSecurityPolicy, pagePolicy+" "+strings.Join(p.FormAction, " "))
	}
	h.Set("Content-Language", v.Lang)
	setRetryAfter(h, p.RetryAfter)
	return c.HTMLBlob(status, body)
}

// setRetryAfter writes whole seconds, rounded up (RFC 9110 §10.2.3).
func setRetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(d)))
	}
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Language is the tag of the language that Page would answer in; wishes are those of Page.Languages.
func (w *Web) Language(c *echo.Context, r realm.Realm, wishes ...string) string {
	return w.locale(c, r, wishes...).Tag()
}

// locale chooses the language of the answer and lays the realm's own words over ours.
func (w *Web) locale(c *echo.Context, r realm.Realm, wishes ...string) i18n.Locale {
	preferences := append([]string{c.QueryParam(localesParam)}, wishes...)
	preferences = append(preferences, c.Request().Header.Get("Accept-Language"))
	if r.Facts != nil {
		preferences = append(preferences, r.Settings.Locale)
	}
	return w.catalogue(c, r).Match(preferences...)
}

// catalogue is ours, with the realm's own words over it. Laying them is too slow for every request, so the result is
// kept until the realm's facts are read anew; there are at most as many as realms.
func (w *Web) catalogue(c *echo.Context, r realm.Realm) *i18n.Catalogue {
	if r.Facts == nil || len(r.Settings.Texts) == 0 {
		return w.o.Catalogue
	}
	if kept, ok := w.wording.Load(r.ID); ok {
		if kept, ok := kept.(wording); ok && kept.of == r.Facts {
			return kept.catalogue
		}
	}
	texts := make(map[string]map[string]string, len(r.Settings.Texts))
	for language, text := range r.Settings.Texts {
		texts[language] = text
	}
	catalogue, err := w.o.Catalogue.WithOverrides(texts)
	if err != nil {
		w.o.Log.WarnContext(c.Request().Context(), "a realm's text cannot be used", "err", err)
	}
	w.wording.Store(r.ID, wording{of: r.Facts, catalogue: catalogue})
	return catalogue
}

// wording is a realm's catalogue and the facts it was made from.
type wording struct {
	of        *realm.Facts
	catalogue *i18n.Catalogue
}

// parsePages parses each page together with the layout. Only files of the binary become templates (WB-05).
func parsePages(files fs.FS) (map[string]*template.Template, error) {
	const layout = "pages/layout.html"
	base, err := template.New("layout").Funcs(template.FuncMap{"link": link}).ParseFS(files, layout)
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	parsed := map[string]*template.Template{}
	for _, name := range names {
		if name == layout {
			continue
		}
		t, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("copy the layout: %w", err)
		}
		if t, err = t.ParseFS(files, name); err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		parsed[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return parsed, nil
}

func (w *Web) render(name string, v *view) ([]byte, error) {
	t, ok := w.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no page %q", name)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout", v); err != nil {
		return nil, fmt.Errorf("render page %s: %w", name, err)
	}
	return body.Bytes(), nil
}

// link admits to an href or action what a validated address may be: http, https, a private-use scheme of a native
// application (RFC 8252 §7.1), or a path of our own. Anything else, javascript: above all, becomes "".
//
// html/template would refuse private-use schemes; it still escapes the result for the attribute it stands in.
func link(address string) template.URL {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	switch {
	case u.Scheme == "http", u.Scheme == "https":
		if u.Host == "" {
			return ""
		}
	case u.Scheme == "":
		if !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.HasPrefix(address, `/\`) {
			return ""
		}
	case !privateScheme.MatchString(u.Scheme):
		return ""
	}
	return template.URL(address) //nolint:gosec // G203: the scheme was checked above, and the attribute is escaped
}

// view is the dot of every template.
type view struct {
	Lang, Dir string
	// Title is the window's, Heading the page's.
	Title, Heading string
	Realm          string
	Token          string
	Data           any
	// Notice says what was done.
	Notice string
	// Languages, Path and Query make the language switch; without Languages there is none.
	Languages []languageOption
	Path      string
	Query     []Hidden

	locale   i18n.Locale
	web      *Web
	base     string
	problem  *Message
	fields   map[string]Message
	problems bool
}

type languageOption struct{ Tag, Name, Dir string }

func (w *Web) newView(c *echo.Context, r realm.Realm, p Page) *view {
	locale := w.locale(c, r, p.Languages...)
	v := &view{
		Lang: locale.Tag(), Dir: locale.Dir(), Heading: locale.T(p.Title.Key, p.Title.Params),
		Token: p.Token, Data: p.Data,
		locale: locale, web: w, problem: p.Problem, fields: p.Fields,
		problems: p.Problem != nil || len(p.Fields) > 0,
	}
	v.Title = v.Heading
	if p.Notice != "" {
		v.Notice = locale.T(p.Notice, nil)
	}
	if v.problems {
		v.Title = locale.T("layout.error_title", map[string]any{"title": v.Heading})
	}
	if r.Facts != nil {
		v.Realm, v.base = r.Name, r.Path()
	}
	if p.Template != formPostTemplate {
		v.offerLanguages(c)
	}
	return v
}

// maxKeptQuery bounds what the language switch repeats of the address.
const maxKeptQuery = 32

// offerLanguages prepares the language switch: a form that gets this same address with another ui_locales.
func (v *view) offerLanguages(c *echo.Context) {
	query := c.QueryParams()
	v.Path = string(link(c.Request().URL.EscapedPath()))
	if v.Path == "" || len(query) > maxKeptQuery {
		return
	}
	for _, l := range v.web.o.Catalogue.Locales() {
		v.Languages = append(v.Languages, languageOption{Tag: l.Tag(), Name: l.Name(), Dir: l.Dir()})
	}
	if len(v.Languages) < 2 {
		v.Languages = nil
		return
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name == localesParam {
			continue
		}
		for _, value := range query[name] {
			v.Query = append(v.Query, Hidden{name, value})
		}
	}
}

// T is the text of a key; pairs are the names and values of its placeholders.
func (v *view) T(key string, pairs ...any) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("text %s: a placeholder without its value", key)
	}
	params := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return "", fmt.Errorf("text %s: the name of a placeholder is not a string", key)
		}
		params[name] = pairs[i+1]
	}
	return v.locale.T(key, params), nil
}

// Text is T for parameters that are already a map.
func (v *view) Text(key string, params map[string]any) string { return v.locale.T(key, params) }

// Asset is the address of an asset.
func (v *view) Asset(file string) (string, error) { return v.web.assetURL(v.base, file) }

// FieldError is what is wrong with one input.
type FieldError struct{ Name, Text string }

// Field is what is wrong with that input; nil when nothing is.
func (v *view) Field(name string) *FieldError {
	m, ok := v.fields[name]
	if !ok {
		return nil
	}
	return &FieldError{Name: name, Text: v.locale.T(m.Key, m.Params)}
}

// Summary is what stands above a form with problems; nil when there are none. The names give the order in which the
// inputs stand on the page; errors of other inputs come last.
func (v *view) Summary(names ...string) *summary {
	if !v.problems {
		return nil
	}
	s := &summary{}
	if v.problem != nil {
		s.Message = v.locale.T(v.problem.Key, v.problem.Params)
	}
	for _, name := range slices.Sorted(maps.Keys(v.fields)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if e := v.Field(name); e != nil {
			s.Fields = append(s.Fields, *e)
		}
	}
	if s.Message == "" {
		s.Intro = v.locale.T("form.summary", map[string]any{"n": len(s.Fields)})
	}
	return s
}

type summary struct {
	Message, Intro string
	Fields         []FieldError
}
