// Package store is fosite's storage over the domain: clients from package client, authorizations from package
// grant. It is one unit of work per request.
//
// fosite reads and writes step by step; this storage reads one row, hands it out as often as it is asked, and
// turns every write into a note in the Unit. Package oidc commits the Unit by one statement after fosite has
// decided and signed. Access tokens are never stored. fosite's handlers are used unchanged.
package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Unit is the unit of work of one request: its realm and clock, what was read, and what is to be written.
type Unit struct {
	Realm realm.Realm
	Now   time.Time
	// Ring are the realm's keys, read once per request.
	Ring *keyset.Ring

	// Code is the code that fosite let be made at the authorization endpoint.
	Code *grant.Code
	// Grant is the authorization of the code that was presented at the token endpoint; nil when there is none.
	Grant *grant.Grant
	// Reused tells that fosite found the presented code used before.
	Reused bool

	request fosite.Requester
}

type unitKey struct{}

// With returns a ctx that carries u. It is the one place where a dependency travels in a ctx: fosite passes its
// callbacks nothing else.
func With(ctx context.Context, u *Unit) context.Context { return context.WithValue(ctx, unitKey{}, u) }

// Of returns the unit in ctx. It panics when there is none: a request that reached fosite without a realm must
// not go on.
func Of(ctx context.Context) *Unit {
	u, ok := ctx.Value(unitKey{}).(*Unit)
	if !ok {
		panic("fosite was called without a unit of work")
	}
	return u
}

// Storage implements fosite's storage interfaces.
type Storage struct{ Clients *client.Store }

var (
	_ fosite.Storage                     = Storage{}
	_ oauth2.CoreStorage                 = Storage{}
	_ oauth2.TokenRevocationStorage      = Storage{}
	_ openid.OpenIDConnectRequestStorage = Storage{}
	_ pkce.PKCERequestStorage            = Storage{}
)

// GetClient implements fosite.ClientManager. A disabled client is like none.
func (s Storage) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := s.Clients.ByClientID(ctx, Of(ctx).Realm, id)
	if errors.Is(err, realm.ErrUnknown) || (err == nil && !c.Enabled) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return Client{c}, nil
}

// errUnused is returned by the parts of fosite's interfaces that no handler of ours calls.
var errUnused = errors.New("not part of this storage")

// ClientAssertionJWTValid implements fosite.ClientManager; client authentication is package oidc's.
func (Storage) ClientAssertionJWTValid(context.Context, string) error { return errUnused }

// SetClientAssertionJWT implements fosite.ClientManager.
func (Storage) SetClientAssertionJWT(context.Context, string, time.Time) error { return errUnused }

// CreateAuthorizeCodeSession notes the code that was made.
func (Storage) CreateAuthorizeCodeSession(ctx context.Context, code string, _ fosite.Requester) error {
	c, ok := grant.ParseCode(code)
	if !ok {
		return errors.New("the code strategy made a code of another form")
	}
	Of(ctx).Code = &c
	return nil
}

// CreateOpenIDConnectSession implements openid.OpenIDConnectRequestStorage: the authorization's row has it all.
func (Storage) CreateOpenIDConnectSession(context.Context, string, fosite.Requester) error {
	return nil
}

// CreatePKCERequestSession implements pkce.PKCERequestStorage: the authorization's row has it all.
func (Storage) CreatePKCERequestSession(context.Context, string, fosite.Requester) error { return nil }

// GetAuthorizeCodeSession reads the authorization of a code, once per request.
func (s Storage) GetAuthorizeCodeSession(ctx context.Context, code string, _ fosite.Session) (fosite.Requester, error) {
	u := Of(ctx)
	if u.request != nil {
		return u.request, nil
	}
	c, ok := grant.ParseCode(code)
	if !ok {
		return nil, fosite.ErrNotFound
	}
	g, err := grant.ByCode(ctx, u.Realm, c)
	if errors.Is(err, realm.ErrUnknown) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	u.Grant = &g
	issuedTo, err := s.GetClient(ctx, g.ClientID)
	if err != nil {
		return nil, fosite.ErrNotFound
	}
	u.request = request(g, issuedTo)
	switch {
	case g.CodeUsed:
		u.Reused = true
		return u.request, fosite.ErrInvalidatedAuthorizeCode
	case g.Revoked, !g.UserActive, !g.SessionLive, !u.Now.Before(g.CodeExpiresAt):
		return nil, fosite.ErrNotFound
	}
	return u.request, nil
}

// request is an authorization as fosite wants to see it.
func request(g grant.Grant, issuedTo fosite.Client) *fosite.Request {
	form := make(url.Values, len(g.Request))
	for k, v := range g.Request {
		form.Set(k, v)
	}
	return &fosite.Request{
		ID: g.ID.String(), RequestedAt: g.CreatedAt, Client: issuedTo, Form: form, Session: &Session{Grant: g},
		RequestedScope: g.Scopes, GrantedScope: g.Scopes, RequestedAudience: g.Audience, GrantedAudience: g.Audience,
	}
}

// InvalidateAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage: the Unit's commit spends the code.
func (Storage) InvalidateAuthorizeCodeSession(context.Context, string) error { return nil }

// GetPKCERequestSession implements pkce.PKCERequestStorage.
func (Storage) GetPKCERequestSession(ctx context.Context, _ string, _ fosite.Session) (fosite.Requester, error) {
	if u := Of(ctx); u.request != nil && u.request.GetRequestForm().Get("code_challenge") != "" {
		return u.request, nil
	}
	return nil, fosite.ErrNotFound
}

// DeletePKCERequestSession implements pkce.PKCERequestStorage.
func (Storage) DeletePKCERequestSession(context.Context, string) error { return nil }

// GetOpenIDConnectSession implements openid.OpenIDConnectRequestStorage.
func (Storage) GetOpenIDConnectSession(ctx context.Context, _ string, _ fosite.Requester) (fosite.Requester, error) {
	if u := Of(ctx); u.request != nil && u.request.GetGrantedScopes().Has("openid") {
		return u.request, nil
	}
	return nil, openid.ErrNoSessionFound
}

// DeleteOpenIDConnectSession implements openid.OpenIDConnectRequestStorage.
func (Storage) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// CreateAccessTokenSession implements oauth2.AccessTokenStorage: access tokens are signed, not stored.
func (Storage) CreateAccessTokenSession(context.Context, string, fosite.Requester) error { return nil }

// GetAccessTokenSession implements oauth2.AccessTokenStorage.
func (Storage) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errUnused
}

// DeleteAccessTokenSession implements oauth2.AccessTokenStorage.
func (Storage) DeleteAccessTokenSession(context.Context, string) error { return nil }

// RevokeAccessToken implements oauth2.TokenRevocationStorage. fosite calls it when a code was used before, whoever
// presents it; what is done about it package oidc decides, who knows which client that was.
func (Storage) RevokeAccessToken(context.Context, string) error { return nil }

// RevokeRefreshToken implements oauth2.TokenRevocationStorage; see RevokeAccessToken.
func (Storage) RevokeRefreshToken(context.Context, string) error { return nil }

// CreateRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (Storage) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return errUnused
}

// GetRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (Storage) GetRefreshTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fmt.Errorf("refresh: %w", errUnused)
}

// DeleteRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (Storage) DeleteRefreshTokenSession(context.Context, string) error { return errUnused }

// RotateRefreshToken implements oauth2.RefreshTokenStorage.
func (Storage) RotateRefreshToken(context.Context, string, string) error { return errUnused }
