// Package assertion is how clients prove who they are by a JWT that they sign with their own key: private_key_jwt
// (OpenID Connect Core §9, RFC 7523 §2.2), and the same JWT as a grant (§2.1).
//
// An issuer that the client trusts may sign it instead: the platform that the client runs on, which knows it by another
// name. Such a JWT means the same, that who holds it is the client, and may be used wherever the client's own may. RFC
// 7523 §3 wants the client_id as sub of what authenticates a client; platforms cannot write that, so here the sub is one
// of those that the client is registered with.
//
// Parse reads what anybody may have written; Verifier.Use checks it against the client's keys, holds its claims
// against the realm and uses it up. Keys are package client's; what a request looks like and how it is refused is
// package oidc's.
package assertion

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	jose "github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Type is what client_assertion_type has to say (RFC 7523 §2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	maxLength = 16 << 10        // SECURITY.md JW-11
	ends      = 5 * time.Minute // how far ahead exp may lie
	skew      = 5 * time.Second // how far the clock of whoever made it may be off
	maxJTI    = 255
)

// ErrInvalid says that an assertion proves nothing: it is malformed, or no key of the client's made it, or they cannot
// be read.
var ErrInvalid = errors.New("invalid assertion")

// ClaimError is what is wrong with an assertion that the client, or an issuer that it trusts, did sign: a sentence that
// it may be told.
type ClaimError string

// Error implements error.
func (e ClaimError) Error() string { return string(e) }

// ed25519Alg is the name that RFC 9864 gives to EdDSA with Ed25519, the only curve of EdDSA here: two names of one thing.
const ed25519Alg = "Ed25519"

// Algorithms lists what assertions may be signed by: what this server signs by as well.
func Algorithms() []string { return append(realm.SigningAlgs(), ed25519Alg) }

// Assertion is a JWT by which a client says who it is. Until Use has let it pass, nothing in it is true.
type Assertion struct {
	jws      *jose.JSONWebSignature
	signed   string // what the signature is of
	alg, kid string
	claims   claims
}

type claims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  audience         `json:"aud"`
	Expires   *jwt.NumericDate `json:"exp"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	ID        string           `json:"jti"`
}

// audience is an aud that remembers how it was written.
type audience struct {
	jwt.Audience
	text bool // as a string
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	a.text = strings.HasPrefix(string(b), `"`)
	return a.Audience.UnmarshalJSON(b)
}

