package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/server"
)

func TestOP03_WhatStrangersSendIsBounded(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.authorize(i, "one", authorization())
	requirePage(t, page, http.StatusOK)

	t.Run("an authorization address of 8 KiB", func(t *testing.T) {
		ask := func(size int) response {
			base := i.Issuer("one") + "/authorize?" + authorization("prompt", "none", "state", "x").Encode()
			pad := size - len(strings.TrimPrefix(base, i.URL))
			return newBrowser(t).get(base + strings.Repeat("x", pad)) // at the end stands state=x
		}
		require.Equal(t, http.StatusSeeOther, ask(8<<10).StatusCode)
		r := ask(8<<10 + 1)
		requirePage(t, r, http.StatusBadRequest)
		require.Contains(t, r.Body, "PAR", "development says what to do")
	})
	t.Run("a form of 64 KiB", func(t *testing.T) {
		form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}, "pad": {strings.Repeat("x", 64<<10)}}
		requirePage(t, b.post(page.Request.URL.String(), form), http.StatusRequestEntityTooLarge)
		requirePage(t, b.post(i.Issuer("one")+"/authorize", authorization("pad", strings.Repeat("x", 64<<10))), http.StatusRequestEntityTooLarge)
		requirePage(t, b.post(i.Issuer("one")+"/end_session", form), http.StatusRequestEntityTooLarge)
	})
	t.Run("a form of 64 fields", func(t *testing.T) {
		fields := func(n int) url.Values {
			form := authorization()
			for k := len(form); k < n; k++ {
				form.Set(fmt.Sprintf("field-%d", k), "x")
			}
			return form
		}
		require.Equal(t, http.StatusSeeOther, b.post(i.Issuer("one")+"/authorize", fields(64)).StatusCode)
		requirePage(t, b.post(i.Issuer("one")+"/authorize", fields(65)), http.StatusBadRequest)
	})
	t.Run("50 scopes", func(t *testing.T) {
		var many []string
		for n := range 50 {
			many = append(many, fmt.Sprintf("scope%d", n))
		}
		i.apply(t, `
realm: one
applications:
  - {client_id: scopes, name: Scopes, secrets: [`+webSecret+`], redirect_uris: ["`+callback+`"], scopes: [openid, `+strings.Join(many, ", ")+`]}
`)
		ask := func(scope string) response {
			return askSilently(t, i, "one", authorization("client_id", "scopes", "scope", scope))
		}
		requireErrorAtClient(t, i, "one", ask(strings.Join(many, " ")), "login_required")
		requireErrorAtClient(t, i, "one", ask("openid "+strings.Join(many, " ")), "invalid_scope")
		requireErrorAtClient(t, i, "one", ask(strings.Repeat("openid ", 500)), "login_required")
	})
}

// listeners serves the instance's handler as a process would and returns the public address.
func listeners(t *testing.T, i *instance) string {
	t.Helper()
	listen := func() net.Listener {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return l
	}
	l := server.Listeners{
		Public: listen(), Private: listen(), PublicHandler: i.Handler, PrivateHandler: http.NotFoundHandler(),
		Log: slog.New(slog.DiscardHandler), DrainFor: time.Second, Ready: &atomic.Bool{},
	}
	stopped := make(chan error, 1)
	go func() { stopped <- l.Run(t.Context()) }()
	t.Cleanup(func() { require.NoError(t, <-stopped) })
	return l.Public.Addr().String()
}

func TestOP03_ConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	address := listeners(t, i)
	dial := func(t *testing.T, text string) net.Conn {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = c.Write([]byte(text))
		require.NoError(t, err)
		return c
	}
	status := func(t *testing.T, c net.Conn) int {
		t.Helper()
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		return r.StatusCode
	}
	t.Run("a header of 16 KiB", func(t *testing.T) {
		t.Parallel()
		request := "GET / HTTP/1.1\r\nHost: x\r\nX-Pad: %s\r\n\r\n"
		require.Equal(t, http.StatusNotFound, status(t, dial(t, fmt.Sprintf(request, strings.Repeat("x", 15<<10)))))
		// net/http grants four KiB more than it is told.
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status(t, dial(t, fmt.Sprintf(request, strings.Repeat("x", 21<<10)))))
	})
	t.Run("a header that takes its time", func(t *testing.T) {
		t.Parallel()
		started := time.Now()
		c := dial(t, "GET / HTTP/1.1\r\nHost: x\r\n")
		require.NoError(t, c.SetReadDeadline(started.Add(20*time.Second)))
		_, err := bufio.NewReader(c).ReadByte()
		require.Error(t, err, "the server hangs up without an answer")
		require.Less(t, time.Since(started), 15*time.Second)
	})
}

