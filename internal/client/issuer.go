package client

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// TrustedIssuer is somebody else who vouches for a client: the platform that it runs on, such as a cluster or a build
// service, whose JWTs name the client by a name of their own. Who holds such a JWT about one of the subjects is the
// client. It says nothing about people.
type TrustedIssuer struct {
	// Issuer is the iss of its JWTs.
	Issuer string `yaml:"issuer"`
	// Subjects are the sub by which it knows the client, compared exactly.
	Subjects []string `yaml:"subjects"`
	// JWKS are the issuer's public keys, JWKSURI is where it publishes them; one of the two.
	JWKS    KeySet `yaml:"jwks"`
	JWKSURI string `yaml:"jwks_uri"`
	// MaxLifetime is how far ahead the exp of its JWTs may lie.
	MaxLifetime realm.Duration `yaml:"max_lifetime"`
}

// Bounds of what an issuer is trusted with.
const (
	maxIssuers      = 10
	maxSubjects     = 100
	maxIssuerName   = 255
	defaultLifetime = 5 * time.Minute
	minLifetime     = 10 * time.Second
	maxLifetime     = time.Hour
)

// Trusts finds the issuer of that name among those that vouch for the client.
func (c Client) Trusts(issuer string) (TrustedIssuer, bool) {
	for _, t := range c.TrustedIssuers {
		if t.Issuer == issuer {
			return t, true
		}
	}
	return TrustedIssuer{}, false
}

// withIssuerDefaults fills in what may be left out, in a copy.
func withIssuerDefaults(issuers []TrustedIssuer) []TrustedIssuer {
	filled := make([]TrustedIssuer, 0, len(issuers))
	for _, t := range issuers {
		if t.MaxLifetime == 0 {
			t.MaxLifetime = realm.Duration(defaultLifetime)
		}
		if t.Subjects == nil {
			t.Subjects = []string{}
		}
		filled = append(filled, t)
	}
	return filled
}

// checkIssuers says what is wrong with the issuers that vouch for the client.
func (s Settings) checkIssuers() []string {
	var wrong []string
	if len(s.TrustedIssuers) > maxIssuers {
		wrong = append(wrong, fmt.Sprintf("trusted_issuers has %d; at most %d", len(s.TrustedIssuers), maxIssuers))
	}
	if len(s.TrustedIssuers) > 0 && s.TokenEndpointAuthMethod != methodKey {
		wrong = append(wrong, "trusted_issuers needs token_endpoint_auth_method "+methodKey)
	}
	var seen []string
	for i, t := range s.TrustedIssuers {
		for _, why := range t.check() {
			wrong = append(wrong, fmt.Sprintf("trusted_issuers[%d] %s", i, why))
		}
		if slices.Contains(seen, t.Issuer) {
			wrong = append(wrong, fmt.Sprintf("trusted_issuers[%d] has the issuer of another; list all subjects with one", i))
		}
		seen = append(seen, t.Issuer)
	}
	return wrong
}

func (t TrustedIssuer) check() []string {
	var wrong []string
	if !isName(t.Issuer) {
		wrong = append(wrong, "needs an issuer: the iss of its JWTs, 1 to 255 bytes")
	}
	if len(t.Subjects) == 0 || len(t.Subjects) > maxSubjects || slices.ContainsFunc(t.Subjects, func(sub string) bool { return !isName(sub) }) {
		wrong = append(wrong, fmt.Sprintf("needs subjects: the sub of its JWTs, 1 to %d of 1 to 255 bytes", maxSubjects))
	}
	if slices.Contains(t.Subjects, t.Issuer) {
		wrong = append(wrong, "has its own name among the subjects; who vouches for itself is no issuer")
	}
	if (t.JWKS == "") == (t.JWKSURI == "") {
		wrong = append(wrong, "needs the issuer's public keys as jwks, or where they are as jwks_uri; one of the two")
	}
	if t.JWKSURI != "" {
		if why := checkKeysAddress(t.JWKSURI); why != "" {
			wrong = append(wrong, fmt.Sprintf("jwks_uri %q %s", t.JWKSURI, why))
		}
	}
	if life := time.Duration(t.MaxLifetime); life < minLifetime || life > maxLifetime {
		wrong = append(wrong, fmt.Sprintf("has the max_lifetime %s; allowed are 10s to 1h", t.MaxLifetime))
	}
	return wrong
}

// isName tells whether a text can be an iss or a sub that somebody wrote down (RFC 7519 §2, StringOrURI).
func isName(s string) bool {
	return s != "" && len(s) <= maxIssuerName && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// storedIssuer is a TrustedIssuer as its column has it.
type storedIssuer struct {
	Issuer      string         `json:"issuer"`
	Subjects    []string       `json:"subjects"`
	JWKS        string         `json:"jwks,omitempty"`
	JWKSURI     string         `json:"jwks_uri,omitempty"`
	MaxLifetime realm.Duration `json:"max_lifetime"`
}

func encodeIssuers(issuers []TrustedIssuer) ([]byte, error) {
	stored := make([]storedIssuer, 0, len(issuers))
	for _, t := range issuers {
		stored = append(stored, storedIssuer{t.Issuer, t.Subjects, string(t.JWKS), t.JWKSURI, t.MaxLifetime})
	}
	column, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("encode trusted issuers: %w", err)
	}
	return column, nil
}

func decodeIssuers(column []byte) ([]TrustedIssuer, error) {
	var stored []storedIssuer
	if err := json.Unmarshal(column, &stored); err != nil {
		return nil, fmt.Errorf("decode trusted issuers: %w", err)
	}
	issuers := make([]TrustedIssuer, 0, len(stored))
	for _, t := range stored {
		issuers = append(issuers, TrustedIssuer{Issuer: t.Issuer, Subjects: t.Subjects, JWKS: KeySet(t.JWKS), JWKSURI: t.JWKSURI, MaxLifetime: t.MaxLifetime})
	}
	return issuers, nil
}
