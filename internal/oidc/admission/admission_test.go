package admission_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/limit/limittest"
	"github.com/gatehouse-id/gatehouse/internal/oidc/admission"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

type bundle struct {
	*admission.Gate
	clock limittest.Clock
	realm realm.Realm
	tries int
}

func setup(rates realm.RateLimits) *bundle {
	b := &bundle{realm: realm.Realm{Facts: &realm.Facts{ID: uuid.New(), Settings: realm.Settings{RateLimits: rates}.WithDefaults()}}}
	memory := limit.NewMemory(b.clock.Now, 0)
	b.Gate = admission.NewGate(memory, memory, memory)
	return b
}

// try authenticates and returns what came of it: "", the error's text, or how long to wait.
func (b *bundle) try(t *testing.T, client, from string, outcome error) string {
	t.Helper()
	err := b.Authenticate(t.Context(), b.realm, from, client, func() error { b.tries++; return outcome })
	var soon admission.TooSoon
	switch {
	case err == nil:
		return ""
	case errors.As(err, &soon):
		return soon.Wait.String()
	}
	return err.Error()
}

const wrong = admission.Guess("wrong")

func TestGuessesWait(t *testing.T) {
	t.Parallel()
	b := setup(realm.RateLimits{})
	for range 10 {
		require.Equal(t, "wrong", b.try(t, "c", "here", wrong))
	}
	require.Equal(t, "10s", b.try(t, "c", "here", nil), "the right one waits too")
	require.Equal(t, 10, b.tries, "and is not tried")
	require.Empty(t, b.try(t, "c", "there", nil))
	require.Empty(t, b.try(t, "d", "here", nil))
	for range 3 {
		b.clock.Advance(10 * time.Second)
		require.Equal(t, "wrong", b.try(t, "c", "here", wrong))
		require.Equal(t, "10s", b.try(t, "c", "here", nil))
	}
	b.clock.Advance(10 * time.Second)
	require.Empty(t, b.try(t, "c", "here", nil))
	for range 100 {
		require.Empty(t, b.try(t, "c", "here", nil), "success ended it")
	}
}

func TestOtherErrorsAreNoGuesses(t *testing.T) {
	t.Parallel()
	b := setup(realm.RateLimits{})
	for range 20 {
		require.Equal(t, "the database is away", b.try(t, "c", "here", errors.New("the database is away")))
	}
	require.Empty(t, b.try(t, "c", "here", nil))
}

func TestAnAddressWaitsForAllItsGuesses(t *testing.T) {
	t.Parallel()
	b := setup(realm.RateLimits{})
	require.Equal(t, "wrong", b.try(t, "suspect", "here", wrong))
	for range 99 {
		require.Equal(t, "wrong", b.try(t, uuid.NewString(), "here", wrong))
	}
	require.Equal(t, "6s", b.try(t, uuid.NewString(), "here", wrong))
	require.Equal(t, "6s", b.try(t, "suspect", "here", nil))
	require.Empty(t, b.try(t, "who never failed", "here", nil), "a neighbour's guesses stop nobody")
	require.Equal(t, "wrong", b.try(t, "suspect", "there", wrong))
	b.clock.Advance(6 * time.Second)
	require.Empty(t, b.try(t, "suspect", "here", nil))
}

func TestRates(t *testing.T) {
	t.Parallel()
	b := setup(realm.RateLimits{Client: 1, Address: 1})
	soon := admission.TooSoon{Wait: time.Second}
	for range 2 {
		require.NoError(t, b.Address(t.Context(), b.realm, "here"))
		require.NoError(t, b.Client(t.Context(), b.realm, "c", false, "here"))
		require.NoError(t, b.Client(t.Context(), b.realm, "public", true, "here"))
	}
	require.Equal(t, soon, b.Address(t.Context(), b.realm, "here"))
	require.NoError(t, b.Address(t.Context(), b.realm, "there"))
	require.Equal(t, soon, b.Client(t.Context(), b.realm, "c", false, "there"), "wherever it is")
	require.Equal(t, soon, b.Client(t.Context(), b.realm, "public", true, "here"))
	require.NoError(t, b.Client(t.Context(), b.realm, "public", true, "there"), "anybody may say its name")
}

func TestRetryAfterIsWholeSecondsAndNeverTooEarly(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90"} {
		require.Equal(t, want, admission.TooSoon{Wait: wait}.Seconds())
	}
}

// BenchmarkLimits is what both rates together cost a request at the token endpoint while they are counted in this
// process; cpu-ns/op is what matters, and may be a thousand.
func BenchmarkLimits(b *testing.B) {
	memory := limit.NewMemory(time.Now, 0)
	m, err := limit.NewMetrics(prometheus.NewRegistry())
	require.NoError(b, err)
	gate := admission.NewGate(m.Observe("address", memory), m.Observe("client", memory), memory)
	r := realm.Realm{Facts: &realm.Facts{ID: uuid.New(), Settings: realm.Settings{}.WithDefaults()}}
	addr := netip.MustParseAddr("203.0.113.77")
	fine := func() error { return nil }
	before := cpuTime(b)
	b.ReportAllocs()
	for b.Loop() {
		from := limit.Prefix(addr)
		_ = gate.Address(b.Context(), r, from)
		_ = gate.Authenticate(b.Context(), r, from, "a-client-of-some-length", fine)
		_ = gate.Client(b.Context(), r, "a-client-of-some-length", false, from)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
