package config_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

func TestOB01_DestinationsAreReadStrictly(t *testing.T) {
	t.Parallel()
	read := func(text string) (config.Destinations, error) {
		var d config.Destinations
		err := d.UnmarshalText([]byte(text))
		return d, err
	}
	t.Run("hosts, hosts with ports and networks", func(t *testing.T) {
		t.Parallel()
		d, err := read("Keys.Internal., api.internal:8443, 10.1.0.0/16, [::1]:9000, fd00::1, 192.168.1.7, [::ffff:10.9.9.9]")
		require.NoError(t, err)
		require.True(t, d.NamesHost("keys.internal", 443))
		require.True(t, d.NamesHost("keys.internal", 80))
		require.False(t, d.NamesHost("keys.internal", 8443), "a host without a port opens the ordinary ones only")
		require.True(t, d.NamesHost("api.internal", 8443))
		require.False(t, d.NamesHost("api.internal", 443))
		require.True(t, d.NamesPort("::1", 9000))
		require.False(t, d.NamesPort("keys.internal", 443))
		require.False(t, d.NamesPort("", 0))
		require.False(t, d.NamesHost("", 0))
		require.True(t, d.NamesHost("fd00::1", 443))
		require.True(t, d.NamesHost("192.168.1.7", 443))
		require.True(t, d.NamesHost("10.9.9.9", 443))
		require.True(t, d.HoldsAddress(netip.MustParseAddr("10.1.2.3")))
		require.True(t, d.HoldsAddress(netip.MustParseAddr("::ffff:10.1.2.3")))
		require.False(t, d.HoldsAddress(netip.MustParseAddr("10.2.0.0")))
		require.False(t, d.HoldsAddress(netip.MustParseAddr("192.168.1.7")), "a host is no network")
	})
	for item, want := range map[string]string{
		"https://a.example":   "is a URL",
		"10.0.0.1/8":          "did you mean 10.0.0.0/8",
		"0.0.0.0/0":           "is every address",
		"::/0":                "is every address",
		"::ffff:10.0.0.0/104": "write it as IPv4",
		"10.0.0.0/33":         "is not a network",
		"a.example:":          "port",
		"a.example:0":         "port",
		"a.example:99999":     "port",
		"a.example:https":     "port",
		"a b.example":         "is not a host",
		"*.example":           "is not a host",
		"a..example":          "is not a host",
		":8443":               "is not a host",
		"127.1":               "is not a host",
		"2130706433":          "is not a host",
		"bücher.example":      "is not a host",
		"fe80::1%eth0":        "is not a host",
	} {
		t.Run("refuses "+item, func(t *testing.T) {
			t.Parallel()
			issues := invalid(t, serving("GATEHOUSE_OUTBOUND_ALLOW=good.example,"+item), config.Options{Mode: config.ModeServe})
			require.Len(t, issues, 1)
			require.Equal(t, "GATEHOUSE_OUTBOUND_ALLOW", issues[0].Name)
			require.Contains(t, issues.Error(), want)
			require.Contains(t, issues.Error(), item, "it names the entry")
		})
	}
}
