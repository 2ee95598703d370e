package realm

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Registration says who may make an account of their own, where ALLOW_AUTO_REGISTRATION lets people at all.
type Registration struct {
	// AllowDomains are the only domains of e-mail addresses that may register; all when empty. DenyDomains may not.
	// A domain stands for its subdomains too.
	AllowDomains []string `json:"allow_domains,omitempty" yaml:"allow_domains,omitempty"`
	DenyDomains  []string `json:"deny_domains,omitempty" yaml:"deny_domains,omitempty"`
	// Contact is whom people ask for an account while registration is off: a few words, a telephone number, an address.
	Contact string `json:"contact,omitempty" yaml:"contact,omitempty"`
}

// Admits tells whether an address of that domain may register. The domain is canonical: lower case, A-labels.
func (g Registration) Admits(domain string) bool {
	within := func(of string) bool {
		of = strings.ToLower(of)
		return domain == of || strings.HasSuffix(domain, "."+of)
	}
	if slices.ContainsFunc(g.DenyDomains, within) {
		return false
	}
	return len(g.AllowDomains) == 0 || slices.ContainsFunc(g.AllowDomains, within)
}

// SignIn are ways to sign in beside the password.
type SignIn struct {
	// EmailCode lets people sign in by a code, and by a link, that is mailed to them.
	EmailCode bool `json:"email_code,omitempty" yaml:"email_code,omitempty"`
}

// ProfileField is a claim that people are asked for.
type ProfileField struct {
	// Claim is one of ProfileClaims.
	Claim string `json:"claim" yaml:"claim"`
	// Required asks everybody who signs in without it.
	Required bool `json:"required,omitempty" yaml:"required,omitempty"`
}

// ProfileClaims lists the claims that people can be asked for (OpenID Connect Core §5.1).
func ProfileClaims() []string {
	return []string{"name", "given_name", "family_name", "nickname", "birthdate", "phone_number", "website", "zoneinfo"}
}

// beyondASCII keeps out domains that would match no canonical address.
func beyondASCII(c rune) bool { return c > unicode.MaxASCII }

func (s Settings) checkAccounts() []string {
	var wrong []string
	for where, domains := range map[string][]string{"allow_domains": s.Registration.AllowDomains, "deny_domains": s.Registration.DenyDomains} {
		for _, d := range domains {
			if d == "" || strings.ContainsAny(d, "@/: *") || strings.HasPrefix(d, ".") || strings.ContainsFunc(d, beyondASCII) {
				wrong = append(wrong, fmt.Sprintf("registration.%s: %q is not a domain; write example.com, which stands for its subdomains too, and xn--… for letters beyond a to z", where, d))
			}
		}
	}
	if len(s.Registration.Contact) > 500 {
		wrong = append(wrong, "registration.contact: 500 bytes are the most")
	}
	asked := map[string]bool{}
	for _, f := range s.Profile {
		switch {
		case !slices.Contains(ProfileClaims(), f.Claim):
			wrong = append(wrong, fmt.Sprintf("profile: claim is %q; people can be asked for %q", f.Claim, ProfileClaims()))
		case asked[f.Claim]:
			wrong = append(wrong, fmt.Sprintf("profile: %q stands there twice", f.Claim))
		}
		asked[f.Claim] = true
	}
	slices.Sort(wrong)
	return wrong
}
