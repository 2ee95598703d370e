// Package limittest is the suite that every limit.Source passes. Time stands
// still in it but for Advance, so a source needs a clock that the test moves.
package limittest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// Bench is one empty source and its clock.
type Bench struct {
	Source  limit.Source
	Advance func(time.Duration)
}

// Run runs the suite. open returns a new bench for each test.
func Run(t *testing.T, open func(t *testing.T) Bench) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Bench){
		"rate_allows_a_burst_then_one_at_a_time":        rateBurst,
		"rate_refusals_cost_nothing":                    rateRefusals,
		"rate_keys_are_apart":                           rateKeys,
		"rate_holds_under_parallel_use":                 rateParallel,
		"reserve_counts_all_keys_or_none":               reserveAllOrNone,
		"reserve_never_exceeds_the_budget_in_parallel":  reserveParallel,
		"delays_grow_and_end":                           delaysGrow,
		"hard_delay_from_the_hundredth":                 hardDelay,
		"failures_are_forgotten":                        forgotten,
		"failures_leak":                                 leaks,
		"refund_takes_one_back":                         refund,
		"refund_ends_the_delay_it_caused":               refundEndsDelay,
		"refund_keeps_what_others_caused":               refundKeepsOthers,
		"clear_forgets_all":                             clearForgets,
		"trust_exempts_from_the_account":                trust,
		"trust_ends_after_the_pairs_free_failures":      trustEnds,
		"trust_lapses":                                  trustLapses,
		"a_waived_delay_is_not_shortened_by_withdrawal": waivedDelay,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func rateBurst(t *testing.T, b Bench) {
	r := limit.Rate{Burst: 3, Every: time.Second}
	for left := 2; left >= 0; left-- {
		require.Equal(t, limit.Decision{OK: true, Remaining: left}, b.Source.Spend(t.Context(), "k", r))
	}
	require.Equal(t, limit.Decision{RetryAfter: time.Second}, b.Source.Spend(t.Context(), "k", r))
	b.Advance(400 * time.Millisecond)
	require.Equal(t, limit.Decision{RetryAfter: 600 * time.Millisecond}, b.Source.Spend(t.Context(), "k", r))
	b.Advance(600 * time.Millisecond)
	require.Equal(t, limit.Decision{OK: true}, b.Source.Spend(t.Context(), "k", r))
	require.False(t, b.Source.Spend(t.Context(), "k", r).OK)
	b.Advance(time.Hour)
	require.Equal(t, limit.Decision{OK: true, Remaining: 2}, b.Source.Spend(t.Context(), "k", r), "a long rest saves up one burst only")
}

func rateRefusals(t *testing.T, b Bench) {
	r := limit.Rate{Burst: 1, Every: time.Minute}
	require.True(t, b.Source.Spend(t.Context(), "k", r).OK)
	for range 100 {
		require.False(t, b.Source.Spend(t.Context(), "k", r).OK)
	}
	b.Advance(time.Minute)
	require.True(t, b.Source.Spend(t.Context(), "k", r).OK)
	require.False(t, b.Source.Spend(t.Context(), "zero", limit.Rate{}).OK, "the zero rate allows nothing")
}

func rateKeys(t *testing.T, b Bench) {
	r := limit.Rate{Burst: 1, Every: time.Minute}
	require.True(t, b.Source.Spend(t.Context(), "a", r).OK)
	require.True(t, b.Source.Spend(t.Context(), "b", r).OK)
	require.False(t, b.Source.Spend(t.Context(), "a", r).OK)
}

func rateParallel(t *testing.T, b Bench) {
	var allowed atomic.Int32
	inParallel(50, func() {
		if b.Source.Spend(t.Context(), "k", limit.Rate{Burst: 7, Every: time.Minute}).OK {
			allowed.Add(1)
		}
	})
	require.EqualValues(t, 7, allowed.Load())
}

func small() limit.Policy {
	return limit.Policy{Free: 3, First: time.Second, Most: 8 * time.Second, Forget: time.Hour}
}

func charge(keys ...limit.Key) []limit.Charge {
	charges := make([]limit.Charge, len(keys))
	for i, k := range keys {
		charges[i] = limit.Charge{Key: limit.Key{Kind: k.Kind, Value: "realm|" + k.Value}, Policy: small()}
	}
	return charges
}

// fail counts n failures that must be admitted.
func fail(t *testing.T, b Bench, n int, charges []limit.Charge) (locks []time.Time) {
	t.Helper()
	for i := range n {
		var wait time.Duration
		locks, wait = b.Source.Reserve(t.Context(), charges)
		require.Zero(t, wait, "attempt %d", i+1)
		require.Len(t, locks, len(charges))
	}
	return locks
}

func requireWait(t *testing.T, b Bench, want time.Duration, charges []limit.Charge) {
	t.Helper()
	_, wait := b.Source.Reserve(t.Context(), charges)
	require.Equal(t, want, wait)
}

func settle(t *testing.T, b Bench, action limit.Action, c limit.Charge, lock time.Time) {
	t.Helper()
	b.Source.Settle(t.Context(), []limit.Settlement{{Charge: c, Action: action, Lock: lock}})
}

func reserveAllOrNone(t *testing.T, b Bench) {
	account, address := limit.Account("a"), limit.Address("a")
	fail(t, b, 3, charge(account))
	for range 10 {
		requireWait(t, b, time.Second, charge(address, account))
	}
	fail(t, b, 3, charge(address))
	requireWait(t, b, time.Second, charge(address))
	fail(t, b, 1, charge(limit.Pair("a")))
}

func reserveParallel(t *testing.T, b Bench) {
	var admitted atomic.Int32
	inParallel(50, func() {
		if _, wait := b.Source.Reserve(t.Context(), charge(limit.Account("a"), limit.Pair("p"))); wait == 0 {
			admitted.Add(1)
		}
	})
	require.EqualValues(t, 3, admitted.Load())
}

func delaysGrow(t *testing.T, b Bench) {
	c := charge(limit.Account("a"))
	fail(t, b, 3, c)
	for _, want := range []time.Duration{1, 2, 4, 8, 8, 8} {
		want *= time.Second
		requireWait(t, b, want, c)
		b.Advance(want - time.Millisecond)
		requireWait(t, b, time.Millisecond, c)
		b.Advance(time.Millisecond)
		fail(t, b, 1, c)
	}
}

func hardDelay(t *testing.T, b Bench) {
	c := charge(limit.Account("a"))
	c[0].Policy.Hard, c[0].Policy.HardDelay, c[0].Policy.Forget = 100, 12*time.Hour, 24*time.Hour
	for range 100 {
		fail(t, b, 1, c)
		b.Advance(8 * time.Second)
	}
	requireWait(t, b, 12*time.Hour-8*time.Second, c)
}

func forgotten(t *testing.T, b Bench) {
	c := charge(limit.Account("a"))
	fail(t, b, 2, c)
	b.Advance(time.Hour - time.Second)
	fail(t, b, 1, c)
	requireWait(t, b, time.Second, c)
	b.Advance(time.Hour)
	fail(t, b, 3, c)
}

func leaks(t *testing.T, b Bench) {
	c := charge(limit.Address("a"))
	c[0].Policy.Leak = 10 * time.Second
	fail(t, b, 3, c)
	requireWait(t, b, time.Second, c)
	b.Advance(25 * time.Second) // two have leaked, and half of the next
	fail(t, b, 2, c)
	requireWait(t, b, time.Second, c)
	b.Advance(5 * time.Second)
	fail(t, b, 1, c)
	requireWait(t, b, time.Second, c)
	b.Advance(30 * time.Second)
	fail(t, b, 3, c)
}

func refund(t *testing.T, b Bench) {
	c := charge(limit.Address("a"))
	for range 20 {
		locks := fail(t, b, 1, c)
		settle(t, b, limit.Refund, c[0], locks[0])
	}
	locks := fail(t, b, 3, c)
	requireWait(t, b, time.Second, c)
	settle(t, b, limit.Refund, c[0], locks[0])
	fail(t, b, 1, c)
	requireWait(t, b, time.Second, c)
	settle(t, b, limit.Refund, charge(limit.Address("new"))[0], time.Time{})
	fail(t, b, 3, charge(limit.Address("new")))
	requireWait(t, b, time.Second, charge(limit.Address("new")))
}

func refundEndsDelay(t *testing.T, b Bench) {
	c := charge(limit.Address("a"))
	fail(t, b, 3, c)
	b.Advance(time.Second)
	locks := fail(t, b, 1, c)
	requireWait(t, b, 2*time.Second, c)
	settle(t, b, limit.Refund, c[0], locks[0])
	fail(t, b, 1, c)
	requireWait(t, b, 2*time.Second, c)
}

func refundKeepsOthers(t *testing.T, b Bench) {
	c := charge(limit.Address("a"))
	fail(t, b, 3, c)
	b.Advance(time.Second)
	mine := fail(t, b, 1, c)
	b.Advance(2 * time.Second)
	fail(t, b, 1, c)
	requireWait(t, b, 4*time.Second, c)
	settle(t, b, limit.Refund, c[0], mine[0])
	requireWait(t, b, 4*time.Second, c)
	b.Advance(4 * time.Second)
	fail(t, b, 1, c)
	requireWait(t, b, 4*time.Second, c)
}

func clearForgets(t *testing.T, b Bench) {
	c := charge(limit.Account("a"))
	fail(t, b, 3, c)
	settle(t, b, limit.Clear, c[0], time.Time{})
	fail(t, b, 3, c)
	requireWait(t, b, time.Second, c)
}

func trusted(t *testing.T, b Bench) (stranger, owner []limit.Charge) {
	t.Helper()
	stranger = charge(limit.Account("a"), limit.Pair("a|far"))
	owner = charge(limit.Account("a"), limit.Pair("a|home"))
	settle(t, b, limit.Trust, owner[1], time.Time{})
	return stranger, owner
}

func trust(t *testing.T, b Bench) {
	stranger, owner := trusted(t, b)
	fail(t, b, 3, stranger)
	requireWait(t, b, time.Second, stranger)
	requireWait(t, b, time.Second, charge(limit.Account("a"), limit.Pair("a|third")))
	fail(t, b, 1, owner)
}

func trustEnds(t *testing.T, b Bench) {
	stranger, owner := trusted(t, b)
	fail(t, b, 3, stranger)
	fail(t, b, 3, owner)
	b.Advance(time.Second) // the pair's delay is over, and so is the account's
	fail(t, b, 1, stranger[:1])
	_, wait := b.Source.Reserve(t.Context(), owner)
	require.Positive(t, wait, "the account's delay applies again")
}

func trustLapses(t *testing.T, b Bench) {
	_, owner := trusted(t, b)
	b.Advance(limit.TrustPeriod)
	fail(t, b, 3, owner[:1])
	requireWait(t, b, time.Second, owner)
}

func waivedDelay(t *testing.T, b Bench) {
	stranger, owner := trusted(t, b)
	fail(t, b, 3, stranger)
	locks := fail(t, b, 1, owner)
	for i, c := range owner {
		settle(t, b, limit.Refund, c, locks[i])
	}
	requireWait(t, b, time.Second, stranger)
}

func inParallel(n int, f func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			f()
		})
	}
	close(start)
	wg.Wait()
}

// Clock is a clock that stands still; the zero value begins at an arbitrary
// instant.
type Clock struct {
	mu      sync.Mutex
	elapsed time.Duration
}

// Now returns the instant.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC).Add(c.elapsed)
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed += d
}
