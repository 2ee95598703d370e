package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

const (
	saltSize = 16
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

func (a Argon2id) validate() error {
	h := argon2Hash{id: true, params: a}
	switch {
	case a.Parallelism == 0:
		return errors.New("no lane")
	case a.MemoryKiB > argon2MaxMemory || a.Time > argon2MaxTime || a.Parallelism > argon2MaxThreads:
		return ErrTooCostly
	case h.weak():
		return ErrWeak
	}
	return nil
}

func (a Argon2id) bytes() int64 { return int64(a.MemoryKiB) << 10 }

func (a Argon2id) hash(salt []byte, plain string) argon2Hash {
	h := argon2Hash{id: true, params: a, salt: salt}
	h.digest = h.compute(plain, hashSize)
	return h
}

// dummy is a hash that nothing matches: its digest was not computed.
func (a Argon2id) dummy() argon2Hash {
	return argon2Hash{id: true, params: a, salt: make([]byte, saltSize), digest: make([]byte, hashSize)}
}

// describes reports whether a stored hash is what we would make today.
func (a Argon2id) describes(s stored) bool {
	h, ok := s.(argon2Hash)
	return ok && h.id && h.params == a && len(h.salt) >= saltSize && len(h.digest) >= hashSize
}

// argon2Hash is argon2id or argon2i in PHC form.
type argon2Hash struct {
	id     bool
	params Argon2id
	salt   []byte
	digest []byte
}

func parseArgon2(encoded string) (stored, error) {
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
	h := argon2Hash{id: p.id == "argon2id"}
	lanes, err := number(values[2], 1, argon2MaxThreads)
	if err != nil {
		return nil, err
	}
	h.params.Parallelism = uint8(lanes) //nolint:gosec // G115: at most argon2MaxThreads
	if h.params.Time, err = number(values[1], 1, argon2MaxTime); err != nil {
		return nil, err
	}
	if h.params.MemoryKiB, err = number(values[0], 8*lanes, argon2MaxMemory); err != nil {
		return nil, err
	}
	if h.salt, err = unpadded(p.salt, 8, 64); err != nil {
		return nil, err
	}
	if h.digest, err = unpadded(p.hash, 16, 64); err != nil {
		return nil, err
	}
	return h, nil
}

func (h argon2Hash) matches(plain string) bool {
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

func (h argon2Hash) memory() int64 { return h.params.bytes() }

// weak is the cheat sheet's table of equivalent settings. It lists argon2id
// only; argon2i is held to one pass more.
func (h argon2Hash) weak() bool {
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
