package oidc

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// selfHandler makes the tokens that a client gets for itself, by client credentials (RFC 6749 §4.4) or by an assertion.
// The client was authenticated before fosite saw the request. fosite's own handler would make a copy of the request for
// a storage that keeps no access tokens, which costs as much as everything else here.
type selfHandler struct {
	grantType string
	strategy  oauth2.AccessTokenStrategy
	config    *config
}

var _ fosite.TokenEndpointHandler = (*selfHandler)(nil)

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *selfHandler) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	c := request.GetClient()
	if c.IsPublic() {
		return fosite.ErrInvalidGrant
	}
	for _, scope := range request.GetRequestedScopes() {
		if !h.config.GetScopeStrategy(ctx)(c.GetScopes(), scope) {
			return fosite.ErrInvalidScope
		}
	}
	return h.config.GetAudienceStrategy(ctx)(c.GetAudience(), request.GetRequestedAudience())
}

// PopulateTokenEndpointResponse implements fosite.TokenEndpointHandler.
func (h *selfHandler) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	if !request.GetClient().GetGrantTypes().Has(h.grantType) {
		return fosite.ErrUnauthorizedClient
	}
	token, _, err := h.strategy.GenerateAccessToken(ctx, request)
	if err != nil {
		return err
	}
	response.SetAccessToken(token)
	response.SetTokenType("bearer")
	return nil
}

// CanSkipClientAuth implements fosite.TokenEndpointHandler.
func (*selfHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *selfHandler) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(h.grantType)
}
