package envelope_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
)

func entry(t *testing.T, id string) string {
	t.Helper()
	e, err := envelope.GenerateKey(id, rand.Reader)
	require.NoError(t, err)
	return e
}

func ring(t *testing.T, entries ...string) *envelope.Keyring {
	t.Helper()
	k, err := envelope.ParseKeyring(strings.Join(entries, ","))
	require.NoError(t, err)
	return k
}

func dataKey(t *testing.T) envelope.DataKey {
	t.Helper()
	d, err := envelope.NewDataKey(rand.Reader)
	require.NoError(t, err)
	return d
}

// box is what the key ring and a data key have in common.
type box interface {
	Seal(plaintext, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
}

func TestJW06_SealedColumnsAreBoundToTheirPlace(t *testing.T) {
	t.Parallel()
	realm, other := uuid.New(), uuid.New()
	home := envelope.AAD(realm, "keys", "private", "k1")
	for name, b := range map[string]box{"key ring": ring(t, entry(t, "a")), "data key": dataKey(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed, err := b.Seal([]byte("seed"), home)
			require.NoError(t, err)
			require.NotContains(t, string(sealed), "seed")

			got, err := b.Open(sealed, home)
			require.NoError(t, err)
			require.Equal(t, "seed", string(got))

			for place, aad := range map[string][]byte{
				"realm":   envelope.AAD(other, "keys", "private", "k1"),
				"table":   envelope.AAD(realm, "key", "private", "k1"),
				"column":  envelope.AAD(realm, "keys", "public", "k1"),
				"row":     envelope.AAD(realm, "keys", "private", "k2"),
				"shifted": envelope.AAD(realm, "keysp", "rivate", "k1"),
				"none":    nil,
			} {
				_, err = b.Open(sealed, aad)
				require.ErrorIs(t, err, envelope.ErrTampered, place)
			}
		})
	}
}

func TestJW06_EveryChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]box{"key ring": ring(t, entry(t, "a"), entry(t, "b")), "data key": dataKey(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed, err := b.Seal([]byte("seed"), []byte("here"))
			require.NoError(t, err)
			for i := range sealed {
				changed := bytes.Clone(sealed)
				changed[i] ^= 1
				_, err = b.Open(changed, []byte("here"))
				require.Error(t, err, "byte %d", i)
				_, err = b.Open(sealed[:i], []byte("here"))
				require.ErrorIs(t, err, envelope.ErrTampered, "cut at %d", i)
			}
		})
	}
}

func TestJW06_TheKeyIDIsReadable(t *testing.T) {
	t.Parallel()
	sealed, err := ring(t, entry(t, "2026-01")).Seal(nil, nil)
	require.NoError(t, err)
	id, err := envelope.KeyID(sealed)
	require.NoError(t, err)
	require.Equal(t, "2026-01", id)
}

func TestSealing(t *testing.T) {
	t.Parallel()
	t.Run("the_same_plaintext_never_seals_alike", func(t *testing.T) {
		t.Parallel()
		d := dataKey(t)
		first, err := d.Seal([]byte("x"), nil)
		require.NoError(t, err)
		second, err := d.Seal([]byte("x"), nil)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
	})
	t.Run("another_data_key_is_named_as_such", func(t *testing.T) {
		t.Parallel()
		sealed, err := dataKey(t).Seal([]byte("x"), nil)
		require.NoError(t, err)
		_, err = dataKey(t).Open(sealed, nil)
		require.ErrorIs(t, err, envelope.ErrUnknownKey)
	})
}

func TestOP05_RotationKeepsOldKeysReadable(t *testing.T) {
	t.Parallel()
	oldEntry, newEntry := entry(t, "old"), entry(t, "new")
	before, during, after := ring(t, oldEntry), ring(t, newEntry, oldEntry), ring(t, newEntry)
	aad := envelope.AAD(uuid.New(), "realms", "data_key", "r")
	d := dataKey(t)
	wrapped, err := before.Wrap(d, aad)
	require.NoError(t, err)
	require.False(t, before.NeedsReseal(wrapped))

	require.Equal(t, "new", during.Current())
	require.True(t, during.NeedsReseal(wrapped))
	opened, err := during.Unwrap(wrapped, aad)
	require.NoError(t, err)
	require.Equal(t, d.ID(), opened.ID())

	_, err = after.Unwrap(wrapped, aad)
	require.ErrorIs(t, err, envelope.ErrUnknownKey)
	resealed, err := during.Wrap(opened, aad)
	require.NoError(t, err)
	require.False(t, during.NeedsReseal(resealed))
	opened, err = after.Unwrap(resealed, aad)
	require.NoError(t, err)

	sealed, err := d.Seal([]byte("x"), nil)
	require.NoError(t, err)
	got, err := opened.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	require.True(t, during.NeedsReseal([]byte("rubbish")))
}

