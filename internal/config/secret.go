package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// redacted stands wherever a secret would have been printed.
const redacted = "[redacted]"

// Secret is a text that prints as "[redacted]" in every way there is to print
// it. The value is held behind a pointer, so that even reflection over an
// unexported field shows an address only. The zero value is "not given".
type Secret struct{ value *string }

// NewSecret makes a secret of s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the text. Call it where the secret is used, nowhere else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether no secret was given.
func (s Secret) IsZero() bool { return s.value == nil }

// String returns the mask, or nothing when no secret was given.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format writes the mask for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText writes the mask; JSON uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML writes the mask.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalText takes the text as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// keySize is the size of a master key: AES-256 and HMAC-SHA-256 take it whole.
const keySize = 32

// Key is one master key. It prints as its id and the mask.
type Key struct {
	ID string

	material Secret
}

// Bytes returns a copy of the 32 bytes.
func (k Key) Bytes() []byte { return []byte(k.material.Reveal()) }

// String names the key without showing it.
func (k Key) String() string { return k.ID + ":" + redacted }

// Format writes String for every verb and flag.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue names the key without showing it.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText names the key without showing it.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Keys is a ring of master keys, the sealing one first.
type Keys struct{ list []Key }

// All returns the keys in order: the first seals, all open.
func (k Keys) All() []Key { return slices.Clone(k.list) }

// IsZero reports whether no key was given.
func (k Keys) IsZero() bool { return len(k.list) == 0 }

// String names the keys without showing them.
func (k Keys) String() string {
	names := make([]string, 0, len(k.list))
	for _, key := range k.list {
		names = append(names, key.String())
	}
	return strings.Join(names, ",")
}

// Format writes String for every verb and flag.
func (k Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue names the keys without showing them.
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText names the keys without showing them.
func (k Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalYAML names the keys without showing them.
func (k Keys) MarshalYAML() (any, error) { return k.String(), nil }

// UnmarshalText reads a comma list of id:base64. Its errors name positions and
// ids, never a value.
func (k *Keys) UnmarshalText(text []byte) error {
	var list []Key
	for i, item := range splitList(string(text)) {
		key, err := parseKey(item)
		if err != nil {
			return fmt.Errorf("key %d: %w", i+1, err)
		}
		if slices.ContainsFunc(list, func(other Key) bool { return other.ID == key.ID }) {
			return fmt.Errorf("key %d: the id %q occurs twice", i+1, key.ID)
		}
		list = append(list, key)
	}
	k.list = list
	return nil
}

// parseKey reads one id:base64. Either alphabet of base64 is taken, padded or
// not, because the tools that make keys differ.
func parseKey(item string) (Key, error) {
	id, encoded, found := strings.Cut(item, ":")
	if !found {
		return Key{}, errors.New("has no id before a colon")
	}
	if !validKeyID(id) {
		return Key{}, errors.New("has an id that is not 1 to 32 of a-z, 0-9, _ and -")
	}
	encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
	raw, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return Key{}, fmt.Errorf("%q is not base64", id)
	}
	if len(raw) != keySize {
		return Key{}, fmt.Errorf("%q has %d bytes instead of %d", id, len(raw), keySize)
	}
	if strings.Count(string(raw), string(raw[:1])) == keySize {
		return Key{}, fmt.Errorf("%q is one byte repeated, not a random key", id)
	}
	return Key{ID: id, material: NewSecret(string(raw))}, nil
}

func validKeyID(id string) bool {
	if id == "" || len(id) > 32 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}
