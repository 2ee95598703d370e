package oidc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/oidc/assertion"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// metadata is the discovery document, one for OpenID Connect Discovery §3 and RFC 8414 §2.
type metadata struct {
	Issuer                                     string   `json:"issuer"`
	AuthorizationEndpoint                      string   `json:"authorization_endpoint"`
	TokenEndpoint                              string   `json:"token_endpoint"`
	UserinfoEndpoint                           string   `json:"userinfo_endpoint"`
	JWKSURI                                    string   `json:"jwks_uri"`
	EndSessionEndpoint                         string   `json:"end_session_endpoint"`
	IntrospectionEndpoint                      string   `json:"introspection_endpoint"`
	RevocationEndpoint                         string   `json:"revocation_endpoint"`
	IntrospectionEndpointAuthMethodsSupported  []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuthSigningAlgs       []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpointAuthMethodsSupported     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationEndpointAuthSigningAlgs          []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	ScopesSupported                            []string `json:"scopes_supported"`
	ResponseTypesSupported                     []string `json:"response_types_supported"`
	ResponseModesSupported                     []string `json:"response_modes_supported"`
	GrantTypesSupported                        []string `json:"grant_types_supported"`
	ACRValuesSupported                         []string `json:"acr_values_supported"`
	SubjectTypesSupported                      []string `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported           []string `json:"id_token_signing_alg_values_supported"`
	UserinfoSigningAlgValuesSupported          []string `json:"userinfo_signing_alg_values_supported"`
	PromptValuesSupported                      []string `json:"prompt_values_supported"`
	TokenEndpointAuthMethodsSupported          []string `json:"token_endpoint_auth_methods_supported"`
	TokenEndpointAuthSigningAlgs               []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	DisplayValuesSupported                     []string `json:"display_values_supported"`
	ClaimTypesSupported                        []string `json:"claim_types_supported"`
	ClaimsSupported                            []string `json:"claims_supported"`
	UILocalesSupported                         []string `json:"ui_locales_supported"`
	ClaimsParameterSupported                   bool     `json:"claims_parameter_supported"`
	RequestParameterSupported                  bool     `json:"request_parameter_supported"`
	RequestURIParameterSupported               bool     `json:"request_uri_parameter_supported"`
	CodeChallengeMethodsSupported              []string `json:"code_challenge_methods_supported"`
	AuthorizationResponseIssParameterSupported bool     `json:"authorization_response_iss_parameter_supported"`
}

func (p *Provider) metadata(r realm.Realm) metadata {
	return metadata{
		Issuer:                r.Issuer,
		AuthorizationEndpoint: r.Issuer + "/authorize", TokenEndpoint: r.Issuer + "/token",
		UserinfoEndpoint: r.Issuer + "/userinfo", JWKSURI: r.Issuer + "/jwks", EndSessionEndpoint: r.Issuer + "/end_session",
		IntrospectionEndpoint: r.Issuer + "/introspect", RevocationEndpoint: r.Issuer + "/revoke",
		IntrospectionEndpointAuthMethodsSupported: []string{"client_secret_basic", "client_secret_post", methodKey},
		RevocationEndpointAuthMethodsSupported:    []string{"client_secret_basic", "client_secret_post", methodKey, "none"},
		IntrospectionEndpointAuthSigningAlgs:      assertion.Algorithms(), RevocationEndpointAuthSigningAlgs: assertion.Algorithms(),
		ScopesSupported:        []string{"openid", "profile", "email", "address", "phone", "offline_access"},
		ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{modeQuery, modeFormPost},
		GrantTypesSupported: []string{grantCode, grantRefresh, grantClient, grantAssertion}, ACRValuesSupported: []string{"1"}, SubjectTypesSupported: []string{"public"},
		IDTokenSigningAlgValuesSupported: realm.SigningAlgs(), UserinfoSigningAlgValuesSupported: realm.SigningAlgs(),
		PromptValuesSupported:             []string{"none", "login", "consent", "select_account"},
		TokenEndpointAuthMethodsSupported: []string{"client_secret_basic", "client_secret_post", methodKey, "none"},
		TokenEndpointAuthSigningAlgs:      assertion.Algorithms(),
		DisplayValuesSupported:            []string{"page"}, ClaimTypesSupported: []string{"normal"},
		ClaimsSupported: []string{
			"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "name", "given_name", "family_name",
			"middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale",
			"updated_at", "email", "email_verified", "phone_number", "phone_number_verified", "address",
		},
		UILocalesSupported:            p.Locales,
		CodeChallengeMethodsSupported: []string{"S256"}, AuthorizationResponseIssParameterSupported: true,
	}
}

// document is a ready-made answer with the facts that it was made from.
type document struct {
	of   *realm.Facts
	body []byte
	etag string
}

// Discovery serves the metadata of the request's realm: bytes made once, until the realm's facts are read anew.
func (p *Provider) Discovery(c *echo.Context) error {
	r := web.Realm(c)
	if kept, ok := p.documents.Load(r.ID); ok {
		if d, ok := kept.(*document); ok && d.of == r.Facts {
			return publish(c, echo.MIMEApplicationJSON, d.body, d.etag)
		}
	}
	body, err := json.Marshal(p.metadata(r))
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	sum := sha256.Sum256(body)
	d := &document{r.Facts, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	p.documents.Store(r.ID, d)
	return publish(c, echo.MIMEApplicationJSON, d.body, d.etag)
}

// jwks serves the realm's public keys (RFC 7517 §5).
func (p *Provider) jwks(c *echo.Context) error {
	ring, err := p.Keys.Ring(c.Request().Context(), web.Realm(c))
	if err != nil {
		return err
	}
	body, etag := ring.JWKS()
	return publish(c, "application/jwk-set+json", body, etag)
}

// publish serves a public document that anybody may read and keep for five minutes.
func publish(c *echo.Context, contentType string, body []byte, etag string) error {
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "public, max-age=300")
	h.Set("Etag", etag)
	h.Set(echo.HeaderAccessControlAllowOrigin, "*")
	if c.Request().Header.Get("If-None-Match") == etag {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, contentType, body)
}
