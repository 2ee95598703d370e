package client_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	valid := client.Settings{RedirectURIs: []string{"https://app.example/cb"}}.WithDefaults()
	require.Empty(t, valid.Check())
	require.Equal(t, "client_secret_basic", valid.TokenEndpointAuthMethod)
	require.Equal(t, "required", valid.PKCE)
	require.False(t, valid.Public())
	native := client.Settings{ApplicationType: "native", RedirectURIs: []string{"com.example.app:/cb"}}.WithDefaults()
	require.Empty(t, native.Check())
	require.True(t, native.Public(), "a native application keeps no secret")

	for name, c := range map[string]struct {
		change func(s *client.Settings)
		says   string
	}{
		"unknown type":                   {func(s *client.Settings) { s.ApplicationType = "robot" }, "application_type"},
		"unknown method":                 {func(s *client.Settings) { s.TokenEndpointAuthMethod = "password" }, "token_endpoint_auth_method"},
		"AZ-05 the implicit grant":       {func(s *client.Settings) { s.GrantTypes = []string{"implicit"} }, "grant_types"},
		"AZ-05 the password grant":       {func(s *client.Settings) { s.GrantTypes = []string{"password"} }, "grant_types"},
		"AZ-05 a token response":         {func(s *client.Settings) { s.ResponseTypes = []string{"token"} }, "response_types"},
		"AZ-04 a public one without it":  {func(s *client.Settings) { s.TokenEndpointAuthMethod, s.PKCE = "none", "optional" }, "pkce"},
		"no address":                     {func(s *client.Settings) { s.RedirectURIs = nil }, "redirect_uris is empty"},
		"a bad address":                  {func(s *client.Settings) { s.RedirectURIs = []string{"http://app.example"} }, "redirect_uris: "},
		"a bad address after the logout": {func(s *client.Settings) { s.PostLogoutRedirectURIs = []string{"javascript:x"} }, "post_logout_redirect_uris: "},
		"an origin with a path":          {func(s *client.Settings) { s.Origins = []string{"https://app.example/"} }, "origins: "},
		"any origin":                     {func(s *client.Settings) { s.Origins = []string{"*"} }, "origins: "},
		"a scope with a space":           {func(s *client.Settings) { s.Scopes = []string{"a b"} }, "not a scope"},
		"an audience with a quote":       {func(s *client.Settings) { s.Audiences = []string{`a"b`} }, "not a scope or audience"},
		"a start that is a script":       {func(s *client.Settings) { s.StartURL = "javascript:x" }, "start_url"},
		"a policy that is a script":      {func(s *client.Settings) { s.PolicyURI = "javascript:x" }, "policy_uri"},
		"terms that are no address":      {func(s *client.Settings) { s.TOSURI = "terms.html" }, "tos_uri"},
		"a publisher that is too long":   {func(s *client.Settings) { s.Publisher = strings.Repeat("x", 201) }, "publisher"},
		"a publisher that is unreadable": {func(s *client.Settings) { s.Publisher = "Acme\u202e" }, "publisher"},
	} {
		s := valid
		c.change(&s)
		require.Contains(t, strings.Join(s.Check(), "; "), c.says, name)
	}
	for id, ok := range map[string]bool{
		"shop": true, "https://app.example/client": true, "a.b_c~d-e:f@g": true, "": false, "a b": false, "a\n": false, `"`: false, strings.Repeat("a", 201): false,
	} {
		require.Equal(t, ok, client.CheckID(id) == "", "%q: %s", id, client.CheckID(id))
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r, other := b.Realm(t, "acme"), b.Realm(t, "other")
	here, there := client.NewStore(b.Clock.Now), client.NewStore(b.Clock.Now) // two processes
	set := client.Settings{RedirectURIs: []string{"https://app.example/cb"}, Origins: []string{"https://app.example"}, StartURL: "https://app.example/"}.WithDefaults()
	var c client.Client
	write := func(t *testing.T, change func(tx realm.Tx) error) {
		t.Helper()
		require.NoError(t, r.InTx(t.Context(), change))
	}
	secret := func(t *testing.T, expires *time.Time) string {
		t.Helper()
		s, err := client.NewSecret()
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(s), client.MinSecretLength)
		write(t, func(tx realm.Tx) error { return here.AddSecret(t.Context(), tx, c, s, expires) })
		return s
	}
	write(t, func(tx realm.Tx) (err error) {
		c, err = here.Create(t.Context(), tx, "shop", "Shop", true, set)
		return err
	})

	t.Run("reads what was written", func(t *testing.T) {
		got, err := here.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.Equal(t, set, got.Settings)
		require.Equal(t, c.ID, got.ID)
		require.True(t, got.Enabled)
		require.Empty(t, got.SecretHashes)
	})
	t.Run("knows it in its own realm only", func(t *testing.T) {
		_, err := here.ByClientID(t.Context(), other, "shop")
		require.ErrorIs(t, err, realm.ErrUnknown)
	})
	t.Run("refuses the same client_id, but in another realm", func(t *testing.T) {
		err := r.InTx(t.Context(), func(tx realm.Tx) error { _, err := here.Create(t.Context(), tx, "shop", "Shop", true, set); return err })
		require.True(t, postgres.UniqueViolation(err, "clients_realm_id_client_id_key"), "%v", err)
		require.NoError(t, other.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := here.Create(t.Context(), tx, "shop", "Other shop", true, set)
			return err
		}))
		mine, err := here.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		theirs, err := here.ByClientID(t.Context(), other, "shop")
		require.NoError(t, err)
		require.NotEqual(t, mine.ID, theirs.ID)
		require.Equal(t, "Other shop", theirs.Name)
	})
	t.Run("accepts every live secret and no other", func(t *testing.T) {
		first := secret(t, nil)
		soon := b.Clock.Now().Add(time.Hour)
		second := secret(t, &soon)
		got, err := here.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.True(t, got.ProvesSecret(first))
		require.True(t, got.ProvesSecret(second))
		require.False(t, got.ProvesSecret(""))
		require.False(t, got.ProvesSecret(first+"x"))
		require.False(t, got.ProvesSecret(string(client.HashSecret(first))))
		require.False(t, client.Client{}.ProvesSecret(""))
		b.Clock.Advance(time.Hour)
		got, err = here.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.True(t, got.ProvesSecret(first))
		require.False(t, got.ProvesSecret(second), "it has expired")
		var stored string
		require.NoError(t, r.QueryRow(t.Context(), `SELECT string_agg(s::text, ' ') FROM client_secrets s`).Scan(&stored))
		require.NotContains(t, stored, first)

		third := secret(t, nil)
		write(t, func(tx realm.Tx) error {
			removed, err := here.RemoveSecretsExcept(t.Context(), tx, c, [][]byte{client.HashSecret(third)})
			require.Equal(t, 2, removed)
			return err
		})
		got, err = here.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.False(t, got.ProvesSecret(first))
		require.True(t, got.ProvesSecret(third))
	})
	t.Run("sees a change at once here and within half a second elsewhere", func(t *testing.T) {
		_, err := there.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		write(t, func(tx realm.Tx) error {
			stored, err := here.Stored(t.Context(), tx, "shop")
			if err != nil {
				return err
			}
			stored.Enabled, stored.Name = false, "Closed"
			return here.Update(t.Context(), tx, stored, []string{"enabled", "name"})
		})
		got, err := here.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.False(t, got.Enabled)
		got, err = there.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.True(t, got.Enabled, "still the cached one")
		b.Clock.Advance(500 * time.Millisecond)
		got, err = there.ByClientID(t.Context(), r, "shop")
		require.NoError(t, err)
		require.False(t, got.Enabled)
		require.Equal(t, "Closed", got.Name)
	})
	t.Run("records every change", func(t *testing.T) {
		var all string
		require.NoError(t, r.QueryRow(t.Context(), `SELECT string_agg(type, ' ' ORDER BY seq) FROM events WHERE client_id = 'shop'`).Scan(&all))
		require.Equal(t, "client.created client.secret_added client.secret_added client.secret_added client.secret_removed client.secret_removed client.updated", all)
	})
}
