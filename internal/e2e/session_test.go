package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// cookie is the value of the realm "one"'s cookie in a browser, "" when it has none.
func (b *browser) cookie(i *instance) string {
	b.t.Helper()
	at, err := url.Parse(i.Issuer("one"))
	require.NoError(b.t, err)
	for _, c := range b.client.Jar.Cookies(at) {
		if c.Name == i.Realm(b.t, "one").Cookie() {
			return c.Value
		}
	}
	return ""
}

// withCookie is another browser that knows the value of the realm's cookie.
func withCookie(t testing.TB, i *instance, value string) *browser {
	t.Helper()
	b := newBrowser(t)
	at, err := url.Parse(i.Issuer("one"))
	require.NoError(t, err)
	b.client.Jar.SetCookies(at, []*http.Cookie{{Name: i.Realm(t, "one").Cookie(), Value: value, Path: "/"}})
	return b
}

// signedIn is a browser in which ana is signed in.
func signedIn(t testing.TB, i *instance, more ...string) *browser {
	t.Helper()
	b := newBrowser(t)
	requireCode(t, b.follow(i, b.try(b.loginPage(i), "ana", anaPassword, more...)))
	return b
}

// silent asks without interaction and returns the error, "" when a code came.
func (b *browser) silent(i *instance) string {
	b.t.Helper()
	q := b.get(i.Issuer("one") + "/authorize?" + authorization("prompt", "none").Encode()).Location().Query()
	require.NotEqual(b.t, q.Has("code"), q.Has("error"), q)
	return q.Get("error")
}

// flush writes when sessions were last used, which the background work does every minute.
func (i *instance) flush() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	i.Work(ctx)
}

// rows is every row of a realm that the server's role may read, as text, in one string.
func (i *instance) rows(t testing.TB, slug string) string {
	t.Helper()
	var all strings.Builder
	query := func(sql string) []string {
		rows, err := i.Realm(t, slug).Query(t.Context(), sql)
		require.NoError(t, err)
		defer rows.Close()
		var texts []string
		for rows.Next() {
			var text string
			require.NoError(t, rows.Scan(&text))
			texts = append(texts, text)
		}
		require.NoError(t, rows.Err())
		return texts
	}
	tables := query(`SELECT relname::text FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'SELECT') ORDER BY 1`)
	require.Subset(t, tables, []string{"sessions", "flows", "grants", "events", "event_personal", "passwords"})
	for _, table := range tables {
		for _, row := range query("SELECT r::text FROM " + table + " r") {
			all.WriteString(table + " " + row + "\n")
		}
	}
	return all.String()
}

func TestSS01_TheCookieIsNewAtEveryLoginAndOnlyItsHashIsStored(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	before := b.cookie(i)
	require.Len(t, before, 43, "256 random bits")
	requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
	first := b.cookie(i)
	require.Len(t, first, 43)
	require.NotEqual(t, before, first, "login gives a new one")
	require.Equal(t, "login_required", withCookie(t, i, before).silent(i), "the one before the login opens nothing")
	require.Empty(t, withCookie(t, i, first).silent(i), "this test can tell a live cookie")

	i.Clock.Advance(time.Minute)
	requireCode(t, b.follow(i, b.try(b.loginPage(i, "prompt", "login"), "ana", anaPassword)))
	second := b.cookie(i)
	require.NotContains(t, []string{before, first}, second, "so does a new proof")
	require.Equal(t, "login_required", withCookie(t, i, first).silent(i), "the old one is dead")
	require.Empty(t, b.silent(i))

	stored := i.rows(t, "one")
	for _, value := range []string{before, first, second} {
		require.NotContains(t, stored, value)
		require.NotContains(t, stored, hex.EncodeToString([]byte(value)))
	}
	sum := sha256.Sum256([]byte(second))
	require.Contains(t, stored, hex.EncodeToString(sum[:]))
}

func TestSS02_TheCookieOnLoopback(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	set := b.get(i.Issuer("one") + "/authorize?" + authorization().Encode()).Header["Set-Cookie"]
	require.Len(t, set, 1)
	id := i.Realm(t, "one").ID.String()
	require.Regexp(t, `^gh-`+id[:8]+`=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Lax$`, set[0])
}

