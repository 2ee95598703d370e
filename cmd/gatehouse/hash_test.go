package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

func TestHash(t *testing.T) {
	t.Parallel()
	hasher, err := password.New(password.Options{})
	require.NoError(t, err)

	t.Run("prints_what_verifies", func(t *testing.T) {
		t.Parallel()
		for _, stdin := range []string{"correct horse", "correct horse\n", "correct horse\r\n"} {
			r := call{stdin: stdin}.gatehouse(t, "hash")
			require.Zero(t, r.status, r.stderr)
			require.True(t, strings.HasPrefix(r.stdout, "$argon2id$v=19$m=19456,t=2,p=1$"), r.stdout)
			got, err := hasher.Verify(t.Context(), strings.TrimSpace(r.stdout), "correct horse")
			require.NoError(t, err)
			require.Equal(t, password.Result{OK: true}, got)
		}
	})

	t.Run("keeps_spaces", func(t *testing.T) {
		t.Parallel()
		r := call{stdin: " correct horse \n"}.gatehouse(t, "hash")
		got, err := hasher.Verify(t.Context(), strings.TrimSpace(r.stdout), " correct horse ")
		require.NoError(t, err)
		require.True(t, got.OK)
	})

	t.Run("refuses_nothing_and_too_much", func(t *testing.T) {
		t.Parallel()
		for _, stdin := range []string{"", "\n", strings.Repeat("x", 5000), "\xff\xfe"} {
			r := call{stdin: stdin}.gatehouse(t, "hash")
			require.Equal(t, exitUsage, r.status)
			require.Contains(t, r.stderr, "this cannot be a password")
			require.Empty(t, r.stdout)
		}
	})
}
