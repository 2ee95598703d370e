package e2e

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

func TestTK04_EachRefreshIsCheckedAnew(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		claim, before, after, code string
	}{
		{"the person is disabled", "- username: ana\n", "- username: ana\n    enabled: false\n", "invalid_grant"},
		{"the application is disabled", "name: Keeper\n", "name: Keeper\n    enabled: false\n", "invalid_client"},
		{"the grant type is taken away", "[authorization_code, refresh_token]", "[authorization_code]", "unauthorized_client"},
		{"a granted scope is taken away", "scopes: [openid, profile, email, offline_access]", "scopes: [openid, email]", "invalid_scope"},
	} {
		t.Run(row.claim, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"))
			got := keeper(t, i, "openid profile")
			changed := strings.Replace(realmFile("one"), row.before, row.after, 1)
			require.NotEqual(t, realmFile("one"), changed)
			i.apply(t, changed)
			require.Equal(t, row.code, refresh(t, i, got.RefreshToken).Error)
		})
	}
	t.Run("the realm is disabled", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		got := keeper(t, i, "openid profile")
		switchRealm(t, i, "one", "disabled")
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}
		r := newBrowser(t).post(i.Issuer("one")+"/token", form, "Authorization", basic("keeper", webSecret))
		require.GreaterOrEqual(t, r.StatusCode, 400)
		require.NotContains(t, r.Body, "access_token")
	})
}

func TestJW01_AccessTokensFollowRFC9068(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	got := token(t, i, "one", exchange(newBrowser(t).code(i, "one")))
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(got.AccessToken, ".")[0])
	require.NoError(t, err)
	require.Contains(t, string(head), `"typ":"at+jwt"`)
	c := claims(t, got.AccessToken)
	require.Equal(t, i.Issuer("one"), c["iss"])
	require.Equal(t, i.Issuer("one"), c["aud"], "never empty, never the client_id")
	require.Equal(t, "web", c["client_id"])
	require.NotEmpty(t, c["sub"])
	require.NotEmpty(t, c["jti"])
	require.InDelta(t, 300, c["exp"].(float64)-c["iat"].(float64), 0, "five minutes by default")

	// Each consumer looks at typ: an ID token opens nothing here, an access token hints at nothing there.
	r, _ := userinfo(t, i, "one", got.IDToken)
	require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	page := newBrowser(t).get(i.Issuer("one") + "/end_session?id_token_hint=" + got.AccessToken)
	require.Equal(t, http.StatusBadRequest, page.StatusCode)
}

func TestJW07_ClaimsOfAPersonCannotBecomeTheProtocols(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sub", "iss", "aud", "exp", "nonce", "sid", "auth_time", "client_id"} {
		_, err := realmfile.Parse([]byte("realm: one\nusers: [{username: ana, claims: {"+name+": x}}]"), "test.yaml", realmfile.Lookup{})
		require.ErrorContains(t, err, name)
	}
}

func TestJW10_OpaqueTokensAreComparedWhole(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	got := keeper(t, i, "openid")
	for _, changed := range []string{
		got.RefreshToken[:len(got.RefreshToken)-1], got.RefreshToken + "A", got.RefreshToken + "=", " " + got.RefreshToken, got.RefreshToken + "\n",
	} {
		require.Equal(t, "invalid_grant", refresh(t, i, changed).Error, "%q", changed)
	}
	require.Equal(t, http.StatusOK, refresh(t, i, got.RefreshToken).Status, "none of them spent it")

	code := newBrowser(t).code(i, "one")
	for _, changed := range []string{code[:len(code)-1], code + "A", code + "="} {
		require.Equal(t, "invalid_grant", token(t, i, "one", exchange(changed)).Error, "%q", changed)
	}
	require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status)
}

func TestJW11_TokensAreBounded(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	got := token(t, i, "one", exchange(newBrowser(t).code(i, "one")))
	parts := strings.Split(got.AccessToken, ".")
	long := parts[0] + "." + parts[1] + strings.Repeat("A", 13<<10) + "." + parts[2]
	r, _ := userinfo(t, i, "one", long)
	require.Contains(t, []int{http.StatusUnauthorized, http.StatusRequestHeaderFieldsTooLarge}, r.StatusCode)
	// Encrypted (five parts) and compressed tokens are not tokens here.
	r, _ = userinfo(t, i, "one", got.AccessToken+".x.y")
	require.Equal(t, http.StatusUnauthorized, r.StatusCode)
}

func TestTK12_TokensAreAskedForByFormAlone(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for _, endpoint := range []string{"/token", "/introspect", "/revoke"} {
		b := newBrowser(t)
		r := b.get(i.Issuer("one") + endpoint + "?token=x&grant_type=authorization_code")
		require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode, endpoint)
		require.Contains(t, r.Header.Get("Allow"), http.MethodPost)

		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.Issuer("one")+endpoint, strings.NewReader(`{"token":"x"}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", basic("web", webSecret))
		require.Equal(t, http.StatusBadRequest, b.do(req).StatusCode, endpoint)

		large := url.Values{"token": {strings.Repeat("x", 70<<10)}, "code": {"x"}, "grant_type": {"authorization_code"}}
		require.Equal(t, http.StatusRequestEntityTooLarge, b.post(i.Issuer("one")+endpoint, large, "Authorization", basic("web", webSecret)).StatusCode, endpoint)
	}
}

func TestID06_NobodyChoosesWhoTheyAre(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))

	t.Run("no parameter changes iss, sub or client_id", func(t *testing.T) {
		code := newBrowser(t).code(i, "one", "sub", "admin", "iss", "https://evil.example", "login_hint", "admin", "claims", `{"id_token":{"sub":{"value":"admin"}}}`)
		got := token(t, i, "one", exchange(code, "sub", "admin", "username", "admin"))
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		c := claims(t, got.IDToken)
		require.Equal(t, i.Issuer("one"), c["iss"])
		require.NoError(t, uuid.Validate(c["sub"].(string)))
		require.Equal(t, "web", claims(t, got.AccessToken)["client_id"])
	})
	t.Run("a subject is no client_id, and a client_id no subject", func(t *testing.T) {
		for _, content := range []string{
			"realm: one\nusers: [{username: web2, subject: web}]",
			"realm: one\nusers: [{username: cat, subject: cat}]\napplications: [{client_id: cat, secrets: [" + webSecret + "], redirect_uris: [\"" + callback + "\"]}]",
		} {
			f, err := realmfile.Parse([]byte(content), "test.yaml", realmfile.Lookup{})
			if err == nil {
				_, err = i.Applier.Apply(t.Context(), f, realmfile.ApplyOptions{})
			}
			require.Error(t, err, content)
		}
		i.apply(t, "realm: one\nusers: [{username: dog, subject: dog}]")
		f, err := realmfile.Parse([]byte("realm: one\napplications: [{client_id: dog, secrets: ["+webSecret+"], redirect_uris: [\""+callback+"\"]}]"), "test.yaml", realmfile.Lookup{})
		require.NoError(t, err)
		_, err = i.Applier.Apply(t.Context(), f, realmfile.ApplyOptions{})
		require.ErrorContains(t, err, "client_id")
	})
}
