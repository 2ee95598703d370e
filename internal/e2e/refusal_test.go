package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireRefusal is an error as RFC 6749 §5.2 has it.
func requireRefusal(t testing.TB, r response, status int, code string) {
	t.Helper()
	require.Equal(t, status, r.StatusCode, r.Body)
	require.Contains(t, r.Header.Get("Content-Type"), "application/json", r.Body)
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.Body), &got), r.Body)
	require.Equal(t, code, got["error"])
	require.NotEmpty(t, got["error_description"])
}

func TestTK11_EveryErrorIsOneOfTheProtocol(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile, "realm: own\nhosts: [own.example]")
	for _, endpoint := range []string{"/token", "/introspect", "/revoke", "/userinfo"} {
		post := func(issuer string, form url.Values) response {
			return newBrowser(t).post(issuer+endpoint, form, "Accept", "text/html")
		}
		requireRefusal(t, post(i.Issuer("nowhere"), url.Values{}), http.StatusNotFound, "invalid_request")
		requireRefusal(t, post(i.URL+"/realms/own", url.Values{}), http.StatusNotFound, "invalid_request")
		requireRefusal(t, post(strings.Replace(i.Issuer("one"), "127.0.0.1", "localhost", 1), url.Values{}), http.StatusNotFound, "invalid_request")
		requireRefusal(t, post(i.Issuer("one"), url.Values{"x": {strings.Repeat("y", 1<<17)}}), http.StatusRequestEntityTooLarge, "invalid_request")
	}
}

func TestWB07_ErrorsAreReadableWhereAnswersAre(t *testing.T) {
	t.Parallel()
	const known, unknown = "https://spa.example", "https://evil.example"
	i := start(t, strings.Replace(realmFile("one"), "realm: one", "realm: one\nsettings: {rate_limits: {address: 50, client: 2}}", 1))
	bearer := "Bearer " + token(t, i, "one", exchange(newBrowser(t).code(i, "one"))).AccessToken
	allowed := func(endpoint, origin string, form url.Values, headers ...string) (int, string) {
		r := newBrowser(t).post(i.Issuer("one")+endpoint, form, append(headers, "Origin", origin)...)
		require.Contains(t, r.Header.Values("Vary"), "Origin")
		require.Empty(t, r.Header.Get("Access-Control-Allow-Credentials"))
		return r.StatusCode, r.Header.Get("Access-Control-Allow-Origin")
	}
	for name, c := range map[string]struct {
		endpoint string
		form     url.Values
		headers  []string
		status   int
	}{
		"nothing":               {"/token", url.Values{}, secretInForm(), 401},
		"no client":             {"/token", exchange("x"), secretInForm(), 401},
		"an unknown client":     {"/token", exchange("x"), []string{"Authorization", basic("nobody", "x")}, 401},
		"a wrong secret":        {"/token", exchange("x"), []string{"Authorization", basic("web", "wrong")}, 401},
		"two methods":           {"/token", exchange("x", "client_secret", "x"), []string{"Authorization", basic("web", webSecret)}, 400},
		"no token":              {"/userinfo", url.Values{}, secretInForm(), 401},
		"a wrong token":         {"/userinfo", url.Values{}, []string{"Authorization", bearer + "x"}, 401},
		"a scheme that is none": {"/userinfo", url.Values{}, []string{"Authorization", "x"}, 400},
		"nothing to revoke":     {"/revoke", url.Values{}, secretInForm(), 401},
	} {
		t.Run(name, func(t *testing.T) {
			status, origin := allowed(c.endpoint, known, c.form, c.headers...)
			require.Equal(t, c.status, status)
			require.Equal(t, known, origin)
			_, origin = allowed(c.endpoint, unknown, c.form, c.headers...)
			require.Empty(t, origin)
		})
	}
	t.Run("another client's refusal is not", func(t *testing.T) {
		for _, secret := range []string{otherSecret, "wrong"} {
			_, origin := allowed("/token", known, otherExchange("x", "client_secret", secret), secretInForm()...)
			require.Empty(t, origin)
		}
	})
	t.Run("too many requests of a client, then of an address", func(t *testing.T) {
		seen := map[int]bool{}
		for range 20 {
			status, origin := allowed("/token", known, exchange("x"), "Authorization", basic("web", webSecret))
			require.Equal(t, known, origin, status)
			seen[status] = true
		}
		require.True(t, seen[http.StatusTooManyRequests])
		_, origin := allowed("/token", unknown, exchange("x"), "Authorization", basic("web", webSecret))
		require.Empty(t, origin)
		i.Clock.Advance(time.Minute)
		seen = map[int]bool{}
		for range 150 {
			status, origin := allowed("/userinfo", known, url.Values{}, "Authorization", bearer+"x")
			require.Equal(t, known, origin, status)
			seen[status] = true
		}
		require.True(t, seen[http.StatusTooManyRequests])
	})
}
