package client_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
)

func TestAZ01_RedirectAddressesMatchByteForByte(t *testing.T) {
	t.Parallel()
	web := client.Settings{ApplicationType: "web", RedirectURIs: []string{
		"https://app.example/cb", "https://app.example/cb?x=1", "http://127.0.0.1/cb", "https://bücher.example/cb",
	}}
	native := client.Settings{ApplicationType: "native", RedirectURIs: []string{
		"http://127.0.0.1/cb", "http://[::1]/cb?x=1", "http://localhost/cb", "com.example.app:/cb", "https://app.example/cb",
	}}
	for _, c := range []struct {
		s    client.Settings
		uri  string
		want bool
	}{
		{web, "https://app.example/cb", true},
		{web, "https://app.example/cb?x=1", true},
		{web, "https://app.example/cb/", false},
		{web, "https://app.example/CB", false},
		{web, "https://app.example/cb?", false},
		{web, "https://app.example/cb#", false},
		{web, "https://app.example/cb#x", false},
		{web, "https://app.example/cb?x=2", false},
		{web, "https://app.example/cb?x=1&y=2", false},
		{web, "https://app.example/a/../cb", false},
		{web, "https://app.example/%63b", false},
		{web, "https://app.example:443/cb", false},
		{web, "https://APP.example/cb", false},
		{web, "HTTPS://app.example/cb", false},
		{web, "https://app.example./cb", false},
		{web, "https://app.example@evil.example/cb", false},
		{web, "https://evil.example/https://app.example/cb", false},
		{web, "https://app.example/cb\n", false},
		{web, " https://app.example/cb", false},
		{web, "https://xn--bcher-kva.example/cb", false},
		{web, "http://app.example/cb", false},
		{web, "", false},
		{web, "http://127.0.0.1:5000/cb", false}, // a web application's port is fixed
		{native, "http://127.0.0.1/cb", true},
		{native, "http://127.0.0.1:1/cb", true},
		{native, "http://127.0.0.1:65535/cb", true},
		{native, "http://[::1]:49152/cb?x=1", true},
		{native, "http://[::1]:49152/cb", false},
		{native, "http://[::1]:49152/cb?x=2", false},
		{native, "http://127.0.0.1:5000/cb/", false},
		{native, "http://127.0.0.1:5000/cb?x=1", false},
		{native, "http://127.0.0.1:5000/%63b", false},
		{native, "http://127.0.0.1:5000/cb#x", false},
		{native, "http://127.0.0.1:5000/cb#", false},
		{native, "http://user@127.0.0.1:5000/cb", false},
		{native, "http://127.0.0.1:5000@evil.example/cb", false},
		{native, "http://127.0.0.1.evil.example/cb", false},
		{native, "https://127.0.0.1:5000/cb", false},
		{native, "HTTP://127.0.0.1:5000/cb", false},
		{native, "http://127.0.0.2:5000/cb", false},
		{native, "http://127.1:5000/cb", false},
		{native, "http://127.0.0.01:5000/cb", false},
		{native, "http://2130706433:5000/cb", false},
		{native, "http://[::ffff:127.0.0.1]:5000/cb", false},
		{native, "http://[0:0:0:0:0:0:0:1]:5000/cb?x=1", false},
		{native, "http://localhost/cb", true},
		{native, "http://localhost:5000/cb", false}, // a name, not an address: RFC 8252 §8.3
		{native, "http://127.0.0.1:port/cb", false},
		{native, "http://127.0.0.1:5000\\@evil.example/cb", false},
		{native, "com.example.app:/cb", true},
		{native, "com.example.app://cb", false},
		{native, "https://app.example:444/cb", false},
	} {
		require.Equal(t, c.want, c.s.AllowsRedirect(c.uri), "%s %q", c.s.ApplicationType, c.uri)
	}
}

// Whatever is allowed leads where something registered leads, but for the port of a loopback address.
func FuzzAZ01_AllowsRedirect(f *testing.F) {
	s := client.Settings{ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb?x=1", "https://app.example/cb"}}
	for _, seed := range append(slices.Clone(s.RedirectURIs), "http://127.0.0.1:1/cb", "http://[::1]:9/cb?x=1", "http://127.0.0.1:1@evil.example/cb", "http://127.0.0.1:\\@e/cb", "HTTP://127.0.0.1/cb") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !s.AllowsRedirect(uri) || slices.Contains(s.RedirectURIs, uri) {
			return
		}
		u, err := url.Parse(uri)
		require.NoError(t, err)
		require.Nil(t, u.User)
		require.NotContains(t, uri, "#")
		require.NotContains(t, uri, "\\")
		require.Contains(t, []string{"127.0.0.1", "::1"}, u.Hostname())
		without := strings.Replace(uri, ":"+u.Port(), "", 1)
		if i := strings.LastIndex(u.Host, ":"+u.Port()); i >= 0 {
			without = "http://" + u.Host[:i] + uri[len("http://")+len(u.Host):]
		}
		require.Contains(t, s.RedirectURIs, without, "%q", uri)
	})
}

