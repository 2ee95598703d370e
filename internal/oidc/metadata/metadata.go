// Package metadata says what a realm's server can do, in the words of the discovery documents, as ready-made bytes.
package metadata

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/gatehouse-id/gatehouse/internal/oidc/assertion"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Documents are the discovery documents of all realms. Make them with New.
type Documents struct {
	locales []string
	// made are the documents by realm id; there are at most as many as realms.
	made sync.Map
}

// New makes the documents of a server whose pages speak these languages.
func New(locales []string) *Documents { return &Documents{locales: locales} }

// ready is a document with the facts that it was made from.
type ready struct {
	of   *realm.Facts
	body []byte
	etag string
}

// Of returns the realm's document and its ETag: bytes made once, until the realm's facts are read anew.
func (d *Documents) Of(r realm.Realm) (body []byte, etag string, err error) {
	if kept, ok := d.made.Load(r.ID); ok {
		if k, ok := kept.(*ready); ok && k.of == r.Facts {
			return k.body, k.etag, nil
		}
	}
	if body, err = json.Marshal(d.document(r)); err != nil {
		return nil, "", fmt.Errorf("encode metadata: %w", err)
	}
	sum := sha256.Sum256(body)
	made := &ready{r.Facts, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	d.made.Store(r.ID, made)
	return made.body, made.etag, nil
}

// document is the discovery document, one for OpenID Connect Discovery §3 and RFC 8414 §2.
type document struct {
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

func (d *Documents) document(r realm.Realm) document {
	const byKey = "private_key_jwt"
	return document{
		Issuer:                r.Issuer,
		AuthorizationEndpoint: r.Issuer + "/authorize", TokenEndpoint: r.Issuer + "/token",
		UserinfoEndpoint: r.Issuer + "/userinfo", JWKSURI: r.Issuer + "/jwks", EndSessionEndpoint: r.Issuer + "/end_session",
		IntrospectionEndpoint: r.Issuer + "/introspect", RevocationEndpoint: r.Issuer + "/revoke",
		IntrospectionEndpointAuthMethodsSupported: []string{"client_secret_basic", "client_secret_post", byKey},
		RevocationEndpointAuthMethodsSupported:    []string{"client_secret_basic", "client_secret_post", byKey, "none"},
		IntrospectionEndpointAuthSigningAlgs:      assertion.Algorithms(), RevocationEndpointAuthSigningAlgs: assertion.Algorithms(),
		ScopesSupported:        []string{"openid", "profile", "email", "address", "phone", "offline_access"},
		ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{"query", "form_post"},
		GrantTypesSupported: []string{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, ACRValuesSupported: []string{"1"}, SubjectTypesSupported: []string{"public"},
		IDTokenSigningAlgValuesSupported: realm.SigningAlgs(), UserinfoSigningAlgValuesSupported: realm.SigningAlgs(),
		PromptValuesSupported:             prompts(r),
		TokenEndpointAuthMethodsSupported: []string{"client_secret_basic", "client_secret_post", byKey, "none"},
		TokenEndpointAuthSigningAlgs:      assertion.Algorithms(),
		DisplayValuesSupported:            []string{"page"}, ClaimTypesSupported: []string{"normal"},
		ClaimsSupported: []string{
			"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "name", "given_name", "family_name",
			"middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale",
			"updated_at", "email", "email_verified", "phone_number", "phone_number_verified", "address",
		},
		UILocalesSupported:            d.locales,
		CodeChallengeMethodsSupported: []string{"S256"}, AuthorizationResponseIssParameterSupported: true,
	}
}

// prompts are the values of prompt that lead somewhere in the realm. "create" does where people may make accounts
// (Initiating User Registration via OpenID Connect 1.0 §4.1.1).
func prompts(r realm.Realm) []string {
	list := []string{"none", "login", "consent", "select_account"}
	if create := r.Flags.AllowAutoRegistration; create != nil && *create {
		list = append(list, "create")
	}
	return list
}
