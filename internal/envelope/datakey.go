package envelope

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

const (
	dataKeySealLabel   = "gatehouse/datakey/seal/v1"
	dataKeyIDLabel     = "gatehouse/datakey/id/v1"
	dataKeyDeriveLabel = "gatehouse/datakey/derive/v1/"
	dataKeyIDSize      = 8
)

// DataKey is the key of one realm: it seals the realm's columns and derives its
// MAC keys. The zero value fails with [ErrNoKey] wherever it is used. A DataKey
// is cheap to copy, immutable, safe for concurrent use and prints as [redacted].
//
// One data key must not seal more than 2^32 values (random 96-bit nonces).
type DataKey struct {
	// m is a pointer so that fmt shows an address, not key bytes, when a DataKey
	// sits in an unexported field, whose methods fmt cannot call.
	m *material
}

type material struct {
	secret [keySize]byte
	id     string
	seal   *sealer
}

// NewDataKey draws a data key; random is crypto/rand outside tests.
func NewDataKey(random io.Reader) (DataKey, error) {
	var secret [keySize]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return DataKey{}, fmt.Errorf("draw data key: %w", err)
	}
	return newDataKey(secret)
}

func newDataKey(secret [keySize]byte) (DataKey, error) {
	// The id is a fingerprint, so that a value of another realm's or an older
	// data key is told apart from a damaged one.
	digest, err := hkdf.Key(sha256.New, secret[:], nil, dataKeyIDLabel, dataKeyIDSize)
	if err != nil {
		return DataKey{}, fmt.Errorf("derive data key id: %w", err)
	}
	id := hex.EncodeToString(digest)
	seal, err := newSealer(id, secret[:], dataKeySealLabel)
	if err != nil {
		return DataKey{}, err
	}
	return DataKey{m: &material{secret: secret, id: id, seal: seal}}, nil
}

// ID returns the key's fingerprint, which its sealed values carry. It is no
// secret. The zero value's is empty.
func (d DataKey) ID() string {
	if d.m == nil {
		return ""
	}
	return d.m.id
}

// IsZero reports whether the key is not set.
func (d DataKey) IsZero() bool { return d.m == nil }

// Seal encrypts plaintext, bound to aad; see [AAD].
func (d DataKey) Seal(plaintext, aad []byte) ([]byte, error) {
	if d.m == nil {
		return nil, ErrNoKey
	}
	return d.m.seal.seal(plaintext, aad), nil
}

// Open decrypts what this key sealed with the same aad. It fails with
// [ErrUnknownKey] or [ErrTampered].
func (d DataKey) Open(sealed, aad []byte) ([]byte, error) {
	if d.m == nil {
		return nil, ErrNoKey
	}
	id, body, err := split(sealed)
	if err != nil {
		return nil, err
	}
	if id != d.m.id {
		return nil, ErrUnknownKey
	}
	return d.m.seal.open(body, aad)
}

// Derive returns the key for one purpose: HKDF-SHA-256 (RFC 5869) of the data
// key under the label. Labels are constants of the code ("refresh",
// "event.address"), never input. The result is a secret.
func (d DataKey) Derive(label string) ([32]byte, error) {
	if d.m == nil {
		return [keySize]byte{}, ErrNoKey
	}
	key, err := hkdf.Key(sha256.New, d.m.secret[:], nil, dataKeyDeriveLabel+label, keySize)
	if err != nil {
		return [keySize]byte{}, fmt.Errorf("derive %q key: %w", label, err)
	}
	return [keySize]byte(key), nil
}

// MAC returns the HMAC under the key derived for label. Keep it: deriving costs
// a few microseconds.
func (d DataKey) MAC(label string) (MAC, error) {
	key, err := d.Derive(label)
	if err != nil {
		return MAC{}, err
	}
	return MAC{key: &key}, nil
}

// Format implements [fmt.Formatter] and prints [redacted] for every verb.
func (DataKey) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue implements [slog.LogValuer].
func (DataKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], so JSON shows [redacted] too.
func (DataKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MAC is HMAC-SHA-256 under a realm's key for one purpose. It is safe for
// concurrent use; the zero value fails with [ErrNoKey] and verifies nothing.
type MAC struct{ key *[keySize]byte }

// Sum returns the 32-byte code of the parts. Each part enters with its length,
// so moving bytes from one part to the next changes the code.
func (m MAC) Sum(parts ...[]byte) ([]byte, error) {
	if m.key == nil {
		return nil, ErrNoKey
	}
	h := hmac.New(sha256.New, m.key[:])
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return h.Sum(nil), nil
}

// Verify reports in constant time whether sum is the code of the parts.
func (m MAC) Verify(sum []byte, parts ...[]byte) bool {
	want, err := m.Sum(parts...)
	return err == nil && hmac.Equal(sum, want)
}

// Format implements [fmt.Formatter] and prints [redacted] for every verb.
func (MAC) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue implements [slog.LogValuer].
func (MAC) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], so JSON shows [redacted] too.
func (MAC) MarshalText() ([]byte, error) { return []byte(redacted), nil }
