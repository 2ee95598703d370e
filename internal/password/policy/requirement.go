package policy

import (
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

// Requirement is a rule that people are told before they type.
type Requirement struct {
	// Rule names the rule; a [Violation] of it has the same.
	Rule string
	// Key is a message key, and Params what its placeholders stand for.
	Key    string
	Params map[string]any
}

// Requirements lists what to tell people before they type. The realm's forbidden words are not among it.
func (p Policy) Requirements() []Requirement {
	counted := []kindRule{{Length, p.rules.MinLength}}
	for _, k := range p.kindRules() {
		if k.least > 0 {
			counted = append(counted, k)
		}
	}
	if p.rules.History > 0 {
		counted = append(counted, kindRule{Reused, p.rules.History})
	}
	var list []Requirement
	for _, k := range counted {
		list = append(list, Requirement{k.rule, "password.rule." + k.rule, map[string]any{"n": k.least}})
	}
	for _, rule := range []string{Common, Personal} {
		list = append(list, Requirement{Rule: rule, Key: "password.rule." + rule})
	}
	return list
}

// PasswordRules is the value of the input's attribute passwordrules, by which password managers generate what the
// policy accepts (https://developer.apple.com/password-rules/).
func (p Policy) PasswordRules() string {
	var b strings.Builder
	fmt.Fprintf(&b, "minlength: %d; maxlength: %d;", p.rules.MinLength, password.MaxLength)
	for i, class := range []string{"upper", "lower", "digit", "special"} {
		if p.kindRules()[i].least > 0 {
			fmt.Fprintf(&b, " required: %s;", class)
		}
	}
	b.WriteString(" allowed: ascii-printable;")
	return b.String()
}
