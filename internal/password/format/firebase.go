package format

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"slices"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// firebaseHash is Firebase's modified scrypt: scrypt gives a key, with which the project's signer key is encrypted;
// the result is the hash. In $firescrypt$ln=,r=,p=$salt$hash$separator$signerkey, ln is the export's mem_cost and r its
// rounds; the four values are base64 as exported.
type firebaseHash struct {
	scrypt    scryptHash // its salt is the person's and the project's separator
	signerKey []byte
}

func parseFirebase(encoded string) (Hash, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != 7 {
		return nil, ErrMalformed
	}
	parameters, err := parsePHC(strings.Join(fields[:5], "$"))
	if err != nil {
		return nil, err
	}
	inner, err := parameters.scrypt()
	if err != nil {
		return nil, err
	}
	h := firebaseHash{scrypt: inner}
	salt, err := standard(fields[3], 1, 64)
	if err != nil {
		return nil, err
	}
	separator, err := standard(fields[5], 0, 64)
	if err != nil {
		return nil, err
	}
	if h.signerKey, err = standard(fields[6], 16, 128); err != nil {
		return nil, err
	}
	if h.scrypt.digest, err = standard(fields[4], len(h.signerKey), len(h.signerKey)); err != nil {
		return nil, err
	}
	h.scrypt.salt = slices.Concat(salt, separator)
	return h, nil
}

func (h firebaseHash) Matches(plain string) bool {
	s := h.scrypt
	key, err := scrypt.Key([]byte(plain), s.salt, 1<<s.logN, int(s.r), int(s.p), 32)
	if err != nil {
		return false
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return false
	}
	sealed := make([]byte, len(h.signerKey))
	// The key is new for each password, so that the counter may begin at nothing.
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(sealed, h.signerKey) //nolint:gosec // G407: the format's
	return subtle.ConstantTimeCompare(sealed, s.digest) == 1
}

func (h firebaseHash) Memory() int64 { return h.scrypt.Memory() }

func (h firebaseHash) Weak() bool { return h.scrypt.Weak() }
