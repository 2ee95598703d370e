package oidc

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oidc/accesstoken"
	"github.com/gatehouse-id/gatehouse/internal/oidc/admission"
	"github.com/gatehouse-id/gatehouse/internal/oidc/assertion"
	"github.com/gatehouse-id/gatehouse/internal/oidc/crossorigin"
	"github.com/gatehouse-id/gatehouse/internal/oidc/granttype"
	"github.com/gatehouse-id/gatehouse/internal/oidc/metadata"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Options of a Provider; all are required.
type Options struct {
	Clients *client.Store
	// Assertions checks clients that sign assertions.
	Assertions assertion.Verifier
	Keys       *keyset.Store
	Engine     *flow.Engine
	Web        *web.Web
	Now        func() time.Time
	Random     io.Reader
	Log        *slog.Logger
	Gate       *admission.Gate
	Metrics    *telemetry.TokenMetrics
	// Locales are the languages of the pages, for the metadata.
	Locales []string
	// Development shows the exact cause of a refused request on its error page.
	Development bool
}

// Provider serves the protocol's endpoints.
type Provider struct {
	Options
	fosite    fosite.OAuth2Provider
	verified  *realm.Recent[tokenDigest, accesstoken.Claims]
	live      *grant.Live
	documents *metadata.Documents
	origins   crossorigin.Policy
}

// New makes a provider.
func New(o Options) *Provider {
	st := store.Storage{Clients: o.Clients}
	cfg := newConfig()
	strategies := &compose.CommonStrategy{
		CoreStrategy: coreStrategy{random: o.Random}, OpenIDConnectTokenStrategy: idTokenStrategy{}, Signer: store.NoSigner{},
	}
	cfg.byGrant = map[string]fosite.TokenEndpointHandlers{
		grantCode: cfg.handlers(st, strategies,
			compose.OAuth2AuthorizeExplicitFactory, compose.OpenIDConnectExplicitFactory, compose.OAuth2PKCEFactory),
		grantRefresh:   cfg.handlers(st, strategies, compose.OAuth2RefreshTokenGrantFactory, compose.OpenIDConnectRefreshFactory),
		grantClient:    {&granttype.Self{GrantType: grantClient, Strategy: strategies, Config: cfg}},
		grantAssertion: {&granttype.Self{GrantType: grantAssertion, Strategy: strategies, Config: cfg}},
	}
	return &Provider{
		Options: o, fosite: fosite.NewOAuth2Provider(st, cfg), verified: realm.NewRecent[tokenDigest, accesstoken.Claims](verifiedBound),
		live: grant.NewLive(), documents: metadata.New(o.Locales), origins: crossorigin.Policy{Clients: o.Clients, Log: o.Log},
	}
}

// The grant types (RFC 6749 §4.1, §4.4, §6).
const (
	grantCode    = "authorization_code"
	grantClient  = "client_credentials"
	grantRefresh = "refresh_token"
)

// handlers makes the handlers of a grant, in the order that fosite needs: the grant first, then what hangs on it.
func (c *config) handlers(st store.Storage, strategies any, factories ...compose.Factory) (token fosite.TokenEndpointHandlers) {
	for _, factory := range factories {
		h := factory(c, st, strategies)
		if a, ok := h.(fosite.AuthorizeEndpointHandler); ok {
			c.AuthorizeEndpointHandlers.Append(a)
		}
		if t, ok := h.(fosite.TokenEndpointHandler); ok {
			token.Append(t)
		}
	}
	return token
}

// Mount adds the endpoints that browsers visit to pages, those that programs call to api, and the public documents to
// documents. The groups are below a realm's issuer.
func (p *Provider) Mount(pages, api, documents *echo.Group) {
	pages.Match([]string{http.MethodGet, http.MethodPost}, "/authorize", p.authorize)
	pages.Match([]string{http.MethodGet, http.MethodPost}, "/end_session", p.endSession)
	api.POST("/token", p.limited(p.token))
	api.Match([]string{http.MethodGet, http.MethodPost}, "/userinfo", p.limited(p.userinfo))
	api.POST("/introspect", p.limited(p.introspect))
	api.POST("/revoke", p.limited(p.revoke))
	api.OPTIONS("/revoke", p.origins.Preflight)
	api.OPTIONS("/token", p.origins.Preflight)
	api.OPTIONS("/userinfo", p.origins.Preflight)
	documents.GET("/jwks", p.jwks)
	documents.GET("/.well-known/openid-configuration", p.Discovery)
	documents.GET("/.well-known/oauth-authorization-server", p.Discovery)
}

// begin opens the unit of work of a request.
func (p *Provider) begin(ctx context.Context, r realm.Realm, c *client.Client) (context.Context, *store.Unit) {
	u := &store.Unit{Realm: r, Now: p.Now(), Client: store.Client{Client: c}, Lifetimes: c.Lifetimes.Within(r.Settings.Lifetimes)}
	return store.With(ctx, u), u
}

func (p *Provider) browser(c *echo.Context, r realm.Realm) session.Token {
	return session.Token(p.Web.Cookie(c, r))
}
