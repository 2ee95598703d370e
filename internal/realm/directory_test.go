package realm_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	made := b.RealmOf(t, realm.New{
		Slug: "acme", Name: "Acme", Hosts: []string{"id.acme.example", "login.acme.example"},
		Settings: realm.Settings{Lifetimes: realm.Lifetimes{Code: realm.Duration(20 * time.Second)}},
	})
	plain := b.Realm(t, "plain")

	t.Run("finds a realm by slug, host and id", func(t *testing.T) {
		another := b.NewDirectory(b.Keyring)
		for _, find := range []func() (realm.Realm, error){
			func() (realm.Realm, error) { return another.BySlug(t.Context(), "acme") },
			func() (realm.Realm, error) { return another.ByHost(t.Context(), "login.acme.example") },
			func() (realm.Realm, error) { return another.ByHost(t.Context(), "ID.Acme.Example") },
			func() (realm.Realm, error) { return another.ByID(t.Context(), made.ID) },
		} {
			r, err := find()
			require.NoError(t, err)
			require.Equal(t, made.ID, r.ID)
			require.Equal(t, made.ID, r.RealmID())
			require.Equal(t, []string{"id.acme.example", "login.acme.example"}, r.Hosts)
			require.Equal(t, realm.Duration(20*time.Second), r.Settings.Lifetimes.Code)
			require.Equal(t, realm.Duration(5*time.Minute), r.Settings.Lifetimes.AccessToken)
			require.Equal(t, made.DataKey.ID(), r.DataKey.ID())
			require.True(t, r.Enabled)
		}
	})
	t.Run("names the issuer after the first host, else after the path", func(t *testing.T) {
		require.Equal(t, "https://id.acme.example", made.Issuer)
		require.Empty(t, made.Path())
		require.Equal(t, testdb.Origin+"/realms/plain", plain.Issuer)
		require.Equal(t, "/realms/plain", plain.Path())
	})
	t.Run("gives every realm a data key of its own", func(t *testing.T) {
		require.NotEqual(t, made.DataKey.ID(), plain.DataKey.ID())
		sum, err := made.CSRF().Sum([]byte("form"))
		require.NoError(t, err)
		require.True(t, made.CSRF().Verify(sum, []byte("form")))
		require.False(t, plain.CSRF().Verify(sum, []byte("form")))
	})
	t.Run("refuses a slug and a host that are taken", func(t *testing.T) {
		for constraint, n := range map[string]realm.New{
			"realms_slug_key":  {Slug: "acme", Name: "Other"},
			"realm_hosts_pkey": {Slug: "other", Name: "Other", Hosts: []string{"id.acme.example"}},
		} {
			_, err := b.Directory.Create(t.Context(), n, recordCreated(t, b, n))
			require.True(t, postgres.UniqueViolation(err, constraint), "%v", err)
		}
	})
	t.Run("does not make a realm that nobody recorded", func(t *testing.T) {
		_, err := b.Directory.Create(t.Context(), realm.New{Slug: "quiet", Name: "Quiet"}, func(realm.Tx) error { return nil })
		require.ErrorContains(t, err, "GH001")
		_, err = b.Directory.BySlug(t.Context(), "quiet")
		require.ErrorIs(t, err, realm.ErrUnknown)
	})
}

func recordCreated(t *testing.T, b *testdb.Bundle, n realm.New) func(tx realm.Tx) error {
	return func(tx realm.Tx) error {
		return event.Record(t.Context(), tx, event.RealmCreated{Slug: n.Slug}, b.Clock.Now())
	}
}

