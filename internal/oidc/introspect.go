package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oidc/accesstoken"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// introspect is the introspection endpoint (RFC 7662). A token is shown to its client, and an access token to clients
// that are set to introspect its audience; to everybody else every token is inactive, like one that never was.
func (p *Provider) introspect(c *echo.Context) error {
	form, cl, err := p.clientRequest(c, readCredentials)
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	switch {
	case cl.Public():
		return p.refuseToken(c, cl, refuse(codeInvalidClient, "A client that cannot authenticate cannot introspect."))
	case form.Get("token") == "":
		return p.refuseToken(c, cl, refuse(codeInvalidRequest, "The parameter token is missing."))
	}
	ctx, r := c.Request().Context(), web.Realm(c)
	answer, err := p.inspect(ctx, r, cl, form.Get("token"))
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	if web.Accepts(c.Request().Header.Get(echo.HeaderAccept), introspectionJWT) <= 0 {
		return c.JSONBlob(http.StatusOK, answer.JSON())
	}
	return p.signedIntrospection(c, r, cl, answer)
}

// introspectionJWT is the media type of signed answers (RFC 9701 §4).
const introspectionJWT = "application/token-introspection+jwt"

// signedIntrospection answers with a JWT, for resource servers that have to show what they were told (RFC 9701 §5).
func (p *Provider) signedIntrospection(c *echo.Context, r realm.Realm, cl *client.Client, answer accesstoken.Introspection) error {
	key, err := p.Keys.Signer(c.Request().Context(), r, r.Settings.SigningAlg)
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	claims, err := json.Marshal(struct {
		Issuer   string                    `json:"iss"`
		Audience string                    `json:"aud"`
		IssuedAt int64                     `json:"iat"`
		Answer   accesstoken.Introspection `json:"token_introspection"`
	}{r.Issuer, cl.ClientID, p.Now().Unix(), answer})
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	jwt, err := key.SignTyped("token-introspection+jwt", claims)
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	return c.Blob(http.StatusOK, introspectionJWT, []byte(jwt))
}

func (p *Provider) inspect(ctx context.Context, r realm.Realm, cl *client.Client, token string) (accesstoken.Introspection, error) {
	if presented, ours := grant.ParseRefreshToken(r, token); ours {
		return p.inspectRefresh(ctx, r, cl, presented)
	}
	claims, err := p.verifyAccessToken(ctx, r, token)
	if errors.Is(err, keyset.ErrInvalid) {
		return accesstoken.Introspection{}, nil
	}
	if err != nil {
		return accesstoken.Introspection{}, err
	}
	if claims.ClientID != cl.ClientID && !mayIntrospect(cl, claims.Audience) {
		return accesstoken.Introspection{}, nil
	}
	id, err := grantOf(claims)
	if err != nil {
		return accesstoken.Introspection{}, nil //nolint:nilerr // a token that names no authorization of ours is inactive
	}
	live, err := p.live.Token(ctx, r, id, claims.ID, p.Now())
	if err != nil || !live {
		return accesstoken.Introspection{}, err
	}
	return accesstoken.Introspection{
		Active: true, TokenType: "Bearer", Issuer: claims.Issuer, Subject: claims.Subject, Audience: claims.Audience, ClientID: claims.ClientID,
		Scope: claims.Scope, Expires: claims.Expires, IssuedAt: claims.IssuedAt, ID: claims.ID, AuthTime: claims.AuthTime, ACR: claims.ACR, AMR: claims.AMR,
	}, nil
}

// mayIntrospect tells whether a client is set to introspect one of the audiences.
func mayIntrospect(cl *client.Client, audiences []string) bool {
	return slices.ContainsFunc(cl.Introspects, func(a string) bool { return a == "*" || slices.Contains(audiences, a) })
}

// grantOf is the authorization that an access token came of, uuid.Nil when the client acts for itself.
func grantOf(claims accesstoken.Claims) (uuid.UUID, error) {
	if claims.Grant == "" {
		return uuid.Nil, nil
	}
	return uuid.Parse(claims.Grant)
}

// inspectRefresh shows a refresh token to the client that it was given to, and to nobody else.
func (p *Provider) inspectRefresh(ctx context.Context, r realm.Realm, cl *client.Client, presented grant.RefreshToken) (accesstoken.Introspection, error) {
	now := p.Now()
	g, err := grant.ByID(ctx, r, presented.Grant, now)
	if errors.Is(err, realm.ErrUnknown) {
		return accesstoken.Introspection{}, nil
	}
	if err != nil {
		return accesstoken.Introspection{}, err
	}
	standing := g.Standing(presented, now)
	if g.ClientID != cl.ClientID || (standing != grant.Current && standing != grant.Repeated) {
		return accesstoken.Introspection{}, nil
	}
	return accesstoken.Introspection{
		Active: true, Issuer: r.Issuer, Subject: g.Subject, ClientID: g.ClientID, Scope: strings.Join(g.Scopes, " "),
		Expires: g.IdleAt.Unix(), IssuedAt: g.RotatedAt.Unix(), AuthTime: g.AuthTime.Unix(), ACR: g.ACR, AMR: g.AMR,
	}, nil
}

// revoke is the revocation endpoint (RFC 7009). A client revokes its own tokens: an access token by itself, a refresh
// token with its authorization. What is not its own, or no token at all, is answered alike and left alone; a database
// that cannot answer is 503, never success.
func (p *Provider) revoke(c *echo.Context) error {
	form, cl, err := p.clientRequest(c, readCredentials)
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	if form.Get("token") == "" {
		return p.refuseToken(c, cl, refuse(codeInvalidRequest, "The parameter token is missing."))
	}
	if err := p.revokeToken(c.Request().Context(), web.Realm(c), cl, form.Get("token")); err != nil {
		return p.refuseToken(c, cl, err)
	}
	return c.NoContent(http.StatusOK)
}

func (p *Provider) revokeToken(ctx context.Context, r realm.Realm, cl *client.Client, token string) error {
	now := p.Now()
	if presented, ours := grant.ParseRefreshToken(r, token); ours {
		g, err := grant.ByID(ctx, r, presented.Grant, now)
		if errors.Is(err, realm.ErrUnknown) || (err == nil && g.ClientID != cl.ClientID) {
			return nil
		}
		if err != nil {
			return err
		}
		return grant.Revoke(ctx, r, g, "revoked", now)
	}
	claims, err := p.verifyAccessToken(ctx, r, token)
	if errors.Is(err, keyset.ErrInvalid) || (err == nil && claims.ClientID != cl.ClientID) {
		return nil
	}
	if err != nil {
		return err
	}
	id, err := grantOf(claims)
	if err != nil {
		return nil //nolint:nilerr // a token that names no authorization of ours has nothing to revoke
	}
	return grant.RevokeToken(ctx, r, grant.Token{JTI: claims.ID, Grant: id, Client: cl.ClientID, Expires: time.Unix(claims.Expires, 0).UTC()}, now)
}
