package testdb_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func TestNew(t *testing.T) {
	t.Parallel()

	t.Run("gives each test rows of its own", func(t *testing.T) {
		t.Parallel()
		a, b := testdb.New(t), testdb.New(t)
		a.Realm(t, "acme")
		require.NotEqual(t, a.URL(), b.URL())
		slugs, err := b.Directory.Slugs(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"system"}, slugs)
		slugs, err = a.Directory.Slugs(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"acme", "system"}, slugs)
	})

	t.Run("logs in as a role that row-level security binds", func(t *testing.T) {
		t.Parallel()
		conn, err := pgx.Connect(t.Context(), testdb.New(t).URL())
		require.NoError(t, err)
		var super, bypass bool
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user`).Scan(&super, &bypass))
		require.NoError(t, conn.Close(t.Context()))
		require.False(t, super || bypass)
	})

	t.Run("drops the database when the test has ended", func(t *testing.T) {
		t.Parallel()
		var url string
		t.Run("inner", func(t *testing.T) { url = testdb.New(t).URL() })
		_, err := pgx.Connect(t.Context(), url)
		require.ErrorContains(t, err, "3D000")
	})

	t.Run("makes realms that can seal", func(t *testing.T) {
		t.Parallel()
		b := testdb.New(t)
		r := b.Realm(t, "acme")
		require.Equal(t, testdb.Origin+"/realms/acme", r.Issuer)
		sealed, err := r.DataKey.Seal([]byte("x"), r.AAD("t", "c", "r"))
		require.NoError(t, err)
		again, err := b.NewDirectory(b.Keyring).BySlug(t.Context(), "acme")
		require.NoError(t, err)
		plain, err := again.DataKey.Open(sealed, again.AAD("t", "c", "r"))
		require.NoError(t, err)
		require.Equal(t, "x", string(plain))
		require.NotEqual(t, uuid.Nil, r.ID)
	})
}

func TestClock(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	start := b.Clock.Now()
	require.Equal(t, start, b.Clock.Now(), "it moves only when told to")
	require.Equal(t, start.Add(time.Hour), b.Clock.Advance(time.Hour))
	b.Clock.Set(start)
	require.Equal(t, start, b.Clock.Now())
}

func BenchmarkNew(b *testing.B) {
	testdb.NewURL(b) // the template
	for b.Loop() {
		testdb.NewURL(b)
	}
}