func TestOP05_AKeyOfTheSameIDDoesNotOpen(t *testing.T) {
	t.Parallel()
	sealed, err := ring(t, entry(t, "a")).Seal([]byte("x"), nil)
	require.NoError(t, err)
	_, err = ring(t, entry(t, "a")).Open(sealed, nil)
	require.ErrorIs(t, err, envelope.ErrTampered)
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdefghijklmnopqrstu\xff")
	std := base64.StdEncoding.EncodeToString(secret)
	t.Run("reads_every_common_form", func(t *testing.T) {
		t.Parallel()
		sealed, err := ring(t, "a:"+std).Seal([]byte("x"), nil)
		require.NoError(t, err)
		for _, form := range []string{
			" a:" + std + "\n",
			"a:" + strings.TrimRight(std, "="),
			"a:" + base64.URLEncoding.EncodeToString(secret),
			"b:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab"), 16)) + ", a:" + std,
		} {
			_, err = ring(t, form).Open(sealed, nil)
			require.NoError(t, err, form)
		}
	})
	t.Run("refuses_without_telling_the_key", func(t *testing.T) {
		t.Parallel()
		for name, bad := range map[string]string{
			"empty":          "",
			"no id":          std,
			"empty id":       ":" + std,
			"id with space":  "a b:" + std,
			"long id":        strings.Repeat("i", 33) + ":" + std,
			"not base64":     "a:" + std + "!",
			"short":          "a:" + base64.StdEncoding.EncodeToString(secret[:31]),
			"long":           "a:" + base64.StdEncoding.EncodeToString(append(secret[:32:32], 1)),
			"placeholder":    "a:" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
			"duplicate id":   "a:" + std + ",a:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab"), 16)),
			"duplicate key":  "a:" + std + ",b:" + std,
			"trailing comma": "a:" + std + ",",
		} {
			_, err := envelope.ParseKeyring(bad)
			require.Error(t, err, name)
			require.NotContains(t, err.Error(), std[:8], name)
		}
	})
}

func TestZeroValuesAreUnusable(t *testing.T) {
	t.Parallel()
	var d envelope.DataKey
	require.True(t, d.IsZero())
	_, err := d.Seal(nil, nil)
	require.ErrorIs(t, err, envelope.ErrNoKey)
	_, err = d.Open(nil, nil)
	require.ErrorIs(t, err, envelope.ErrNoKey)
	_, err = d.Derive("x")
	require.ErrorIs(t, err, envelope.ErrNoKey)
	_, err = d.MAC("x")
	require.ErrorIs(t, err, envelope.ErrNoKey)
	_, err = ring(t, entry(t, "a")).Wrap(d, nil)
	require.ErrorIs(t, err, envelope.ErrNoKey)
	var k envelope.Keyring
	_, err = k.Seal(nil, nil)
	require.ErrorIs(t, err, envelope.ErrNoKey)
	var m envelope.MAC
	_, err = m.Sum()
	require.ErrorIs(t, err, envelope.ErrNoKey)
	require.False(t, m.Verify(nil))
}

func TestDerivedKeys(t *testing.T) {
	t.Parallel()
	d := dataKey(t)
	refresh, err := d.MAC("refresh")
	require.NoError(t, err)
	again, err := d.MAC("refresh")
	require.NoError(t, err)
	address, err := d.MAC("address")
	require.NoError(t, err)

	sum, err := refresh.Sum([]byte("ab"), []byte("c"))
	require.NoError(t, err)
	require.Len(t, sum, 32)
	require.True(t, again.Verify(sum, []byte("ab"), []byte("c")), "the same label gives the same key")
	require.False(t, address.Verify(sum, []byte("ab"), []byte("c")), "labels are separate")
	require.False(t, refresh.Verify(sum, []byte("a"), []byte("bc")), "parts are separate")
	require.False(t, refresh.Verify(sum[:31], []byte("ab"), []byte("c")))
}

func TestKeysPrintRedacted(t *testing.T) {
	t.Parallel()
	random := bytes.NewReader([]byte("0123456789abcdefghijklmnopqrstuv"))
	d, err := envelope.NewDataKey(random)
	require.NoError(t, err)
	mac, err := d.MAC("x")
	require.NoError(t, err)
	k := ring(t, entry(t, "secretid"))
	for _, v := range []any{d, &d, mac, k, *k} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.Equal(t, "[redacted]", fmt.Sprintf(verb, v), verb)
		}
		out, err := json.Marshal(map[string]any{"v": v})
		require.NoError(t, err)
		require.JSONEq(t, `{"v":"[redacted]"}`, string(out))
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		require.Contains(t, log.String(), "v=[redacted]")
	}
	hidden := struct{ d envelope.DataKey }{d}
	require.NotContains(t, fmt.Sprintf("%+v", hidden), "48 49 50", "an unexported field shows no key bytes")
}

func TestNewDataKey_reports_a_failing_source(t *testing.T) {
	t.Parallel()
	_, err := envelope.NewDataKey(iotest.ErrReader(errors.New("dry")))
	require.ErrorContains(t, err, "dry")
	_, err = envelope.NewDataKey(strings.NewReader("short"))
	require.Error(t, err)
}

func FuzzOpen(f *testing.F) {
	e, err := envelope.GenerateKey("a", rand.Reader)
	require.NoError(f, err)
	k, err := envelope.ParseKeyring(e)
	require.NoError(f, err)
	good, err := k.Seal([]byte("x"), []byte("aad"))
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte{1, 0})
	f.Add([]byte{1, 255, 'a'})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := k.Open(sealed, []byte("aad"))
		if err == nil {
			require.Equal(t, good, sealed)
			require.Equal(t, "x", string(plain))
			return
		}
		require.True(t, errors.Is(err, envelope.ErrTampered) || errors.Is(err, envelope.ErrUnknownKey))
	})
}
