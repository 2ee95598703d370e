package realm_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func TestOP05_ResealingLetsAnOldSecretKeyGo(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	var entries []string
	for _, id := range []string{"old", "new"} {
		entry, err := envelope.GenerateKey(id, rand.Reader)
		require.NoError(t, err)
		entries = append(entries, entry)
	}
	ring := func(keys ...string) *envelope.Keyring {
		r, err := envelope.ParseKeyring(strings.Join(keys, ","))
		require.NoError(t, err)
		return r
	}
	before := b.NewDirectory(ring(entries[0]))
	r, err := before.Create(t.Context(), realm.New{Slug: "acme", Name: "Acme"}, func(tx realm.Tx) error {
		return event.Record(t.Context(), tx, event.RealmCreated{Slug: "acme"}, b.Clock.Now())
	})
	require.NoError(t, err)
	sealed, err := r.DataKey.Seal([]byte("kept"), []byte("aad"))
	require.NoError(t, err)
	_, err = b.NewDirectory(ring(entries[1])).BySlug(t.Context(), "acme")
	require.Error(t, err, "sealed by the old key alone")

	both := b.NewDirectory(ring(entries[1], entries[0]))
	r, err = both.BySlug(t.Context(), "acme")
	require.NoError(t, err)
	events := 0
	reseal := func() bool {
		changed, err := both.Reseal(t.Context(), r, func(tx realm.Tx, key string) error {
			events++
			require.Equal(t, "new", key)
			return event.Record(t.Context(), tx, event.RealmResealed{Key: key}, b.Clock.Now())
		})
		require.NoError(t, err)
		return changed
	}
	require.True(t, reseal())
	require.False(t, reseal(), "once")
	require.Equal(t, 1, events)

	after, err := b.NewDirectory(ring(entries[1])).BySlug(t.Context(), "acme")
	require.NoError(t, err, "the old key may go")
	plain, err := after.DataKey.Open(sealed, []byte("aad"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(plain))
}
