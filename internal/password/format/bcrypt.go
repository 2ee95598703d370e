package format

import (
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	bcryptLength   = 60
	bcryptMaxInput = 72 // bytes; bcrypt itself ignores the rest
	bcryptMaxCost  = 16
	bcryptMinCost  = 10
	bcryptMemory   = 8 << 10
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// bcryptHash is bcrypt as $2a$, $2b$ or $2y$, which name the same computation in
// the implementations of today.
type bcryptHash struct {
	encoded string
	cost    uint32
	// before is done to the password first, nil for nothing.
	before func(plain string) string
}

func parseBcrypt(encoded string) (Hash, error) { return bcryptAfter(encoded, nil) }

func bcryptAfter(encoded string, before func(plain string) string) (Hash, error) {
	if len(encoded) != bcryptLength || !strings.HasPrefix(encoded, "$2") || encoded[6] != '$' || strings.Trim(encoded[7:], bcryptAlphabet) != "" {
		return nil, ErrMalformed
	}
	// Costs are written with two digits.
	cost, err := number(strings.TrimPrefix(encoded[4:6], "0"), uint32(bcrypt.MinCost), bcryptMaxCost)
	if err != nil {
		return nil, err
	}
	return bcryptHash{encoded: encoded, cost: cost, before: before}, nil
}

// matches refuses a password beyond 72 bytes even when its beginning is right:
// two different passwords must not open one account. It still spends the
// hash, so that the refusal takes as long as any other.
func (h bcryptHash) Matches(plain string) bool {
	if h.before != nil {
		plain = h.before(plain)
	}
	short := plain[:min(len(plain), bcryptMaxInput)]
	equal := bcrypt.CompareHashAndPassword([]byte(h.encoded), []byte(short)) == nil
	return equal && len(plain) <= bcryptMaxInput
}

func (h bcryptHash) Memory() int64 { return bcryptMemory }

func (h bcryptHash) Weak() bool { return h.cost < bcryptMinCost }
