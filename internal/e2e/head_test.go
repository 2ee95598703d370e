package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"
)

// settled is all of a realm that lasts: all but flows, which are what a browser is in the middle of.
func settled(t testing.TB, i *instance) string {
	t.Helper()
	return recovery(t, i) + one[string](t, i, "one", `SELECT (SELECT coalesce(jsonb_agg(to_jsonb(g) ORDER BY id), '[]') FROM grants g)::text
		|| (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY id), '[]') FROM deliveries d)::text
		|| (SELECT jsonb_agg(to_jsonb(n) ORDER BY canonical) FROM identifiers n)::text || (SELECT jsonb_agg(to_jsonb(u) ORDER BY id) FROM users u)::text`)
}

// everything is all of a realm that a request could change.
func everything(t testing.TB, i *instance) string {
	t.Helper()
	return settled(t, i) + one[string](t, i, "one", `SELECT coalesce(jsonb_agg(to_jsonb(f) ORDER BY tx_hash), '[]')::text FROM flows f`)
}

// RFC 9110 §9.3.2: HEAD is GET without the content.
func TestHEADOfEveryRoute(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open)
	e, ok := i.Handler.(*echo.Echo)
	require.True(t, ok)
	gets := 0
	for _, route := range e.Router().Routes() {
		if route.Method != http.MethodGet || (!strings.Contains(route.Path, ":realm") && !strings.HasPrefix(route.Path, "/dev/")) {
			continue // the same handlers are mounted below hosts of realms
		}
		gets++
		address := i.URL + strings.NewReplacer(":realm", "one", ":file", "gatehouse.css", "*", "mails.json").Replace(route.Path)
		before := everything(t, i)
		head := newBrowser(t).send(http.MethodHead, address)
		require.Equal(t, before, everything(t, i), route.Path)
		get := newBrowser(t).get(address)
		require.Equal(t, get.StatusCode, head.StatusCode, route.Path)
		require.Empty(t, head.Body, route.Path)
		for name, values := range get.Header {
			switch name {
			case "Date", "X-Request-Id", "Set-Cookie", "Location", "Content-Length": // of this answer alone
			default:
				require.Equal(t, values, head.Header[name], "%s of %s", name, route.Path)
			}
		}
	}
	require.Greater(t, gets, 15)
}

// What GET does for a browser with a session, HEAD does not.
func TestHEADChangesNothing(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	got := token(t, i, "one", exchange(requireCode(t, b.authorize(i, "one", authorization()))))
	posted := newBrowser(t).post(i.Issuer("one")+"/authorize", authorization()).Location().String()
	login := newBrowser(t)
	page := login.loginPage(i)
	before := everything(t, i)
	for name, address := range map[string]string{
		"issues no code":          i.Issuer("one") + "/authorize?" + authorization().Encode(),
		"starts no flow":          i.Issuer("one") + "/authorize?" + authorization("prompt", "login").Encode(),
		"binds no posted request": posted,
		"signs nobody out":        i.Issuer("one") + "/end_session?id_token_hint=" + got.IDToken,
		"enters no recovery":      i.Issuer("one") + "/recover",
	} {
		require.Less(t, b.send(http.MethodHead, address).StatusCode, 500, name)
		require.Equal(t, before, everything(t, i), name)
	}
	require.Equal(t, http.StatusBadRequest, b.send(http.MethodHead, i.Issuer("one")+"/authorize?client_id=none").StatusCode)
	require.Empty(t, b.silent(i))
	require.Equal(t, http.StatusOK, login.send(http.MethodHead, page.Request.URL.String()).StatusCode)
	first := newBrowser(t)
	require.Equal(t, "login", at(first.follow(i, first.get(posted))))
}
