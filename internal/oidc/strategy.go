package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"

	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oidc/accesstoken"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
)

// idClaims are the claims of an ID token (OpenID Connect Core §2).
type idClaims struct {
	Issuer          string   `json:"iss"`
	Subject         string   `json:"sub"`
	Audience        audience `json:"aud"`
	Expires         int64    `json:"exp"`
	IssuedAt        int64    `json:"iat"`
	AuthTime        int64    `json:"auth_time"`
	Nonce           string   `json:"nonce,omitempty"`
	ACR             string   `json:"acr,omitempty"`
	AMR             []string `json:"amr,omitempty"`
	AccessTokenHash string   `json:"at_hash,omitempty"`
	SessionID       string   `json:"sid"`
	*personClaims
}

type audience = keyset.Audience

// coreStrategy makes codes and access tokens. What fosite calls a signature is the code itself: it is only passed
// to the storage, which keeps its hash.
type coreStrategy struct{ random io.Reader }

// AccessTokenSignature implements oauth2.AccessTokenStrategy.
func (coreStrategy) AccessTokenSignature(_ context.Context, token string) string {
	return token[strings.LastIndexByte(token, '.')+1:]
}

// GenerateAccessToken implements oauth2.AccessTokenStrategy.
func (coreStrategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	u := store.Of(ctx)
	s, ok := r.GetSession().(*store.Session)
	if !ok {
		return "", "", errors.New("the request has a session of another kind")
	}
	id, err := newTokenID()
	if err != nil {
		return "", "", err
	}
	aud := audience(u.Audience)
	if len(aud) == 0 {
		aud = audience(r.GetGrantedAudience())
	}
	if len(aud) == 0 {
		aud = audience{u.Realm.Issuer}
	}
	body := accesstoken.Claims{
		Issuer: u.Realm.Issuer, Subject: r.GetClient().GetID(), Audience: aud, ClientID: r.GetClient().GetID(),
		Expires: accessEnds(u).Unix(), IssuedAt: u.Now.Unix(), ID: id, Scope: strings.Join(r.GetGrantedScopes(), " "),
	}
	if g := s.Grant; g.ID != uuid.Nil { // else the client acts for itself (RFC 9068 §2.2)
		body.Subject, body.AuthTime, body.ACR, body.AMR, body.Grant = g.Subject, g.AuthTime.Unix(), g.ACR, g.AMR, g.ID.String()
	}
	var room [512]byte // enough for most, and then off the heap
	token, err = u.AccessKey.SignAccessToken(body.JSON(room[:0]))
	return token, "", err
}

func newTokenID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make a token id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// accessEnds is when an access token made now ends: after its lifetime, and never after its authorization.
func accessEnds(u *store.Unit) time.Time {
	ends := u.Now.Add(time.Duration(u.Lifetimes.AccessToken))
	if u.Grant != nil && u.Grant.EndsAt.Before(ends) {
		return u.Grant.EndsAt
	}
	return ends
}

// ValidateAccessToken implements oauth2.AccessTokenStrategy; verifying is package oidc's own (verifyAccessToken).
func (coreStrategy) ValidateAccessToken(context.Context, fosite.Requester, string) error { return nil }

// AuthorizeCodeSignature implements oauth2.AuthorizeCodeStrategy.
func (coreStrategy) AuthorizeCodeSignature(_ context.Context, code string) string { return code }

// GenerateAuthorizeCode implements oauth2.AuthorizeCodeStrategy.
func (s coreStrategy) GenerateAuthorizeCode(context.Context, fosite.Requester) (code, signature string, err error) {
	c, err := grant.NewCode(s.random)
	return c.Text(), c.Text(), err
}

// ValidateAuthorizeCode implements oauth2.AuthorizeCodeStrategy: the row knows its expiry.
func (coreStrategy) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error {
	return nil
}

// RefreshTokenSignature implements oauth2.RefreshTokenStrategy; as with codes, it is the token itself.
func (coreStrategy) RefreshTokenSignature(_ context.Context, token string) string { return token }

// GenerateRefreshToken implements oauth2.RefreshTokenStrategy: the first generation for a code, the next one for a
// refresh token, and the live one again for a token that was replaced a moment ago.
func (coreStrategy) GenerateRefreshToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	u := store.Of(ctx)
	if u.Grant == nil {
		return "", "", errors.New("there is no authorization to refresh")
	}
	token, err = grant.RefreshToken{Grant: u.Grant.ID, Generation: u.Presented.Generation + 1}.Text(u.Realm)
	return token, token, err
}

// ValidateRefreshToken implements oauth2.RefreshTokenStrategy: the row knows its ends.
func (coreStrategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error { return nil }

// idTokenStrategy makes ID tokens from the authorization's row.
type idTokenStrategy struct{}

// GenerateIDToken implements openid.OpenIDConnectTokenStrategy.
func (idTokenStrategy) GenerateIDToken(ctx context.Context, lifespan time.Duration, r fosite.Requester) (string, error) {
	u := store.Of(ctx)
	s, ok := r.GetSession().(*store.Session)
	if !ok {
		return "", errors.New("the request has a session of another kind")
	}
	g, nonce := s.Grant, s.Grant.Request["nonce"]
	if s.Refreshed {
		nonce = "" // it belongs to the authorization request (OpenID Connect Core §12.2)
	}
	var person *personClaims
	if u.Claims != nil {
		read, err := u.Claims(ctx, g)
		if err != nil {
			return "", err
		}
		person = claimsFor(read, r.GetGrantedScopes())
	}
	body, err := json.Marshal(idClaims{
		Issuer: u.Realm.Issuer, Subject: g.Subject, Audience: audience{r.GetClient().GetID()},
		Expires: u.Now.Add(lifespan).Unix(), IssuedAt: u.Now.Unix(), AuthTime: g.AuthTime.Unix(), Nonce: nonce,
		ACR: g.ACR, AMR: g.AMR, AccessTokenHash: s.IDTokenClaims().AccessTokenHash, SessionID: g.SessionID.String(), personClaims: person,
	})
	if err != nil {
		return "", fmt.Errorf("encode ID token claims: %w", err)
	}
	return u.IDKey.SignIDToken(body)
}
