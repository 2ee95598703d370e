package oidc

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func TestSuspectsAreBounded(t *testing.T) {
	t.Parallel()
	var s suspects
	require.False(t, s.any())
	for i := range 5 * suspectsBound {
		s.add(fmt.Sprint(i))
	}
	require.LessOrEqual(t, s.size.Load(), int64(2*suspectsBound))
	last := fmt.Sprint(5*suspectsBound - 1)
	require.True(t, s.has(last))
	s.clear(last)
	require.False(t, s.has(last))
	require.False(t, s.has("0"), "the oldest gave way")
}

func TestRetryAfterIsWholeSecondsAndNeverTooEarly(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90"} {
		require.Equal(t, want, seconds(wait))
	}
}

// BenchmarkLimits is what both rates together cost a request at the token endpoint while they are counted in this
// process; cpu-ns/op is what matters, and may be a thousand.
func BenchmarkLimits(b *testing.B) {
	memory := limit.NewMemory(time.Now, 0)
	m, err := limit.NewMetrics(prometheus.NewRegistry())
	require.NoError(b, err)
	address, clients := m.Observe("address", memory), m.Observe("client", memory)
	r := &realm.Facts{ID: uuid.New(), Settings: realm.Settings{}.WithDefaults()}
	rates := r.Settings.RateLimits
	addr := netip.MustParseAddr("203.0.113.77")
	var suspicious suspects
	before := cpuTime(b)
	b.ReportAllocs()
	for b.Loop() {
		address.Spend(b.Context(), r.LimitKey("api", limit.Prefix(addr)), limit.PerSecond(rates.Address))
		if suspicious.any() {
			b.Fatal("nobody has failed")
		}
		clients.Spend(b.Context(), r.LimitKey("client", "a-client-of-some-length"), limit.PerSecond(rates.Client))
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
