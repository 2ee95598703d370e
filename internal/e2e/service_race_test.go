package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// callers is how many race for one token.
const callers = 50

// race calls do once for each caller, all at the same time.
func race(do func(n int)) {
	testdb.Together(callers, func(n int) struct{} { do(n); return struct{}{} })
}

func TestJW09_ManyRevocationsOfOneTokenAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	live := keeper(t, i, "openid")
	for name, tok := range map[string]string{"access": live.AccessToken, "refresh": live.RefreshToken} {
		var got [callers]int
		race(func(n int) { got[n] = ask(t, i, "/revoke", "keeper", webSecret, url.Values{"token": {tok}}).StatusCode })
		for _, status := range got {
			require.Equal(t, http.StatusOK, status, name)
		}
		require.Equal(t, map[string]any{"active": false}, inspect(t, i, "keeper", webSecret, tok), name)
	}
	require.Len(t, eventData(t, i, "one", "grant.revoked"), 1)
}

func TestJW09_RevocationAgainstRefresh(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	for range 3 {
		first := keeper(t, i, "openid")
		var got [callers]tokens
		var revoked [callers]int
		race(func(n int) {
			if n%2 == 0 {
				revoked[n] = ask(t, i, "/revoke", "keeper", webSecret, url.Values{"token": {first.RefreshToken}}).StatusCode
				return
			}
			got[n] = refresh(t, i, first.RefreshToken)
		})
		for n := range callers {
			if n%2 == 0 {
				require.Equal(t, http.StatusOK, revoked[n])
				continue
			}
			if got[n].Status != http.StatusOK {
				requireRefused(t, got[n], http.StatusBadRequest, "invalid_grant")
				continue
			}
			require.Equal(t, map[string]any{"active": false}, inspect(t, i, "keeper", webSecret, got[n].AccessToken))
			requireRefused(t, refresh(t, i, got[n].RefreshToken), http.StatusBadRequest, "invalid_grant")
		}
		requireRefused(t, refresh(t, i, first.RefreshToken), http.StatusBadRequest, "invalid_grant")
		require.Equal(t, map[string]any{"active": false}, inspect(t, i, "keeper", webSecret, first.AccessToken))
	}
}
