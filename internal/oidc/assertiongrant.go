package oidc

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/gatehouse-id/gatehouse/internal/client"
)

// grantAssertion is the grant of an assertion (RFC 7523 §2.1). A client signs it with its own key about itself, so it
// is both: what the client proves itself by, and what it gets tokens for, for itself as by client_credentials. Nobody
// is trusted to speak for people, or for other clients.
const grantAssertion = client.GrantJWTBearer

// readGrantCredentials is readCredentials at the token endpoint, where the grant may be the authentication. The code
// of its refusals is the grant's (RFC 7523 §3.1).
func readGrantCredentials(req *http.Request, form url.Values) (credentials, *protocolError) {
	text := form.Get("assertion")
	if form.Get("grant_type") != grantAssertion || text == "" {
		return readCredentials(req, form)
	}
	if req.Header.Get("Authorization") != "" || form.Get("client_secret") != "" || form.Get("client_assertion") != "" {
		return credentials{}, refuse(codeInvalidRequest, "The assertion authenticates the client; leave out what else does.")
	}
	cred, refusal := readAssertion(text, form)
	if refusal != nil {
		return credentials{}, refusal.ofGrant()
	}
	cred.isGrant = true
	return cred, nil
}

// ofGrant is a refusal of a client where the client's proof is the grant.
func (e *protocolError) ofGrant() *protocolError {
	if e.Code != codeInvalidClient {
		return e
	}
	description := e.Description
	if description == describe(codeInvalidClient) {
		description = "The assertion is not accepted."
	}
	return refuse(codeInvalidGrant, description).because(e.cause)
}

// assertionHandler makes the tokens of grantAssertion; the assertion was proved before fosite saw the request.
type assertionHandler struct {
	*oauth2.HandleHelper
	config *config
}

var _ fosite.TokenEndpointHandler = (*assertionHandler)(nil)

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *assertionHandler) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	for _, scope := range request.GetRequestedScopes() {
		if !h.config.GetScopeStrategy(ctx)(request.GetClient().GetScopes(), scope) {
			return fosite.ErrInvalidScope
		}
	}
	return nil
}

// PopulateTokenEndpointResponse implements fosite.TokenEndpointHandler.
func (h *assertionHandler) PopulateTokenEndpointResponse(ctx context.Context, request fosite.AccessRequester, response fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, request) {
		return fosite.ErrUnknownRequest
	}
	_, err := h.IssueAccessToken(ctx, h.config.GetAccessTokenLifespan(ctx), request, response)
	return err
}

// CanSkipClientAuth implements fosite.TokenEndpointHandler.
func (*assertionHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (*assertionHandler) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne(grantAssertion)
}
