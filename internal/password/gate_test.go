package password

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/password/format"
)

// full returns a hasher whose budget holds two hashes, both taken, and what
// frees one of them. The clock of the test bubble is not the real one.
func full(t *testing.T) (h *Hasher, leave func()) {
	t.Helper()
	h, err := New(Options{MemoryBudget: 2 * DefaultParams().Bytes()})
	require.NoError(t, err)
	for range 2 {
		leave, err = h.gate.enter(t.Context(), 1)
		require.NoError(t, err)
	}
	return h, leave
}

func TestPW10_TheQueueLastsTwoSeconds(t *testing.T) {
	t.Parallel()
	encoded := DefaultParams().Dummy()
	calls := map[string]func(context.Context, *Hasher) error{
		"hash": func(ctx context.Context, h *Hasher) error { _, err := h.Hash(ctx, "x"); return err },
		"verify": func(ctx context.Context, h *Hasher) error {
			_, err := h.Verify(ctx, encoded, "x")
			return err
		},
		"dummy": func(ctx context.Context, h *Hasher) error { return h.VerifyDummy(ctx, "x") },
		"bcrypt": func(ctx context.Context, h *Hasher) error {
			_, err := h.Verify(ctx, "$2b$10$a65Hv5BqvV3xtsisHiWTA.h7MtpxMPwgnyiY1cvpqqocp0Qk9sgFa", "x")
			return err
		},
	}
	for name, call := range calls {
		t.Run(name+"_gives_up_after_two_seconds", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, _ := full(t)
				start := time.Now()
				require.ErrorIs(t, call(t.Context(), h), ErrBusy)
				require.Equal(t, 2*time.Second, time.Since(start))
				require.EqualValues(t, 1, h.Stats().Rejected)
			})
		})
		t.Run(name+"_goes_ahead_when_memory_comes_free", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, leave := full(t)
				done := make(chan error, 1)
				go func() { done <- call(t.Context(), h) }()
				synctest.Wait()
				require.Empty(t, done, "it waits")
				require.EqualValues(t, 1, h.Stats().Waited)
				leave()
				require.NoError(t, <-done)
				require.Zero(t, h.Stats().Rejected)
			})
		})
		t.Run(name+"_stops_with_its_request", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, _ := full(t)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				err := call(ctx, h)
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, ErrBusy)
			})
		})
	}
}

func TestPW10_AFinishedHashGivesItsMemoryBack(t *testing.T) {
	t.Parallel()
	h, err := New(Options{MemoryBudget: DefaultParams().Bytes()})
	require.NoError(t, err)
	for range 3 {
		encoded, err := h.Hash(t.Context(), "x")
		require.NoError(t, err)
		_, err = h.Verify(t.Context(), encoded, "x")
		require.NoError(t, err)
	}
}

func TestLG07_ADummyCostsTheCurrentParameters(t *testing.T) {
	t.Parallel()
	for _, params := range []Argon2id{DefaultParams(), {MemoryKiB: 47104, Time: 1, Parallelism: 2}} {
		dummy, err := format.Parse(params.Dummy())
		require.NoError(t, err)
		genuine, err := format.Parse(params.Encode(make([]byte, format.SaltSize), "x"))
		require.NoError(t, err)
		require.True(t, params.Describe(dummy), "a dummy takes the same path through Verify as a real hash")
		require.True(t, params.Describe(genuine))
		require.Equal(t, genuine.Memory(), dummy.Memory())
		require.Len(t, params.Dummy(), len(params.Encode(make([]byte, format.SaltSize), "x")))
	}
	h, err := New(Options{})
	require.NoError(t, err)
	require.NoError(t, h.VerifyDummy(t.Context(), "whatever"))
	got, err := h.Verify(t.Context(), h.params.Dummy(), "whatever")
	require.NoError(t, err)
	require.Equal(t, Result{}, got)
}
