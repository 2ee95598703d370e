package e2e

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// keyHost publishes a client's keys.
type keyHost struct {
	*httptest.Server
	asked atomic.Int32
	body  atomic.Pointer[string]
}

func hostKeys(t *testing.T, pairs ...keyPair) *keyHost {
	t.Helper()
	h := &keyHost{}
	h.publish(t, pairs...)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/jwks", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(*h.body.Load()))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *keyHost) publish(t *testing.T, pairs ...keyPair) {
	t.Helper()
	body := jwks(t, pairs...)
	h.body.Store(&body)
}

func publisherFile(address string) string {
	return "realm: one\napplications:\n  - {client_id: signer, token_endpoint_auth_method: private_key_jwt, jwks_uri: \"" + address +
		"\", grant_types: [client_credentials], scopes: [read]}\n"
}

// startAllowing runs a server whose operator lets it ask that host.
func startAllowing(t *testing.T, allow string, files ...string) *instance {
	t.Helper()
	return startWith(t, testdb.NewURL(t), func(p *app.Process, _ *app.Options) {
		var list config.Destinations
		require.NoError(t, list.UnmarshalText([]byte(allow)))
		p.Config.OutboundAllow = list
	}, files...)
}

func TestOB03_KeysThatAClientPublishes(t *testing.T) {
	t.Parallel()
	before, after := newPair(t, "ES256", "before"), newPair(t, "EdDSA", "after")
	host := hostKeys(t, before)
	i := startAllowing(t, strings.TrimPrefix(host.URL, "http://"), publisherFile(host.URL+"/jwks"))
	ask := func(k keyPair) tokens { return prove(t, i, "one", k.sign(t, about(i, "signer", nil), nil)) }

	require.Equal(t, http.StatusOK, ask(before).Status)
	require.Equal(t, http.StatusOK, ask(before).Status)
	require.EqualValues(t, 1, host.asked.Load(), "keys are kept")

	host.publish(t, after)
	for range 3 {
		requireRefused(t, ask(after), http.StatusUnauthorized, "invalid_client")
	}
	require.EqualValues(t, 1, host.asked.Load(), "not again within the minute")
	i.Clock.Advance(time.Minute)
	require.Equal(t, http.StatusOK, ask(after).Status, "the new key is found by its name")
	requireRefused(t, ask(before), http.StatusUnauthorized, "invalid_client")
	require.EqualValues(t, 2, host.asked.Load())

	host.Close()
	i.Clock.Advance(11 * time.Minute)
	require.Equal(t, http.StatusOK, ask(after).Status, "known keys do for a while")
	i.Clock.Advance(time.Hour)
	requireRefused(t, ask(after), http.StatusUnauthorized, "invalid_client")
}

func TestOB01_KeysAreNotFetchedFromWhereTheyMustNot(t *testing.T) {
	t.Parallel()
	k := newPair(t, "ES256", "k")
	host := hostKeys(t, k)
	t.Run("a loopback address that nobody listed", func(t *testing.T) {
		i := start(t, publisherFile(host.URL+"/jwks"))
		got := prove(t, i, "one", k.sign(t, about(i, "signer", nil), nil))
		requireRefused(t, got, http.StatusUnauthorized, "invalid_client")
		require.Equal(t, "Client authentication failed.", got.Description, "what the network looks like is not told")
		require.Contains(t, i.Logs.String(), "destination refused", "but logged")
		require.Zero(t, host.asked.Load())
	})
	t.Run("a redirect", func(t *testing.T) {
		i := startAllowing(t, strings.TrimPrefix(host.URL, "http://"), publisherFile(host.URL+"/moved"))
		requireRefused(t, prove(t, i, "one", k.sign(t, about(i, "signer", nil), nil)), http.StatusUnauthorized, "invalid_client")
		require.EqualValues(t, 1, host.asked.Load())
	})
	t.Run("nothing is fetched for who is not registered for it", func(t *testing.T) {
		asked := host.asked.Load()
		i := startAllowing(t, strings.TrimPrefix(host.URL, "http://"),
			strings.Replace(publisherFile(host.URL+"/jwks"), "private_key_jwt", "client_secret_post, secrets: ["+webSecret+"]", 1))
		requireRefused(t, prove(t, i, "one", k.sign(t, about(i, "signer", nil), nil)), http.StatusUnauthorized, "invalid_client")
		require.Equal(t, asked, host.asked.Load())
	})
}

func TestKeysInRealmFiles(t *testing.T) {
	t.Parallel()
	k := newPair(t, "ES256", "k")
	i := start(t, "realm: one")
	file := func(method, keys string) string {
		return "realm: one\napplications:\n  - {client_id: signer, grant_types: [client_credentials], scopes: [read], token_endpoint_auth_method: " + method + ", jwks: " + keys + "}\n"
	}
	changes := func(content string) []string {
		before := len(eventData(t, i, "one", "client.updated"))
		i.apply(t, content)
		return eventData(t, i, "one", "client.updated")[before:]
	}
	i.apply(t, file("private_key_jwt", jwks(t, k)))
	require.Empty(t, changes(file("private_key_jwt", jwks(t, k))), "applying twice changes nothing")
	require.Empty(t, changes(file("private_key_jwt", "'"+jwks(t, k)+"'")), "the same as a text")
	require.Equal(t, http.StatusOK, prove(t, i, "one", k.sign(t, about(i, "signer", nil), nil)).Status)
	next := newPair(t, "ES256", "k")
	require.Equal(t, []string{`{"changed": ["jwks"]}`}, changes(file("private_key_jwt", jwks(t, next))))
	requireRefused(t, prove(t, i, "one", k.sign(t, about(i, "signer", nil), nil)), http.StatusUnauthorized, "invalid_client")
	require.Equal(t, http.StatusOK, prove(t, i, "one", next.sign(t, about(i, "signer", nil), nil)).Status)
	require.True(t, slices.Contains(changes("realm: one\napplications: [{client_id: signer, token_endpoint_auth_method: client_secret_basic, jwks: '', generate_secret: true}]"),
		`{"changed": ["token_endpoint_auth_method", "jwks"]}`))
}
