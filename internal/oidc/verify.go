package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oidc/accesstoken"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// verifyAccessToken checks an access token of the realm: typ, key, signature, issuer and expiry. Whether its
// authorization still lives, the caller asks the database. Any failure is keyset.ErrInvalid, unless the keys cannot
// be read.
func (p *Provider) verifyAccessToken(ctx context.Context, r realm.Realm, token string) (accesstoken.Claims, error) {
	ring, err := p.Keys.Ring(ctx, r)
	if err != nil {
		return accesstoken.Claims{}, err
	}
	_, etag := ring.JWKS()
	digest := tokenDigest(sha256.Sum256([]byte(r.ID.String() + etag + token)))
	claims, ok := p.verified.Get(digest)
	if !ok {
		payload, err := ring.Verify(token, "at+jwt")
		if err != nil {
			return accesstoken.Claims{}, err
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			return accesstoken.Claims{}, keyset.ErrInvalid
		}
		p.verified.Put(digest, claims)
	}
	if claims.Issuer != r.Issuer || p.Now().Unix() >= claims.Expires {
		return accesstoken.Claims{}, keyset.ErrInvalid
	}
	return claims, nil
}

// verifyHint checks an id_token_hint: an ID token of this realm, however old (OpenID Connect Core §3.1.2.1).
func (p *Provider) verifyHint(ctx context.Context, r realm.Realm, hint string) (idClaims, error) {
	ring, err := p.Keys.Ring(ctx, r)
	if err != nil {
		return idClaims{}, err
	}
	payload, err := ring.VerifyHint(hint)
	if errors.Is(err, keyset.ErrInvalid) {
		return idClaims{}, refuse(codeInvalidRequest, "The id_token_hint is not an ID token of this issuer.")
	}
	if err != nil {
		return idClaims{}, err
	}
	var claims idClaims
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Issuer != r.Issuer || len(claims.Audience) == 0 || claims.SessionID == "" {
		return idClaims{}, refuse(codeInvalidRequest, "The id_token_hint is not an ID token of this issuer.")
	}
	return claims, nil
}

// tokenDigest is over realm, key set and token. The provider remembers by it access tokens whose signature held.
type tokenDigest [sha256.Size]byte

const verifiedBound = 20_000

// CacheStats describes the memory of access tokens whose signature held.
func (p *Provider) CacheStats() map[string]realm.CacheStats {
	return map[string]realm.CacheStats{"verified_tokens": p.verified.Stats()}
}
