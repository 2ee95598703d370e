package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// TestStatementBudget counts what each operation asks of the database. The clock stands still, so that caches stay
// warm; what a cache miss costs is not part of the budget.
func TestStatementBudget(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	spend := func(what func()) postgres.Stats {
		before := i.DB.Stats()
		what()
		return i.DB.Stats().Sub(before)
	}
	exchanged := func() tokens {
		got := token(t, i, "one", exchange(b.code(i, "one")))
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		return got
	}
	// Everything once, so that caches are filled and every connection of the pool knows the statements.
	for range 8 {
		userinfo(t, i, "one", exchanged().AccessToken)
	}
	keySet(t, i, "one")
	b.get(i.Issuer("one") + discovery)

	t.Run("authorize with a live session", func(t *testing.T) {
		used := spend(func() { b.code(i, "one") })
		require.LessOrEqual(t, used.Statements, int64(3), "%+v", used)
		require.LessOrEqual(t, used.Transactions, int64(3))
	})
	t.Run("exchange", func(t *testing.T) {
		code := b.code(i, "one")
		used := spend(func() { require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status) })
		require.Equal(t, postgres.Stats{Statements: 2, Transactions: 2, RoundTrips: 2}, used, "one read, one write")
	})
	t.Run("a refused exchange", func(t *testing.T) {
		code := b.code(i, "one")
		used := spend(func() {
			require.Equal(t, http.StatusBadRequest, token(t, i, "one", exchange(code, "code_verifier", "")).Status)
		})
		require.Equal(t, int64(2), used.Statements, "one read, one write")
	})
	t.Run("an exchange that its client is not let into", func(t *testing.T) {
		require.Zero(t, spend(func() {
			token(t, i, "one", exchange("x"), "Authorization", basic("web", "wrong"))
			token(t, i, "one", exchange("x"))
		}).Statements)
	})
	t.Run("userinfo", func(t *testing.T) {
		at := exchanged().AccessToken
		for range 2 { // the second finds the signature verified
			used := spend(func() { userinfo(t, i, "one", at) })
			require.Equal(t, postgres.Stats{Statements: 1, Transactions: 1, RoundTrips: 1}, used)
		}
		require.Zero(t, spend(func() { userinfo(t, i, "one", at[:len(at)-4]+"AAAA") }).Statements, "a forged token asks nothing")
	})
	t.Run("published documents", func(t *testing.T) {
		require.Zero(t, spend(func() { b.get(i.Issuer("one") + discovery); keySet(t, i, "one") }))
	})
	t.Run("a preflight", func(t *testing.T) {
		ask := func() {
			b.send(http.MethodOptions, i.Issuer("one")+"/token", "Origin", "https://spa.example", "Access-Control-Request-Method", "POST")
		}
		ask()
		require.Zero(t, spend(ask))
	})
	t.Run("a refused authorization request", func(t *testing.T) {
		require.Zero(t, spend(func() {
			newBrowser(t).get(i.Issuer("one") + "/authorize?" + authorization("scope", "admin").Encode())
			newBrowser(t).get(i.Issuer("one") + "/authorize?" + authorization("redirect_uri", "https://evil.example").Encode())
			newBrowser(t).get(i.Issuer("one") + "/authorize?" + url.Values{}.Encode())
		}))
	})
}
