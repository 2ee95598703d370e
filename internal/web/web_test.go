package web_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/templates"
)

const (
	secureOrigin = "https://id.example.test"
	plainOrigin  = "http://127.0.0.1:8080"
)

// bundle is a web and a server in front of it; routes are added before the first request.
type bundle struct {
	*web.Web
	echo   *echo.Echo
	server *httptest.Server
	log    *buffer
}

// buffer is written by the server and read by the test.
type buffer struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

func options(t *testing.T, change ...func(o *web.Options)) web.Options {
	t.Helper()
	catalogue, err := i18n.New(templates.FS)
	require.NoError(t, err)
	o := web.Options{
		Catalogue: catalogue, Files: templates.FS, Log: slog.New(slog.DiscardHandler), PublicURL: secureOrigin,
		Now: func() time.Time { return time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC) },
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

func setup(t *testing.T, change ...func(o *web.Options)) *bundle {
	t.Helper()
	b := &bundle{log: &buffer{}}
	log, err := telemetry.NewLogger(b.log, "json", slog.LevelDebug)
	require.NoError(t, err)
	o := options(t, change...)
	o.Log = log
	b.Web, err = web.New(o)
	require.NoError(t, err)
	b.echo = b.Echo()
	b.server = httptest.NewServer(b.echo)
	t.Cleanup(b.server.Close)
	return b
}

// realmAt makes a realm of a process with that public URL.
func realmAt(t *testing.T, origin string, n realm.New) realm.Realm {
	t.Helper()
	db := testdb.New(t)
	directory := realm.NewDirectory(realm.Options{
		DB: db.DB, Keyring: db.Keyring, PublicURL: origin, Now: db.Clock.Now, Random: rand.Reader,
	})
	r, err := directory.Create(t.Context(), n, func(tx realm.Tx) error {
		return event.Record(t.Context(), tx, event.RealmCreated{Slug: n.Slug}, db.Clock.Now())
	})
	require.NoError(t, err)
	return r
}

// in is middleware that puts requests into a realm.
func in(r realm.Realm) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			web.SetRealm(c, r)
			return next(c)
		}
	}
}

// response is an answer that has been read.
type response struct {
	*http.Response
	body string
}

// send makes a request, with headers given as name, value, name, value; redirects are not followed.
func (b *bundle) send(t *testing.T, method, path, body string, headers ...string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return response{res, string(content)}
}

func (b *bundle) get(t *testing.T, path string, headers ...string) response {
	t.Helper()
	return b.send(t, http.MethodGet, path, "", headers...)
}

// browse gets a page as a browser does.
func (b *bundle) browse(t *testing.T, path string) response {
	t.Helper()
	return b.get(t, path, "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
}

func (b *bundle) post(t *testing.T, path string, form url.Values, headers ...string) response {
	t.Helper()
	headers = append(headers, "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
	return b.send(t, http.MethodPost, path, form.Encode(), headers...)
}
