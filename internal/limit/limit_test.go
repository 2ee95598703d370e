package limit_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
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

// bundle is failure counters with the documented figures.
type bundle struct {
	*limit.Failures
	clock *limittest.Clock
}

func setup(t *testing.T) bundle {
	t.Helper()
	var clock limittest.Clock
	return bundle{limit.NewFailures(limit.NewMemory(clock.Now, 0)), &clock}
}

func keys(account, address string) []limit.Key {
	return []limit.Key{limit.Account("r|" + account), limit.Address("r|" + address), limit.Pair("r|" + account + "|" + address)}
}

// guess fails once and returns the time to wait instead when not admitted.
func (b bundle) guess(t *testing.T, account, address string) time.Duration {
	t.Helper()
	r, wait, ok := b.Reserve(t.Context(), limit.DefaultPolicies(), keys(account, address)...)
	require.Equal(t, ok, wait == 0)
	r.Failed()
	return wait
}

func (b bundle) signIn(t *testing.T, account, address string) {
	t.Helper()
	r, _, ok := b.Reserve(t.Context(), limit.DefaultPolicies(), keys(account, address)...)
	require.True(t, ok)
	r.Succeeded(t.Context())
}

func TestLG01_LimitsOnThreeKeys(t *testing.T) {
	t.Parallel()
	t.Run("account_from_many_addresses", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 5 {
			require.Zero(t, b.guess(t, "alice", fmt.Sprint("address", i)))
		}
		require.Equal(t, time.Second, b.guess(t, "alice", "yet another"))
		require.Zero(t, b.guess(t, "bob", "yet another"))
	})
	t.Run("address_at_many_accounts", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 50 {
			require.Zero(t, b.guess(t, fmt.Sprint("account", i), "here"))
		}
		require.Equal(t, time.Second, b.guess(t, "account50", "here"))
		require.Zero(t, b.guess(t, "account50", "elsewhere"))
	})
	t.Run("pair_though_the_address_is_trusted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", "home")
		for range 5 {
			require.Zero(t, b.guess(t, "alice", "home"))
		}
		require.Equal(t, time.Second, b.guess(t, "alice", "home"))
	})
	t.Run("delays_grow_to_fifteen_minutes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 5 {
			require.Zero(t, b.guess(t, "alice", "here"))
		}
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
			want *= time.Second
			require.Equal(t, want, b.guess(t, "alice", "here"))
			b.clock.Advance(want)
			require.Zero(t, b.guess(t, "alice", "here"))
		}
	})
	t.Run("another_realm_has_counters_of_its_own", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 5 {
			b.guess(t, "alice", "here")
		}
		_, wait, ok := b.Reserve(t.Context(), limit.DefaultPolicies(), limit.Account("other|alice"), limit.Pair("other|alice|here"))
		require.True(t, ok)
		require.Zero(t, wait)
	})
}

func TestLG01_FiftyParallelGuessesGetFive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var admitted atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			r, _, ok := b.Reserve(t.Context(), limit.DefaultPolicies(), keys("alice", fmt.Sprint(i))...)
			if ok {
				admitted.Add(1)
				r.Failed()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 5, admitted.Load())
}

func TestLG01_SuccessElsewhereDoesNotResetTheAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 49 {
		require.Zero(t, b.guess(t, fmt.Sprint("account", i), "here"))
	}
	for range 10 {
		b.signIn(t, "mallory", "here")
	}
	require.Zero(t, b.guess(t, "account49", "here"))
	require.Equal(t, time.Second, b.guess(t, "account50", "here"))
}

func TestLG02_TheHundredthFailureIsThrottledHard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 100 {
		require.Zero(t, b.guess(t, "alice", "here"))
		b.clock.Advance(15 * time.Minute)
	}
	require.Equal(t, 12*time.Hour-15*time.Minute, b.guess(t, "alice", "here"))
	b.clock.Advance(12 * time.Hour)
	require.Zero(t, b.guess(t, "alice", "here"))
	require.Equal(t, 12*time.Hour, b.guess(t, "alice", "here"))
}

func TestLG04_AStrangerCannotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	t.Run("from_an_address_they_have_used", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", "home")
		for range 20 {
			b.clock.Advance(b.guess(t, "alice", "far"))
		}
		b.guess(t, "alice", "far")
		require.NotZero(t, b.guess(t, "alice", "far"))
		b.signIn(t, "alice", "home")
	})
	t.Run("after_recovery", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 5 {
			b.guess(t, "alice", "far")
		}
		require.NotZero(t, b.guess(t, "alice", "new"))
		b.Recovered(t.Context(), keys("alice", "new")...)
		b.signIn(t, "alice", "new")
	})
	t.Run("for_longer_than_the_delay", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 5 {
			b.guess(t, "alice", "far")
		}
		for range 1000 {
			require.Equal(t, time.Second, b.guess(t, "alice", "far"))
		}
		b.clock.Advance(time.Second)
		b.signIn(t, "alice", "new")
	})
}

func TestReservation(t *testing.T) {
	t.Parallel()
	t.Run("success_starts_the_account_anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 4 {
			b.guess(t, "alice", "here")
		}
		b.signIn(t, "alice", "here")
		for range 5 {
			require.Zero(t, b.guess(t, "alice", "here"))
		}
		require.NotZero(t, b.guess(t, "alice", "here"))
	})
	t.Run("withdrawal_counts_nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 200 {
			r, _, ok := b.Reserve(t.Context(), limit.DefaultPolicies(), keys("alice", "here")...)
			require.True(t, ok)
			r.Withdraw(t.Context())
		}
	})
	t.Run("clearing_leaves_the_address", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 50 {
			b.guess(t, fmt.Sprint(i), "here")
		}
		b.Recovered(t.Context(), keys("0", "here")...)
		require.NotZero(t, b.guess(t, "0", "here"))
	})
	t.Run("zero_value_settles_nothing", func(t *testing.T) {
		t.Parallel()
		var r limit.Reservation
		r.Failed()
		r.Succeeded(t.Context())
		r.Withdraw(t.Context())
	})
}

func TestMemory_is_bounded_and_keeps_what_is_locked(t *testing.T) {
	t.Parallel()
	var clock limittest.Clock
	const size = 256
	source := limit.NewMemory(clock.Now, size)
	f := limit.NewFailures(source)
	for range 5 {
		f.Reserve(t.Context(), limit.DefaultPolicies(), limit.Account("victim"))
	}
	_, wait, ok := f.Reserve(t.Context(), limit.DefaultPolicies(), limit.Account("victim"))
	require.False(t, ok)
	for range 30 { // more failures than the victim's, and no delay
		for i := range size {
			f.Reserve(t.Context(), limit.DefaultPolicies(), limit.Address(fmt.Sprint("neighbour", i)))
		}
	}
	for i := range 50 * size {
		f.Reserve(t.Context(), limit.DefaultPolicies(), limit.Account(fmt.Sprint("flood", i)))
		source.Spend(t.Context(), fmt.Sprint("flood", i), limit.Rate{Burst: 5, Every: time.Second})
	}
	rates, counters, _ := source.Len()
	require.LessOrEqual(t, counters, size)
	require.LessOrEqual(t, rates, size)
	_, still, ok := f.Reserve(t.Context(), limit.DefaultPolicies(), limit.Account("victim"))
	require.False(t, ok)
	require.Equal(t, wait, still)
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
	rates, _, _ := source.Len()
	require.Less(t, rates, 1500)
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
