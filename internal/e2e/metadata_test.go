package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// discovery is the path of the document below an issuer.
const discovery = "/.well-known/openid-configuration"

func TestDiscovery(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	b := newBrowser(t)
	document := b.get(i.Issuer("one") + discovery)
	require.Equal(t, http.StatusOK, document.StatusCode)
	require.Equal(t, "application/json", document.Header.Get("Content-Type"))

	t.Run("is the golden one", func(t *testing.T) {
		var indented strings.Builder
		encoder := json.NewEncoder(&indented)
		encoder.SetIndent("", "  ")
		require.NoError(t, encoder.Encode(json.RawMessage(strings.ReplaceAll(document.Body, i.URL, "https://id.example"))))
		golden := filepath.Join("testdata", "discovery.json")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.WriteFile(golden, []byte(indented.String()), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), indented.String(), "relying parties depend on it; after a wanted change run with UPDATE_GOLDEN=1")
	})
	t.Run("names prompt=create where people may make accounts", func(t *testing.T) {
		require.NotContains(t, document.Body, `"create"`)
		open := start(t, realmFile("one")+"flags: {ALLOW_AUTO_REGISTRATION: true}\n")
		require.Contains(t, b.get(open.Issuer("one")+discovery).Body, `"prompt_values_supported":["none","login","consent","select_account","create"]`)
	})
	t.Run("is the same at every place", func(t *testing.T) {
		for _, address := range []string{
			i.Issuer("one") + "/.well-known/oauth-authorization-server",
			i.URL + "/.well-known/oauth-authorization-server/realms/one", // RFC 8414 §3.1
			i.URL + "/.well-known/openid-configuration/realms/one",
		} {
			r := b.get(address)
			require.Equal(t, http.StatusOK, r.StatusCode, address)
			require.Equal(t, document.Body, r.Body, address)
			require.Equal(t, document.Header.Get("Etag"), r.Header.Get("Etag"))
		}
		require.Equal(t, http.StatusNotFound, b.get(i.URL+"/.well-known/oauth-authorization-server/realms/nobody").StatusCode)
		require.Equal(t, http.StatusNotFound, b.get(i.URL+"/.well-known/openid-configuration").StatusCode)
	})
	t.Run("lists endpoints that exist", func(t *testing.T) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(document.Body), &m))
		for name, v := range m {
			if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
				continue
			}
			address, ok := v.(string)
			require.True(t, ok)
			require.True(t, strings.HasPrefix(address, i.Issuer("one")+"/"), address)
			require.NotEqual(t, http.StatusNotFound, b.get(address).StatusCode, address)
		}
	})
	t.Run("differs by realm", func(t *testing.T) {
		other := b.get(i.Issuer("two") + discovery)
		require.Equal(t, strings.ReplaceAll(document.Body, "/realms/one", "/realms/two"), other.Body)
		require.NotEqual(t, document.Header.Get("Etag"), other.Header.Get("Etag"))
	})
}

func TestPublishedDocumentsAreCached(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	for _, path := range []string{discovery, "/jwks"} {
		first := b.get(i.Issuer("one") + path)
		require.Equal(t, http.StatusOK, first.StatusCode)
		require.Equal(t, "public, max-age=300", first.Header.Get("Cache-Control"))
		require.Empty(t, first.Header.Values("Set-Cookie"))
		etag := first.Header.Get("Etag")
		require.Regexp(t, `^"[A-Za-z0-9_-]{16}"$`, etag)
		require.Equal(t, etag, b.get(i.Issuer("one")+path).Header.Get("Etag"))

		again := b.getWith(i.Issuer("one")+path, "If-None-Match", etag)
		require.Equal(t, http.StatusNotModified, again.StatusCode)
		require.Empty(t, again.Body)
		require.Equal(t, etag, again.Header.Get("Etag"))
		require.Equal(t, "public, max-age=300", again.Header.Get("Cache-Control"))
		require.Equal(t, http.StatusOK, b.getWith(i.Issuer("one")+path, "If-None-Match", `"other"`).StatusCode)
	}
}

// keySet reads the members of a realm's published keys.
func keySet(t testing.TB, i *instance, slug string) []map[string]string {
	t.Helper()
	r := newBrowser(t).get(i.Issuer(slug) + "/jwks")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "application/jwk-set+json", r.Header.Get("Content-Type"))
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal([]byte(r.Body), &set))
	require.NotEmpty(t, set.Keys)
	return set.Keys
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	keys := keySet(t, i, "one")
	for _, key := range keys {
		for name := range key {
			require.Contains(t, []string{"kty", "crv", "x", "y", "use", "alg", "kid"}, name, "public parts only")
		}
	}
	got := token(t, i, "one", exchange(newBrowser(t).code(i, "one")))
	for _, jwt := range []string{got.IDToken, got.AccessToken} {
		require.Equal(t, keys[0]["kid"], header(t, jwt)["kid"])
		require.Equal(t, keys[0]["alg"], header(t, jwt)["alg"])
	}
}

