package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func startServicesBehindWire(t testing.TB) (*instance, *wire) {
	t.Helper()
	w, through := newWire(t, testdb.NewURL(t))
	return startWith(t, through, func(p *app.Process, _ *app.Options) {
		p.Config.DatabaseMaxConns, p.Config.DatabaseMinConns = 1, 1
	}, servicesFile), w
}

// requireUnavailable is an answer that says nothing about the token.
func requireUnavailable(t testing.TB, r response) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, r.StatusCode, r.Body)
	require.Contains(t, r.Body, `"error":"temporarily_unavailable"`)
	require.NotContains(t, r.Body, "active")
}

func TestJW08_IntrospectionsThatAreCutOff(t *testing.T) {
	t.Parallel()
	i, w := startServicesBehindWire(t)
	live, dead := keeper(t, i, "openid"), keeper(t, i, "openid")
	require.Equal(t, http.StatusOK, ask(t, i, "/revoke", "keeper", webSecret, url.Values{"token": {dead.RefreshToken}}).StatusCode)
	for name, c := range map[string]struct {
		token  string
		active bool
	}{
		"a live access token": {live.AccessToken, true}, "a live refresh token": {live.RefreshToken, true},
		"a dead access token": {dead.AccessToken, false}, "a dead refresh token": {dead.RefreshToken, false},
	} {
		t.Run(name, func(t *testing.T) {
			everyMoment(t, func(t *testing.T, n int, loses string) bool {
				r, ok := attempt(t, newBrowser(t), w, n, loses, http.MethodPost, i.Issuer("one")+"/introspect",
					url.Values{"token": {c.token}}, "Authorization", basic("keeper", webSecret))
				struck := w.mend()
				idle(t, i)
				switch {
				case ok && r.StatusCode == http.StatusOK:
					var answer struct{ Active bool }
					require.NoError(t, json.Unmarshal([]byte(r.Body), &answer))
					require.Equal(t, c.active, answer.Active)
				case ok:
					requireUnavailable(t, r)
				}
				return struck
			})
		})
	}
}

func TestJW09_RevocationsThatAreCutOff(t *testing.T) {
	t.Parallel()
	i, w := startServicesBehindWire(t)
	for name, which := range map[string]func(tokens) string{
		"an access token": func(got tokens) string { return got.AccessToken },
		"a refresh token": func(got tokens) string { return got.RefreshToken },
	} {
		t.Run(name, func(t *testing.T) {
			everyMoment(t, func(t *testing.T, n int, loses string) bool {
				tok := which(keeper(t, i, "openid"))
				form := url.Values{"token": {tok}}
				r, ok := attempt(t, newBrowser(t), w, n, loses, http.MethodPost, i.Issuer("one")+"/revoke", form,
					"Authorization", basic("keeper", webSecret))
				struck := w.mend()
				idle(t, i)
				if ok && r.StatusCode == http.StatusOK {
					require.Equal(t, map[string]any{"active": false}, inspect(t, i, "keeper", webSecret, tok), "what was said to be revoked is")
					return struck
				}
				if ok {
					requireUnavailable(t, r)
				}
				require.Equal(t, http.StatusOK, ask(t, i, "/revoke", "keeper", webSecret, form).StatusCode, "the next try works")
				require.Equal(t, map[string]any{"active": false}, inspect(t, i, "keeper", webSecret, tok))
				return struck
			})
		})
	}
}