func TestAZ02_WhatCannotBeRegistered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ uri, kind, says string }{
		{"https://app.example/cb", "web", ""},
		{"https://app.example:8443/cb?x=1", "browser", ""},
		{"http://127.0.0.1/cb", "native", ""},
		{"http://127.0.0.1:3000/cb", "web", ""},
		{"http://[::1]/cb", "native", ""},
		{"http://localhost:3000/cb", "web", ""},
		{"com.example.app:/cb", "native", ""},
		{"com.example.app://host/cb", "native", ""},
		{"com.example.app:cb", "native", ""},

		{"", "web", "not an absolute URL"},
		{"/cb", "web", "not an absolute URL"},
		{"//app.example/cb", "web", "not an absolute URL"},
		{"app.example/cb", "web", "not an absolute URL"},
		{"https:///cb", "web", "no host"},
		{"https:app.example/cb", "web", "no host"},
		{"https://:8443/cb", "web", "no host"},
		{"https://*.app.example/cb", "web", "wildcard"},
		{"https://app.example/*", "web", "wildcard"},
		{"https://app.example/cb#", "web", "fragment"},
		{"https://app.example/cb#x", "web", "fragment"},
		{"https://user@app.example/cb", "web", "user name"},
		{"https://user:pw@app.example/cb", "web", "user name"},
		{"http://app.example/cb", "web", "only loopback"},
		{"http://127.0.0.1.evil.example/cb", "native", "only loopback"},
		{"http://localhost.evil.example/cb", "native", "only loopback"},
		{"http://10.0.0.1/cb", "web", "only loopback"},
		{"javascript:alert(1)", "native", "scheme"},
		{"javascript://app.example/%0aalert(1)", "native", "scheme"},
		{"JavaScript:alert(1)", "native", "scheme"},
		{"data:text/html,x", "native", "scheme"},
		{"vbscript:x", "native", "scheme"},
		{"file:///etc/passwd", "native", "scheme"},
		{"blob:https://app.example/x", "native", "scheme"},
		{"about:blank", "native", "scheme"},
		{"myapp://cb", "native", "reversed domain name"},
		{"com.example.app:/cb", "web", "only native"},
		{"com.example.app:cb", "web", "only native"},
		{"https://app.example/c b", "web", "space"},
		{"https://app.example/cb ", "web", "space"},
		{"https://app.example/\tcb", "web", "space"},
		{"https://app.example/cb\r\nSet-Cookie: x", "web", "space"},
		{"https://app.example/cb\x00", "web", "space"},
		{"https://app.example/\u00a0cb", "web", "space"},
		{"\x01javascript:alert(1)", "native", "space"},
	} {
		got := client.CheckRedirectURI(c.uri, c.kind)
		if c.says == "" {
			require.Empty(t, got, "%s %q", c.kind, c.uri)
			continue
		}
		require.Contains(t, got, c.says, "%s %q", c.kind, c.uri)
	}
}

// What is registered is matched by itself, and shows no browser anything but a page.
func FuzzAZ02_CheckRedirectURI(f *testing.F) {
	for _, seed := range []string{"https://app.example/cb", "com.example.app:/cb", "javascript:alert(1)", "http://127.0.0.1/cb", "data:text/html,x", "https://[::1]/", "a.b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if client.CheckRedirectURI(uri, "native") != "" {
			return
		}
		u, err := url.Parse(uri)
		require.NoError(t, err)
		require.Nil(t, u.User)
		require.NotContains(t, uri, "#")
		require.True(t, u.Scheme == "https" || u.Scheme == "http" || strings.Contains(u.Scheme, "."), u.Scheme)
		require.False(t, strings.ContainsAny(uri, " \t\r\n\x00*"))
		require.True(t, client.Settings{ApplicationType: "native", RedirectURIs: []string{uri}}.AllowsRedirect(uri))
	})
}

func TestPostLogoutRedirect(t *testing.T) {
	t.Parallel()
	s := client.Settings{ApplicationType: "native", PostLogoutRedirectURIs: []string{"http://127.0.0.1/out"}, RedirectURIs: []string{"https://app.example/cb"}}
	require.True(t, s.AllowsPostLogoutRedirect("http://127.0.0.1/out"))
	require.False(t, s.AllowsPostLogoutRedirect("http://127.0.0.1:5000/out"))
	require.False(t, s.AllowsPostLogoutRedirect("https://app.example/cb"))
}
