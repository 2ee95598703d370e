package client_test

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func trusting(t *testing.T) client.Settings {
	t.Helper()
	var keys client.KeySet
	require.NoError(t, json.Unmarshal([]byte(set(jwk(t, &p256(t, elliptic.P256()).PublicKey, "k", ""))), &keys))
	return client.Settings{
		TokenEndpointAuthMethod: "private_key_jwt", GrantTypes: []string{client.GrantJWTBearer},
		TrustedIssuers: []client.TrustedIssuer{
			{Issuer: "https://one.example", Subjects: []string{"a", "system:serviceaccount:shop:b"}, JWKS: keys},
			{Issuer: "two", Subjects: []string{"a"}, JWKSURI: "https://two.example/jwks", MaxLifetime: realm.Duration(time.Hour)},
		},
	}.WithDefaults()
}

func TestTrustedIssuers(t *testing.T) {
	t.Parallel()

	t.Run("do for an application without keys of its own", func(t *testing.T) {
		t.Parallel()
		s := trusting(t)
		require.Empty(t, s.Check())
		require.Equal(t, realm.Duration(5*time.Minute), s.TrustedIssuers[0].MaxLifetime)
		s.JWKSURI = "https://app.example/jwks"
		require.Empty(t, s.Check(), "it may have some beside")
	})
	for name, c := range map[string]struct {
		change func(s *client.Settings, one *client.TrustedIssuer)
		says   string
	}{
		"another method":     {func(s *client.Settings, _ *client.TrustedIssuer) { s.TokenEndpointAuthMethod = "client_secret_basic" }, "trusted_issuers needs"},
		"no issuer":          {func(_ *client.Settings, one *client.TrustedIssuer) { one.Issuer = "" }, "trusted_issuers[0] needs an issuer"},
		"a space in front":   {func(_ *client.Settings, one *client.TrustedIssuer) { one.Issuer = " x" }, "needs an issuer"},
		"a long issuer":      {func(_ *client.Settings, one *client.TrustedIssuer) { one.Issuer = strings.Repeat("x", 256) }, "needs an issuer"},
		"one issuer twice":   {func(_ *client.Settings, one *client.TrustedIssuer) { one.Issuer = "two" }, "has the issuer of another"},
		"no subjects":        {func(_ *client.Settings, one *client.TrustedIssuer) { one.Subjects = []string{} }, "needs subjects"},
		"an empty subject":   {func(_ *client.Settings, one *client.TrustedIssuer) { one.Subjects = []string{"a", ""} }, "needs subjects"},
		"too many subjects":  {func(_ *client.Settings, one *client.TrustedIssuer) { one.Subjects = slices.Repeat([]string{"a"}, 101) }, "needs subjects"},
		"itself":             {func(_ *client.Settings, one *client.TrustedIssuer) { one.Subjects = []string{one.Issuer} }, "vouches for itself"},
		"no keys":            {func(_ *client.Settings, one *client.TrustedIssuer) { one.JWKS = "" }, "needs the issuer's public keys"},
		"keys in two places": {func(_ *client.Settings, one *client.TrustedIssuer) { one.JWKSURI = "https://one.example/jwks" }, "one of the two"},
		"an address that is http": {func(s *client.Settings, _ *client.TrustedIssuer) {
			s.TrustedIssuers[1].JWKSURI = "http://two.example/jwks"
		}, "trusted_issuers[1] jwks_uri"},
		"a life of a day":   {func(_ *client.Settings, one *client.TrustedIssuer) { one.MaxLifetime = realm.Duration(24 * time.Hour) }, "max_lifetime 1d; allowed"},
		"a life of nothing": {func(_ *client.Settings, one *client.TrustedIssuer) { one.MaxLifetime = realm.Duration(time.Second) }, "max_lifetime 1s; allowed"},
		"too many":          {manyIssuers, "at most 10"},
	} {
		t.Run("are refused with "+name, func(t *testing.T) {
			t.Parallel()
			s := trusting(t)
			c.change(&s, &s.TrustedIssuers[0])
			require.Contains(t, strings.Join(s.Check(), "; "), c.says)
		})
	}
	t.Run("are stored and read as they were", func(t *testing.T) {
		t.Parallel()
		b := testdb.New(t)
		r, store, s := b.Realm(t, "acme"), client.NewStore(b.Clock.Now), trusting(t)
		require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := store.Create(t.Context(), tx, "worker", "Worker", true, s)
			return err
		}))
		read, err := store.ByClientID(t.Context(), r, "worker")
		require.NoError(t, err)
		require.Equal(t, s, read.Settings)
		_, trusted := read.Trusts("https://one.example")
		require.True(t, trusted)
		_, trusted = read.Trusts("https://one.example/")
		require.False(t, trusted)

		changed := *read
		changed.TrustedIssuers = []client.TrustedIssuer{}
		changed.JWKS = s.TrustedIssuers[0].JWKS
		require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
			return store.Update(t.Context(), tx, changed, []string{"trusted_issuers", "jwks"})
		}))
		read, err = store.ByClientID(t.Context(), r, "worker")
		require.NoError(t, err)
		require.Equal(t, []client.TrustedIssuer{}, read.TrustedIssuers)
	})
	t.Run("the database wants one way to prove the application", func(t *testing.T) {
		t.Parallel()
		b := testdb.New(t)
		r, store, s := b.Realm(t, "acme"), client.NewStore(b.Clock.Now), trusting(t)
		s.TrustedIssuers = nil
		require.ErrorContains(t, r.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := store.Create(t.Context(), tx, "worker", "Worker", true, s)
			return err
		}), "clients_proof")
	})
}

func manyIssuers(s *client.Settings, _ *client.TrustedIssuer) {
	for i := range 9 {
		another := s.TrustedIssuers[1]
		another.Issuer = fmt.Sprint("issuer ", i)
		s.TrustedIssuers = append(s.TrustedIssuers, another)
	}
}
