package password

import (
	"crypto/sha256"
	"strings"
)

// parseDjango reads Django's default, pbkdf2_sha256$iterations$salt$hash: the
// salt is text, used as it stands, and the hash is padded base64.
func parseDjango(encoded string) (stored, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != 4 || fields[2] == "" || len(fields[2]) > 128 {
		return nil, ErrMalformed
	}
	iterations, err := number(fields[1], 1, pbkdf2MaxIterations)
	if err != nil {
		return nil, err
	}
	unpaddedHash, found := strings.CutSuffix(fields[3], "=")
	if !found {
		return nil, ErrMalformed
	}
	digest, err := unpadded(unpaddedHash, sha256.Size, sha256.Size)
	if err != nil {
		return nil, err
	}
	return pbkdf2Hash{iterations: iterations, salt: []byte(fields[2]), digest: digest}, nil
}
