package format

import (
	"crypto/subtle"
	"strings"

	"github.com/go-crypt/x/yescrypt"
)

const (
	yescryptMinLogN   = 10
	yescryptMaxLogN   = 18
	yescryptMaxR      = 32
	yescryptMaxMemory = 256 << 20
	yescryptFloor     = 16 << 20 // libxcrypt's default
)

// yescryptHash is yescrypt as libxcrypt makes it: $y$jNr$salt$hash with the flavour "j" and no parameter but N and r.
type yescryptHash struct {
	encoded string
	memory  int64
}

func parseYescrypt(encoded string) (Hash, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != 5 || len(fields[2]) != 3 || len(fields[4]) != 43 || strings.Trim(fields[3]+fields[4], cryptAlphabet) != "" {
		return nil, ErrMalformed
	}
	_, logN, r, err := yescrypt.DecodeSetting([]byte(fields[2]))
	if err != nil {
		return nil, ErrMalformed
	}
	if salt := yescrypt.Decode64([]byte(fields[3])); len(salt) == 0 || len(salt) > 64 {
		return nil, ErrMalformed
	}
	if logN < yescryptMinLogN {
		return nil, ErrMalformed
	}
	if logN > yescryptMaxLogN || r > yescryptMaxR {
		return nil, ErrTooCostly
	}
	h := yescryptHash{encoded: encoded, memory: 128 * int64(r) << logN}
	if h.memory > yescryptMaxMemory {
		return nil, ErrTooCostly
	}
	return h, nil
}

func (h yescryptHash) Matches(plain string) bool {
	computed, err := yescrypt.Hash([]byte(plain), []byte(h.encoded))
	return err == nil && subtle.ConstantTimeCompare(computed, []byte(h.encoded)) == 1
}

func (h yescryptHash) Memory() int64 { return h.memory }

// Weak counts memory, since the cheat sheet does not name yescrypt.
func (h yescryptHash) Weak() bool { return h.memory < yescryptFloor }
