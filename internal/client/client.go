// Package client owns relying parties ("applications" in what administrators read): what each may ask for, where
// its answers may go, and its secrets.
package client

import (
	"time"

	"github.com/google/uuid"
)

// Client is a registered relying party. Clients are cached and shared: never change one.
type Client struct {
	ID       uuid.UUID
	ClientID string
	Name     string
	Enabled  bool
	Settings
	// keys are those of JWKS, issuerKeys those of the issuers that have one, by issuer.
	keys       []Key
	issuerKeys map[string][]Key
	// SecretHashes are SHA-256 hashes of the live secrets, the newest first.
	SecretHashes [][]byte
	CreatedAt    time.Time
	// secretsUntil is when the first of the secrets ends.
	secretsUntil time.Time
}

// Settings are what an administrator decides about a client. The tags are the names in the realm file.
type Settings struct {
	// ApplicationType is web, browser or native.
	ApplicationType string `yaml:"application_type"`
	// TokenEndpointAuthMethod is how the client authenticates: none, client_secret_basic, client_secret_post or
	// private_key_jwt.
	TokenEndpointAuthMethod string `yaml:"token_endpoint_auth_method"`
	// TokenEndpointAuthSigningAlg is the only algorithm of its assertions; "" allows each that its keys are for.
	TokenEndpointAuthSigningAlg string `yaml:"token_endpoint_auth_signing_alg"`
	// JWKS are the client's public keys, JWKSURI is where it publishes them; never both.
	JWKS    KeySet `yaml:"jwks"`
	JWKSURI string `yaml:"jwks_uri"`
	// TrustedIssuers are others who may prove who the client is, beside keys of its own or instead of them.
	TrustedIssuers []TrustedIssuer `yaml:"trusted_issuers"`
	// StrictAssertionAudience accepts assertions only when their aud is the issuer as a string.
	StrictAssertionAudience bool     `yaml:"strict_assertion_audience"`
	RedirectURIs            []string `yaml:"redirect_uris"`
	PostLogoutRedirectURIs  []string `yaml:"post_logout_redirect_uris"`
	// Origins may call the token and userinfo endpoints from a browser (CORS).
	Origins       []string `yaml:"origins"`
	GrantTypes    []string `yaml:"grant_types"`
	ResponseTypes []string `yaml:"response_types"`
	Scopes        []string `yaml:"scopes"`
	// Audiences an access token may name; the first ones are not implied.
	Audiences []string `yaml:"audiences"`
	// Introspects are the audiences whose tokens the client may introspect beside its own; "*" means all.
	Introspects []string `yaml:"introspects"`
	// PKCE is required or optional; a public client's is always required.
	PKCE string `yaml:"pkce"`
	// Consent is when a person is asked whether the client may have what it asks for: never (it is the realm's own),
	// once for each scope, or always.
	Consent string `yaml:"consent"`
	// IDTokenSignedResponseAlg signs ID tokens for the client; "" takes the realm's signing_alg.
	IDTokenSignedResponseAlg string `yaml:"id_token_signed_response_alg"`
	// UserinfoSignedResponseAlg makes userinfo answer with a JWT signed by it; "" answers in plain JSON.
	UserinfoSignedResponseAlg string `yaml:"userinfo_signed_response_alg"`
	// ClaimsInIDToken puts the claims of the granted scopes into the ID token too, for relying parties that read
	// nothing else.
	ClaimsInIDToken bool `yaml:"claims_in_id_token"`
	// Lifetimes of the client's tokens; they shorten the realm's.
	Lifetimes Lifetimes `yaml:"lifetimes"`
	// StartURL is where people begin to use the application.
	StartURL string `yaml:"start_url"`
	// Publisher is who makes the application. PolicyURI and TOSURI are where it says what it does with people's data and
	// what its terms are (OpenID Connect Dynamic Client Registration §2). They are shown where consent is asked for.
	Publisher string `yaml:"publisher"`
	PolicyURI string `yaml:"policy_uri"`
	TOSURI    string `yaml:"tos_uri"`
}

// GrantJWTBearer is the grant type of an assertion by which a client gets a token for itself (RFC 7523 §2.1).
const GrantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// HasSecret tells whether the client authenticates by a secret.
func (s Settings) HasSecret() bool {
	return s.TokenEndpointAuthMethod == "client_secret_basic" || s.TokenEndpointAuthMethod == "client_secret_post"
}

// Public tells whether the client cannot keep a secret (RFC 6749 §2.1).
func (s Settings) Public() bool { return s.TokenEndpointAuthMethod == "none" }