// startHTTPS runs a server whose public address is https://id.example.com, and returns it with a browser for it.
func startHTTPS(t *testing.T, files ...string) (*instance, *browser) {
	t.Helper()
	i := &instance{URL: "https://id.example.com", Clock: &testdb.Clock{}, Database: testdb.NewURL(t), Logs: &logs{}}
	i.Clock.Set(time.Now())
	var err error
	i.System, err = app.Open(t.Context(), process(t, i.Database, i.Logs), app.Options{Now: i.Clock.Now, PublicURL: i.URL})
	require.NoError(t, err)
	t.Cleanup(i.Close)
	i.apply(t, files...)
	server := httptest.NewTLSServer(i.Handler)
	t.Cleanup(server.Close)
	client := server.Client()
	transport, ok := client.Transport.(*http.Transport)
	require.True(t, ok)
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	client.Jar, err = cookiejar.New(nil)
	require.NoError(t, err)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return i, &browser{t, client}
}

func TestSS02_WB04_OverHTTPS(t *testing.T) {
	t.Parallel()
	hosted := strings.Replace(realmFile("two"), "name: Realm two", "name: Realm two\nhosts: [login.example.com]", 1)
	i, b := startHTTPS(t, realmFile("one"), hosted)
	for slug, issuer := range map[string]string{"one": "https://id.example.com/realms/one", "two": "https://login.example.com"} {
		require.Equal(t, issuer, i.Realm(t, slug).Issuer)
		cookie := `^__Host-gh-` + i.Realm(t, slug).ID.String()[:8] + `=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; Secure; SameSite=Lax$`
		r := b.get(issuer + "/authorize?" + authorization().Encode())
		require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
		require.Len(t, r.Header["Set-Cookie"], 1)
		require.Regexp(t, cookie, r.Header.Get("Set-Cookie"))
		page := b.get(r.Location().String())
		require.Equal(t, "max-age=31536000", page.Header.Get("Strict-Transport-Security"))
		form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
		again := b.post(page.Request.URL.String(), form, "Origin", strings.TrimSuffix(issuer, "/realms/one"))
		require.Equal(t, http.StatusSeeOther, again.StatusCode, again.Body)
		back := b.get(again.Location().String())
		requireCode(t, back)
		require.Regexp(t, cookie, back.Header.Get("Set-Cookie"))
		require.Equal(t, issuer, back.Location().Query().Get("iss"))
	}
}

func TestSS03_SessionsEndWhenIdle(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	i.Clock.Advance(2*time.Hour - time.Second)
	require.Empty(t, b.silent(i), "a session lives for two hours after its last use")
	i.flush()
	i.Clock.Advance(2*time.Hour - time.Second)
	require.Empty(t, b.silent(i), "using it prolonged it")
	i.flush()
	i.Clock.Advance(2 * time.Hour)
	require.Equal(t, "login_required", b.silent(i))
	i.flush()
	require.Equal(t, "login_required", b.silent(i), "asking again does not revive it")
}

// useUntilTheEnd uses a session every step and returns how long it lived; it gives up after limit.
func useUntilTheEnd(i *instance, b *browser, step, limit time.Duration) time.Duration {
	b.t.Helper()
	for lived := time.Duration(0); ; lived += step {
		if b.silent(i) != "" {
			return lived
		}
		require.Less(b.t, lived, limit, "the session never ends")
		i.flush()
		i.Clock.Advance(step)
	}
}

func TestSS03_SessionsEndForGood(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	require.Equal(t, 12*time.Hour, useUntilTheEnd(i, signedIn(t, i), time.Hour, 24*time.Hour))
}

