package format

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // G501: what others hashed with
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

const (
	phpassLength  = 34
	phpassMinLogN = 7 // phpass's own
	phpassMaxLogN = 20
)

// phpassHash is phpass's portable hash: "$P$" or "$H$", the rounds, eight characters of salt, MD5 iterated.
type phpassHash struct {
	logN int
	salt string
	sum  []byte
}

func parsePHPass(encoded string) (Hash, error) {
	if len(encoded) != phpassLength || strings.Trim(encoded[3:], cryptAlphabet) != "" {
		return nil, ErrMalformed
	}
	logN := strings.IndexByte(cryptAlphabet, encoded[3])
	switch {
	case logN < phpassMinLogN:
		return nil, ErrMalformed
	case logN > phpassMaxLogN:
		return nil, ErrTooCostly
	}
	return phpassHash{logN: logN, salt: encoded[4:12], sum: []byte(encoded[12:])}, nil
}

func (h phpassHash) Matches(plain string) bool {
	sum := md5.Sum([]byte(h.salt + plain)) //nolint:gosec // G401: what others hashed with
	round := append(make([]byte, md5.Size), plain...)
	for range 1 << h.logN {
		copy(round, sum[:])
		sum = md5.Sum(round) //nolint:gosec // G401: what others hashed with
	}
	return subtle.ConstantTimeCompare(phpassEncode(sum[:]), h.sum) == 1
}

// phpassEncode is crypt(3)'s base64: groups of three bytes, the least significant bits first.
func phpassEncode(sum []byte) []byte {
	var out []byte
	for ; len(sum) > 0; sum = sum[min(3, len(sum)):] {
		group := 0
		for i, b := range sum[:min(3, len(sum))] {
			group |= int(b) << (8 * i)
		}
		for range min(3, len(sum)) + 1 {
			out = append(out, cryptAlphabet[group&0x3f])
			group >>= 6
		}
	}
	return out
}

func (h phpassHash) Memory() int64 { return digestMemory }

func (h phpassHash) Weak() bool { return true }

// parseWordPress reads what WordPress writes since 6.8: $wp and bcrypt of an HMAC of the trimmed password.
func parseWordPress(encoded string) (Hash, error) {
	return bcryptAfter(strings.TrimPrefix(encoded, "$wp"), func(plain string) string {
		mac := hmac.New(sha512.New384, []byte("wp-sha384"))
		mac.Write([]byte(strings.Trim(plain, " \n\r\t\v\x00")))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	})
}
