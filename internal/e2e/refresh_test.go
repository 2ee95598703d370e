package e2e

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/grant"
)

// keeper signs ana in at the application that keeps refresh tokens and returns its first tokens.
func keeper(t testing.TB, i *instance, scope string) tokens {
	t.Helper()
	code := newBrowser(t).code(i, "one", "client_id", "keeper", "scope", scope)
	got := token(t, i, "one", exchange(code), "Authorization", basic("keeper", webSecret))
	require.Equal(t, http.StatusOK, got.Status, "%+v", got)
	require.NotEmpty(t, got.RefreshToken)
	return got
}

// refresh posts a refresh token as the application that keeps them.
func refresh(t testing.TB, i *instance, refreshToken string, change ...string) tokens {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	for k := 0; k+1 < len(change); k += 2 {
		form.Set(change[k], change[k+1])
	}
	return token(t, i, "one", form, "Authorization", basic("keeper", webSecret))
}

func TestTK02_RefreshRotation(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))

	t.Run("each use gives a successor and new tokens", func(t *testing.T) {
		first := keeper(t, i, "openid profile")
		i.Clock.Advance(time.Minute)
		second := refresh(t, i, first.RefreshToken)
		require.Equal(t, http.StatusOK, second.Status, "%+v", second)
		require.NotEqual(t, first.RefreshToken, second.RefreshToken)
		id := claims(t, second.IDToken)
		require.NotContains(t, id, "nonce")
		require.InDelta(t, i.Clock.Now().Unix(), id["iat"], 0, "a refreshed token is issued now")
		require.InDelta(t, claims(t, first.IDToken)["auth_time"], id["auth_time"], 0)
	})

	t.Run("the same successor again inside the grace window", func(t *testing.T) {
		first := keeper(t, i, "openid")
		second := refresh(t, i, first.RefreshToken)
		again := refresh(t, i, first.RefreshToken)
		require.Equal(t, http.StatusOK, again.Status)
		require.Equal(t, second.RefreshToken, again.RefreshToken)
	})

	t.Run("reuse after the grace window ends the authorization", func(t *testing.T) {
		first := keeper(t, i, "openid")
		second := refresh(t, i, first.RefreshToken)
		i.Clock.Advance(grant.Grace)
		require.Equal(t, "invalid_grant", refresh(t, i, first.RefreshToken).Error)
		require.Equal(t, "invalid_grant", refresh(t, i, second.RefreshToken).Error)
	})

	t.Run("an older one ends the authorization at once", func(t *testing.T) {
		first := keeper(t, i, "openid")
		third := refresh(t, i, refresh(t, i, first.RefreshToken).RefreshToken)
		require.Equal(t, "invalid_grant", refresh(t, i, first.RefreshToken).Error)
		require.Equal(t, "invalid_grant", refresh(t, i, third.RefreshToken).Error)
	})

	t.Run("20 in parallel get one successor", func(t *testing.T) {
		first := keeper(t, i, "openid")
		var wg sync.WaitGroup
		got := make([]tokens, 20)
		for k := range got {
			wg.Go(func() { got[k] = refresh(t, i, first.RefreshToken) })
		}
		wg.Wait()
		for _, g := range got {
			require.Equal(t, http.StatusOK, g.Status, "%+v", g)
			require.Equal(t, got[0].RefreshToken, g.RefreshToken)
		}
	})
}

func TestTK03_RefreshEnds(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))

	t.Run("idle", func(t *testing.T) {
		first := keeper(t, i, "openid offline_access")
		i.Clock.Advance(14*24*time.Hour + time.Second)
		require.Equal(t, "invalid_grant", refresh(t, i, first.RefreshToken).Error)
	})

	t.Run("absolute, however often it is used", func(t *testing.T) {
		at := keeper(t, i, "openid offline_access")
		for range 8 {
			i.Clock.Advance(11 * 24 * time.Hour)
			at = refresh(t, i, at.RefreshToken)
			require.Equal(t, http.StatusOK, at.Status, "%+v", at)
		}
		i.Clock.Advance(2*24*time.Hour + time.Second)
		require.Equal(t, "invalid_grant", refresh(t, i, at.RefreshToken).Error)
	})
}

func TestTK05_ScopeOnlyShrinks(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	first := keeper(t, i, "openid profile")
	fewer := refresh(t, i, first.RefreshToken, "scope", "openid")
	require.Equal(t, "openid", fewer.Scope)
	require.Equal(t, "invalid_scope", refresh(t, i, fewer.RefreshToken, "scope", "openid email").Error)
	require.Equal(t, "openid profile", refresh(t, i, fewer.RefreshToken).Scope, "narrowing holds for one token only")
}

func TestTK06_RefreshEndsWithItsSession(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	signedIn := func(scope string) (*browser, tokens) {
		b := newBrowser(t)
		code := b.code(i, "one", "client_id", "keeper", "scope", scope)
		got := token(t, i, "one", exchange(code), "Authorization", basic("keeper", webSecret))
		require.NotEmpty(t, got.RefreshToken, "%+v", got)
		return b, got
	}
	leave := func(b *browser, got tokens) {
		r := b.get(i.Issuer("one") + "/end_session?" + url.Values{"id_token_hint": {got.IDToken}}.Encode())
		require.Equal(t, http.StatusOK, r.StatusCode, r.Body)
	}

	t.Run("signed out", func(t *testing.T) {
		b, got := signedIn("openid")
		leave(b, got)
		require.Equal(t, "invalid_grant", refresh(t, i, got.RefreshToken).Error)
		r, _ := userinfo(t, i, "one", got.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	})
	t.Run("somebody else signed in over it", func(t *testing.T) {
		b, got := signedIn("openid")
		i.Clock.Advance(time.Second)
		page := b.authorize(i, "one", authorization("client_id", "keeper", "scope", "openid", "prompt", "login"))
		require.NotEmpty(t, b.signIn(i, page, "bob", anaPassword).Location().Query().Get("code"))
		require.Equal(t, "invalid_grant", refresh(t, i, got.RefreshToken).Error)
		r, _ := userinfo(t, i, "one", got.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	})
	t.Run("offline access outlives it", func(t *testing.T) {
		b, got := signedIn("openid offline_access")
		leave(b, got)
		require.Equal(t, http.StatusOK, refresh(t, i, got.RefreshToken).Status)
	})
}

func TestApplicationLifetimes(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	i.apply(t, "realm: one\napplications: [{client_id: keeper, lifetimes: {access_token: 1m, id_token: 2m, refresh_idle: 10m, refresh_absolute: 1d}}]")
	first := keeper(t, i, "openid offline_access")
	life := func(jwt string) float64 { c := claims(t, jwt); return c["exp"].(float64) - c["iat"].(float64) }
	require.EqualValues(t, 60, first.ExpiresIn)
	require.InDelta(t, 60, life(first.AccessToken), 0)
	require.InDelta(t, 120, life(first.IDToken), 0)
	i.Clock.Advance(9 * time.Minute)
	second := refresh(t, i, first.RefreshToken)
	require.Equal(t, http.StatusOK, second.Status)
	i.Clock.Advance(11 * time.Minute)
	require.Equal(t, "invalid_grant", refresh(t, i, second.RefreshToken).Error)

	i.apply(t, "realm: one\napplications: [{client_id: keeper, lifetimes: {access_token: 15m}}]")
	require.EqualValues(t, 300, keeper(t, i, "openid").ExpiresIn, "not longer than the realm's")
}