func TestOP04_WhatMustNotBeGuessedIsRandom(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	bits := func(text string) int {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err, text)
		return 8 * len(raw)
	}
	seen := map[string]bool{}
	for range 3 {
		b := newBrowser(t)
		page := b.authorize(i, "one", authorization())
		address, err := url.Parse(i.URL)
		require.NoError(t, err)
		before := b.client.Jar.Cookies(address)[0].Value
		tx := page.Request.URL.Query().Get("tx")
		code := b.signIn(i, page, "ana", anaPassword).Location().Query().Get("code")
		after := b.client.Jar.Cookies(address)[0].Value
		jti, ok := claims(t, token(t, i, "one", exchange(code)).AccessToken)["jti"].(string)
		require.True(t, ok)

		require.GreaterOrEqual(t, bits(tx), 128)
		require.GreaterOrEqual(t, bits(jti), 128)
		require.GreaterOrEqual(t, bits(before), 256)
		require.GreaterOrEqual(t, bits(after), 256)
		require.GreaterOrEqual(t, bits(code)-128, 256, "the code's row is named by its first 128 bits")
		for _, v := range []string{before, after, tx, code[22:], jti} {
			require.False(t, seen[v])
			seen[v] = true
		}
	}
}

func TestOP06_QueriesRunAsTheApplicationRole(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	require.Equal(t, "gatehouse_app", one[string](t, i, "one", `SELECT current_user::text`))
	require.False(t, one[bool](t, i, "one", `SELECT rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user`))
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = current_user`))
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole`))
	require.NotEqual(t, "gatehouse_app", one[string](t, i, "one", `SELECT tableowner::text FROM pg_tables WHERE tablename = 'grants'`))
	for name, value := range map[string]string{"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "15s"} {
		require.Equal(t, value, one[string](t, i, "one", `SELECT current_setting($1)`, name), name)
	}
	_, err := i.Realm(t, "one").Write().Exec(t.Context(), `CREATE TABLE mine (id int)`)
	require.ErrorContains(t, err, "permission denied")
	_, err = i.Realm(t, "one").Write().Exec(t.Context(), `DELETE FROM events`)
	require.ErrorContains(t, err, "permission denied")
}

func TestOP10_UnusedMethodsAreRefused(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	_, rest, found := strings.Cut(newBrowser(t).authorize(i, "one", authorization()).Body, `<link rel="stylesheet" href="`)
	require.True(t, found)
	path, _, _ := strings.Cut(rest, `"`)
	asset := i.URL + path
	require.Equal(t, http.StatusOK, newBrowser(t).get(asset).StatusCode)
	all := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace,
		"PROPFIND", "FOO",
	}
	for address, allowed := range map[string]string{
		i.Issuer("one") + "/authorize":                               "GET HEAD POST",
		i.Issuer("one") + "/login":                                   "GET HEAD POST",
		i.Issuer("one") + "/end_session":                             "GET HEAD POST",
		i.Issuer("one") + "/token":                                   "POST OPTIONS",
		i.Issuer("one") + "/userinfo":                                "GET HEAD POST OPTIONS",
		i.Issuer("one") + "/jwks":                                    "GET HEAD",
		i.Issuer("one") + discovery:                                  "GET HEAD",
		i.URL + "/.well-known/oauth-authorization-server/realms/one": "GET HEAD",
		asset: "GET HEAD",
	} {
		for _, method := range all {
			r := newBrowser(t).send(method, address)
			if strings.Contains(" "+allowed+" ", " "+method+" ") {
				require.NotEqual(t, http.StatusMethodNotAllowed, r.StatusCode, "%s %s", method, address)
				continue
			}
			require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode, "%s %s", method, address)
			require.NotContains(t, r.Body, "TRACE / HTTP")
			require.NotEmpty(t, r.Header.Get("Allow"), "%s %s", method, address)
		}
	}
	for _, folder := range []string{"/assets/", "/assets", "/realms/one/assets/", "/assets/..%2f", "/assets/.", "/.git/config", "/realms/one/.well-known/"} {
		require.Equal(t, http.StatusNotFound, newBrowser(t).get(i.URL+folder).StatusCode, folder)
	}
}
