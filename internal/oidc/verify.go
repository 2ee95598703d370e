package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// verifyAccessToken checks an access token of the realm: typ, key, signature, issuer and expiry. Whether its
// authorization still lives, the caller asks the database. Any failure is keyset.ErrInvalid, unless the keys cannot
// be read.
func (p *Provider) verifyAccessToken(ctx context.Context, r realm.Realm, token string) (accessClaims, error) {
	ring, err := p.Keys.Ring(ctx, r)
	if err != nil {
		return accessClaims{}, err
	}
	_, etag := ring.JWKS()
	digest := sha256.Sum256([]byte(r.ID.String() + etag + token))
	claims, ok := p.verified.get(digest)
	if !ok {
		payload, err := ring.Verify(token, "at+jwt")
		if err != nil {
			return accessClaims{}, err
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			return accessClaims{}, keyset.ErrInvalid
		}
		p.verified.put(digest, claims)
	}
	if claims.Issuer != r.Issuer || p.Now().Unix() >= claims.Expires {
		return accessClaims{}, keyset.ErrInvalid
	}
	return claims, nil
}

// verifyHint checks an id_token_hint: an ID token of this realm, however old (OpenID Connect Core §3.1.2.1).
func (p *Provider) verifyHint(ctx context.Context, r realm.Realm, hint string) (idClaims, error) {
	ring, err := p.Keys.Ring(ctx, r)
	if err != nil {
		return idClaims{}, err
	}
	payload, err := ring.Verify(hint, "JWT")
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

// verifiedTokens remembers, by digest over realm, key set and token, access tokens whose signature held. It is
// bounded: when the young half is full it becomes the old half.
type verifiedTokens struct {
	mu         sync.RWMutex
	young, old map[[sha256.Size]byte]accessClaims

	hits, misses atomic.Int64
}

// CacheStats describes the cache of access tokens whose signature was verified before.
func (p *Provider) CacheStats() map[string]realm.CacheStats {
	v := p.verified
	v.mu.RLock()
	defer v.mu.RUnlock()
	return map[string]realm.CacheStats{
		"verified_tokens": {Hits: v.hits.Load(), Misses: v.misses.Load(), Entries: int64(len(v.young) + len(v.old))},
	}
}

const verifiedBound = 20_000

func newVerifiedTokens() *verifiedTokens {
	return &verifiedTokens{young: map[[sha256.Size]byte]accessClaims{}}
}

func (v *verifiedTokens) get(digest [sha256.Size]byte) (accessClaims, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	c, ok := v.young[digest]
	if !ok {
		c, ok = v.old[digest]
	}
	if ok {
		v.hits.Add(1)
	} else {
		v.misses.Add(1)
	}
	return c, ok
}

func (v *verifiedTokens) put(digest [sha256.Size]byte, c accessClaims) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= verifiedBound {
		v.old, v.young = v.young, make(map[[sha256.Size]byte]accessClaims, verifiedBound)
	}
	v.young[digest] = c
}
