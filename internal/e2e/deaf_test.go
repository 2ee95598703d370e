package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// neighbours are two processes on one database, whose clocks stand still: nothing that a cache holds ever expires by
// itself. Changes are made in one; the other has to obey. Its way to the database leads through a wire.
type neighbours struct {
	one, other *instance
	wire       *wire
	next       string // a key that waits
}

// deafFor is how long a process that cannot listen believes what it has read.
const deafFor = 500 * time.Millisecond

func startNeighbours(t *testing.T) *neighbours {
	t.Helper()
	database := testdb.NewURL(t)
	n := &neighbours{one: startOn(t, database, servicesFile)}
	var err error
	n.next, err = n.one.Keys.Prepare(t.Context(), n.one.Realm(t, "one"), keyset.ES256)
	require.NoError(t, err)
	w, through := newWire(t, database)
	n.wire = w
	n.other = startWith(t, through, func(p *app.Process, _ *app.Options) {
		p.Config.DatabaseMaxConns, p.Config.DatabaseMinConns = 4, 4 // all open from the beginning
	})
	n.other.Clock.Set(n.one.Clock.Now())
	require.Eventually(t, func() bool { return gauge(t, n.other, "gatehouse_database_connections_open") == 4 }, 30*time.Second, 10*time.Millisecond)
	return n
}

func (n *neighbours) listens(t *testing.T) bool {
	t.Helper()
	return gauge(t, n.other, "gatehouse_cache_listening") == 1
}

// listen starts the background work of the process that has to obey, and waits until it hears of changes.
func (n *neighbours) listen(t *testing.T) {
	t.Helper()
	n.other.work(t)
	soon(t, func() bool { return n.listens(t) }, "it listens")
}

// kill ends the connection on which the process listens, on the database's side.
func (n *neighbours) kill(t *testing.T) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), n.one.Database)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(t.Context())) }()
	n.wire.mu.Lock()
	port := n.wire.listening
	n.wire.mu.Unlock()
	var killed int
	require.NoError(t, admin.QueryRow(t.Context(),
		`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND client_port = $1`, port).Scan(&killed))
	require.Equal(t, 1, killed)
}

// connectable decides whether the process gets further connections to the database.
func (n *neighbours) connectable(yes bool) {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	n.wire.full = !yes
}

// neighbourly is a change, and how to tell whether the other process obeys it. Asking fills its caches.
type neighbourly struct {
	name   string
	change func(t *testing.T)
	obeyed func(t *testing.T) bool
}

func (n *neighbours) changes(t *testing.T) []neighbourly {
	t.Helper()
	one, other := n.one, n.other
	realmOne := one.Realm(t, "one")
	stolen := serviceToken(t, other)
	begun := header(t, stolen)["kid"].(string)
	return []neighbourly{
		{"a changed redirect address", func(t *testing.T) {
			t.Helper()
			one.apply(t, `{realm: one, applications: [{client_id: keeper, redirect_uris: ["https://moved.example/callback"]}]}`)
		}, func(t *testing.T) bool {
			t.Helper()
			moved := authorization("client_id", "keeper", "redirect_uri", "https://moved.example/callback").Encode()
			was := authorization("client_id", "keeper").Encode()
			is := newBrowser(t).get(other.Issuer("one")+"/authorize?"+moved).StatusCode == http.StatusSeeOther
			return newBrowser(t).get(other.Issuer("one")+"/authorize?"+was).StatusCode == http.StatusBadRequest && is
		}},
		{"a rotated key", func(t *testing.T) {
			t.Helper()
			one.Clock.Advance(keyset.Ahead) // the other's schedule does nothing meanwhile
			require.NoError(t, one.Keys.Advance(t.Context(), realmOne))
		}, func(t *testing.T) bool {
			t.Helper()
			return header(t, serviceToken(t, other))["kid"] == n.next
		}},
		{"a revoked key", func(t *testing.T) {
			t.Helper()
			_, err := one.Keys.Revoke(t.Context(), realmOne, begun)
			require.NoError(t, err)
		}, func(t *testing.T) bool {
			t.Helper()
			return inspect(t, other, "service", webSecret, stolen)["active"] == false && len(publishedKeys(t, other).Key(begun)) == 0
		}},
		{"a disabled application", func(t *testing.T) {
			t.Helper()
			one.apply(t, `{realm: one, applications: [{client_id: api, enabled: false}]}`)
		}, func(t *testing.T) bool {
			t.Helper()
			return ask(t, other, "/token", "api", otherSecret, url.Values{"grant_type": {"client_credentials"}}).StatusCode == http.StatusUnauthorized
		}},
	}
}

