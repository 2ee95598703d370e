package password

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/password/format"
)

// ErrNoPepper says that a hash names a pepper that the process does not have, so that nothing can be compared with it.
// It is like an outage: the password may be right, and somebody must bring the key back.
var ErrNoPepper = errors.New("password: the pepper of a stored hash is not configured")

// Unavailable tells whether an error says that passwords cannot be compared at the moment, whoever asks: [ErrBusy] or
// [ErrNoPepper].
func Unavailable(err error) bool { return errors.Is(err, ErrBusy) || errors.Is(err, ErrNoPepper) }

// pepperLabel separates what a pepper authenticates from all else that may be made with the same key.
const pepperLabel = "password.pepper"

// ParsePeppers reads the peppers of a process: a comma list of "id:base64 of 32 bytes", of which the first is for new
// hashes and all are for stored ones.
func ParsePeppers(s string) (*envelope.MACRing, error) {
	return envelope.ParseMACRing("pepper", s, pepperLabel)
}

// pepperPrefix begins a stored hash of a peppered password: $peppered$NAME$argon2id$…. What is hashed then is
// HMAC-SHA-256 of the normalised password under the pepper of that name.
const pepperPrefix = "$peppered$"

// unpepper returns the name of a stored hash's pepper, "" when it has none, and the hash itself.
func unpepper(encoded string) (name, hash string) {
	rest, peppered := strings.CutPrefix(encoded, pepperPrefix)
	if !peppered {
		return "", encoded
	}
	name, hash, _ = strings.Cut(rest, "$")
	return name, "$" + hash
}

// pepper returns what is hashed of a normalised password under the pepper of a name, the password itself for "".
func (h *Hasher) pepper(name, normal string) (string, error) {
	if name == "" {
		return normal, nil
	}
	sum, err := h.peppers.MAC(name).Sum([]byte(normal))
	if errors.Is(err, envelope.ErrNoKey) {
		return "", fmt.Errorf("%w: %s", ErrNoPepper, name)
	}
	return string(sum), err
}

// current tells whether a stored hash is what Hash would make today.
func (h *Hasher) current(pepper string, stored format.Hash) bool {
	return pepper == h.peppers.Current() && h.params.Describe(stored)
}