func TestSS03_KeepMeSignedIn(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	t.Run("ends_when_idle", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := signedIn(t, i, "remember", "1")
		i.Clock.Advance(14*day - time.Second)
		require.Empty(t, b.silent(i))
		i.flush()
		i.Clock.Advance(14 * day)
		require.Equal(t, "login_required", b.silent(i))
	})
	t.Run("ends_for_good", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		require.Equal(t, 30*day, useUntilTheEnd(i, signedIn(t, i, "remember", "1"), 5*day, 60*day))
	})
	t.Run("keeps_the_cookie_as_long", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		for remember, want := range map[string]string{"1": "; Max-Age=2592000;", "": ""} {
			b := newBrowser(t)
			set := b.follow(i, b.try(b.loginPage(i), "ana", anaPassword, "remember", remember)).Header.Get("Set-Cookie")
			require.NotEmpty(t, set)
			require.Equal(t, want != "", strings.Contains(set, "Max-Age") || strings.Contains(set, "Expires"), set)
			require.Contains(t, set, want)
		}
	})
	t.Run("follows_the_realm_settings", func(t *testing.T) {
		t.Parallel()
		settings := "settings: {lifetimes: {session_idle: 10m, session_absolute: 20m, persistent_absolute: 3d, persistent_idle: 2d}}"
		i := start(t, strings.Replace(realmFile("one"), "name: Realm one", "name: Realm one\n"+settings, 1))
		require.Equal(t, 20*time.Minute, useUntilTheEnd(i, signedIn(t, i), 5*time.Minute, time.Hour))
		b := signedIn(t, i)
		i.Clock.Advance(10 * time.Minute)
		require.Equal(t, "login_required", b.silent(i))
		require.Equal(t, 3*day, useUntilTheEnd(i, signedIn(t, i, "remember", "1"), day, 10*day))
	})
}

func TestSS06_AFlowBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	victim, other := newBrowser(t), newBrowser(t)
	page := victim.loginPage(i)
	other.loginPage(i) // it has a cookie and a flow of its own
	form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"bob"}, "password": {anaPassword}}
	tx := page.Request.URL.Query().Get("tx")
	for name, stranger := range map[string]*browser{"with a cookie": other, "without one": newBrowser(t)} {
		for _, step := range []string{"/login", "/authorize"} {
			r := stranger.get(i.Issuer("one") + step + "?tx=" + tx)
			require.Equal(t, http.StatusNotFound, r.StatusCode, "%s %s\n%s", name, step, r.Body)
			require.NotContains(t, r.Body, "Web shop")
		}
		require.Equal(t, http.StatusNotFound, stranger.post(page.Request.URL.String(), form).StatusCode, name)
	}
	answer := victim.try(page, "ana", anaPassword)
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	r := other.get(answer.Location().String())
	require.Equal(t, http.StatusNotFound, r.StatusCode, "the proof is the victim's alone")
	requireCode(t, victim.follow(i, answer))
}

// Somebody who could plant a cookie in the victim's browser, and a flow of their own with it, must not share what the
// victim proves there.
func TestSS06_APlantedCookieIsWorthlessAfterTheLogin(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	signedInAsBob := newBrowser(t)
	requireCode(t, signedInAsBob.follow(i, signedInAsBob.try(signedInAsBob.loginPage(i), "bob", anaPassword)))
	i.Clock.Advance(time.Minute)
	for name, attacker := range map[string]*browser{"from a fresh browser": newBrowser(t), "with the attacker's session": signedInAsBob} {
		page := attacker.loginPage(i, "prompt", "login")
		victim := withCookie(t, i, attacker.cookie(i))
		page = victim.get(page.Request.URL.String())
		require.Equal(t, http.StatusOK, page.StatusCode, name)

		answer := victim.try(page, "ana", anaPassword)
		require.Equal(t, http.StatusSeeOther, answer.StatusCode, name)
		// The attacker is faster than the victim's browser.
		r := attacker.get(answer.Location().String())
		require.Empty(t, r.Location().Query().Get("code"), "%s: the attacker is signed in as the victim", name)
		require.Equal(t, http.StatusNotFound, r.StatusCode, "%s\n%s", name, r.Body)
		requireCode(t, victim.follow(i, answer))
		require.Empty(t, victim.silent(i), name)

		require.Equal(t, "login_required", attacker.silent(i), name)
		require.Equal(t, http.StatusNotFound, attacker.get(page.Request.URL.String()).StatusCode, "%s: the flow went with the new cookie", name)
	}
}
