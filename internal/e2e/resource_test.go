package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTK05_ATokenRequestNarrowsTheAudience is RFC 8707 §2.2.
func TestTK05_ATokenRequestNarrowsTheAudience(t *testing.T) {
	t.Parallel()
	i := start(t, strings.Replace(protocolFile("one"), "scopes: [openid, api]", "scopes: [openid, api]\n    grant_types: [authorization_code, refresh_token]", 1))
	b := newBrowser(t)
	b.code(i, "one") // signs in
	const evil = "https://evil.example"
	both := []any{orders, billing}
	headers := []string{"Authorization", basic("resources", webSecret)}
	code := func(resources ...string) string {
		q := authorization("client_id", "resources", "scope", "openid api")
		q["resource"] = resources
		return b.authorize(i, "one", q).Location().Query().Get("code")
	}
	ask := func(form url.Values, resources ...string) tokens {
		form["resource"] = resources
		return token(t, i, "one", form, headers...)
	}
	refresh := func(text string, resources ...string) tokens {
		return ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}}, resources...)
	}
	requireAudience := func(got tokens, aud any) {
		t.Helper()
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		require.Equal(t, aud, claims(t, got.AccessToken)["aud"])
		require.Equal(t, "resources", claims(t, got.IDToken)["aud"])
	}

	t.Run("for this access token only, at the exchange and at each refresh", func(t *testing.T) {
		got := ask(exchange(code(orders, billing)), orders)
		requireAudience(got, orders)
		got = refresh(got.RefreshToken, billing)
		requireAudience(got, billing)
		got = refresh(got.RefreshToken)
		requireAudience(got, both)
		got = refresh(got.RefreshToken, billing, billing, "")
		requireAudience(got, billing)
		requireAudience(refresh(got.RefreshToken, orders, billing), both)
	})
	t.Run("also when the application's own audiences were granted", func(t *testing.T) {
		requireAudience(ask(exchange(code()), billing), billing)
	})
	t.Run("a repeated refresh may ask for another", func(t *testing.T) {
		got := ask(exchange(code()))
		first := refresh(got.RefreshToken, orders)
		requireAudience(first, orders)
		again := refresh(got.RefreshToken, billing)
		requireAudience(again, billing)
		require.Equal(t, first.RefreshToken, again.RefreshToken)
	})
	t.Run("never beyond what was granted", func(t *testing.T) {
		for _, beyond := range [][]string{{billing}, {orders, billing}, {evil}, {orders + "/"}, {i.Issuer("one")}} {
			requireRefused(t, ask(exchange(code(orders)), beyond...), http.StatusBadRequest, "invalid_target")
		}
		got := ask(exchange(code(orders)))
		for _, beyond := range [][]string{{billing}, {orders, evil}} {
			requireRefused(t, refresh(got.RefreshToken, beyond...), http.StatusBadRequest, "invalid_target")
		}
		requireAudience(refresh(got.RefreshToken), orders)
	})
	t.Run("a refused exchange burns the code", func(t *testing.T) {
		c := code(orders)
		requireRefused(t, ask(exchange(c), billing), http.StatusBadRequest, "invalid_target")
		requireRefused(t, ask(exchange(c), orders), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("without any audience it is the issuer's", func(t *testing.T) {
		form := exchange(b.code(i, "one"))
		form.Set("resource", i.Issuer("one"))
		got := token(t, i, "one", form)
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		require.Equal(t, i.Issuer("one"), claims(t, got.AccessToken)["aud"])
		form = exchange(b.code(i, "one"))
		form.Set("resource", orders)
		requireRefused(t, token(t, i, "one", form), http.StatusBadRequest, "invalid_target")
	})
}
