package realm

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// PasswordPolicy is what a new password must fulfil, and how long it may be kept. It asks for no kinds of characters
// unless told to: NIST SP 800-63B-4 §3.1.1.2 advises against it.
type PasswordPolicy struct {
	// MinLength in code points: 8 to 256, 12 by default.
	MinLength int `json:"min_length,omitempty" yaml:"min_length,omitempty"`
	// MinUpper, MinLower, MinDigits and MinSymbols are how many characters of each kind there must be: 0 to 16.
	MinUpper   int `json:"min_upper,omitempty" yaml:"min_upper,omitempty"`
	MinLower   int `json:"min_lower,omitempty" yaml:"min_lower,omitempty"`
	MinDigits  int `json:"min_digits,omitempty" yaml:"min_digits,omitempty"`
	MinSymbols int `json:"min_symbols,omitempty" yaml:"min_symbols,omitempty"`
	// MinStrength is the least score of zxcvbn: 1 to 4, 2 by default, which takes a million guesses.
	MinStrength int `json:"min_strength,omitempty" yaml:"min_strength,omitempty"`
	// History is how many passwords, the current one among them, may not be chosen again: 0 to 24.
	History int `json:"history,omitempty" yaml:"history,omitempty"`
	// MaxAge is how long a password may be kept where FORCE_PASSWORD_ROTATION is on: 90 days by default.
	MaxAge Duration `json:"max_age,omitempty" yaml:"max_age,omitempty"`
	// ForbiddenWords may not be part of a password, in whatever case: names of the realm's own products and places.
	ForbiddenWords []string `json:"forbidden_words,omitempty" yaml:"forbidden_words,omitempty"`
	// Breached says where to look whether a password is known from a breach: off (the default), list or range.
	Breached string `json:"breached,omitempty" yaml:"breached,omitempty"`
	// AcceptWeakHashes lets realm files bring hashes along that are weaker than what is safe today. They are replaced
	// at the next good sign-in.
	AcceptWeakHashes bool `json:"accept_weak_hashes,omitempty" yaml:"accept_weak_hashes,omitempty"`
}

// Where to look for breached passwords.
const (
	BreachedOff   = "off"
	BreachedList  = "list"  // the process's own list
	BreachedRange = "range" // a service that is asked for all hashes with the same beginning
)

const (
	maxForbiddenWords = 200
	minForbiddenWord  = 3
	maxForbiddenWord  = 64
)

func (p PasswordPolicy) withDefaults() PasswordPolicy {
	if p.MinLength == 0 {
		p.MinLength = 12
	}
	if p.MinStrength == 0 {
		p.MinStrength = 2
	}
	if p.MaxAge == 0 {
		p.MaxAge = Duration(90 * day)
	}
	if p.Breached == "" {
		p.Breached = BreachedOff
	}
	return p
}

func (p PasswordPolicy) check() (wrong []string) {
	for _, n := range []struct {
		name               string
		value, least, most int
		zeroIsTheDefault   bool
	}{
		{"min_length", p.MinLength, 8, 256, true},
		{"min_upper", p.MinUpper, 0, 16, false},
		{"min_lower", p.MinLower, 0, 16, false},
		{"min_digits", p.MinDigits, 0, 16, false},
		{"min_symbols", p.MinSymbols, 0, 16, false},
		{"min_strength", p.MinStrength, 1, 4, true},
		{"history", p.History, 0, 24, false},
	} {
		unset := n.zeroIsTheDefault && n.value == 0
		if !unset && (n.value < n.least || n.value > n.most) {
			wrong = append(wrong, fmt.Sprintf("password.%s is %d; allowed are %d to %d", n.name, n.value, n.least, n.most))
		}
	}
	if v := time.Duration(p.MaxAge); v != 0 && (v < day || v > 2*365*day) {
		wrong = append(wrong, fmt.Sprintf("password.max_age is %s; allowed are 1d to 730d", p.MaxAge))
	}
	if len(p.ForbiddenWords) > maxForbiddenWords {
		wrong = append(wrong, fmt.Sprintf("password.forbidden_words are %d; allowed are %d", len(p.ForbiddenWords), maxForbiddenWords))
	}
	for _, w := range p.ForbiddenWords {
		if n := utf8.RuneCountInString(w); n < minForbiddenWord || n > maxForbiddenWord || strings.TrimSpace(w) != w {
			wrong = append(wrong, fmt.Sprintf("password.forbidden_words: %q does not have %d to %d characters", w, minForbiddenWord, maxForbiddenWord))
		}
	}
	if sources := []string{BreachedOff, BreachedList, BreachedRange}; p.Breached != "" && !slices.Contains(sources, p.Breached) {
		wrong = append(wrong, fmt.Sprintf("password.breached is %q; allowed are %q", p.Breached, sources))
	}
	return wrong
}