// Parse reads an assertion without believing it; every error is ErrInvalid. Its reader of JSON tells upper from lower
// case and refuses members that occur twice, so that nobody reads other claims than we do.
func Parse(text string) (Assertion, error) {
	if len(text) > maxLength {
		return Assertion{}, fmt.Errorf("%w: too long", ErrInvalid)
	}
	var allowed []jose.SignatureAlgorithm
	for _, alg := range Algorithms() {
		allowed = append(allowed, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(text, allowed)
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	head := jws.Signatures[0].Protected
	a := Assertion{jws: jws, signed: text[:strings.LastIndexByte(text, '.')], alg: head.Algorithm, kid: head.KeyID}
	if _, critical := head.ExtraHeaders["crit"]; critical {
		return Assertion{}, fmt.Errorf("%w: critical headers", ErrInvalid)
	}
	// A token that was made for something else does not authenticate anybody.
	typ, _ := head.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if !slices.Contains([]string{"", "jwt", "client-authentication+jwt"}, typ) {
		return Assertion{}, fmt.Errorf("%w: another typ", ErrInvalid)
	}
	if err := josejson.Unmarshal(jws.UnsafePayloadWithoutVerification(), &a.claims); err != nil {
		return Assertion{}, fmt.Errorf("%w: read the claims: %w", ErrInvalid, err)
	}
	switch c := a.claims; {
	case c.Issuer == "" || c.Subject == "":
		return Assertion{}, fmt.Errorf("%w: no iss or no sub", ErrInvalid)
	case c.Issuer == c.Subject && client.CheckID(c.Subject) != "":
		return Assertion{}, fmt.Errorf("%w: iss and sub are no client_id", ErrInvalid)
	}
	return a, nil
}

// ClientID is which client the assertion says that it is of, "" when it is by somebody else, who knows the client by
// another name.
func (a Assertion) ClientID() string {
	if a.claims.Issuer != a.claims.Subject {
		return ""
	}
	return a.claims.Subject
}

// Verifier checks assertions.
type Verifier struct {
	Keys *client.Keys
	Now  func() time.Time
}

// Use checks an assertion that is meant to prove c, and uses it up: of many callers at once it succeeds for one. The key
// decides about the algorithm, and what is wrong with the claims is told only to who has signed them. Errors are
// ErrInvalid, ClaimError, and those of the database.
func (v Verifier) Use(ctx context.Context, r realm.Realm, c *client.Client, a Assertion) error {
	allowed := terms{issuer: r.Issuer, strict: c.StrictAssertionAudience || r.Settings.StrictAssertionAudience, lifetime: ends}
	var proved bool
	var err error
	if a.ClientID() != "" {
		proved, err = v.Keys.Verify(ctx, r, c, a.algorithm(), a.kid, a.madeBy)
	} else {
		by, trusted := c.Trusts(a.claims.Issuer)
		if !trusted {
			return fmt.Errorf("%w: the client does not trust the issuer %.100q", ErrInvalid, a.claims.Issuer)
		}
		allowed.lifetime, allowed.subjects = time.Duration(by.MaxLifetime), by.Subjects
		proved, err = v.Keys.VerifyIssuer(ctx, r, c, by, a.algorithm(), a.kid, a.madeBy)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case !proved:
		return fmt.Errorf("%w: no key of %.100q made the signature (alg %s, kid %.40q)", ErrInvalid, a.claims.Issuer, a.alg, a.kid)
	}
	if wrong := a.claims.wrong(allowed, v.Now()); wrong != "" {
		return wrong
	}
	first, err := client.UseAssertion(ctx, r, a.claims.Issuer, a.claims.ID, a.claims.Expires.Time().Add(skew).UTC())
	if err == nil && !first {
		return ClaimError("The assertion was used before: each needs a jti of its own.")
	}
	return err
}

// algorithm is what the assertion is signed by, in the name that keys have.
func (a Assertion) algorithm() string {
	if a.alg == ed25519Alg {
		return client.EdDSA
	}
	return a.alg
}

// madeBy tells whether the key made the signature. The key is for the assertion's algorithm.
func (a Assertion) madeBy(key client.Key) bool {
	if a.alg == ed25519Alg { // which go-jose does not know by that name
		public, ok := key.Public.(ed25519.PublicKey)
		return ok && ed25519.Verify(public, []byte(a.signed), a.jws.Signatures[0].Signature)
	}
	_, err := a.jws.Verify(key.Public)
	return err == nil
}

// terms are what the claims are held against.
type terms struct {
	issuer   string // the realm's
	strict   bool   // the aud is the issuer as a string
	subjects []string
	lifetime time.Duration
}

// wrong says what is wrong with the claims, "" when nothing is (RFC 7523 §3, OpenID Connect Core §9).
func (c claims) wrong(t terms, now time.Time) ClaimError {
	switch {
	case t.subjects != nil && !slices.Contains(t.subjects, c.Subject):
		return "The sub of the assertion is none of those that the client is registered with."
	case t.strict && !c.Audience.isIssuer(t.issuer):
		return "The aud of the assertion has to be the issuer, as a string."
	case !t.strict && !c.Audience.names(t.issuer):
		return "The aud of the assertion has to be the issuer or the token endpoint, and nothing beside."
	case c.Expires == nil:
		return "The assertion has no exp."
	case !now.Before(c.Expires.Time().Add(skew)):
		return "The assertion has expired."
	case c.Expires.Time().After(now.Add(t.lifetime + skew)):
		return ClaimError("The exp of the assertion is more than " + realm.Duration(t.lifetime).String() + " ahead.")
	case c.IssuedAt != nil && c.IssuedAt.Time().After(now.Add(skew)):
		return "The iat of the assertion is in the future."
	case c.NotBefore != nil && c.NotBefore.Time().After(now.Add(skew)):
		return "The assertion is not valid yet (nbf)."
	case c.ID == "" || len(c.ID) > maxJTI || strings.ContainsFunc(c.ID, unicode.IsControl):
		return "The assertion needs a jti: 1 to 255 bytes without control characters."
	}
	return ""
}

// isIssuer tells whether the aud is the issuer as a string, as FAPI 2.0 and the successor of RFC 7523 ask.
func (a audience) isIssuer(issuer string) bool { return a.text && a.Audience[0] == issuer }

// names tells whether the assertion is meant for that issuer, or its token endpoint, and nobody beside.
func (a audience) names(issuer string) bool {
	return len(a.Audience) == 1 && (a.Audience[0] == issuer || a.Audience[0] == issuer+"/token")
}
