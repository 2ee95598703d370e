package password

import (
	"errors"
	"unicode/utf8"
)

// The bounds within which a realm chooses its minimum length, in code points.
const (
	DefaultMinLength = 12
	LowestMinLength  = 8
)

// Policy is what a realm demands of a new password. The zero value is the
// default policy.
type Policy struct {
	// MinLength is the least number of code points after normalisation. Zero
	// means DefaultMinLength; values outside LowestMinLength to MaxLength count
	// as the nearest bound.
	MinLength int
}

// Violation is one demand that a password does not meet: a message key and what
// its placeholders stand for.
type Violation struct {
	Key    string
	Params map[string]any
}

// The keys of violations.
const (
	KeyTooShort = "password.too_short" // {min}
	KeyTooLong  = "password.too_long"  // {max}
	KeyNotText  = "password.not_text"
)

// Check returns what is wrong with a new password; none means acceptable. It
// asks for no kinds of characters (NIST SP 800-63B-4 §3.1.1.2).
func (p Policy) Check(plain string) []Violation {
	normal, err := normalize(plain)
	switch {
	case errors.Is(err, ErrTooLong):
		return []Violation{{Key: KeyTooLong, Params: map[string]any{"max": MaxLength}}}
	case err != nil:
		return []Violation{{Key: KeyNotText}}
	}
	least := p.minLength()
	if utf8.RuneCountInString(normal) < least {
		return []Violation{{Key: KeyTooShort, Params: map[string]any{"min": least}}}
	}
	return nil
}

func (p Policy) minLength() int {
	if p.MinLength == 0 {
		return DefaultMinLength
	}
	return min(max(p.MinLength, LowestMinLength), MaxLength)
}
