package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func TestClientCredentialsByTheLibrary(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	config := clientcredentials.Config{
		ClientID: "service", ClientSecret: webSecret, TokenURL: i.Issuer("one") + "/token", Scopes: []string{"read"},
		AuthStyle: oauth2.AuthStyleInHeader,
	}
	t.Run("gets a token", func(t *testing.T) {
		got, err := config.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Bearer", got.Type())
		require.Empty(t, got.RefreshToken)
		require.Equal(t, "service", claims(t, got.AccessToken)["sub"])
		require.Equal(t, "read", claims(t, got.AccessToken)["scope"])
	})
	t.Run("is told why there is none", func(t *testing.T) {
		wrong := config
		wrong.ClientSecret = "not the secret"
		_, err := wrong.Token(t.Context())
		var refused *oauth2.RetrieveError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusUnauthorized, refused.Response.StatusCode)
		require.Equal(t, "invalid_client", refused.ErrorCode)
	})
}
