// Package testdb gives each test a database of its own, on a real PostgreSQL.
//
// New clones a template that holds the migrated schema; the template is made once per server and set of
// migrations, by whichever test binary comes first. The server is the one that GATEHOUSE_TEST_DATABASE_URL names
// or, without it, one that devpg starts for this test binary and that ends with it. Nothing needs a TestMain, and
// any number of test binaries may share a server.
//
// The bundle also holds what nearly every test beside the database needs: a clock to be set by hand, a key ring,
// and the directory of realms. Starting servers belongs to package devpg, the schema to sql/.
package testdb

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Origin is the process's public URL in tests: realms have the issuer Origin + "/realms/" + slug.
const Origin = "https://id.example.test"

// Bundle is a database with the migrated schema and the realm "system", prepared. It is closed and dropped when
// the test ends.
type Bundle struct {
	DB        *postgres.DB
	Clock     *Clock
	Keyring   *envelope.Keyring
	Directory *realm.Directory

	url string
}

// New makes a database for t. Tests that do so can run in parallel, also those of other packages.
func New(t testing.TB) *Bundle {
	t.Helper()
	b := &Bundle{Clock: newClock(), Keyring: NewKeyring(t), url: NewURL(t)}
	var err error
	b.DB, err = postgres.Open(t.Context(), postgres.Options{URL: b.url, MaxConns: 8, MinConns: 1})
	require.NoError(t, err)
	t.Cleanup(func() { closePool(t, b.DB) })
	b.Directory = b.NewDirectory(b.Keyring)
	require.NoError(t, b.Directory.Prepare(t.Context(), func(tx realm.Tx) error {
		return event.Record(t.Context(), tx, event.RealmPrepared{}, b.Clock.Now())
	}))
	return b
}

// URL is the connection string of the database. The role in it owns the database and is no superuser.
func (b *Bundle) URL() string { return b.url }

// NewDirectory makes another directory of the same realms, as another process would have it.
func (b *Bundle) NewDirectory(ring *envelope.Keyring) *realm.Directory {
	return realm.NewDirectory(realm.Options{
		DB: b.DB, Keyring: ring, PublicURL: Origin, Now: b.Clock.Now, Random: rand.Reader,
	})
}

// Realm makes a realm of that slug with every setting at its default.
func (b *Bundle) Realm(t testing.TB, slug string) realm.Realm {
	t.Helper()
	return b.RealmOf(t, realm.New{Slug: slug, Name: "Realm " + slug})
}

// RealmOf makes a realm as n describes it.
func (b *Bundle) RealmOf(t testing.TB, n realm.New) realm.Realm {
	t.Helper()
	r, err := b.Directory.Create(t.Context(), n, func(tx realm.Tx) error {
		return event.Record(t.Context(), tx, event.RealmCreated{Slug: n.Slug}, b.Clock.Now())
	})
	require.NoError(t, err)
	return r
}

// NewKeyring makes a key ring of one random key, as GATEHOUSE_SECRET_KEY would name it.
func NewKeyring(t testing.TB) *envelope.Keyring {
	t.Helper()
	entry, err := envelope.GenerateKey("test", rand.Reader)
	require.NoError(t, err)
	ring, err := envelope.ParseKeyring(entry)
	require.NoError(t, err)
	return ring
}

// closePool fails the test that kept a connection, instead of waiting for it forever.
func closePool(t testing.TB, db *postgres.DB) {
	closed := make(chan struct{})
	go func() {
		db.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("a connection to the database was never given back: rows not closed, or Scan not called")
	}
}

// Clock is a clock that moves only when told to. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// newClock starts at the present, so that certificates and other things outside of our hands are valid, cut to
// the microseconds that PostgreSQL keeps.
func newClock() *Clock {
	return &Clock{now: time.Now().UTC().Truncate(time.Microsecond)} //nolint:forbidigo // the tests' own clock starts here
}

// Now is the time on the clock, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, backwards when d is negative, and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Set puts the clock to t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t.UTC().Truncate(time.Microsecond)
}

// cleanupContext outlives the test's own context, which ends before its clean-up runs.
func cleanupContext(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
}
