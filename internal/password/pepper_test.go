package password_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

// pepperKey is the entry of a pepper whose key is made of a byte.
func pepperKey(id string, b byte) string {
	key := make([]byte, 32)
	for i := range key {
		key[i] = b + byte(i)
	}
	return id + ":" + base64.StdEncoding.EncodeToString(key)
}

func peppered(t *testing.T, keys ...string) *password.Hasher {
	t.Helper()
	ring, err := password.ParsePeppers(strings.Join(keys, ","))
	require.NoError(t, err)
	h, err := password.New(password.Options{Peppers: ring})
	require.NoError(t, err)
	return h
}

func TestPW11_ADatabaseAloneDoesNotTryPasswords(t *testing.T) {
	t.Parallel()
	h := peppered(t, pepperKey("k1", 1))
	hash, err := h.Hash(t.Context(), typed)
	require.NoError(t, err)
	require.Regexp(t, `^\$peppered\$k1~[0-9a-f]{8}\$argon2id\$v=19\$m=19456,t=2,p=1\$[^$]+\$[^$]+$`, hash)
	result, err := h.Verify(t.Context(), hash, typed)
	require.NoError(t, err)
	require.Equal(t, password.Result{OK: true}, result)
	for _, wrong := range []string{"", plain, typed + "x"} {
		result, err := h.Verify(t.Context(), hash, wrong)
		require.NoError(t, err)
		require.False(t, result.OK, "%q", wrong)
	}
	t.Run("without the name of the pepper", func(t *testing.T) {
		t.Parallel()
		bare := hash[strings.Index(hash, "$argon2id$"):]
		for _, other := range []*password.Hasher{h, hasher(t)} {
			result, err := other.Verify(t.Context(), bare, typed)
			require.NoError(t, err)
			require.False(t, result.OK)
		}
	})
	t.Run("without the pepper", func(t *testing.T) {
		t.Parallel()
		for name, without := range map[string]*password.Hasher{
			"none": hasher(t), "another": peppered(t, pepperKey("k2", 1)), "another key under the same id": peppered(t, pepperKey("k1", 2)),
		} {
			_, err := without.Verify(t.Context(), hash, typed)
			require.ErrorIs(t, err, password.ErrNoPepper, name)
			require.True(t, password.Unavailable(err))
		}
	})
}

func TestPW11_RotationKeepsOldPeppers(t *testing.T) {
	t.Parallel()
	before := hasher(t)
	old := peppered(t, pepperKey("k1", 1))
	now := peppered(t, pepperKey("k2", 2), pepperKey("k1", 1))
	for name, made := range map[string]*password.Hasher{"of none": before, "of an old one": old} {
		hash, err := made.Hash(t.Context(), plain)
		require.NoError(t, err)
		result, err := now.Verify(t.Context(), hash, plain)
		require.NoError(t, err, name)
		require.Equal(t, password.Result{OK: true, NeedsRehash: true}, result, "PW-09: the next good sign-in replaces one %s", name)
		result, err = now.Verify(t.Context(), hash, plain+"x")
		require.NoError(t, err, name)
		require.Equal(t, password.Result{}, result, name)
		reused, err := now.Reused(t.Context(), plain, []string{hash}, 2)
		require.NoError(t, err, name)
		require.True(t, reused, "PW-12: one %s is known again", name)
	}
	hash, err := now.Hash(t.Context(), plain)
	require.NoError(t, err)
	require.Contains(t, hash, "$peppered$k2~")
	reused, err := old.Reused(t.Context(), plain, []string{hash}, 2)
	require.NoError(t, err)
	require.False(t, reused, "one that cannot be compared counts as another password, so that its owner can recover")
	foreign := vectors()["bcrypt 2b"]
	result, err := now.Verify(t.Context(), foreign.typed, typed)
	require.NoError(t, err)
	require.Equal(t, password.Result{OK: true, NeedsRehash: true}, result, "imported hashes know no pepper")
}

func TestPW11_PeppersAreReadLikeTheSecretKey(t *testing.T) {
	t.Parallel()
	secret := pepperKey("k1", 7)
	for _, bad := range []string{"", "k1", "k1:AAAA", "k~1:" + secret[3:], secret + "," + secret, secret + "," + pepperKey("k2", 7)} {
		_, err := password.ParsePeppers(bad)
		require.ErrorContains(t, err, "pepper, entry", bad)
		require.NotContains(t, err.Error(), secret[3:])
	}
	ring, err := password.ParsePeppers(secret)
	require.NoError(t, err)
	require.Equal(t, "[redacted] [redacted]", fmt.Sprintf("%v %#v", ring, *ring))
}
