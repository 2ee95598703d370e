package password

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// full returns a hasher whose budget holds two hashes, both taken, and what
// frees one of them. The clock of the test bubble is not the real one.
func full(t *testing.T) (h *Hasher, leave func()) {
	t.Helper()
	h, err := New(Options{MemoryBudget: 2 * DefaultParams().bytes()})
	require.NoError(t, err)
	for range 2 {
		leave, err = h.gate.enter(t.Context(), 1)
		require.NoError(t, err)
	}
	return h, leave
}

func TestPW10_TheQueueLastsTwoSeconds(t *testing.T) {
	t.Parallel()
	encoded := DefaultParams().dummy().String()
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
	h, err := New(Options{MemoryBudget: DefaultParams().bytes()})
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
		dummy, err := parse(params.dummy().String())
		require.NoError(t, err)
		genuine, err := parse(params.hash(make([]byte, saltSize), "x").String())
		require.NoError(t, err)
		require.True(t, params.describes(dummy), "a dummy takes the same path through Verify as a real hash")
		require.True(t, params.describes(genuine))
		require.Equal(t, genuine.memory(), dummy.memory())
		require.Len(t, params.dummy().String(), len(params.hash(make([]byte, saltSize), "x").String()))
	}
	h, err := New(Options{})
	require.NoError(t, err)
	require.NoError(t, h.VerifyDummy(t.Context(), "whatever"))
	got, err := h.Verify(t.Context(), h.params.dummy().String(), "whatever")
	require.NoError(t, err)
	require.Equal(t, Result{}, got)
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM")
	f.Add("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM")
	f.Add("$2b$10$a65Hv5BqvV3xtsisHiWTA.h7MtpxMPwgnyiY1cvpqqocp0Qk9sgFa")
	f.Add("$scrypt$ln=10,r=8,p=2$PIdQCqG0lhLCGIOQck4JQQ$Daa8iI4RiBVWmCKLA/KTWcz+Kjbd+H9zsEfiAexiqDE")
	f.Add("$pbkdf2-sha256$i=1000,l=32$jVEKYQxhLEWIMYbQ+r+3Vg$rsZ6ks0hjzLxw+8bSkW7xG9RmQBnlRxg/NSCkNPo2Ak")
	f.Add("pbkdf2_sha256$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=")
	f.Add("$argon2id$v=19$m=1,t=,p=$$")
	f.Fuzz(func(t *testing.T, encoded string) {
		s, err := parse(encoded)
		if err != nil {
			require.True(t, errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooCostly))
			return
		}
		require.Positive(t, s.memory())
		require.LessOrEqual(t, s.memory(), int64(1<<30))
		if a, ok := s.(argon2Hash); ok {
			require.Equal(t, encoded, a.String(), "one hash has one spelling")
		}
		if s.memory() <= 1<<20 && !strings.Contains(encoded, "pbkdf2") && !strings.HasPrefix(encoded, "$2") {
			s.matches("x")
		}
	})
}
