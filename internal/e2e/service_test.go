package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// servicesFile is a realm with a service, the API it calls, and an application with people.
const servicesFile = `
realm: one
name: One
applications:
  - client_id: service
    secrets: [` + webSecret + `]
    grant_types: [client_credentials]
    scopes: [read, write]
    audiences: [https://api.example, https://other.example]
  - client_id: api
    secrets: [` + otherSecret + `]
    grant_types: [client_credentials]
    scopes: [read]
    introspects: [https://api.example]
  - client_id: keeper
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `"]
    grant_types: [authorization_code, refresh_token]
    consent: never
users:
  - {username: ana, email: ana@example.test, password: ` + anaPassword + `}
`

// ask posts to an endpoint of realm "one" as a client.
func ask(t testing.TB, i *instance, endpoint, id, secret string, form url.Values, headers ...string) response {
	t.Helper()
	return newBrowser(t).post(i.Issuer("one")+endpoint, form, append([]string{"Authorization", basic(id, secret)}, headers...)...)
}

// inspect introspects a token as a client.
func inspect(t testing.TB, i *instance, id, secret, token string) map[string]any {
	t.Helper()
	r := ask(t, i, "/introspect", id, secret, url.Values{"token": {token}})
	require.Equal(t, http.StatusOK, r.StatusCode, r.Body)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.Body), &answer))
	return answer
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	service := func(form url.Values) tokens {
		form.Set("grant_type", "client_credentials")
		return token(t, i, "one", form, "Authorization", basic("service", webSecret))
	}
	service(url.Values{}) // caches are warm from here on

	t.Run("the client is the subject, and nothing is read or written", func(t *testing.T) {
		before := i.DB.Stats()
		got := service(url.Values{"scope": {"read"}})
		require.Zero(t, i.DB.Stats().Sub(before).Statements)
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		require.Empty(t, got.RefreshToken)
		require.Empty(t, got.IDToken)
		c := claims(t, got.AccessToken)
		require.Equal(t, "service", c["sub"])
		require.Equal(t, "service", c["client_id"])
		require.Equal(t, "read", c["scope"])
		require.Equal(t, []any{"https://api.example", "https://other.example"}, c["aud"])
		require.NotContains(t, c, "auth_time")
	})
	t.Run("resource narrows the audience", func(t *testing.T) {
		got := service(url.Values{"resource": {"https://api.example"}})
		require.Equal(t, "https://api.example", claims(t, got.AccessToken)["aud"])
		require.Equal(t, "invalid_target", service(url.Values{"resource": {"https://evil.example"}}).Error)
	})
	t.Run("no scope beyond its own", func(t *testing.T) {
		require.Equal(t, "invalid_scope", service(url.Values{"scope": {"admin"}}).Error)
		require.Equal(t, "invalid_scope", service(url.Values{"scope": {"openid"}}).Error)
	})
	t.Run("not for a client without the grant", func(t *testing.T) {
		got := token(t, i, "one", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("keeper", webSecret))
		require.Equal(t, "unauthorized_client", got.Error)
	})
}

func TestJW08_Introspection(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	got := token(t, i, "one", url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.example"}}, "Authorization", basic("service", webSecret))

	t.Run("the audience and the client see it, others see nothing", func(t *testing.T) {
		answer := inspect(t, i, "api", otherSecret, got.AccessToken)
		require.Equal(t, true, answer["active"])
		require.Equal(t, "service", answer["client_id"])
		require.Equal(t, "https://api.example", answer["aud"])
		require.Equal(t, true, inspect(t, i, "service", webSecret, got.AccessToken)["active"])
		require.Equal(t, map[string]any{"active": false}, inspect(t, i, "keeper", webSecret, got.AccessToken))
		require.Equal(t, map[string]any{"active": false}, inspect(t, i, "api", otherSecret, got.AccessToken+"x"))
	})
	t.Run("a signed answer on request", func(t *testing.T) {
		r := ask(t, i, "/introspect", "api", otherSecret, url.Values{"token": {got.AccessToken}}, "Accept", "application/json;q=0.1, application/token-introspection+jwt")
		require.Equal(t, "application/token-introspection+jwt", r.Header.Get("Content-Type"))
		c := claims(t, r.Body)
		require.Equal(t, "api", c["aud"])
		require.Equal(t, true, c["token_introspection"].(map[string]any)["active"])
	})
	t.Run("a refresh token for its client only", func(t *testing.T) {
		first := keeper(t, i, "openid")
		require.Equal(t, true, inspect(t, i, "keeper", webSecret, first.RefreshToken)["active"])
		require.Equal(t, map[string]any{"active": false}, inspect(t, i, "api", otherSecret, first.RefreshToken))
	})
	t.Run("only by authenticated clients, only by POST", func(t *testing.T) {
		r := newBrowser(t).post(i.Issuer("one")+"/introspect", url.Values{"token": {got.AccessToken}})
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		require.Equal(t, http.StatusMethodNotAllowed, newBrowser(t).get(i.Issuer("one")+"/introspect?token=x").StatusCode)
	})
	t.Run("one statement for a token seen before", func(t *testing.T) {
		before := i.DB.Stats()
		inspect(t, i, "api", otherSecret, got.AccessToken)
		require.LessOrEqual(t, i.DB.Stats().Sub(before).Statements, int64(1))
	})
}

func TestJW09_Revocation(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	revoke := func(id, token string) {
		r := ask(t, i, "/revoke", id, webSecret, url.Values{"token": {token}})
		require.Equal(t, http.StatusOK, r.StatusCode, r.Body)
		require.Empty(t, r.Body)
	}
	alive := func(token string) bool { return inspect(t, i, "keeper", webSecret, token)["active"] == true }

	t.Run("an access token by itself", func(t *testing.T) {
		first := keeper(t, i, "openid")
		revoke("keeper", first.AccessToken)
		revoke("keeper", first.AccessToken)
		require.False(t, alive(first.AccessToken))
		require.True(t, alive(first.RefreshToken), "the authorization lives on")
		r, _ := userinfo(t, i, "one", first.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	})
	t.Run("a refresh token with all that came of it", func(t *testing.T) {
		first := keeper(t, i, "openid")
		revoke("keeper", first.RefreshToken)
		require.False(t, alive(first.AccessToken))
		require.Equal(t, "invalid_grant", refresh(t, i, first.RefreshToken).Error)
	})
	t.Run("another client's token is left alone, and so is no token at all", func(t *testing.T) {
		first := keeper(t, i, "openid")
		revoke("service", first.AccessToken)
		revoke("service", first.RefreshToken)
		revoke("service", "nonsense")
		require.True(t, alive(first.AccessToken))
		require.True(t, alive(first.RefreshToken))
	})
}
