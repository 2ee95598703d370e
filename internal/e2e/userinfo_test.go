package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUserinfo(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	address := i.Issuer("one") + "/userinfo"
	b := newBrowser(t)
	got := token(t, i, "one", exchange(b.code(i, "one")))
	subject := claims(t, got.IDToken)["sub"]

	t.Run("answers by GET and POST, the token in the header or the form", func(t *testing.T) {
		byGet, c := userinfo(t, i, "one", got.AccessToken)
		require.Equal(t, http.StatusOK, byGet.StatusCode)
		require.Equal(t, subject, c["sub"])
		require.Equal(t, "no-store", byGet.Header.Get("Cache-Control"))
		for _, r := range []response{
			b.send(http.MethodPost, address, "Authorization", "Bearer "+got.AccessToken),
			b.send(http.MethodPost, address, "Authorization", "bearer "+got.AccessToken),
			b.post(address, url.Values{}, "Authorization", "Bearer "+got.AccessToken),
			b.post(address, url.Values{"access_token": {got.AccessToken}}),
		} {
			require.Equal(t, http.StatusOK, r.StatusCode, r.Body)
			require.Equal(t, byGet.Body, r.Body)
		}
	})
	t.Run("scopes decide what it tells", func(t *testing.T) {
		for _, c := range []struct {
			scope string
			names []string
		}{
			{"openid", []string{"sub"}},
			{"openid email", []string{"sub", "email", "email_verified"}},
			{"openid profile", []string{"sub", "name", "given_name", "family_name", "preferred_username", "updated_at"}},
			{"openid address", []string{"sub", "address"}},
			{"openid api", []string{"sub"}},
		} {
			at := token(t, i, "one", exchange(b.code(i, "one", "scope", c.scope))).AccessToken
			_, told := userinfo(t, i, "one", at)
			var names []string
			for name := range told {
				names = append(names, name)
			}
			require.ElementsMatch(t, c.names, names, c.scope)
			require.Equal(t, subject, told["sub"])
		}
		_, all := userinfo(t, i, "one", got.AccessToken)
		require.Equal(t, "Ana Silva", all["name"])
		require.Equal(t, "ana", all["preferred_username"])
		require.Equal(t, "Ana@Example.test", all["email"])
		require.Equal(t, true, all["email_verified"])
	})
	t.Run("an address that nobody verified says so", func(t *testing.T) {
		bob := newBrowser(t)
		code := bob.signIn(i, bob.authorize(i, "one", authorization()), "bob", anaPassword).Location().Query().Get("code")
		_, c := userinfo(t, i, "one", token(t, i, "one", exchange(code)).AccessToken)
		require.Equal(t, false, c["email_verified"])
		require.NotContains(t, c, "name", "what is not known is left out")
	})
	t.Run("a request without a token is told how, without an error code", func(t *testing.T) {
		r := b.get(address)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		require.Equal(t, `Bearer realm="`+i.Issuer("one")+`"`, r.Header.Get("WWW-Authenticate"))
	})
	t.Run("a token in the address is refused", func(t *testing.T) {
		r := b.get(address + "?access_token=" + got.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		r = b.post(address+"?access_token="+got.AccessToken, url.Values{})
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	})
	for name, c := range map[string]struct {
		headers []string
		form    url.Values
		status  int
		code    string
	}{
		"two ways at once":         {[]string{"Authorization", "Bearer " + got.AccessToken}, url.Values{"access_token": {got.AccessToken}}, 400, "invalid_request"},
		"twice in the form":        {nil, url.Values{"access_token": {got.AccessToken, got.AccessToken}}, 400, "invalid_request"},
		"another scheme":           {[]string{"Authorization", basic("web", webSecret)}, url.Values{}, 400, "invalid_request"},
		"a scheme without a token": {[]string{"Authorization", "Bearer"}, url.Values{}, 400, "invalid_request"},
		"nonsense":                 {[]string{"Authorization", "Bearer x.y.z"}, url.Values{}, 401, "invalid_token"},
		"the ID token":             {[]string{"Authorization", "Bearer " + got.IDToken}, url.Values{}, 401, "invalid_token"},
		"a cut token":              {[]string{"Authorization", "Bearer " + got.AccessToken[:len(got.AccessToken)-2]}, url.Values{}, 401, "invalid_token"},
		"a long token":             {[]string{"Authorization", "Bearer " + strings.Repeat("a", 12<<10) + ".b.c"}, url.Values{}, 401, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.post(address, c.form, c.headers...)
			require.Equal(t, c.status, r.StatusCode, r.Body)
			require.Contains(t, r.Header.Get("WWW-Authenticate"), `error="`+c.code+`"`)
			require.NotContains(t, r.Body, "sub")
		})
	}
	t.Run("without openid there is nothing to tell", func(t *testing.T) {
		at := token(t, i, "one", exchange(b.code(i, "one", "scope", "profile"))).AccessToken
		r, _ := userinfo(t, i, "one", at)
		require.Equal(t, http.StatusForbidden, r.StatusCode)
		require.Contains(t, r.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
	})
	t.Run("reads no cookie", func(t *testing.T) {
		require.Equal(t, http.StatusUnauthorized, b.get(address).StatusCode, "b has a session")
	})
}

func TestUserinfoOfADeadToken(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	refused := func(t *testing.T, accessToken string) {
		t.Helper()
		r, _ := userinfo(t, i, "one", accessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode, r.Body)
		require.Contains(t, r.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
	}
	t.Run("expired", func(t *testing.T) {
		at := token(t, i, "one", exchange(newBrowser(t).code(i, "one"))).AccessToken
		i.Clock.Advance(5*time.Minute - time.Second)
		r, _ := userinfo(t, i, "one", at)
		require.Equal(t, http.StatusOK, r.StatusCode)
		i.Clock.Advance(time.Second)
		refused(t, at)
	})
	t.Run("after a logout", func(t *testing.T) {
		b := newBrowser(t)
		got := token(t, i, "one", exchange(b.code(i, "one")))
		b.get(i.Issuer("one") + "/end_session?id_token_hint=" + got.IDToken)
		refused(t, got.AccessToken)
	})
	t.Run("after its code was used twice", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		got := token(t, i, "one", exchange(code))
		token(t, i, "one", exchange(code))
		refused(t, got.AccessToken)
	})
}
