// Package granttype has the handlers of grants that fosite does not have, or not as they are needed here.
package granttype

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// Self makes the tokens that a client gets for itself, by client credentials (RFC 6749 §4.4) or by an assertion. The
// client was authenticated before fosite saw the request. fosite's own handler would make a copy of the request for a
// storage that keeps no access tokens, which costs as much as everything else here.
type Self struct {
	// GrantType is the one that it handles.
	GrantType string
	// Strategy makes the access token.
	Strategy oauth2.AccessTokenStrategy
	// Config decides which scopes and audiences are within the client's.
	Config interface {
		fosite.ScopeStrategyProvider
		fosite.AudienceStrategyProvider
	}
}

var _ fosite.TokenEndpointHandler = (*Self)(nil)

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *Self) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	c := request.GetClient()
	if c.IsPublic() {
		return fosite.ErrInvalidGrant
	}
	for _, scope := range request.GetRequestedScopes() {
		if !h.Config.GetScopeStrategy(ctx)(c.GetScopes(), scope) {
			return fosite.ErrInvalidScope
		}
	}
	return h.Config.GetAudienceStrategy(ctx)(c.GetAudience(), request.GetRequestedAudience())
}

// PopulateTokenEndpointResponse implements fosite.TokenEndpointHandler.
func (h *Self) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	if !request.GetClient().GetGrantTypes().Has(h.GrantType) {
		return fosite.ErrUnauthorizedClient
	}
	token, _, err := h.Strategy.GenerateAccessToken(ctx, request)
	if err != nil {
		return err
	}
	response.SetAccessToken(token)
	response.SetTokenType("bearer")
	return nil
}

// CanSkipClientAuth implements fosite.TokenEndpointHandler.
func (*Self) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *Self) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(h.GrantType)
}