func TestWB07_CrossOriginRequests(t *testing.T) {
	t.Parallel()
	const known, unknown = "https://spa.example", "https://evil.example"
	i := start(t, realmFile("one"), strings.ReplaceAll(realmFile("two"), known, "https://spa.two.example"))
	b := newBrowser(t)
	code := func() string { return b.code(i, "one") }
	allowed := func(r response) string { return r.Header.Get("Access-Control-Allow-Origin") }
	preflight := func(slug, path, origin string) response {
		return newBrowser(t).send(http.MethodOptions, i.Issuer(slug)+path, "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization, content-type")
	}
	t.Run("a preflight knows the origins of the realm's clients", func(t *testing.T) {
		for _, path := range []string{"/token", "/userinfo"} {
			r := preflight("one", path, known)
			require.Equal(t, http.StatusNoContent, r.StatusCode)
			require.Equal(t, known, allowed(r))
			require.Contains(t, r.Header.Get("Access-Control-Allow-Methods"), "POST")
			require.Contains(t, r.Header.Get("Access-Control-Allow-Headers"), "Authorization")
			require.Contains(t, r.Header.Values("Vary"), "Origin")
			require.Empty(t, r.Header.Get("Access-Control-Allow-Credentials"))
		}
	})
	t.Run("and no others, to the letter", func(t *testing.T) {
		for _, origin := range []string{unknown, "null", known + ".evil.example", "http://spa.example", known + ":443", "https://SPA.example", "\xff"} {
			require.Empty(t, allowed(preflight("one", "/token", origin)), origin)
		}
		require.Empty(t, allowed(preflight("two", "/token", known)), "another realm's origin")
	})
	t.Run("a token answer is readable for the client's origins only", func(t *testing.T) {
		ask := func(form url.Values, origin, authorization string) response {
			return newBrowser(t).post(i.Issuer("one")+"/token", form, "Origin", origin, "Authorization", authorization)
		}
		ours := ask(exchange(code()), known, basic("web", webSecret))
		require.Equal(t, http.StatusOK, ours.StatusCode)
		require.Equal(t, known, allowed(ours))
		require.Empty(t, ours.Header.Get("Access-Control-Allow-Credentials"))
		require.Equal(t, known, allowed(ask(exchange("x"), known, basic("web", webSecret))), "errors too")
		require.Empty(t, allowed(ask(exchange(code()), unknown, basic("web", webSecret))))
		require.Equal(t, known, allowed(ask(exchange("x"), known, basic("web", "wrong"))), "nobody proved to be the client, but its origin may learn that")
		require.Empty(t, allowed(newBrowser(t).post(i.Issuer("one")+"/token", otherExchange("x"), "Origin", known)), "another client's origin")
	})
	t.Run("userinfo follows the token's client", func(t *testing.T) {
		at := token(t, i, "one", exchange(code())).AccessToken
		ask := func(origin string) response {
			return newBrowser(t).getWith(i.Issuer("one")+"/userinfo", "Authorization", "Bearer "+at, "Origin", origin)
		}
		require.Equal(t, known, allowed(ask(known)))
		require.Empty(t, allowed(ask(unknown)))
	})
	t.Run("published documents are everybody's", func(t *testing.T) {
		for _, path := range []string{discovery, "/jwks"} {
			r := newBrowser(t).getWith(i.Issuer("one")+path, "Origin", unknown)
			require.Equal(t, "*", allowed(r))
			require.Empty(t, r.Header.Get("Access-Control-Allow-Credentials"))
		}
	})
	t.Run("pages are nobody's", func(t *testing.T) {
		login := b.authorize(i, "one", authorization("prompt", "login")).Request.URL.String()
		for _, address := range []string{i.Issuer("one") + "/authorize?" + authorization().Encode(), login, i.Issuer("one") + "/end_session"} {
			r := newBrowser(t).getWith(address, "Origin", known)
			require.Empty(t, allowed(r), address)
			r = newBrowser(t).send(http.MethodOptions, address, "Origin", known, "Access-Control-Request-Method", "GET")
			require.Empty(t, allowed(r), address)
			require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode)
		}
	})
}
