package password

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

var (
	// ErrUnknownFormat says that the hash is of no format that can be verified.
	ErrUnknownFormat = errors.New("password: unknown hash format")
	// ErrMalformed says that the hash claims a known format and is not of it.
	ErrMalformed = errors.New("password: malformed hash")
	// ErrTooCostly says that the hash's parameters exceed what we compute: the
	// format's bounds or the memory budget.
	ErrTooCostly = errors.New("password: hash parameters are too costly")
	// ErrWeak says that the hash's parameters are below what may be imported.
	ErrWeak = errors.New("password: hash parameters are too weak")
)

// maxEncoded bounds a stored hash before anything parses it; the longest
// legitimate ones have about 250 bytes.
const maxEncoded = 512

// stored is a parsed hash whose parameters are within the format's bounds.
type stored interface {
	// matches computes the hash of plain and compares in constant time.
	matches(plain string) bool
	// memory is how many bytes matches needs.
	memory() int64
	// weak reports parameters below the floor for imports.
	weak() bool
}

// format reads one kind of hash. Its parse function is called for hashes with
// the prefix only and checks every parameter against an upper bound, so that a
// hash costs nothing before it is known to be affordable.
type format struct {
	prefix string
	parse  func(encoded string) (stored, error)
}

func formats() []format {
	return []format{
		{"$argon2id$", parseArgon2},
		{"$argon2i$", parseArgon2},
		{"$2a$", parseBcrypt},
		{"$2b$", parseBcrypt},
		{"$2y$", parseBcrypt},
		{"$scrypt$", parseScrypt},
		{"$pbkdf2-sha256$", parsePBKDF2},
		{"$pbkdf2-sha512$", parsePBKDF2},
		{"pbkdf2_sha256$", parseDjango},
	}
}

func parse(encoded string) (stored, error) {
	if len(encoded) > maxEncoded {
		return nil, ErrMalformed
	}
	for _, f := range formats() {
		if strings.HasPrefix(encoded, f.prefix) {
			return f.parse(encoded)
		}
	}
	return nil, ErrUnknownFormat
}

// ValidateEncoded says whether a hash may be imported: of a known format, well
// formed, affordable ([ErrTooCostly]) and not below the floor ([ErrWeak]) of the
// OWASP Password Storage Cheat Sheet. Verification has no floor: a hash that is
// already stored is replaced at the next good sign-in instead.
func ValidateEncoded(encoded string) error {
	s, err := parse(encoded)
	if err != nil {
		return err
	}
	if s.weak() {
		return ErrWeak
	}
	return nil
}

// number reads a parameter between least and most. Leading zeros and signs are
// malformed: one hash has one spelling.
func number(s string, least, most uint32) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, ErrTooCostly
	case err != nil, strconv.FormatUint(n, 10) != s, n < uint64(least):
		return 0, ErrMalformed
	case n > uint64(most):
		return 0, ErrTooCostly
	}
	return uint32(n), nil //nolint:gosec // G115: n was just compared with a uint32
}

// unpadded decodes base64 without padding into between least and most bytes.
func unpadded(s string, least, most int) ([]byte, error) {
	out, err := base64.RawStdEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks, which have no place in a hash.
	if err != nil || strings.ContainsAny(s, "\r\n") || len(out) < least || len(out) > most {
		return nil, ErrMalformed
	}
	return out, nil
}
