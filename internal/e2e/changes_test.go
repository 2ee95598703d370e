package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// work runs an instance's background work until the test ends.
func (i *instance) work(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { i.Work(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}

// soon waits until want holds, for as long as a change may take to be obeyed everywhere.
func soon(t testing.TB, want func() bool, what string) {
	t.Helper()
	require.Eventually(t, want, 5*time.Second, 20*time.Millisecond, what)
}

// The clocks of both processes stand still, so that no entry of a cache ever expires by itself.
func TestChangesReachOtherProcesses(t *testing.T) {
	t.Parallel()
	database := testdb.NewURL(t)
	one := startOn(t, database, realmFile("one"))
	other := startOn(t, database)
	other.work(t)
	status := func(q string) int {
		r := newBrowser(t).get(other.Issuer("one") + "/authorize?" + q)
		return r.StatusCode
	}
	web := authorization().Encode()
	soon(t, func() bool { return status(web) == http.StatusSeeOther }, "the realm is known")

	t.Run("a disabled application", func(t *testing.T) {
		one.apply(t, strings.Replace(realmFile("one"), "name: Web shop", "name: Web shop\n    enabled: false", 1))
		soon(t, func() bool { return status(web) == http.StatusBadRequest }, "it is off")
		one.apply(t, strings.Replace(realmFile("one"), "name: Web shop", "name: Web shop\n    enabled: true", 1))
		soon(t, func() bool { return status(web) == http.StatusSeeOther }, "it is on again")
	})

	t.Run("a changed redirect address", func(t *testing.T) {
		moved := authorization("redirect_uri", "https://moved.example/callback").Encode()
		require.Equal(t, http.StatusBadRequest, status(moved))
		one.apply(t, strings.Replace(realmFile("one"), `"`+callback+`", `, `"https://moved.example/callback", `, 1))
		soon(t, func() bool { return status(moved) == http.StatusSeeOther }, "the new address works")
		soon(t, func() bool { return status(web) == http.StatusBadRequest }, "the old one does not")
	})

	t.Run("a new application, after it was asked for in vain", func(t *testing.T) {
		late := authorization("client_id", "late").Encode()
		require.Equal(t, http.StatusBadRequest, status(late))
		one.apply(t, "realm: one\napplications:\n  - {client_id: late, secrets: ["+webSecret+"], redirect_uris: ["+callback+"]}\n")
		soon(t, func() bool { return status(late) == http.StatusSeeOther }, "it is known now")
	})

	t.Run("a new realm, after it was asked for in vain", func(t *testing.T) {
		found := func() bool {
			return newBrowser(t).get(other.Issuer("two")+"/.well-known/openid-configuration").StatusCode == http.StatusOK
		}
		require.False(t, found())
		one.apply(t, realmFile("two"))
		soon(t, found, "it is known now")
	})
}
