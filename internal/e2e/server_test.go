package e2e

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// The people and applications of every test realm.
const (
	anaPassword = "correct horse battery staple"
	webSecret   = "web-secret-0123456789abcdef0123456789abcdef"
	otherSecret = "other-secret-0123456789abcdef0123456789abcd"
	secretKey   = "test:2jGpm3o1Yz0cUu1v9kq0n3cF1yG0mJt6c9Wk1p4R7xQ="
	callback    = "http://127.0.0.1:9/callback"
)

// realmFile is a realm with two confidential applications, one of them without PKCE, a native one and one person.
func realmFile(slug string) string {
	return `
realm: ` + slug + `
name: Realm ` + slug + `
applications:
  - client_id: web
    name: Web shop
    consent: never
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `", "https://shop.example/callback?x=1"]
    post_logout_redirect_uris: ["http://127.0.0.1:9/bye"]
    origins: ["https://spa.example"]
    scopes: [openid, profile, email, address, api]
    audiences: []
  - client_id: other
    name: Other shop
    consent: never
    token_endpoint_auth_method: client_secret_post
    secrets: [` + otherSecret + `]
    redirect_uris: ["` + callback + `"]
    pkce: optional
  - client_id: native
    name: Native app
    consent: never
    application_type: native
    redirect_uris: ["http://127.0.0.1/cb", "com.example.app:/cb"]
  - client_id: keeper
    name: Keeper
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `"]
    grant_types: [authorization_code, refresh_token]
    scopes: [openid, profile, email, offline_access]
    consent: never
users:
  - username: ana
    email: Ana@Example.test
    email_verified: true
    password: ` + anaPassword + `
    claims: {name: Ana Silva, given_name: Ana, family_name: Silva, address: {country: BR}}
  - username: bob
    email: bob@example.test
    password: ` + anaPassword + `
`
}

// instance is a running server.
type instance struct {
	*app.System
	URL      string
	Clock    *testdb.Clock
	Database string
	Logs     *logs
}

// Issuer is the issuer of a realm.
func (i *instance) Issuer(slug string) string { return i.URL + "/realms/" + slug }

// Realm is a realm by its slug.
func (i *instance) Realm(t testing.TB, slug string) realm.Realm {
	t.Helper()
	r, err := i.Realms.BySlug(t.Context(), slug)
	require.NoError(t, err)
	return r
}

// start runs a server with these realm files on a database of its own. Its clock stands still unless moved.
func start(t testing.TB, files ...string) *instance {
	t.Helper()
	return startOn(t, testdb.NewURL(t), files...)
}

// startOn runs a server on a database that may be shared with other servers, all with the same secret key.
func startOn(t testing.TB, database string, files ...string) *instance {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	i := &instance{URL: "http://" + listener.Addr().String(), Clock: &testdb.Clock{}, Database: database, Logs: &logs{}}
	i.Clock.Set(time.Now())
	i.System, err = app.Open(t.Context(), process(t, database, i.Logs), app.Options{Now: i.Clock.Now, PublicURL: i.URL})
	require.NoError(t, err)
	t.Cleanup(i.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the server logged:\n" + i.Logs.String())
		}
	})
	i.apply(t, files...)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: i.Handler, MaxHeaderBytes: 16 << 10}}
	server.Start()
	t.Cleanup(server.Close)
	return i
}

func (i *instance) apply(t testing.TB, files ...string) {
	t.Helper()
	for _, content := range files {
		f, err := realmfile.Parse([]byte(content), "test.yaml", realmfile.System(t.TempDir()))
		require.NoError(t, err)
		_, err = i.Applier.Apply(t.Context(), f, realmfile.ApplyOptions{})
		require.NoError(t, err)
	}
}

func process(t testing.TB, url string, out *logs) app.Process {
	t.Helper()
	cfg, err := config.Load([]string{"GATEHOUSE_DATABASE_URL=" + url, "GATEHOUSE_SECRET_KEY=" + secretKey}, config.Options{Mode: config.ModeDev})
	require.NoError(t, err)
	log, err := telemetry.NewLogger(out, "json", slog.LevelDebug)
	require.NoError(t, err)
	return app.Process{Config: cfg, Log: log, Stdout: out, Stderr: out, Version: "test"}
}

// logs keeps what a server logs.
type logs struct {
	mu      sync.Mutex
	text    strings.Builder
	stopped bool
}

// stop lets what is logged from now on be lost.
func (l *logs) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// Write implements io.Writer.
func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return len(p), nil
	}
	return l.text.Write(p)
}

// String is everything logged so far.
func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
