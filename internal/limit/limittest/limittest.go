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
		"rate_allows_a_burst_then_one_at_a_time": rateBurst,
		"rate_refusals_cost_nothing":             rateRefusals,
		"rate_keys_are_apart":                    rateKeys,
		"rate_holds_under_parallel_use":          rateParallel,
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
