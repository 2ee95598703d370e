package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
)

// algorithmsFile is a realm with one application for each algorithm, whose ID tokens carry the claims.
func algorithmsFile() string {
	var b strings.Builder
	b.WriteString("realm: one\nname: One\napplications:\n")
	for _, alg := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
		b.WriteString(`
  - client_id: ` + alg + `
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `"]
    scopes: [openid, profile, email, phone, address]
    consent: never
    id_token_signed_response_alg: ` + alg + `
    userinfo_signed_response_alg: ` + alg + `
    claims_in_id_token: true
`)
	}
	b.WriteString(`
users:
  - username: ana
    email: ana@example.test
    email_verified: true
    password: ` + anaPassword + `
    claims: {name: Ana Silva, phone_number: "+5511912345678", address: {country: BR}}
`)
	return b.String()
}

func TestJW03_EachApplicationGetsItsAlgorithm(t *testing.T) {
	t.Parallel()
	i := start(t, algorithmsFile())
	provider, err := oidc.NewProvider(t.Context(), i.Issuer("one"))
	require.NoError(t, err)
	for _, alg := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			code := newBrowser(t).code(i, "one", "client_id", alg, "scope", "openid profile email phone")
			got := token(t, i, "one", exchange(code), "Authorization", basic(alg, webSecret))
			require.Equal(t, http.StatusOK, got.Status, "%+v", got)

			config := &oidc.Config{ClientID: alg, SupportedSigningAlgs: []string{alg}, Now: i.Clock.Now}
			id, err := provider.Verifier(config).Verify(t.Context(), got.IDToken)
			require.NoError(t, err)
			require.NoError(t, id.VerifyAccessToken(got.AccessToken), "at_hash")
			var claims map[string]any
			require.NoError(t, id.Claims(&claims))
			require.Equal(t, "Ana Silva", claims["name"])
			require.Equal(t, "ana@example.test", claims["email"])
			require.Equal(t, "+5511912345678", claims["phone_number"])
			require.NotContains(t, claims, "address", "not asked for")

			info := newBrowser(t).getWith(i.Issuer("one")+"/userinfo", "Authorization", "Bearer "+got.AccessToken)
			require.Equal(t, "application/jwt", info.Header.Get("Content-Type"))
			signed, err := provider.Verifier(&oidc.Config{ClientID: alg, SupportedSigningAlgs: []string{alg}, SkipExpiryCheck: true}).Verify(t.Context(), info.Body)
			require.NoError(t, err)
			require.Equal(t, id.Subject, signed.Subject)
		})
	}
}
