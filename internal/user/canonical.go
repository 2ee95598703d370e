package user

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The kinds of identifier, as they are stored.
const (
	KindEmail    = "email"
	KindUsername = "username"
)

const (
	maxTyped    = 1024 // bytes, before any work is done
	maxLocal    = 64   // octets; RFC 5321 §4.5.3.1.1
	maxAddress  = 254  // octets; RFC 5321 §4.5.3.1.3 with erratum 1690
	maxUsername = 128  // code points
)

// Identifier is a name by which a person is found, in the two forms that are
// stored.
type Identifier struct {
	// Kind is KindEmail or KindUsername.
	Kind string
	// Canonical is what is compared, looked up, limited and unique in a realm. It
	// is never shown and never written to: folding may name another mailbox.
	Canonical string
	// Display is what the person typed, without the spaces around it and with
	// compatibility forms (full-width letters, ligatures) replaced by plain ones.
	// Mail goes to the stored Display, never to what was typed at sign-in or
	// recovery.
	Display string
}

// IdentifierError says why an identifier was refused. It does not contain the
// identifier.
type IdentifierError struct {
	Key string // message key
}

// The keys of refusals.
const (
	KeyIdentifierEmpty     = "identifier.empty"
	KeyIdentifierTooLong   = "identifier.too_long"
	KeyIdentifierCharacter = "identifier.character"
	KeyEmailInvalid        = "email.invalid"
	KeyUsernameInvalid     = "username.invalid"
)

// Error implements error.
func (e *IdentifierError) Error() string { return "identifier refused: " + e.Key }

func refuse(key string) error { return &IdentifierError{Key: key} }

// Canonical is the one function from what a person types to what is compared:
// registration, sign-in, recovery, linking and limits all use it. Whatever holds
// an '@' is an e-mail address, everything else a username. It is idempotent on
// canonical forms. Its only errors are of type [*IdentifierError].
//
//   - Spaces around are dropped; line breaks, control and invisible characters
//     (format characters, variation selectors, fillers) and spaces within are
//     refused, because two identifiers must not look the same. So are characters
//     that our Unicode tables do not know, whose folding is not settled.
//   - Usernames and local parts are normalised to NFKC and case-folded by the
//     full Unicode folding without a locale, until stable: ß becomes ss, final ς
//     becomes σ, İ becomes i with a dot above (another name than i), ı stays.
//   - Domains are mapped to A-labels by UTS #46, non-transitionally. They are
//     not folded, because straße.example and strasse.example are two domains.
//   - Dots and +tags in local parts are kept: what they mean is up to the
//     mail provider.
//
// Letters of different scripts that look alike are not unified.
func Canonical(identifier string) (Identifier, error) {
	display, err := clean(identifier)
	if err != nil {
		return Identifier{}, err
	}
	if strings.Contains(display, "@") {
		return email(display)
	}
	return username(display)
}

// Email is [Canonical] for places that take an e-mail address only.
func Email(address string) (Identifier, error) {
	display, err := clean(address)
	if err != nil {
		return Identifier{}, err
	}
	return email(display)
}

// Username is [Canonical] for places that take a username only. A username has 1
// to 128 characters, holds no '@', and does not begin with '+', which is left to
// telephone numbers.
func Username(name string) (Identifier, error) {
	display, err := clean(name)
	if err != nil {
		return Identifier{}, err
	}
	return username(display)
}

// beginning is the canonical form of how a name begins. Of a domain that is not whole yet nothing but the case is settled.
func beginning(typed string) (string, error) {
	display, err := clean(typed)
	if err != nil {
		return "", err
	}
	return fold(display)
}

// clean returns the display form.
func clean(typed string) (string, error) {
	if len(typed) > maxTyped {
		return "", refuse(KeyIdentifierTooLong)
	}
	if !utf8.ValidString(typed) {
		return "", refuse(KeyIdentifierCharacter)
	}
	display := norm.NFKC.String(strings.TrimFunc(typed, isSpace))
	if display == "" {
		return "", refuse(KeyIdentifierEmpty)
	}
	if !visible(display) {
		return "", refuse(KeyIdentifierCharacter)
	}
	return display, nil
}

func username(display string) (Identifier, error) {
	canonical, err := fold(display)
	if err != nil {
		return Identifier{}, err
	}
	if strings.Contains(canonical, "@") || strings.HasPrefix(canonical, "+") {
		return Identifier{}, refuse(KeyUsernameInvalid)
	}
	if utf8.RuneCountInString(canonical) > maxUsername || utf8.RuneCountInString(display) > maxUsername {
		return Identifier{}, refuse(KeyIdentifierTooLong)
	}
	return Identifier{Kind: KindUsername, Canonical: canonical, Display: display}, nil
}

func email(display string) (Identifier, error) {
	typed, domain, found := strings.Cut(display, "@")
	if !found || strings.Contains(domain, "@") || !isDotAtom(typed) {
		return Identifier{}, refuse(KeyEmailInvalid)
	}
	local, err := fold(typed)
	if err != nil {
		return Identifier{}, err
	}
	if !isDotAtom(local) {
		return Identifier{}, refuse(KeyEmailInvalid)
	}
	ascii, err := aLabels(domain)
	if err != nil {
		return Identifier{}, err
	}
	canonical := local + "@" + ascii
	if len(local) > maxLocal || len(typed) > maxLocal || len(canonical) > maxAddress {
		return Identifier{}, refuse(KeyIdentifierTooLong)
	}
	return Identifier{Kind: KindEmail, Canonical: canonical, Display: display}, nil
}

// fold returns the caseless form. Folding may leave NFKC and normalising may
// leave the folded form, so both run until nothing changes.
func fold(s string) (string, error) {
	caser := cases.Fold()
	for range 4 {
		next := norm.NFKC.String(caser.String(s))
		if next == s {
			if !visible(s) {
				return "", refuse(KeyIdentifierCharacter)
			}
			return s, nil
		}
		s = next
	}
	return "", refuse(KeyIdentifierCharacter)
}

func aLabels(domain string) (string, error) {
	profile := idna.New(
		idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.VerifyDNSLength(true),
	)
	// Up to Unicode 15.0 the mapping turned ẞ into ss, later into ß. Canonical
	// forms are stored, so they may not change with the tables.
	ascii, err := profile.ToASCII(strings.ReplaceAll(domain, "ẞ", "ß"))
	if err != nil || ascii == "" || strings.HasSuffix(ascii, ".") {
		return "", refuse(KeyEmailInvalid)
	}
	return ascii, nil
}

// isDotAtom is RFC 5322 §3.2.3 with the letters of RFC 6531. The quoted form,
// which would allow '@' and spaces, is refused.
func isDotAtom(local string) bool {
	if local == "" || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	return !strings.ContainsAny(local, `"(),:;<>[\]`)
}

// visible reports whether every character shows and none is a space. A mark at
// the beginning would attach to whatever stands before the identifier.
func visible(s string) bool {
	for i, r := range s {
		if !unicode.IsGraphic(r) || isSpace(r) || isIgnorable(r) || (i == 0 && unicode.IsMark(r)) {
			return false
		}
	}
	return true
}

func isSpace(r rune) bool { return unicode.Is(unicode.Zs, r) }

func isIgnorable(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
