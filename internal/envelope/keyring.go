package envelope

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const keyringLabel = "gatehouse/keyring/seal/v1"

// Keyring holds the process's key-encryption keys: the first seals, all open.
// It is immutable and safe for concurrent use. It prints as [redacted].
type Keyring struct {
	current string
	keys    map[string]*sealer
}

// ParseKeyring reads the form of GATEHOUSE_SECRET_KEY: a comma list of
// "id:base64 of 32 bytes". White space around an entry is ignored. An id has 1
// to 32 letters, digits, '.', '_' or '-'. Errors name the entry by its position
// and never contain key material.
func ParseKeyring(s string) (*Keyring, error) {
	entries, err := parseEntries("secret key", s)
	if err != nil {
		return nil, err
	}
	ring := &Keyring{current: entries[0].id, keys: map[string]*sealer{}}
	for i, e := range entries {
		if ring.keys[e.id], err = newSealer(e.id, e.secret, keyringLabel); err != nil {
			return nil, fmt.Errorf("secret key, entry %d: %w", i+1, err)
		}
	}
	return ring, nil
}

type entry struct {
	id     string
	secret []byte
}

// parseEntries reads a comma list of "id:base64 of 32 bytes" of different ids and keys; what is what the errors call it.
func parseEntries(what, s string) (entries []entry, err error) {
	for i, text := range strings.Split(s, ",") {
		id, secret, err := parseEntry(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", what, i+1, err)
		}
		for _, other := range entries {
			if other.id == id {
				return nil, fmt.Errorf("%s, entry %d: the id occurs twice", what, i+1)
			}
			if string(other.secret) == string(secret) {
				return nil, fmt.Errorf("%s, entry %d: the same key stands under another id", what, i+1)
			}
		}
		entries = append(entries, entry{id, secret})
	}
	return entries, nil
}

// GenerateKey makes a new entry for a key ring, in the form that [ParseKeyring]
// reads. The result is a secret; random is crypto/rand outside tests.
func GenerateKey(id string, random io.Reader) (string, error) {
	if !validKeyID(id) {
		return "", errKeyID
	}
	secret := make([]byte, keySize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", fmt.Errorf("envelope: draw a key: %w", err)
	}
	return id + ":" + base64.StdEncoding.EncodeToString(secret), nil
}

// Current returns the id of the key that seals.
func (k *Keyring) Current() string { return k.current }

// Seal encrypts plaintext under the current key, bound to aad.
func (k *Keyring) Seal(plaintext, aad []byte) ([]byte, error) {
	s := k.sealerFor(k.current)
	if s == nil {
		return nil, ErrNoKey
	}
	return s.seal(plaintext, aad), nil
}

// Open decrypts what any key of the ring sealed with the same aad. It fails
// with [ErrUnknownKey] or [ErrTampered].
func (k *Keyring) Open(sealed, aad []byte) ([]byte, error) {
	id, body, err := split(sealed)
	if err != nil {
		return nil, err
	}
	s := k.sealerFor(id)
	if s == nil {
		return nil, ErrUnknownKey
	}
	return s.open(body, aad)
}

// NeedsReseal reports whether the value was sealed by another key than the
// current one, so that it must be opened and sealed again before that key may
// leave the ring. A malformed value reports true: opening it tells why.
func (k *Keyring) NeedsReseal(sealed []byte) bool {
	id, err := KeyID(sealed)
	return err != nil || id != k.current
}

// Wrap seals a realm's data key under the current key, bound to aad.
func (k *Keyring) Wrap(d DataKey, aad []byte) ([]byte, error) {
	if d.m == nil {
		return nil, ErrNoKey
	}
	return k.Seal(d.m.secret[:], aad)
}

// Unwrap opens what [Keyring.Wrap] sealed with the same aad.
func (k *Keyring) Unwrap(sealed, aad []byte) (DataKey, error) {
	secret, err := k.Open(sealed, aad)
	if err != nil {
		return DataKey{}, fmt.Errorf("open data key: %w", err)
	}
	defer clear(secret)
	if len(secret) != keySize {
		return DataKey{}, fmt.Errorf("open data key: %w", ErrTampered)
	}
	return newDataKey([keySize]byte(secret))
}

// Format implements [fmt.Formatter] and prints [redacted] for every verb.
func (Keyring) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue implements [slog.LogValuer].
func (Keyring) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], so JSON shows [redacted] too.
func (Keyring) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func (k *Keyring) sealerFor(id string) *sealer {
	if k == nil {
		return nil
	}
	return k.keys[id]
}

var errKeyID = errors.New("an id has 1 to 32 letters, digits, '.', '_' or '-'")

func parseEntry(entry string) (id string, secret []byte, err error) {
	id, encoded, found := strings.Cut(entry, ":")
	if !found {
		return "", nil, errors.New("not of the form id:base64")
	}
	if !validKeyID(id) {
		return "", nil, errKeyID
	}
	// Both alphabets are read, with or without padding: key generators differ.
	encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
	secret, err = base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return "", nil, errors.New("the key is not base64")
	}
	if len(secret) != keySize {
		return "", nil, fmt.Errorf("the key has %d bytes instead of %d", len(secret), keySize)
	}
	if uniform(secret) {
		return "", nil, errors.New("the key is one byte repeated, not a random key")
	}
	return id, secret, nil
}

func validKeyID(id string) bool {
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxKeyID
}

func uniform(secret []byte) bool {
	for _, b := range secret {
		if b != secret[0] {
			return false
		}
	}
	return true
}

func writeRedacted(w io.Writer) {
	// The writer is fmt's own buffer, which cannot fail.
	_, _ = io.WriteString(w, redacted)
}
