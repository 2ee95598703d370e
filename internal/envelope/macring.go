package envelope

import (
	"fmt"
	"log/slog"
)

// MACRing holds keys of the process that values are authenticated with for one purpose: the first is for values that
// are made now, all are for those that were made before. It is immutable and safe for concurrent use; a nil ring has no
// keys. It prints as [redacted].
//
// A key's name is its id with a fingerprint of the key, and no secret: another key under the same id is another key.
type MACRing struct {
	current string
	keys    map[string]MAC
}

// ParseMACRing reads keys in the form of [ParseKeyring]. The label is of the purpose, a constant of the code; what is
// what errors call the keys.
func ParseMACRing(what, s, label string) (*MACRing, error) {
	entries, err := parseEntries(what, s)
	if err != nil {
		return nil, err
	}
	ring := &MACRing{keys: map[string]MAC{}}
	for i, e := range entries {
		key, err := newDataKey([keySize]byte(e.secret))
		if err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", what, i+1, err)
		}
		name := e.id + "~" + key.ID()[:8]
		if ring.keys[name], err = key.MAC(label); err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", what, i+1, err)
		}
		if i == 0 {
			ring.current = name
		}
	}
	return ring, nil
}

// Current is the name of the key that is for values made now, "" when there is none.
func (r *MACRing) Current() string {
	if r == nil {
		return ""
	}
	return r.current
}

// MAC is the key of a name. Without one it is zero: its Sum fails with [ErrNoKey].
func (r *MACRing) MAC(name string) MAC {
	if r == nil {
		return MAC{}
	}
	return r.keys[name]
}

// Format implements [fmt.Formatter] and prints [redacted] for every verb.
func (MACRing) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue implements [slog.LogValuer].
func (MACRing) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], so JSON shows [redacted] too.
func (MACRing) MarshalText() ([]byte, error) { return []byte(redacted), nil }
