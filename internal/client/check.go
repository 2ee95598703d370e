package client

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// What clients may be set to, by setting. Each list grows with the protocol features behind it.
func allowed(setting string) []string {
	switch setting {
	case "application_type":
		return []string{"web", "browser", "native"}
	case "token_endpoint_auth_method":
		return []string{"none", "client_secret_basic", "client_secret_post", methodKey}
	case "grant_types":
		return []string{"authorization_code", "refresh_token", "client_credentials", GrantJWTBearer}
	case "response_types":
		return []string{"code"}
	case "pkce":
		return []string{"required", "optional"}
	case "consent":
		return []string{"never", "once", "always"}
	}
	return append([]string{""}, realm.SigningAlgs()...)
}

// WithDefaults fills in what an administrator may leave out.
func (s Settings) WithDefaults() Settings {
	if s.ApplicationType == "" {
		s.ApplicationType = "web"
	}
	if s.TokenEndpointAuthMethod == "" {
		s.TokenEndpointAuthMethod = "client_secret_basic"
		if s.ApplicationType != "web" {
			s.TokenEndpointAuthMethod = "none"
		}
	}
	if len(s.GrantTypes) == 0 {
		s.GrantTypes = []string{"authorization_code"}
	}
	if len(s.ResponseTypes) == 0 {
		s.ResponseTypes = []string{"code"}
	}
	if len(s.Scopes) == 0 {
		s.Scopes = []string{"openid", "profile", "email"}
	}
	if s.PKCE == "" {
		s.PKCE = "required"
	}
	if s.Consent == "" {
		s.Consent = "once"
	}
	s.TrustedIssuers = withIssuerDefaults(s.TrustedIssuers)
	// The database tells NULL from empty; Go callers need not.
	for _, list := range []*[]string{&s.RedirectURIs, &s.PostLogoutRedirectURIs, &s.Origins, &s.Audiences, &s.Introspects} {
		if *list == nil {
			*list = []string{}
		}
	}
	return s
}

// scopePattern is a scope-token of RFC 6749 §3.3.
var scopePattern = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`)

// CheckID says what is wrong with a chosen client_id, "" when nothing is.
func CheckID(clientID string) string {
	if !isID(clientID) {
		return fmt.Sprintf("client_id %q: 1 to 200 letters, digits and . _ ~ : / @ -", clientID)
	}
	return ""
}

// isID is asked at every request, where a regular expression would cost ten times as much.
func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("._~:/@-", c) < 0 {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 200
}

// Check returns what is wrong with the settings, one sentence each; none when they can be used. It expects
// WithDefaults.
func (s Settings) Check() []string {
	var wrong []string
	for _, c := range []struct {
		setting string
		values  []string
	}{
		{"application_type", []string{s.ApplicationType}},
		{"token_endpoint_auth_method", []string{s.TokenEndpointAuthMethod}},
		{"pkce", []string{s.PKCE}},
		{"consent", []string{s.Consent}},
		{"token_endpoint_auth_signing_alg", []string{s.TokenEndpointAuthSigningAlg}},
		{"id_token_signed_response_alg", []string{s.IDTokenSignedResponseAlg}},
		{"userinfo_signed_response_alg", []string{s.UserinfoSignedResponseAlg}},
		{"grant_types", s.GrantTypes},
		{"response_types", s.ResponseTypes},
	} {
		for _, v := range c.values {
			if !slices.Contains(allowed(c.setting), v) {
				wrong = append(wrong, fmt.Sprintf("%s has %q; allowed are %q", c.setting, v, allowed(c.setting)))
			}
		}
	}
	if s.Public() && slices.Contains(s.GrantTypes, "client_credentials") {
		wrong = append(wrong, "grant_types has client_credentials; an application without a secret cannot act for itself")
	}
	if s.Public() && s.PKCE != "required" {
		wrong = append(wrong, "pkce is optional; an application without a secret must use it")
	}
	wrong = append(wrong, s.checkKeys()...)
	wrong = append(wrong, s.checkIssuers()...)
	wrong = append(wrong, s.checkAddresses()...)
	wrong = append(wrong, s.checkPublisher()...)
	wrong = append(wrong, s.Lifetimes.check()...)
	for _, scope := range slices.Concat(s.Scopes, s.Audiences, s.Introspects) {
		if !scopePattern.MatchString(scope) {
			wrong = append(wrong, fmt.Sprintf("%q is not a scope or audience: visible ASCII characters without quotes and backslashes", scope))
		}
	}
	return wrong
}

func (s Settings) checkAddresses() []string {
	var wrong []string
	if slices.Contains(s.GrantTypes, "authorization_code") && len(s.RedirectURIs) == 0 {
		wrong = append(wrong, "redirect_uris is empty; an application that signs people in needs at least one")
	}
	for _, uri := range s.RedirectURIs {
		if why := CheckRedirectURI(uri, s.ApplicationType); why != "" {
			wrong = append(wrong, fmt.Sprintf("redirect_uris: %q %s", uri, why))
		}
	}
	for _, uri := range s.PostLogoutRedirectURIs {
		if why := CheckRedirectURI(uri, s.ApplicationType); why != "" {
			wrong = append(wrong, fmt.Sprintf("post_logout_redirect_uris: %q %s", uri, why))
		}
	}
	for _, origin := range s.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.Scheme+"://"+u.Host != origin {
			wrong = append(wrong, fmt.Sprintf("origins: %q is not an origin such as https://app.example.com", origin))
		}
	}
	for _, c := range []struct{ setting, address string }{
		{"start_url", s.StartURL}, {"policy_uri", s.PolicyURI}, {"tos_uri", s.TOSURI},
	} {
		if u, err := url.Parse(c.address); c.address != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
			wrong = append(wrong, fmt.Sprintf("%s: %q is not an http or https address", c.setting, c.address))
		}
	}
	return wrong
}

// maxPublisher is what a heading has room for, in bytes.
const maxPublisher = 200

// checkPublisher refuses what could make the publisher's name look like something else on the page.
func (s Settings) checkPublisher() []string {
	switch {
	case len(s.Publisher) > maxPublisher:
		return []string{fmt.Sprintf("publisher has more than %d bytes", maxPublisher)}
	case !utf8.ValidString(s.Publisher), strings.ContainsFunc(s.Publisher, func(r rune) bool { return !unicode.IsPrint(r) }):
		return []string{fmt.Sprintf("publisher: %q has characters that cannot be seen", s.Publisher)}
	}
	return nil
}
