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
	// Client is the client of the request, authenticated at the token endpoint.
	Client Client
	// GrantType is that of a request at the token endpoint.
	GrantType string
	// Audience is what the access token is for, when the request asks for less than was granted; nil else.
	Audience []string
	// Lifetimes are the realm's as they are for the request's client.
	Lifetimes realm.Lifetimes
	// AccessKey and IDKey sign the request's tokens.
	AccessKey, IDKey *keyset.Key
	// Claims reads what the ID token says of the person beside their subject; nil when it says nothing.
	Claims func(ctx context.Context, g grant.Grant) (grant.Person, error)

	// Code is the code that fosite let be made at the authorization endpoint.
	Code *grant.Code
	// Grant is the authorization of the code or refresh token that was presented at the token endpoint; nil when there
	// is none.
	Grant *grant.Grant
	// Reused tells that the presented code or refresh token was used up before.
	Reused bool
	// Presented is the refresh token that was presented, Standing what it means.
	Presented grant.RefreshToken
	Standing  grant.Standing

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
	u := Of(ctx)
	if u.Client.Client != nil && id == u.Client.ClientID { // it was read, and found enabled, for this request
		return &u.Client, nil
	}
	c, err := s.Clients.ByClientID(ctx, u.Realm, id)
	if errors.Is(err, realm.ErrUnknown) || (err == nil && !c.Enabled) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
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
	g, err := grant.ByCode(ctx, u.Realm, c, u.Now)
	if errors.Is(err, realm.ErrUnknown) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	u.Grant = &g
	issuedTo, err := s.GetClient(ctx, g.ClientID)
	if err != nil {
		return nil, err
	}
	u.request = u.asRequest(g, issuedTo)
	switch {
	case g.CodeUsed:
		u.Reused = true
		return u.request, fosite.ErrInvalidatedAuthorizeCode
	case !g.Redeemable(u.Now):
		return nil, fosite.ErrNotFound
	}
	return u.request, nil
}

// asRequest is an authorization as fosite wants to see it.
func (u *Unit) asRequest(g grant.Grant, issuedTo fosite.Client) *fosite.Request {
	form := make(url.Values, len(g.Request))
	for k, v := range g.Request {
		form.Set(k, v)
	}
	return &fosite.Request{
		ID: g.ID.String(), RequestedAt: g.CreatedAt, Client: issuedTo, Form: form, Session: &Session{Grant: g, alg: u.IDKey.Alg},
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

// CreateRefreshTokenSession implements oauth2.RefreshTokenStorage: the Unit's commit moves the generation.
func (Storage) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return nil
}

// GetRefreshTokenSession reads the authorization that a refresh token names.
func (s Storage) GetRefreshTokenSession(ctx context.Context, token string, _ fosite.Session) (fosite.Requester, error) {
	u := Of(ctx)
	presented, ours := grant.ParseRefreshToken(u.Realm, token)
	if !ours {
		return nil, fosite.ErrNotFound
	}
	g, err := grant.ByID(ctx, u.Realm, presented.Grant, u.Now)
	if errors.Is(err, realm.ErrUnknown) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	issuedTo, err := s.GetClient(ctx, g.ClientID)
	if err != nil {
		return nil, fosite.ErrNotFound
	}
	u.Grant, u.Presented, u.Standing = &g, presented, g.Standing(presented, u.Now)
	u.request = u.asRequest(g, issuedTo)
	switch u.Standing {
	case grant.Dead:
		return nil, fosite.ErrNotFound
	case grant.Stale:
		u.Reused = true
		return u.request, fosite.ErrInactiveToken
	case grant.Current, grant.Repeated:
	}
	return u.request, nil
}

// DeleteRefreshTokenSession implements oauth2.RefreshTokenStorage; see RevokeAccessToken.
func (Storage) DeleteRefreshTokenSession(context.Context, string) error { return nil }

// RotateRefreshToken implements oauth2.RefreshTokenStorage: the Unit's commit moves the generation.
func (Storage) RotateRefreshToken(context.Context, string, string) error { return nil }
