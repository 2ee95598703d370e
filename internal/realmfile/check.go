package realmfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// algorithms are those that a realm can be given a key for.
func algorithms() []string {
	return []string{keyset.ES256, keyset.EdDSA, keyset.PS256, keyset.RS256}
}

// checkFile judges the file by itself. Where the answer depends on what the realm already has, it assumes the best;
// Apply judges again, knowing.
func checkFile(doc *named[document], found *issues) {
	d := &doc.given
	if !doc.has("realm") {
		found.add(doc.node, "", `Write for example "realm: demo" first.`, "the realm's slug is missing")
		return
	}
	checkRealm(doc, d.wanted(d.Realm), found)
	at, path := doc.at("keys")
	for _, alg := range d.Keys.Algorithms {
		if !slices.Contains(algorithms(), alg) {
			found.add(at, path, "", "algorithms has %q; allowed are %q", alg, algorithms())
		}
	}
	clients, people := newUnique(found), newUnique(found)
	for i := range d.Applications {
		checkApplication(&d.Applications[i], clients, found)
	}
	for i := range d.Users {
		checkPerson(&d.Users[i], people, laxest(d), found)
		clients.refuseSubject(&d.Users[i])
	}
}

// wanted is the realm as the document describes it.
func (d *document) wanted(defaultName string) realm.New {
	n := realm.New{Slug: d.Realm, Name: d.Name, Hosts: d.Hosts, Settings: d.Settings, Flags: d.Flags}
	if n.Name == "" {
		n.Name = defaultName
	}
	return n
}

// checkRealm reports what the realm's package has against n, the slug's faults at the key that it has in the file.
func checkRealm(doc *named[document], n realm.New, found *issues) {
	settings := n.Settings.Check()
	for _, sentence := range n.Check() {
		switch {
		case slices.Contains(settings, sentence):
			at, path := doc.at("settings")
			found.addAll(at, path, []string{sentence})
		case strings.HasPrefix(sentence, "slug "):
			at, path := doc.at("realm")
			found.add(at, path, "", "%s", sentence)
		case strings.HasPrefix(sentence, "host "):
			at, path := doc.at("hosts")
			found.add(at, path, "", "%s", sentence)
		default:
			found.addAll(doc.node, doc.path, []string{sentence})
		}
	}
}

func checkApplication(p *named[application], ids *unique, found *issues) {
	if !p.has("client_id") {
		found.add(p.node, p.path, "", "client_id is missing")
		return
	}
	at, path := p.at("client_id")
	if why := client.CheckID(p.given.ClientID); why != "" {
		found.add(at, path, "", "%s", why)
	}
	ids.take(p.given.ClientID, at, path)
	// A stored application may be of any kind. This is the kind that everything is allowed to.
	lenient := application{Settings: client.Settings{
		ApplicationType: "native", TokenEndpointAuthMethod: "client_secret_basic", RedirectURIs: []string{"https://app.example"},
	}}
	if p.given.JWKS == "" && p.given.JWKSURI == "" {
		lenient.JWKSURI = "https://app.example"
	}
	if len(p.given.TrustedIssuers) > 0 || slices.Contains(p.given.GrantTypes, client.GrantJWTBearer) {
		lenient.TokenEndpointAuthMethod = "private_key_jwt"
	}
	a := p.over(lenient)
	found.addAll(p.node, p.path, a.WithDefaults().Check())
	checkText(p, "name", p.given.Name, found)
	seen := map[string]bool{}
	secretsAt, path := p.at("secrets")
	for i, s := range p.given.Secrets {
		where := fmt.Sprintf("%s[%d]", path, i)
		if len(s.Reveal()) < client.MinSecretLength {
			found.add(secretsAt.Content[i], where, "Make one with: openssl rand -base64 32",
				"has fewer than %d characters: a secret is compared by a fast hash and must be random", client.MinSecretLength)
		}
		if seen[s.Reveal()] {
			found.add(secretsAt.Content[i], where, "", "is in the list twice")
		}
		seen[s.Reveal()] = true
	}
	if p.given.GenerateSecret && p.has("secrets") {
		found.add(secretsAt, path, "Keep one of the two.", "stands beside generate_secret, which makes the only secret")
	}
	if p.has("token_endpoint_auth_method") && !p.given.HasSecret() && (p.given.GenerateSecret || len(p.given.Secrets) > 0) {
		found.add(secretsAt, path, "", "an application with token_endpoint_auth_method %s has no secret", p.given.TokenEndpointAuthMethod)
	}
}

const maxName = 200

func checkText(p *named[application], field, text string, found *issues) {
	if at, path := p.at(field); p.has(field) && (text == "" || len(text) > maxName) {
		found.add(at, path, "", "has to have 1 to %d bytes", maxName)
	}
}

func checkPerson(p *named[person], names *unique, demands policy.Policy, found *issues) {
	if !p.has("username") && !p.has("email") {
		found.add(p.node, p.path, "", "has neither username nor email")
		return
	}
	if p.has("username") {
		checkIdentifier(p, "username", p.given.Username, user.Username, names, found)
	}
	if p.has("email") {
		checkIdentifier(p, "email", p.given.Email, user.Email, names, found)
	}
	if at, path := p.at("subject"); p.has("subject") && !validSubject(p.given.Subject) {
		found.add(at, path, "Leave it out for a random one.", "has to be 1 to 255 visible ASCII characters (OpenID Connect Core §2)")
	}
	at, path := p.at("claims")
	for _, sentence := range p.given.Claims.Check() {
		found.addAll(at, path, []string{strings.TrimPrefix(sentence, "claim ")})
	}
	checkPassword(p, demands, found)
}

