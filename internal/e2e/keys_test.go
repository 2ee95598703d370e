package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/keyset"
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

// Two processes issue tokens while the key changes; a verifier that read the key set when the next key was published,
// and never again, verifies all of them.
func TestJW05_RotationUnderLoad(t *testing.T) {
	t.Parallel()
	one := start(t, servicesFile)
	other := startOn(t, one.Database)
	one.work(t)
	other.work(t)
	realmOne := one.Realm(t, "one")
	next, err := one.Keys.Prepare(t.Context(), realmOne, keyset.ES256)
	require.NoError(t, err)
	soon(t, func() bool { return len(publishedKeys(t, other).Key(next)) == 1 }, "the next key is published everywhere")
	verifier := publishedKeys(t, other)
	for _, i := range []*instance{one, other} {
		i.Clock.Advance(keyset.Ahead)
	}

	var issued, failed, byNext atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, i := range []*instance{one, other} {
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					got := token(t, i, "one", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("service", webSecret))
					issued.Add(1)
					parsed, err := jose.ParseSignedCompact(got.AccessToken, []jose.SignatureAlgorithm{jose.ES256})
					if err != nil {
						failed.Add(1)
						continue
					}
					kid := parsed.Signatures[0].Header.KeyID
					keys := verifier.Key(kid)
					if len(keys) != 1 {
						failed.Add(1)
						continue
					}
					if _, err := parsed.Verify(keys[0].Key); err != nil {
						failed.Add(1)
					}
					if kid == next {
						byNext.Add(1)
					}
				}
			})
		}
	}
	soon(t, func() bool { return issued.Load() > 100 }, "tokens of the old key")
	require.NoError(t, one.Keys.Advance(t.Context(), realmOne))
	before := byNext.Load()
	require.Eventually(t, func() bool { return byNext.Load() > before+200 }, time.Minute, 10*time.Millisecond, "tokens of the next key")
	soon(t, func() bool { return header(t, serviceToken(t, other))["kid"] == next }, "in the other process too")
	close(stop)
	wg.Wait()
	require.Zero(t, failed.Load(), "of %d tokens", issued.Load())
	t.Logf("%d tokens, %d of them by the next key", issued.Load(), byNext.Load())
}
