package format

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"strings"

	"github.com/go-crypt/x/crypt"
)

const (
	// cryptAlphabet is the base64 of crypt(3).
	cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	shaCryptMinRounds = 1000 // the specification's
	shaCryptStandard  = 5000 // when the hash names none
	shaCryptMaxRounds = 1_000_000
	cryptMemory       = 16 << 10
)

// cryptHash is SHA-crypt or MD5-crypt. The cheat sheet names neither, so both are weak whatever their rounds.
type cryptHash struct {
	compute func(plain []byte) []byte
	key     []byte
}

// parseSHACrypt reads $5$[rounds=N$]salt$hash and $6$, as Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512"
// specifies them.
func parseSHACrypt(encoded string) (Hash, error) {
	fields := strings.Split(encoded, "$")
	digest, length := sha512.New, 86
	if fields[1] == "5" {
		digest, length = sha256.New, 43
	}
	rounds := uint32(shaCryptStandard)
	if len(fields) == 5 {
		given, found := strings.CutPrefix(fields[2], "rounds=")
		if !found {
			return nil, ErrMalformed
		}
		var err error
		if rounds, err = number(given, shaCryptMinRounds, shaCryptMaxRounds); err != nil {
			return nil, err
		}
		fields = append(fields[:2], fields[3:]...)
	}
	salt, key, err := cryptFields(fields, 16, length)
	if err != nil {
		return nil, err
	}
	return cryptHash{key: key, compute: func(plain []byte) []byte {
		return crypt.KeySHACrypt(digest, plain, salt, int(rounds))
	}}, nil
}

// parseMD5Crypt reads $1$salt$hash.
func parseMD5Crypt(encoded string) (Hash, error) {
	salt, key, err := cryptFields(strings.Split(encoded, "$"), 8, 22)
	if err != nil {
		return nil, err
	}
	return cryptHash{key: key, compute: func(plain []byte) []byte { return crypt.KeyMD5Crypt(plain, salt) }}, nil
}

// cryptFields reads the two last of "", identifier, salt, hash.
func cryptFields(fields []string, maxSalt, length int) (salt, key []byte, err error) {
	if len(fields) != 4 || fields[2] == "" || len(fields[2]) > maxSalt || strings.ContainsAny(fields[2], ":\r\n") ||
		len(fields[3]) != length || strings.Trim(fields[3], cryptAlphabet) != "" {
		return nil, nil, ErrMalformed
	}
	return []byte(fields[2]), []byte(fields[3]), nil
}

func (h cryptHash) Matches(plain string) bool {
	return subtle.ConstantTimeCompare(h.compute([]byte(plain)), h.key) == 1
}

func (h cryptHash) Memory() int64 { return cryptMemory }

func (h cryptHash) Weak() bool { return true }
