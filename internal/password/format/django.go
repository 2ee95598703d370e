package format

import (
	"crypto/sha256"
	"encoding/hex"
	"math/bits"
	"strings"
)

// The formats in this file are those of Django's hashers (django.contrib.auth.hashers), removed ones included. A salt
// is text, used as it stands; base64 is padded.

const djangoMaxSalt = 128

// djangoFields splits a hash and refuses a salt that is too long, in the field at.
func djangoFields(encoded string, n, at int) ([]string, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != n || len(fields[at]) > djangoMaxSalt {
		return nil, ErrMalformed
	}
	return fields, nil
}

// parseDjangoPBKDF2 reads pbkdf2_sha256$iterations$salt$hash, and pbkdf2_sha1.
func parseDjangoPBKDF2(encoded string) (Hash, error) {
	fields, err := djangoFields(encoded, 4, 2)
	if err != nil || fields[2] == "" {
		return nil, ErrMalformed
	}
	h, err := newPBKDF2(strings.TrimPrefix(fields[0], "pbkdf2_"))
	if err != nil {
		return nil, err
	}
	if h.iterations, err = number(fields[1], 1, pbkdf2MaxIterations); err != nil {
		return nil, err
	}
	size := h.digest().Size()
	if h.key, err = padded(fields[3], size, size); err != nil {
		return nil, err
	}
	h.salt = []byte(fields[2])
	return h, nil
}

// parseDjangoArgon2 reads argon2 followed by the PHC form.
func parseDjangoArgon2(encoded string) (Hash, error) {
	phc := strings.TrimPrefix(encoded, "argon2")
	if !strings.HasPrefix(phc, "$argon2id$") && !strings.HasPrefix(phc, "$argon2i$") {
		return nil, ErrUnknown
	}
	return parseArgon2(phc)
}

// parseDjangoBcrypt reads bcrypt$ followed by crypt(3)'s form.
func parseDjangoBcrypt(encoded string) (Hash, error) {
	return parseBcrypt(strings.TrimPrefix(encoded, "bcrypt$"))
}

// parseDjangoBcryptSHA256 reads bcrypt_sha256$ and crypt(3)'s form of the password's SHA-256 in hexadecimal.
func parseDjangoBcryptSHA256(encoded string) (Hash, error) {
	return bcryptAfter(strings.TrimPrefix(encoded, "bcrypt_sha256$"), func(plain string) string {
		sum := sha256.Sum256([]byte(plain))
		return hex.EncodeToString(sum[:])
	})
}

// parseDjangoScrypt reads scrypt$N$salt$r$p$hash.
func parseDjangoScrypt(encoded string) (Hash, error) {
	fields, err := djangoFields(encoded, 6, 2)
	if err != nil || fields[2] == "" {
		return nil, ErrMalformed
	}
	n, err := number(fields[1], 2, 1<<scryptMaxLogN)
	if err != nil {
		return nil, err
	}
	if bits.OnesCount32(n) != 1 {
		return nil, ErrMalformed
	}
	h := scryptHash{logN: uint32(bits.TrailingZeros32(n)), salt: []byte(fields[2])} //nolint:gosec // G115: at most 32
	if h.r, err = number(fields[3], 1, scryptMaxR); err != nil {
		return nil, err
	}
	if h.p, err = number(fields[4], 1, scryptMaxP); err != nil {
		return nil, err
	}
	if h.digest, err = padded(fields[5], 64, 64); err != nil {
		return nil, err
	}
	return h, nil
}

// parseDjangoDigest reads sha1$salt$hash and md5$salt$hash, the hash in hexadecimal; the salt of the "unsalted"
// hashers is empty.
func parseDjangoDigest(encoded string) (Hash, error) {
	fields, err := djangoFields(encoded, 3, 1)
	if err != nil {
		return nil, err
	}
	h := digestHash{prefix: []byte(fields[1]), digest: digests()[fields[0]]}
	if h.sum, err = hex.DecodeString(fields[2]); err != nil || len(h.sum) != h.digest().Size() || fields[2] != strings.ToLower(fields[2]) {
		return nil, ErrMalformed
	}
	return h, nil
}
