package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

func TestOP05_SecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	o := config.Options{Mode: config.ModeServe, ReadFile: files(map[string]string{
		"/run/secrets/db":  "postgres://app:from-file@db/g\n",
		"/run/secrets/key": ring("new", "old") + "\r\n",
		"/run/secrets/red": "rediss://:from-file@cache\n",
	})}

	t.Run("every_secret_has_a_file_form", func(t *testing.T) {
		t.Parallel()
		c, err := config.Load([]string{
			"GATEHOUSE_PUBLIC_URL=https://a.test/",
			"GATEHOUSE_DATABASE_URL_FILE=/run/secrets/db", "GATEHOUSE_MIGRATION_DATABASE_URL_FILE=/run/secrets/db",
			"GATEHOUSE_REDIS_URL_FILE=/run/secrets/red", "GATEHOUSE_SECRET_KEY_FILE=/run/secrets/key",
		}, o)
		require.NoError(t, err)
		require.Equal(t, "postgres://app:from-file@db/g", c.DatabaseURL.Reveal())
		require.Equal(t, "rediss://:from-file@cache", c.RedisURL.Reveal())
		require.Len(t, c.SecretKey.All(), 2)
		require.Equal(t, "new", c.SecretKey.All()[0].ID)
		require.Equal(t, []byte(key), c.SecretKey.All()[0].Bytes())
	})
	t.Run("value_and_file_together_are_refused", func(t *testing.T) {
		t.Parallel()
		issues := invalid(t, serving("GATEHOUSE_DATABASE_URL_FILE=/run/secrets/db"), o)
		require.Contains(t, issues.Error(), "GATEHOUSE_DATABASE_URL and GATEHOUSE_DATABASE_URL_FILE are both set")
	})
	t.Run("an_unreadable_file_is_refused", func(t *testing.T) {
		t.Parallel()
		issues := invalid(t, []string{"GATEHOUSE_SECRET_KEY_FILE=/nowhere"}, o)
		require.Contains(t, issues.Error(), "GATEHOUSE_SECRET_KEY_FILE cannot be read")
	})
	t.Run("a_key_ring_takes_either_alphabet_of_base64", func(t *testing.T) {
		t.Parallel()
		var ring config.Keys
		require.NoError(t, ring.UnmarshalText([]byte("a:__-_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw")))
		require.NoError(t, ring.UnmarshalText([]byte("a://+/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw=")))
	})
}

func TestOP05_SecretsNeverPrint(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	material := []byte("canary-7f3a-canary-7f3a-canary!!")
	c, err := config.Load(serving(
		"GATEHOUSE_REDIS_URL=rediss://:"+canary+"@cache",
		"GATEHOUSE_DATABASE_URL=postgres://app:"+canary+"@db/g",
		"GATEHOUSE_SECRET_KEY=k1:Y2FuYXJ5LTdmM2EtY2FuYXJ5LTdmM2EtY2FuYXJ5ISE=",
	), config.Options{Mode: config.ModeServe})
	require.NoError(t, err)
	require.Equal(t, material, c.SecretKey.All()[0].Bytes(), "the canary must be inside, or this test proves nothing")

	// hidden has the secrets in unexported fields, where fmt cannot call methods.
	hidden := struct {
		url  config.Secret
		keys config.Keys
		key  config.Key
	}{c.DatabaseURL, c.SecretKey, c.SecretKey.All()[0]}

	var printed bytes.Buffer
	for _, v := range []any{c, &c, hidden, &hidden, c.DatabaseURL, &c.DatabaseURL, c.SecretKey, hidden.key, c.Settings()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "v", v)
	}
	for _, v := range []any{c, c.DatabaseURL, c.SecretKey, c.SecretKey.All()} {
		require.NoError(t, json.NewEncoder(&printed).Encode(v))
		asYAML, err := yaml.Marshal(v)
		require.NoError(t, err)
		printed.Write(asYAML)
	}

	require.Contains(t, printed.String(), "[redacted]")
	require.NotContains(t, printed.String(), canary)
	require.NotContains(t, printed.String(), fmt.Sprintf("%x", canary))
	require.NotContains(t, printed.String(), "Y2FuYXJ5")
}

func TestOP05_IssuesNeverQuoteASecret(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"GATEHOUSE_SECRET_KEY=k1:canary-7f3a"},
		{"GATEHOUSE_SECRET_KEY=canary-7f3a"},
		{"GATEHOUSE_SECRET_KEY=CANARY canary-7f3a:x"},
	} {
		issues := invalid(t, environ, config.Options{Mode: config.ModeServe})
		require.NotContains(t, issues.Error(), "canary-7f3a")
	}
	_, err := config.Load(nil, config.Options{
		Mode: config.ModeDev, ConfigFile: "g.yaml",
		ReadFile: files(map[string]string{"g.yaml": "secret_key: k1\ncanary-7f3a\n"}),
	})
	require.ErrorContains(t, err, "is not YAML")
	require.NotContains(t, err.Error(), "canary-7f3a")
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]config.Origin{
		"https://Login.Example.com/": "https://login.example.com",
		"https://a.test:443":         "https://a.test",
		"http://localhost:80/":       "http://localhost",
		"https://a.test:8443":        "https://a.test:8443",
		"http://[::1]:8080":          "http://[::1]:8080",
	} {
		var got config.Origin
		require.NoError(t, got.UnmarshalText([]byte(given)))
		require.Equal(t, want, got)
	}
	require.Equal(t, "a.test:8443", config.Origin("https://a.test:8443").Host())
	for _, loopback := range []config.Origin{"http://localhost:1", "http://demo.localhost", "http://127.0.0.5", "http://[::1]:8080"} {
		require.True(t, loopback.Loopback(), loopback)
	}
	for _, other := range []config.Origin{"", "http://localhost.example.com", "http://10.0.0.1", "https://notlocalhost"} {
		require.False(t, other.Loopback(), other)
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	var n config.Networks
	require.NoError(t, n.UnmarshalText([]byte(" 10.0.0.0/8, ::ffff:192.168.1.7 ,fd00::/8")))
	for _, in := range []string{"10.1.2.3", "192.168.1.7", "::ffff:10.0.0.1", "fd00::1"} {
		require.True(t, n.Contains(netip.MustParseAddr(in)), in)
	}
	for _, out := range []string{"11.0.0.1", "192.168.1.8", "fe80::1"} {
		require.False(t, n.Contains(netip.MustParseAddr(out)), out)
	}
}
