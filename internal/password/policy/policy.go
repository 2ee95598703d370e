// Package policy says whether a new password is good enough for a realm, and what to tell people before they type.
//
// What can be told from the password alone is Policy: length, kinds of characters, the realm's and the person's own
// words, common passwords, and how many guesses it would take. Whether the password is known from a breach takes a
// list or a service, which Checker asks last; a service that does not answer makes nobody wait for a password of
// their own, so the answer is then taken for no.
//
// The package does not know old passwords (package password). Nothing in it logs a password or any part of its hash,
// and neither does a service learn more than five digits of one.
package policy

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Policy is what a realm demands of a new password.
type Policy struct {
	rules  realm.PasswordPolicy
	rotate bool
	// words of the realm itself
	words []string
}

// Of returns the policy of a realm, whose settings have their defaults already: every authorization request asks for it.
func Of(r realm.Realm) Policy {
	p := Policy{rules: r.Settings.Password, words: []string{r.Name, r.Slug}}
	p.rotate = r.Flags.ForcePasswordRotation != nil && *r.Flags.ForcePasswordRotation
	return p
}

// New returns the policy of these rules, defaults filled in. No password may be built from the words.
func New(rules realm.PasswordPolicy, words ...string) Policy {
	return Policy{rules: realm.Settings{Password: rules}.WithDefaults().Password, words: words}
}

// Person is what is known of the person whose password it is to be.
type Person struct {
	// Words are their names and identifiers, whole.
	Words []string
}

// Violation is a rule that a password does not fulfil.
type Violation struct {
	// Rule names the rule as [Requirement] does.
	Rule string
	// Key is a message key, and Params what its placeholders stand for.
	Key    string
	Params map[string]any
}

// The names of rules.
const (
	Length    = "length"
	Longest   = "longest"
	Text      = "text"
	Upper     = "upper"
	Lower     = "lower"
	Digits    = "digits"
	Symbols   = "symbols"
	Forbidden = "forbidden"
	Personal  = "personal"
	Common    = "common"
	Strength  = "strength"
	Leaked    = "leaked"
	Reused    = "reused"
)

func violation(rule string, params map[string]any) Violation {
	return Violation{Rule: rule, Key: "password.broken." + rule, Params: params}
}

// AlreadyUsed is the violation of a password that is one of the person's latest; see password.Hasher.Reused.
func (p Policy) AlreadyUsed() Violation {
	return violation(Reused, map[string]any{"n": p.History()})
}

// History is how many passwords, the current one among them, may not be chosen again: at least the current one.
func (p Policy) History() int { return max(p.rules.History, 1) }

// Expired tells whether a password of that age has to be changed, which the realm must have been told to demand.
func (p Policy) Expired(changed, now time.Time) bool {
	return p.rotate && !changed.IsZero() && now.Sub(changed) >= time.Duration(p.rules.MaxAge)
}

// Check returns what is wrong with a new password as far as it alone tells; none means acceptable. It takes up to a
// few tens of milliseconds of processor time: not inside a transaction that others wait for.
func (p Policy) Check(plain string, about Person) []Violation {
	normal, err := password.Normalize(plain)
	switch {
	case errors.Is(err, password.ErrTooLong):
		return []Violation{violation(Longest, map[string]any{"n": password.MaxLength})}
	case err != nil:
		return []Violation{violation(Text, nil)}
	}
	broken := p.kinds(normal)
	short := utf8.RuneCountInString(normal) < p.rules.MinLength
	if short {
		broken = slices.Insert(broken, 0, violation(Length, map[string]any{"n": p.rules.MinLength}))
	}
	if guessable := p.guessable(strings.ToLower(normal), about); guessable != nil {
		return append(broken, *guessable)
	}
	// Short ones are weak, which need not be said twice.
	if !short && score(normal, p.vocabulary(about)) < p.rules.MinStrength {
		broken = append(broken, violation(Strength, nil))
	}
	return broken
}

// kinds counts the characters of each kind that is asked for. A letter of a script without case is of none.
func (p Policy) kinds(normal string) (broken []Violation) {
	have := map[string]int{}
	for _, c := range normal {
		switch {
		case unicode.IsUpper(c):
			have[Upper]++
		case unicode.IsLower(c):
			have[Lower]++
		case unicode.IsDigit(c):
			have[Digits]++
		case !unicode.IsLetter(c):
			have[Symbols]++
		}
	}
	for _, k := range p.kindRules() {
		if have[k.rule] < k.least {
			broken = append(broken, violation(k.rule, map[string]any{"n": k.least}))
		}
	}
	return broken
}

type kindRule struct {
	rule  string
	least int
}

func (p Policy) kindRules() []kindRule {
	return []kindRule{{Upper, p.rules.MinUpper}, {Lower, p.rules.MinLower}, {Digits, p.rules.MinDigits}, {Symbols, p.rules.MinSymbols}}
}

// guessable tells by which list a password in lower case would be guessed, nil for none.
func (p Policy) guessable(lower string, about Person) *Violation {
	var v Violation
	switch word := forbidden(lower, p.rules.ForbiddenWords); {
	case word != "":
		v = violation(Forbidden, map[string]any{"word": word})
	case mostly(lower, p.vocabulary(about)):
		v = violation(Personal, nil)
	case common(lower):
		v = violation(Common, nil)
	default:
		return nil
	}
	return &v
}

// vocabulary is every word that an attacker who knows person and realm would try, in lower case, the longest first.
func (p Policy) vocabulary(about Person) []string {
	words := map[string]bool{}
	for _, given := range slices.Concat(about.Words, p.words, p.rules.ForbiddenWords) {
		given = strings.ToLower(given)
		parts := strings.FieldsFunc(given, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
		for _, w := range append(parts, given) {
			if n := utf8.RuneCountInString(w); n >= shortestWord && n <= longestWord {
				words[w] = true
			}
		}
	}
	sorted := slices.Sorted(maps.Keys(words))
	slices.SortStableFunc(sorted, func(a, b string) int { return len(b) - len(a) })
	return sorted[:min(len(sorted), mostWords)]
}
