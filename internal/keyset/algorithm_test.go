package keyset

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestES256(t *testing.T) {
	t.Parallel()

	t.Run("derives the nonce as RFC 6979 A.2.5 does", func(t *testing.T) {
		t.Parallel()
		scalar, err := hex.DecodeString("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
		require.NoError(t, err)
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
		require.NoError(t, err)
		sig, err := es256{key}.sign([]byte("sample"))
		require.NoError(t, err)
		require.Equal(t, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"+
			"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8", hex.EncodeToString(sig))
	})
	t.Run("pads short halves", func(t *testing.T) {
		t.Parallel()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		for i, short := 0, 0; short < 2; i++ {
			require.Less(t, i, 1<<16, "no signature began with a zero")
			message := []byte{byte(i), byte(i >> 8)}
			sig, err := es256{key}.sign(message)
			require.NoError(t, err)
			require.True(t, es256{key}.verify(message, sig))
			if sig[0] == 0 || sig[half] == 0 {
				short++
			}
		}
	})
}
