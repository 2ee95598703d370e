package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)

	page := b.authorize(i, "one", authorization())
	require.Equal(t, http.StatusOK, page.StatusCode, page.Body)
	require.Contains(t, page.Body, "Web shop")

	back := b.signIn(i, page, "ANA@example.test", anaPassword)
	require.Equal(t, http.StatusSeeOther, back.StatusCode, back.Body)
	q := back.Location().Query()
	require.Equal(t, "state-1", q.Get("state"))
	require.Equal(t, i.Issuer("one"), q.Get("iss"))

	got := token(t, i, "one", exchange(q.Get("code")))
	require.Equal(t, http.StatusOK, got.Status, "%+v", got)
	require.Equal(t, "Bearer", got.TokenType)
	id := claims(t, got.IDToken)
	require.Equal(t, "nonce-1", id["nonce"])
	require.Equal(t, i.Issuer("one"), id["iss"])

	require.Equal(t, http.StatusSeeOther, b.authorize(i, "one", authorization("prompt", "none")).StatusCode, "the session answers without a page")
}
