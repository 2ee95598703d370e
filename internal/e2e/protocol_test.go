package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// The applications that protocolFile adds.
const (
	oddID       = "urn:odd/client@1"
	oddSecret   = "s3cr:t+with/odd%characters=&more? 0123456789"
	orders      = "https://orders.example"
	billing     = "urn:billing"
	secondScope = "api"
)

// protocolFile is realmFile with two more applications: one whose credentials need every encoding, without PKCE, and
// one with audiences.
func protocolFile(slug string) string {
	return strings.Replace(realmFile(slug), "users:\n", `
  - client_id: "`+oddID+`"
    name: Odd client
    secrets: ["`+oddSecret+`"]
    redirect_uris: ["`+callback+`"]
    pkce: optional
    consent: never
  - client_id: resources
    name: Resources
    secrets: [`+webSecret+`]
    redirect_uris: ["`+callback+`"]
    scopes: [openid, api]
    consent: never
    audiences: ["`+orders+`", "`+billing+`"]
users:
`, 1)
}

// startWith is startOn with a process and options of one's own.
func startWith(t testing.TB, database string, change func(p *app.Process, o *app.Options), files ...string) *instance {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	i := &instance{URL: "http://" + listener.Addr().String(), Clock: &testdb.Clock{}, Database: database, Logs: &logs{}}
	i.Clock.Set(time.Now())
	p, o := process(t, i.Database, i.Logs), app.Options{Now: i.Clock.Now, PublicURL: i.URL}
	change(&p, &o)
	i.System, err = app.Open(t.Context(), p, o)
	require.NoError(t, err)
	t.Cleanup(i.Close)
	i.apply(t, files...)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: i.Handler, MaxHeaderBytes: 16 << 10}}
	server.Start()
	t.Cleanup(server.Close)
	return i
}

// one reads a single value of a realm's rows.
func one[T any](t testing.TB, i *instance, slug, query string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, i.Realm(t, slug).QueryRow(t.Context(), query, args...).Scan(&v), query)
	return v
}

// eventData lists the data of a realm's events of a type, the oldest first.
func eventData(t testing.TB, i *instance, slug, kind string) []string {
	t.Helper()
	rows, err := i.Realm(t, slug).Query(t.Context(), `SELECT data::text FROM events WHERE type = $1 ORDER BY seq`, kind)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// askSilently sends an authorization request with prompt=none by a browser that nobody signed in with. A request
// that is accepted so far comes back with login_required.
func askSilently(t testing.TB, i *instance, slug string, q url.Values) response {
	t.Helper()
	q.Set("prompt", "none")
	return newBrowser(t).get(i.Issuer(slug) + "/authorize?" + q.Encode())
}

// requireErrorAtClient checks an error response that the application gets by its address, and returns its parameters.
func requireErrorAtClient(t testing.TB, i *instance, slug string, r response, code string) url.Values {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
	require.True(t, strings.HasPrefix(r.Header.Get("Location"), callback+"?"), r.Header.Get("Location"))
	q := r.Location().Query()
	require.Equal(t, code, q.Get("error"), q.Get("error_description"))
	require.Equal(t, i.Issuer(slug), q.Get("iss"))
	require.NotContains(t, q, "code")
	return q
}

// requirePage checks that the answer is a page of ours with that status that leads nowhere by itself.
func requirePage(t testing.TB, r response, status int) {
	t.Helper()
	require.Equal(t, status, r.StatusCode, "%s\n%s", r.Header.Get("Location"), r.Body)
	require.Empty(t, r.Header.Get("Location"))
	require.True(t, strings.HasPrefix(r.Header.Get("Content-Type"), "text/html"), r.Header.Get("Content-Type"))
	require.Contains(t, r.Body, "<h1>")
}

// secretInForm are the headers of a token request whose client authenticates by the form.
func secretInForm() []string { return []string{"Accept", "application/json"} }

// otherExchange is the form of a code exchange by "other".
func otherExchange(code string, change ...string) url.Values {
	return exchange(code, append([]string{"client_id", "other", "client_secret", otherSecret}, change...)...)
}

// requireRefused checks an error of the token endpoint.
func requireRefused(t testing.TB, got tokens, status int, code string) {
	t.Helper()
	require.Equal(t, code, got.Error, "%+v", got)
	require.Equal(t, status, got.Status)
	require.Empty(t, got.AccessToken)
	require.Empty(t, got.IDToken)
}

// userinfo asks with an access token in the header and returns the answer with its claims, if there are any.
func userinfo(t testing.TB, i *instance, slug, accessToken string) (response, map[string]any) {
	t.Helper()
	r := newBrowser(t).getWith(i.Issuer(slug)+"/userinfo", "Authorization", "Bearer "+accessToken)
	var c map[string]any
	if r.StatusCode == http.StatusOK {
		require.NoError(t, json.Unmarshal([]byte(r.Body), &c))
	}
	return r, c
}

func (b *browser) getWith(address string, headers ...string) response {
	b.t.Helper()
	return b.send(http.MethodGet, address, headers...)
}

func (b *browser) send(method, address string, headers ...string) response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, http.NoBody)
	require.NoError(b.t, err)
	for k := 0; k+1 < len(headers); k += 2 {
		req.Header.Set(headers[k], headers[k+1])
	}
	return b.do(req)
}

// switchRealm changes the status of a realm, as an administrator would.
func switchRealm(t testing.TB, i *instance, slug, status string) {
	t.Helper()
	r := i.Realm(t, slug)
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE realms SET status = $1`, status); err != nil {
			return err
		}
		return event.Record(t.Context(), tx, event.RealmUpdated{}, i.Clock.Now())
	}))
	i.Realms.Forget(r)
}