func TestDirectoryCache(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	here, there := b.NewDirectory(b.Keyring), b.Directory // two processes

	t.Run("asks once for what is unknown and believes that for ten seconds", func(t *testing.T) {
		_, err := here.BySlug(t.Context(), "late")
		require.ErrorIs(t, err, realm.ErrUnknown)
		_, err = here.ByHost(t.Context(), "late.example")
		require.ErrorIs(t, err, realm.ErrUnknown)
		before := b.DB.Stats()
		for range 10 {
			_, err = here.BySlug(t.Context(), "late")
			require.ErrorIs(t, err, realm.ErrUnknown)
			_, err = here.ByHost(t.Context(), "late.example")
			require.ErrorIs(t, err, realm.ErrUnknown)
		}
		require.Zero(t, b.DB.Stats().Sub(before).Statements)
		n := realm.New{Slug: "late", Name: "Late"}
		_, err = there.Create(t.Context(), n, recordCreated(t, b, n))
		require.NoError(t, err)
		_, err = there.BySlug(t.Context(), "late")
		require.NoError(t, err, "who made it knows it at once")
		b.Clock.Advance(9 * time.Second)
		_, err = here.BySlug(t.Context(), "late")
		require.ErrorIs(t, err, realm.ErrUnknown)
		b.Clock.Advance(time.Second)
		_, err = here.BySlug(t.Context(), "late")
		require.NoError(t, err)
	})
	t.Run("sees another process's change within half a second, its own at once", func(t *testing.T) {
		before, err := here.BySlug(t.Context(), "late")
		require.NoError(t, err)
		require.NoError(t, before.InTx(t.Context(), func(tx realm.Tx) error {
			n, err := realm.Stored(t.Context(), tx)
			if err != nil {
				return err
			}
			require.Zero(t, n.Settings.Lifetimes.Code, "defaults are not stored")
			n.Name, n.Hosts = "Later", []string{"b.example", "a.example"}
			n.Settings.Lifetimes.Code = realm.Duration(30 * time.Second)
			if err := realm.Update(t.Context(), tx, n, b.Clock.Now()); err != nil {
				return err
			}
			return event.Record(t.Context(), tx, event.RealmUpdated{Changed: []string{"name"}}, b.Clock.Now())
		}))
		cached, err := here.BySlug(t.Context(), "late")
		require.NoError(t, err)
		require.Equal(t, before.Name, cached.Name)
		there.Forget(before)
		changed, err := there.BySlug(t.Context(), "late")
		require.NoError(t, err)
		require.Equal(t, "Later", changed.Name)
		require.Equal(t, "https://b.example", changed.Issuer)
		require.Equal(t, realm.Duration(30*time.Second), changed.Settings.Lifetimes.Code)
		b.Clock.Advance(500 * time.Millisecond)
		cached, err = here.BySlug(t.Context(), "late")
		require.NoError(t, err)
		require.Equal(t, "Later", cached.Name)
	})
}