func checkIdentifier(p *named[person], field, typed string, parse func(string) (user.Identifier, error), names *unique, found *issues) {
	at, path := p.at(field)
	id, err := parse(typed)
	if err != nil {
		found.add(at, path, "", "%s", whyRefused(err))
		return
	}
	names.take(id.Canonical, at, path)
}

// whyRefused puts the keys of refusals, which pages translate, into words for the person who wrote the file.
func whyRefused(err error) string {
	var refused *user.IdentifierError
	if !errors.As(err, &refused) {
		return err.Error()
	}
	switch refused.Key {
	case user.KeyIdentifierEmpty:
		return "is empty"
	case user.KeyIdentifierTooLong:
		return "is too long"
	case user.KeyIdentifierCharacter:
		return "contains a space, or a character that is invisible or unknown"
	case user.KeyEmailInvalid:
		return "is not an e-mail address"
	case user.KeyUsernameInvalid:
		return "is no user name: it may not hold an @ nor begin with +"
	}
	return refused.Key
}

func validSubject(subject string) bool {
	const longest = 255
	return subject != "" && len(subject) <= longest &&
		!strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r > '~' })
}

func checkPassword(p *named[person], demands policy.Policy, found *issues) {
	var given []string
	for _, field := range []string{"password", "password_hash", "generate_password"} {
		if p.has(field) && (field != "generate_password" || p.given.GeneratePassword) {
			given = append(given, field)
		}
	}
	if len(given) > 1 {
		at, path := p.at(given[1])
		found.add(at, path, "Keep one of them.", "stands beside %s", given[0])
		return
	}
	if p.has("password") {
		reportPolicy(p, demands, found)
	}
	if p.has("password_hash") {
		// Whether the realm takes weak ones is known when the file is applied.
		if err := password.ValidateEncoded(p.given.PasswordHash.Reveal()); err != nil && !errors.Is(err, password.ErrWeak) {
			reportHash(p, err, found)
		}
	}
}

// laxest is the policy that the realm will have at least: what the file leaves open may be stored already.
func laxest(d *document) policy.Policy {
	const lowestLength, lowestStrength = 8, 1
	rules := d.Settings.Password
	rules.MinLength, rules.MinStrength = cmp.Or(rules.MinLength, lowestLength), cmp.Or(rules.MinStrength, lowestStrength)
	return policy.New(rules, d.Realm)
}

func reportHash(p *named[person], err error, found *issues) {
	at, path := p.at("password_hash")
	hint := ""
	if errors.Is(err, password.ErrWeak) {
		hint = "settings.password.accept_weak_hashes takes it nevertheless, until the next good sign-in."
	}
	found.add(at, path, hint, "cannot be imported: %s", strings.TrimPrefix(err.Error(), "password: "))
}

// reportPolicy tells what a plain password lacks in length and kinds of characters. How easily it is guessed is the
// operator's judgement, as it is with the hashes that a file imports.
func reportPolicy(p *named[person], demands policy.Policy, found *issues) {
	at, path := p.at("password")
	given := p.given
	about := policy.Person{Words: []string{given.Username, given.Email, given.Claims.Name, given.Claims.GivenName, given.Claims.FamilyName}}
	for _, v := range demands.Check(given.Password.Reveal(), about) {
		switch v.Rule {
		case policy.Common, policy.Strength, policy.Personal:
			continue
		}
		found.add(at, path, "", "%s", lack(v))
	}
}

func lack(v policy.Violation) string {
	counted := func(what string) string { return fmt.Sprintf("has fewer than %v %s", v.Params["n"], what) }
	switch v.Rule {
	case policy.Length:
		return fmt.Sprintf("is shorter than the %v characters that the realm's policy asks for", v.Params["n"])
	case policy.Longest:
		return fmt.Sprintf("is longer than %v characters", v.Params["n"])
	case policy.Upper:
		return counted("capital letters")
	case policy.Lower:
		return counted("small letters")
	case policy.Digits:
		return counted("digits")
	case policy.Symbols:
		return counted("symbols")
	case policy.Forbidden:
		return "has a word that the realm forbids"
	case policy.Personal:
		return "is built from names that are known to go with it"
	case policy.Common:
		return "is one of the most common passwords"
	case policy.Strength:
		return "is too easy to guess"
	}
	return "is not text in UTF-8"
}

// unique refuses a name that stands in the file twice.
type unique struct {
	found *issues
	taken map[string]*yaml.Node
}

func newUnique(found *issues) *unique { return &unique{found, map[string]*yaml.Node{}} }

func (u *unique) take(name string, at *yaml.Node, path string) {
	if first, twice := u.taken[name]; twice {
		u.found.add(at, path, "Names have to differ, also when written in other letters.", "is the same as in line %d", first.Line)
		return
	}
	u.taken[name] = at
}

// refuseSubject keeps sub and client_id apart: tokens of a client carry its client_id as sub.
func (u *unique) refuseSubject(p *named[person]) {
	if first, taken := u.taken[p.given.Subject]; taken {
		at, path := p.at("subject")
		u.found.add(at, path, "", "is the client_id in line %d; a person and an application never have the same subject", first.Line)
	}
}