// requireRevocationAtOnce has an authorization revoked in one process and used in the other: that is asked of the
// database each time, whether anybody listens or not.
func (n *neighbours) requireRevocationAtOnce(t *testing.T, live tokens) {
	t.Helper()
	require.Equal(t, true, inspect(t, n.other, "keeper", webSecret, live.AccessToken)["active"])
	require.Equal(t, http.StatusOK, ask(t, n.one, "/revoke", "keeper", webSecret, url.Values{"token": {live.RefreshToken}}).StatusCode)
	require.Equal(t, map[string]any{"active": false}, inspect(t, n.other, "keeper", webSecret, live.AccessToken))
	requireRefused(t, refresh(t, n.other, live.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

// A second is what we promise. On a machine at work anything may take longer, so the fastest of the changes tells
// whether more than that is built in; that all of them arrive, and by an announcement alone, is what the clocks prove.
func TestANeighbourObeysWithinASecond(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	n.listen(t)
	n.requireRevocationAtOnce(t, keeper(t, n.other, "openid"))
	var took []time.Duration
	for _, c := range n.changes(t) {
		require.False(t, c.obeyed(t), c.name)
		c.change(t)
		changed := time.Now()
		soon(t, func() bool { return c.obeyed(t) }, c.name)
		took = append(took, time.Since(changed))
	}
	t.Logf("obeyed after %v", took)
	require.Less(t, slices.Min(took), time.Second)
}

// Its connection is cut and it gets no other: it hears of nothing, and believes what it read for half a second only.
func TestANeighbourThatCannotListenObeysWithinHalfASecond(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	n.listen(t)
	live := keeper(t, n.other, "openid")
	n.connectable(false)
	n.kill(t)
	soon(t, func() bool { return !n.listens(t) }, "it knows that it is deaf")
	n.requireRevocationAtOnce(t, live)
	for _, c := range n.changes(t) {
		n.other.Clock.Advance(deafFor)
		require.False(t, c.obeyed(t), c.name)
		c.change(t)
		require.False(t, c.obeyed(t), "%s: nobody told it, or this test sees no cache", c.name)
		n.other.Clock.Advance(deafFor)
		require.True(t, c.obeyed(t), c.name)
	}
	require.False(t, n.listens(t))
}

// What happened while it was deaf was announced to nobody: when it listens again it forgets all it knew.
func TestANeighbourThatListensAgainForgetsWhatItKnew(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	n.listen(t)
	n.connectable(false)
	n.kill(t)
	soon(t, func() bool { return !n.listens(t) }, "it knows that it is deaf")
	changes := n.changes(t)
	heard, missed := changes[0], changes[1:]
	for _, c := range missed {
		require.False(t, c.obeyed(t), c.name)
	}
	for _, c := range missed {
		c.change(t)
	}
	for _, c := range missed {
		require.False(t, c.obeyed(t), c.name)
	}
	n.connectable(true)
	require.Eventually(t, func() bool { return n.listens(t) }, 30*time.Second, 20*time.Millisecond, "it tries for as long as it takes")
	for _, c := range missed {
		require.True(t, c.obeyed(t), c.name)
	}
	require.False(t, heard.obeyed(t))
	heard.change(t)
	soon(t, func() bool { return heard.obeyed(t) }, "and it hears")
}

// A connection that is cut and can be made again costs nobody more than the time that takes.
func TestANeighbourWhoseConnectionIsCutListensAgain(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	n.listen(t)
	for _, c := range n.changes(t) {
		require.False(t, c.obeyed(t), c.name)
		n.kill(t)
		c.change(t)
		soon(t, func() bool { return c.obeyed(t) }, c.name)
		soon(t, func() bool { return n.listens(t) }, "it listens again")
	}
}

// The connection on which it listens hangs: nothing arrives, and nobody hangs up. That is noticed by asking, soon enough
// for the second that is promised; as above, the fastest of the changes tells whether more is built in.
func TestANeighbourWhoseConnectionHangsObeysWithinASecond(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	n.listen(t)
	var took []time.Duration
	for _, c := range n.changes(t) {
		require.False(t, c.obeyed(t), c.name)
		n.wire.freeze()
		c.change(t)
		changed := time.Now()
		soon(t, func() bool { n.other.Clock.Advance(deafFor); return c.obeyed(t) }, c.name)
		took = append(took, time.Since(changed))
		soon(t, func() bool { return !n.listens(t) }, "it knows that it is deaf")
		n.wire.thaw()
		soon(t, func() bool { return n.listens(t) }, "it listens again")
	}
	t.Logf("obeyed after %v", took)
	require.Less(t, slices.Min(took), time.Second)
}

// A connection that hung for a moment goes on: what was announced meanwhile is heard, and nothing has to be connected.
func TestANeighbourHearsWhatWasHeldUp(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	n.listen(t)
	changes := n.changes(t)
	n.wire.mu.Lock()
	was := n.wire.listening
	n.wire.mu.Unlock()
	n.wire.freeze()
	soon(t, func() bool { return !n.listens(t) }, "it knows that it is deaf")
	n.wire.thaw()
	soon(t, func() bool { return n.listens(t) }, "it was answered")
	require.False(t, changes[0].obeyed(t))
	changes[0].change(t)
	soon(t, func() bool { return changes[0].obeyed(t) }, "and it hears")
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	require.Equal(t, was, n.wire.listening)
}
