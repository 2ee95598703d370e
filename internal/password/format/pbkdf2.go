package format

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // G505: what others hashed with
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"strings"
)

const (
	pbkdf2MaxIterations = 10_000_000
	pbkdf2MinSHA1       = 1_300_000
	pbkdf2MinSHA256     = 600_000
	pbkdf2MinSHA512     = 210_000
	pbkdf2Memory        = 4 << 10
)

// pbkdf2Hash is PBKDF2 with HMAC-SHA-1, -256 or -512 (RFC 8018 §5.2), however it was spelt.
type pbkdf2Hash struct {
	digest     func() hash.Hash
	floor      uint32 // of iterations that are not weak
	iterations uint32
	salt       []byte
	key        []byte
}

// newPBKDF2 takes the usual names of digests.
func newPBKDF2(digest string) (pbkdf2Hash, error) {
	switch digest {
	case "sha1":
		return pbkdf2Hash{digest: sha1.New, floor: pbkdf2MinSHA1}, nil
	case "sha256":
		return pbkdf2Hash{digest: sha256.New, floor: pbkdf2MinSHA256}, nil
	case "sha512":
		return pbkdf2Hash{digest: sha512.New, floor: pbkdf2MinSHA512}, nil
	}
	return pbkdf2Hash{}, ErrUnknown
}

// parsePBKDF2 reads the two spellings in use: PHC's "$i=600000[,l=32]" and
// passlib's bare "$600000", whose base64 writes '.' for '+'.
func parsePBKDF2(encoded string) (Hash, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != 5 {
		return nil, ErrMalformed
	}
	digest, named := strings.CutPrefix(fields[1], "pbkdf2-")
	if !named {
		digest = "sha1" // passlib leaves it out
	}
	h, err := newPBKDF2(digest)
	if err != nil {
		return nil, err
	}
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
	if h.key, err = unpadded(strings.ReplaceAll(fields[4], ".", "+"), 16, 64); err != nil {
		return nil, err
	}
	if length != "" {
		l, err := number(length, 1, 64)
		if err != nil || int(l) != len(h.key) {
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

func (h pbkdf2Hash) Matches(plain string) bool {
	key, err := pbkdf2.Key(h.digest, plain, h.salt, int(h.iterations), len(h.key))
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1
}

func (h pbkdf2Hash) Memory() int64 { return pbkdf2Memory }

func (h pbkdf2Hash) Weak() bool { return h.iterations < h.floor }
