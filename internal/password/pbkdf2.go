package password

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"strings"
)

const (
	pbkdf2MaxIterations = 10_000_000
	pbkdf2MinSHA256     = 600_000
	pbkdf2MinSHA512     = 210_000
	pbkdf2Memory        = 4 << 10
)

// pbkdf2Hash is PBKDF2 with HMAC-SHA-256 or HMAC-SHA-512 (RFC 8018 §5.2),
// however it was spelt.
type pbkdf2Hash struct {
	wide       bool // SHA-512
	iterations uint32
	salt       []byte
	digest     []byte
}

// parsePBKDF2 reads the two spellings in use: PHC's "$i=600000[,l=32]" and
// passlib's bare "$600000", whose base64 writes '.' for '+'.
func parsePBKDF2(encoded string) (stored, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != 5 {
		return nil, ErrMalformed
	}
	h := pbkdf2Hash{wide: fields[1] == "pbkdf2-sha512"}
	rounds, length, err := pbkdf2Params(fields[2])
	if err != nil {
		return nil, err
	}
	if h.iterations, err = number(rounds, 1, pbkdf2MaxIterations); err != nil {
		return nil, err
	}
	if h.salt, err = unpadded(strings.ReplaceAll(fields[3], ".", "+"), 8, 128); err != nil {
		return nil, err
	}
	if h.digest, err = unpadded(strings.ReplaceAll(fields[4], ".", "+"), 16, 64); err != nil {
		return nil, err
	}
	if length != "" {
		l, err := number(length, 1, 64)
		if err != nil || int(l) != len(h.digest) {
			return nil, ErrMalformed
		}
	}
	return h, nil
}

func pbkdf2Params(s string) (rounds, length string, err error) {
	named, found := strings.CutPrefix(s, "i=")
	if !found {
		return s, "", nil
	}
	rounds, rest, more := strings.Cut(named, ",")
	if !more {
		return rounds, "", nil
	}
	length, found = strings.CutPrefix(rest, "l=")
	if !found || length == "" {
		return "", "", ErrMalformed
	}
	return rounds, length, nil
}

func (h pbkdf2Hash) matches(plain string) bool {
	var key []byte
	var err error
	if h.wide {
		key, err = pbkdf2.Key(sha512.New, plain, h.salt, int(h.iterations), len(h.digest))
	} else {
		key, err = pbkdf2.Key(sha256.New, plain, h.salt, int(h.iterations), len(h.digest))
	}
	return err == nil && subtle.ConstantTimeCompare(key, h.digest) == 1
}

func (h pbkdf2Hash) memory() int64 { return pbkdf2Memory }

func (h pbkdf2Hash) weak() bool {
	if h.wide {
		return h.iterations < pbkdf2MinSHA512
	}
	return h.iterations < pbkdf2MinSHA256
}
