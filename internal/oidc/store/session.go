package store

import (
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"

	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
)

// Session is what travels from the login to the tokens: the authorization itself.
type Session struct {
	Grant grant.Grant
	// Refreshed tells that the tokens come of a refresh token.
	Refreshed bool

	alg    string
	claims *jwt.IDTokenClaims
}

var _ openid.Session = (*Session)(nil)

// SetExpiresAt implements fosite.Session. Ends are decided from the authorization and the realm's settings with
// the injected clock, not by fosite, which reads the system's.
func (*Session) SetExpiresAt(fosite.TokenType, time.Time) {}

// GetExpiresAt implements fosite.Session.
func (*Session) GetExpiresAt(fosite.TokenType) time.Time { return time.Time{} }

// GetUsername implements fosite.Session.
func (*Session) GetUsername() string { return "" }

// GetSubject implements fosite.Session.
func (s *Session) GetSubject() string { return s.Grant.Subject }

// Clone implements fosite.Session. fosite calls it for one purpose: to refresh.
func (s *Session) Clone() fosite.Session {
	return &Session{Grant: s.Grant, alg: s.alg, Refreshed: true}
}

// IDTokenClaims implements openid.Session. Only the subject and the at_hash that fosite computes pass through
// here; the ID token strategy makes the claims of the authorization.
func (s *Session) IDTokenClaims() *jwt.IDTokenClaims {
	if s.claims == nil {
		s.claims = &jwt.IDTokenClaims{Subject: s.Grant.Subject}
	}
	return s.claims
}

// IDTokenHeaders implements openid.Session. fosite reads the algorithm from it to choose the hash of at_hash by its
// digits; Ed25519 goes with SHA-512.
func (s *Session) IDTokenHeaders() *jwt.Headers {
	alg := s.alg
	if alg == keyset.EdDSA {
		alg = "ES512"
	}
	return &jwt.Headers{Extra: map[string]any{"alg": alg}}
}
