package limit_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/limit/limittest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(*testing.T) limittest.Bench {
		var clock limittest.Clock
		return limittest.Bench{Source: limit.NewMemory(clock.Now, 0), Advance: clock.Advance}
	})
}

func TestMemory_is_bounded_and_keeps_what_is_used_up(t *testing.T) {
	t.Parallel()
	var clock limittest.Clock
	const size = 256
	source := limit.NewMemory(clock.Now, size)
	slow, fast := limit.Rate{Burst: 5, Every: time.Hour}, limit.Rate{Burst: 5, Every: time.Second}
	for range 5 {
		require.True(t, source.Spend(t.Context(), "victim", slow).OK)
	}
	for i := range 50 * size {
		source.Spend(t.Context(), fmt.Sprint("flood", i), fast)
	}
	require.LessOrEqual(t, source.Len(), size)
	require.False(t, source.Spend(t.Context(), "victim", slow).OK)
}

func TestMemory_drops_what_has_ended(t *testing.T) {
	t.Parallel()
	var clock limittest.Clock
	source := limit.NewMemory(clock.Now, 0)
	for i := range 1000 {
		source.Spend(t.Context(), fmt.Sprint("old", i), limit.Rate{Burst: 1, Every: time.Second})
	}
	clock.Advance(time.Second)
	for i := range 1000 {
		source.Spend(t.Context(), fmt.Sprint("new", i), limit.Rate{Burst: 1, Every: time.Second})
	}
	require.Less(t, source.Len(), 1500)
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"203.0.113.9":             "203.0.113.9",
		"::ffff:203.0.113.9":      "203.0.113.9",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":    "2001:db8:1:2::/64",
		"fe80::1%eth0":            "fe80::/64",
		"2001:db8:1:3:3:4:5:6":    "2001:db8:1:3::/64",
		"0:0:0:0:0:ffff:cb00:710": "203.0.7.16",
	} {
		require.Equal(t, want, limit.Prefix(netip.MustParseAddr(in)), in)
	}
	require.Equal(t, "unknown", limit.Prefix(netip.Addr{}))
}
