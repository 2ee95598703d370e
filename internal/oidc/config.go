package oidc

import (
	"context"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
)

// config is fosite's configuration. What differs by realm is read from the unit of work in ctx, and the token
// endpoint gets only the handlers of the request's grant type: every other one would answer with an error to be
// thrown away.
type config struct {
	*fosite.Config
	byGrant map[string]fosite.TokenEndpointHandlers
}

func newConfig() *config {
	return &config{Config: &fosite.Config{
		ScopeStrategy:            fosite.ExactScopeStrategy,
		AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
		MinParameterEntropy:      1, // a missing state is stood in for, see placeholderState
		OmitRedirectScopeParam:   true,
		RefreshTokenScopes:       []string{},
		RedirectSecureChecker:    func(context.Context, *url.URL) bool { return true }, // client.CheckRedirectURI, at registration
		// PKCE is demanded by policy of the application in checkPKCE; what was sent, fosite always enforces.
		EnforcePKCE: false,
	}}
}

// GetTokenEndpointHandlers implements fosite.TokenEndpointHandlersProvider.
func (c *config) GetTokenEndpointHandlers(ctx context.Context) fosite.TokenEndpointHandlers {
	return c.byGrant[store.Of(ctx).GrantType]
}

// GetIDTokenIssuer implements fosite.IDTokenIssuerProvider.
func (*config) GetIDTokenIssuer(ctx context.Context) string { return store.Of(ctx).Realm.Issuer }

// GetAccessTokenIssuer implements fosite.AccessTokenIssuerProvider.
func (*config) GetAccessTokenIssuer(ctx context.Context) string { return store.Of(ctx).Realm.Issuer }

// GetAccessTokenLifespan implements fosite.AccessTokenLifespanProvider.
func (*config) GetAccessTokenLifespan(ctx context.Context) time.Duration {
	return time.Duration(store.Of(ctx).Lifetimes.AccessToken)
}

// GetIDTokenLifespan implements fosite.IDTokenLifespanProvider.
func (*config) GetIDTokenLifespan(ctx context.Context) time.Duration {
	return time.Duration(store.Of(ctx).Lifetimes.IDToken)
}

// GetRefreshTokenLifespan implements fosite.RefreshTokenLifespanProvider; the authorization's row has the real ends.
func (*config) GetRefreshTokenLifespan(ctx context.Context) time.Duration {
	return time.Duration(store.Of(ctx).Lifetimes.RefreshIdle)
}

// GetAuthorizeCodeLifespan implements fosite.AuthorizeCodeLifespanProvider.
func (*config) GetAuthorizeCodeLifespan(ctx context.Context) time.Duration {
	return time.Duration(store.Of(ctx).Lifetimes.Code)
}

// GetClientAuthenticationStrategy implements fosite.ClientAuthenticationStrategyProvider: the client was
// authenticated before fosite saw the request.
func (*config) GetClientAuthenticationStrategy(context.Context) fosite.ClientAuthenticationStrategy {
	return authenticatedBefore
}
