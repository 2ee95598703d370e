package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// serviceToken gets an access token by client_credentials.
func serviceToken(t testing.TB, i *instance) string {
	t.Helper()
	got := token(t, i, "one", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("service", webSecret))
	require.Equal(t, http.StatusOK, got.Status, "%+v", got)
	return got.AccessToken
}

func publishedKeys(t testing.TB, i *instance) *jose.JSONWebKeySet {
	t.Helper()
	r := newBrowser(t).get(i.Issuer("one") + "/jwks")
	require.Equal(t, http.StatusOK, r.StatusCode)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal([]byte(r.Body), &set))
	return &set
}

func TestJW05_RevokedInOneProcessRefusedInTheOther(t *testing.T) {
	t.Parallel()
	one := start(t, servicesFile)
	other := startOn(t, one.Database)
	other.work(t)
	live, stolen := keeper(t, other, "openid"), serviceToken(t, other)
	require.Equal(t, true, inspect(t, other, "api", otherSecret, stolen)["active"])
	kid := header(t, stolen)["kid"].(string)
	refreshed := token(t, other, "one", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {live.RefreshToken}}, "Authorization", basic("keeper", webSecret))
	require.Equal(t, http.StatusOK, refreshed.Status, "%+v", refreshed)

	successor, err := one.Keys.Revoke(t.Context(), one.Realm(t, "one"), kid)
	require.NoError(t, err)
	soon(t, func() bool { return inspect(t, other, "api", otherSecret, stolen)["active"] == false }, "introspection refuses its tokens")
	userinfo := newBrowser(t).getWith(other.Issuer("one")+"/userinfo", "Authorization", "Bearer "+refreshed.AccessToken)
	require.Equal(t, http.StatusUnauthorized, userinfo.StatusCode)
	hint := newBrowser(t).get(other.Issuer("one") + "/authorize?" + authorization("client_id", "keeper", "prompt", "none", "id_token_hint", live.IDToken).Encode())
	require.Contains(t, hint.Header.Get("Location"), "error=invalid_request", "nor is its ID token a hint")

	require.Equal(t, successor, header(t, serviceToken(t, other))["kid"])
	published := publishedKeys(t, other)
	require.Empty(t, published.Key(kid))
	require.Len(t, published.Key(successor), 1)
	again := token(t, other, "one", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshed.RefreshToken}}, "Authorization", basic("keeper", webSecret))
	require.Equal(t, http.StatusOK, again.Status, "nobody has to sign in again: %+v", again)
}