func TestOP02_AnotherSecretKeyIsRefused(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	b.Realm(t, "acme")
	stranger := b.NewDirectory(testdb.NewKeyring(t))
	never := func(realm.Tx) error { t.Error("nothing may be sealed anew"); return nil }
	err := stranger.Prepare(t.Context(), never)
	require.ErrorContains(t, err, "is GATEHOUSE_SECRET_KEY the one this database was started with?")
	_, err = stranger.BySlug(t.Context(), "acme")
	require.ErrorContains(t, err, "GATEHOUSE_SECRET_KEY")
	require.NoError(t, b.NewDirectory(b.Keyring).Prepare(t.Context(), never), "the right key still opens everything")
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: testdb.NewURL(t), MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	ring := testdb.NewKeyring(t)
	now := func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
	var g errgroup.Group
	keys := make([]string, 8)
	for i := range keys { // eight processes start at once
		g.Go(func() error {
			d := realm.NewDirectory(realm.Options{DB: db, Keyring: ring, PublicURL: testdb.Origin, Now: now, Random: rand.Reader})
			if err := d.Prepare(t.Context(), func(tx realm.Tx) error { return event.Record(t.Context(), tx, event.RealmPrepared{}, now()) }); err != nil {
				return err
			}
			r, err := d.BySlug(t.Context(), "system")
			if err == nil {
				keys[i] = r.DataKey.ID()
			}
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, k := range keys {
		require.NotEmpty(t, k)
		require.Equal(t, keys[0], k, "one of them made the key, the others took it")
	}
	var n int
	require.NoError(t, db.GlobalTx(t.Context(), func(tx *postgres.GlobalTx) error {
		return tx.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE type = 'realm.prepared'`).Scan(&n)
	}))
	require.Equal(t, 1, n)
}

func TestSS02_EveryRealmHasACookieNameOfItsOwn(t *testing.T) {
	t.Parallel()
	b := testdb.New(t) // its clock stands still
	one, two := b.Realm(t, "one"), b.Realm(t, "two")
	require.Regexp(t, `^__Host-gh-[0-9a-f]{8}$`, one.Cookie())
	require.Equal(t, "__Host-gh-"+one.ID.String()[:8], one.Cookie())
	require.NotEqual(t, one.Cookie(), two.Cookie())
	require.True(t, one.Secure())

	t.Run("and over http on loopback none that needs https", func(t *testing.T) {
		dev := realm.NewDirectory(realm.Options{DB: b.DB, Keyring: b.Keyring, PublicURL: "http://127.0.0.1:8080", Now: b.Clock.Now, Random: rand.Reader})
		r, err := dev.BySlug(t.Context(), "one")
		require.NoError(t, err)
		require.Equal(t, "gh-"+one.ID.String()[:8], r.Cookie())
		require.False(t, r.Secure())
	})
}

func TestNewCheck(t *testing.T) {
	t.Parallel()
	for _, slug := range []string{"system", "admin", "assets", "dev"} {
		require.True(t, realm.Reserved(slug))
		require.NotEmpty(t, realm.New{Slug: slug, Name: "x"}.Check(), slug)
	}
	require.False(t, realm.Reserved("acme"))
	for _, slug := range []string{"a", "acme", "a-b", "a1", strings.Repeat("a", 63)} {
		require.Empty(t, realm.New{Slug: slug, Name: "x"}.Check(), slug)
	}
	for _, slug := range []string{"", "-a", "a-", "A", "a_b", "a/b", "a.b", "é", strings.Repeat("a", 64), "a\n"} {
		require.NotEmpty(t, realm.New{Slug: slug, Name: "x"}.Check(), slug)
	}
	for _, host := range []string{"id.example", "localhost", "127.0.0.1", "xn--bcher-kva.example"} {
		require.Empty(t, realm.New{Slug: "a", Name: "x", Hosts: []string{host}}.Check(), host)
	}
	for _, host := range []string{"", "https://id.example", "id.example:443", "id.example/x", "ID.example", "a@id.example", "id.example?", "id.example#", "a b"} {
		require.NotEmpty(t, realm.New{Slug: "a", Name: "x", Hosts: []string{host}}.Check(), host)
	}
	require.NotEmpty(t, realm.New{Slug: "a"}.Check(), "a name is needed")
	require.NotEmpty(t, realm.New{Slug: "a", Name: "x", Settings: realm.Settings{Password: realm.PasswordPolicy{MinLength: 1}}}.Check())
}

func TestCache(t *testing.T) {
	t.Parallel()
	clock := testdb.New(t).Clock
	c := realm.NewCache[int](clock.Now)

	t.Run("asks once for many who wait", func(t *testing.T) {
		entered, release := make(chan struct{}, 100), make(chan struct{})
		var g errgroup.Group
		for range 20 {
			g.Go(func() error {
				v, err := c.Get(t.Context(), realm.Key{Name: "k"}, func(context.Context) (int, error) {
					entered <- struct{}{}
					<-release
					return 7, nil
				})
				if v != 7 {
					return fmt.Errorf("got %d: %w", v, err)
				}
				return err
			})
		}
		<-entered
		close(release)
		require.NoError(t, g.Wait())
		require.Empty(t, entered, "nobody else asked")
	})
	t.Run("does not remember a failure", func(t *testing.T) {
		_, err := c.Get(t.Context(), realm.Key{Name: "f"}, func(context.Context) (int, error) { return 0, context.DeadlineExceeded })
		require.Error(t, err)
		v, err := c.Get(t.Context(), realm.Key{Name: "f"}, func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
	t.Run("one caller's end does not end the others' load", func(t *testing.T) {
		gone, cancel := context.WithCancel(t.Context())
		entered, release := make(chan struct{}), make(chan struct{})
		load := func(ctx context.Context) (int, error) {
			close(entered)
			<-release
			return 3, ctx.Err()
		}
		first := make(chan error, 1)
		go func() { _, err := c.Get(gone, realm.Key{Name: "c"}, load); first <- err }()
		<-entered
		var g errgroup.Group
		g.Go(func() error {
			_, err := c.Get(t.Context(), realm.Key{Name: "c"}, load)
			return err
		})
		cancel()
		require.ErrorIs(t, <-first, context.Canceled)
		close(release)
		require.NoError(t, g.Wait())
	})
}
