package format

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

const (
	// SaltSize is the least length, in bytes, of the salt of new hashes.
	SaltSize = 16
	hashSize = 32

	argon2MaxMemory  = 1 << 20 // KiB
	argon2MaxTime    = 10
	argon2MaxThreads = 16
	argon2Version    = "19" // RFC 9106; older versions are not computed
)

// Argon2id are the parameters of new hashes (RFC 9106 §3.1).
type Argon2id struct {
	MemoryKiB   uint32
	Time        uint32
	Parallelism uint8
}

// DefaultParams returns the parameters that the OWASP Password Storage Cheat
// Sheet recommends: 19 MiB, two passes, one lane.
func DefaultParams() Argon2id { return Argon2id{MemoryKiB: 19456, Time: 2, Parallelism: 1} }

// Check returns ErrTooCostly or ErrWeak for parameters that no new hash may have.
func (a Argon2id) Check() error {
	h := argon2Hash{id: true, params: a}
	switch {
	case a.Parallelism == 0:
		return errors.New("no lane")
	case a.MemoryKiB > argon2MaxMemory || a.Time > argon2MaxTime || a.Parallelism > argon2MaxThreads:
		return ErrTooCostly
	case h.Weak():
		return ErrWeak
	}
	return nil
}

// Bytes is how much memory one hash takes.
func (a Argon2id) Bytes() int64 { return int64(a.MemoryKiB) << 10 }

// Encode computes the hash of plain in PHC form. The salt has at least SaltSize bytes.
func (a Argon2id) Encode(salt []byte, plain string) string {
	h := argon2Hash{id: true, params: a, salt: salt}
	h.digest = h.compute(plain, hashSize)
	return h.String()
}

// Dummy is a hash that nothing matches: its digest was not computed.
func (a Argon2id) Dummy() string {
	return argon2Hash{id: true, params: a, salt: make([]byte, SaltSize), digest: make([]byte, hashSize)}.String()
}

// Describe reports whether a stored hash is what Encode would make today.
func (a Argon2id) Describe(s Hash) bool {
	h, ok := s.(argon2Hash)
	return ok && h.id && h.params == a && len(h.salt) >= SaltSize && len(h.digest) >= hashSize
}

// argon2Hash is argon2id or argon2i in PHC form.
type argon2Hash struct {
	id     bool
	params Argon2id
	salt   []byte
	digest []byte
}

func parseArgon2(encoded string) (Hash, error) {
	p, err := parsePHC(encoded)
	if err != nil {
		return nil, err
	}
	if p.version != argon2Version {
		return nil, ErrMalformed
	}
	values, err := p.named("m", "t", "p")
	if err != nil {
		return nil, err
	}
	salt, err := unpadded(p.salt, 8, 64)
	if err != nil {
		return nil, err
	}
	digest, err := unpadded(p.hash, 16, 64)
	if err != nil {
		return nil, err
	}
	return newArgon2(p.id == "argon2id", values[0], values[1], values[2], salt, digest)
}

// newArgon2 takes the parameters as they are spelt.
func newArgon2(id bool, memory, passes, lanes string, salt, digest []byte) (Hash, error) {
	if len(salt) > 64 {
		return nil, ErrMalformed
	}
	h := argon2Hash{id: id, salt: salt, digest: digest}
	threads, err := number(lanes, 1, argon2MaxThreads)
	if err != nil {
		return nil, err
	}
	h.params.Parallelism = uint8(threads) //nolint:gosec // G115: at most argon2MaxThreads
	if h.params.Time, err = number(passes, 1, argon2MaxTime); err != nil {
		return nil, err
	}
	if h.params.MemoryKiB, err = number(memory, 8*threads, argon2MaxMemory); err != nil {
		return nil, err
	}
	return h, nil
}

func (h argon2Hash) Matches(plain string) bool {
	return subtle.ConstantTimeCompare(h.compute(plain, len(h.digest)), h.digest) == 1
}

func (h argon2Hash) compute(plain string, size int) []byte {
	derive := argon2.Key
	if h.id {
		derive = argon2.IDKey
	}
	length := uint32(size) //nolint:gosec // G115: at most 64
	return derive([]byte(plain), h.salt, h.params.Time, h.params.MemoryKiB, h.params.Parallelism, length)
}

func (h argon2Hash) Memory() int64 { return h.params.Bytes() }

// weak is the cheat sheet's table of equivalent settings. It lists argon2id
// only; argon2i is held to one pass more.
func (h argon2Hash) Weak() bool {
	passes := h.params.Time
	if !h.id && passes > 0 {
		passes--
	}
	switch m := h.params.MemoryKiB; {
	case m >= 47104:
		return passes < 1
	case m >= 19456:
		return passes < 2
	case m >= 12288:
		return passes < 3
	case m >= 9216:
		return passes < 4
	case m >= 7168:
		return passes < 5
	}
	return true
}

// String returns the PHC form.
func (h argon2Hash) String() string {
	variant := "argon2i"
	if h.id {
		variant = "argon2id"
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$%s$v=%s$m=%d,t=%d,p=%d$%s$%s", variant, argon2Version,
		h.params.MemoryKiB, h.params.Time, h.params.Parallelism,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.digest))
}
