package format

import (
	"crypto/subtle"

	"golang.org/x/crypto/scrypt"
)

const (
	scryptMaxLogN = 17
	scryptMaxR    = 8
	scryptMaxP    = 10
)

// scryptHash is scrypt in PHC form: $scrypt$ln=17,r=8,p=1$salt$hash.
type scryptHash struct {
	logN, r, p uint32
	salt       []byte
	digest     []byte
}

func parseScrypt(encoded string) (Hash, error) {
	p, err := parsePHC(encoded)
	if err != nil {
		return nil, err
	}
	h, err := p.scrypt()
	if err != nil {
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

// scrypt reads the parameters.
func (p phc) scrypt() (h scryptHash, err error) {
	values, err := p.named("ln", "r", "p")
	if err != nil || p.version != "" {
		return h, ErrMalformed
	}
	if h.logN, err = number(values[0], 1, scryptMaxLogN); err != nil {
		return h, err
	}
	if h.r, err = number(values[1], 1, scryptMaxR); err != nil {
		return h, err
	}
	h.p, err = number(values[2], 1, scryptMaxP)
	return h, err
}

func (h scryptHash) Matches(plain string) bool {
	key, err := scrypt.Key([]byte(plain), h.salt, 1<<h.logN, int(h.r), int(h.p), len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(key, h.digest) == 1
}

func (h scryptHash) Memory() int64 {
	// RFC 7914: 128·r bytes for each of N blocks, and for each of p.
	return 128 * int64(h.r) * (1<<h.logN + int64(h.p))
}

// weak is the cheat sheet's table of equivalent settings for r = 8.
func (h scryptHash) Weak() bool {
	if h.r < 8 {
		return true
	}
	switch h.logN {
	case 17:
		return false
	case 16:
		return h.p < 2
	case 15:
		return h.p < 3
	case 14:
		return h.p < 5
	case 13:
		return h.p < 10
	}
	return true
}
