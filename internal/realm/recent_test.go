package realm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func TestRecentIsBoundedAndForgetsTheOldest(t *testing.T) {
	t.Parallel()
	const bound = 100
	m := realm.NewRecent[int, string](bound)
	require.True(t, m.Empty())
	for i := range 5*bound + 1 {
		m.Put(i, "x")
		_, ok := m.Get(max(0, i-bound+1))
		require.True(t, ok, "the last %d are remembered", bound)
	}
	require.LessOrEqual(t, m.Stats().Entries, int64(2*bound))
	_, ok := m.Get(0)
	require.False(t, ok)
	m.Drop(5 * bound)
	_, ok = m.Get(5 * bound)
	require.False(t, ok)
	require.Equal(t, realm.CacheStats{Hits: 5*bound + 1, Misses: 2, Entries: m.Stats().Entries}, m.Stats())
}
