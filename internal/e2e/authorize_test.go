package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

func TestAZ01_RedirectAddressesMatchToTheByte(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for _, c := range []struct {
		client, uri string
		allowed     bool
	}{
		{"web", callback, true},
		{"web", "https://shop.example/callback?x=1", true},
		{"web", "https://shop.example/callback", false},
		{"web", "https://shop.example/callback?x=1&y=2", false},
		{"web", "https://shop.example/callback?x=%31", false},
		{"web", "https://SHOP.example/callback?x=1", false},
		{"web", "https://shop.example:443/callback?x=1", false},
		{"web", "https://shop.example.evil.example/callback?x=1", false},
		{"web", "http://shop.example/callback?x=1", false},
		{"web", callback + "/", false},
		{"web", callback + "#", false},
		{"web", "http://127.0.0.1:9/%63allback", false},
		{"web", "http://127.0.0.1:9/x/../callback", false},
		{"web", "http://127.0.0.1:10/callback", false}, // the port is free for native applications only
		{"web", "http://evil@127.0.0.1:9/callback", false},
		{"web", " " + callback, false},
		{"web", "", false},

		{"native", "http://127.0.0.1/cb", true},
		{"native", "http://127.0.0.1:51004/cb", true},
		{"native", "com.example.app:/cb", true},
		{"native", "com.example.app:/cb/", false},
		{"native", "com.example.app://cb", false},
		{"native", "com.example.other:/cb", false},
		{"native", "https://127.0.0.1:51004/cb", false},
		{"native", "HTTP://127.0.0.1:51004/cb", false},
		{"native", "http://evil@127.0.0.1:51004/cb", false},
		{"native", "http://127.0.0.1:51004@evil.example/cb", false},
		{"native", "http://127.0.0.1.evil.example/cb", false},
		{"native", "http://localhost:51004/cb", false},
		{"native", "http://127.0.0.2:51004/cb", false},
		{"native", "http://[::1]:51004/cb", false},
		{"native", "http://[::ffff:127.0.0.1]:51004/cb", false},
		{"native", "http://127.0.0.1:51004/cb?x", false},
		{"native", "http://127.0.0.1:51004/cb/", false},
		{"native", "http://127.0.0.1:51004/CB", false},
		{"native", "http://127.0.0.1:51004/cb#x", false},
		{"native", `http://127.0.0.1:51004\@evil.example/cb`, false},
	} {
		t.Run(c.client+" "+c.uri, func(t *testing.T) {
			t.Parallel()
			r := askSilently(t, i, "one", authorization("client_id", c.client, "redirect_uri", c.uri))
			if !c.allowed {
				requirePage(t, r, http.StatusBadRequest)
				return
			}
			require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
			joint := "?"
			if strings.Contains(c.uri, "?") {
				joint = "&"
			}
			require.True(t, strings.HasPrefix(r.Header.Get("Location"), c.uri+joint), r.Header.Get("Location"))
			require.Contains(t, r.Header.Get("Location"), "error=login_required")
		})
	}
}

func TestAZ02_BadRedirectAddressesAreNotRegistered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, uri string
		allowed   bool
	}{
		{"web", "https://shop.example/callback", true},
		{"web", "http://localhost:3000/callback", true},
		{"native", "com.example.app:/callback", true},
		{"web", "https://*.example/callback", false},
		{"web", "https://shop.example/*", false},
		{"web", "https://shop.example/callback#x", false},
		{"web", "https://shop.example/callback#", false},
		{"web", "https://user@shop.example/callback", false},
		{"web", "https://user:pass@shop.example/callback", false},
		{"web", "http://shop.example/callback", false},
		{"web", "javascript:alert(1)", false},
		{"native", "javascript:alert(1)", false},
		{"native", "data:text/html,x", false},
		{"native", "file:///etc/passwd", false},
		{"native", "vbscript:x", false},
		{"native", "myapp:/callback", false},
		{"web", "com.example.app:/callback", false},
		{"web", "https://shop.example/call back", false},
		{"web", `https://shop.example/call\tback`, false},
		{"web", "/callback", false},
		{"web", "//shop.example/callback", false},
		{"web", "https:///callback", false},
	} {
		t.Run(c.kind+" "+c.uri, func(t *testing.T) {
			t.Parallel()
			_, err := realmfile.Parse([]byte(`
realm: one
applications:
  - client_id: app
    application_type: `+c.kind+`
    token_endpoint_auth_method: none
    redirect_uris: ["`+c.uri+`"]
`), "test.yaml", realmfile.System(t.TempDir()))
			if c.allowed {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "redirect_uris")
		})
	}
}

func TestAZ03_WithoutATrustedAddressErrorsArePages(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	repeated := authorization()
	repeated.Add("redirect_uri", callback)
	twoClients := authorization()
	twoClients.Add("client_id", "web")
	for name, c := range map[string]struct {
		q    url.Values
		code string
	}{
		"unknown client":            {authorization("client_id", "nobody"), "client_unknown"},
		"missing client":            {authorization("client_id", ""), "client_unknown"},
		"repeated client":           {twoClients, "invalid_request"},
		"unregistered redirect_uri": {authorization("redirect_uri", "https://evil.example/"), "redirect_denied"},
		"missing redirect_uri":      {authorization("redirect_uri", ""), "redirect_denied"},
		"repeated redirect_uri":     {repeated, "invalid_request"},
		"and everything else wrong": {authorization("client_id", "nobody", "response_type", "token", "scope", "x"), "client_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := i.Issuer("one") + "/authorize?" + c.q.Encode()
			for _, accept := range []string{"", "*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"} {
				r := newBrowser(t).getWith(address, "Accept", accept)
				requirePage(t, r, http.StatusBadRequest)
				require.Contains(t, r.Body, "<code>"+c.code+"</code>")
			}
			document := newBrowser(t).getWith(address, "Accept", "application/json")
			require.Equal(t, http.StatusBadRequest, document.StatusCode)
			require.Equal(t, "application/problem+json", document.Header.Get("Content-Type"))
			require.Contains(t, document.Body, `"code":"`+c.code+`"`)

			posted := newBrowser(t).post(i.Issuer("one")+"/authorize", c.q)
			requirePage(t, posted, http.StatusBadRequest)
		})
	}
}

func TestAZ04_PKCEAtTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for name, c := range map[string]struct {
		change []string
		code   string
	}{
		"confidential applications must by default": {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"plain is refused":                          {[]string{"code_challenge", verifier, "code_challenge_method", "plain"}, "invalid_request"},
		"no method means plain":                     {[]string{"code_challenge_method", ""}, "invalid_request"},
		"S256 is spelt so":                          {[]string{"code_challenge_method", "s256"}, "invalid_request"},
		"a method needs a challenge":                {[]string{"code_challenge", ""}, "invalid_request"},
		"a challenge that is no SHA-256":            {[]string{"code_challenge", "short"}, "invalid_request"},
		"a challenge with padding":                  {[]string{"code_challenge", challenge() + "="}, "invalid_request"},
		"an optional application may leave it out":  {[]string{"client_id", "other", "code_challenge", "", "code_challenge_method", ""}, "login_required"},
		"but not half":                              {[]string{"client_id", "other", "code_challenge", ""}, "invalid_request"},
		"nor plain":                                 {[]string{"client_id", "other", "code_challenge_method", "plain"}, "invalid_request"},
		"as it should be":                           {nil, "login_required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization(c.change...)), c.code)
		})
	}
	t.Run("public applications must, whatever they are set to", func(t *testing.T) {
		t.Parallel()
		r := askSilently(t, i, "one", authorization("client_id", "native", "redirect_uri", "com.example.app:/cb", "code_challenge", "", "code_challenge_method", ""))
		require.Equal(t, "invalid_request", r.Location().Query().Get("error"))
		f, err := realmfile.Parse([]byte(strings.Replace(realmFile("one"), "application_type: native", "application_type: native\n    pkce: optional", 1)),
			"test.yaml", realmfile.System(t.TempDir()))
		require.NoError(t, err)
		_, err = i.Applier.Apply(t.Context(), f, realmfile.ApplyOptions{})
		require.ErrorContains(t, err, "pkce")
	})
}

func TestAZ06_AnApplicationGetsOnlyWhatItIsAllowed(t *testing.T) {
	t.Parallel()
	i := start(t, protocolFile("one"))
	for name, c := range map[string]struct {
		change []string
		code   string
	}{
		"a scope that another application has": {[]string{"client_id", "resources", "scope", "openid profile"}, "invalid_scope"},
		"a scope that nobody has":              {[]string{"scope", "openid admin"}, "invalid_scope"},
		"a scope in another spelling":          {[]string{"scope", "OpenID"}, "invalid_scope"},
		"no scope":                             {[]string{"scope", ""}, "invalid_scope"},
		"the implicit flow":                    {[]string{"response_type", "token"}, "unsupported_response_type"},
		"an ID token in front":                 {[]string{"response_type", "id_token"}, "unsupported_response_type"},
		"a hybrid flow":                        {[]string{"response_type", "code id_token"}, "unsupported_response_type"},
		"a hybrid flow with a token":           {[]string{"response_type", "code token"}, "unsupported_response_type"},
		"response_type none":                   {[]string{"response_type", "none"}, "unsupported_response_type"},
		"no response_type":                     {[]string{"response_type", ""}, "invalid_request"},
		"fragment mode":                        {[]string{"response_mode", "fragment"}, "invalid_request"},
		"an unknown mode":                      {[]string{"response_mode", "carrier_pigeon"}, "invalid_request"},
		"another application's audience":       {[]string{"resource", orders}, "invalid_target"},
		"an audience that nobody has":          {[]string{"client_id", "resources", "scope", "openid", "resource", "https://evil.example"}, "invalid_target"},
		"its own audience":                     {[]string{"client_id", "resources", "scope", "openid api", "resource", orders}, "login_required"},
		"its own scopes":                       {[]string{"scope", "openid api address"}, "login_required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization(c.change...)), c.code)
		})
	}
}

func TestAZ07_EveryAuthorizationResponseNamesItsIssuer(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	require.Contains(t, newBrowser(t).get(i.Issuer("one")+"/.well-known/openid-configuration").Body, `"authorization_response_iss_parameter_supported":true`)
	for _, slug := range []string{"one", "two"} {
		b := newBrowser(t)
		refused := askSilently(t, i, slug, authorization())
		require.Equal(t, i.Issuer(slug), refused.Location().Query().Get("iss"), "error by query")

		form := askSilently(t, i, slug, authorization("response_mode", "form_post"))
		requirePage(t, form, http.StatusOK)
		require.Equal(t, i.Issuer(slug), hidden(t, form.Body, "iss"), "error by form")
		require.Equal(t, "login_required", hidden(t, form.Body, "error"))

		back := b.signIn(i, b.authorize(i, slug, authorization()), "ana", anaPassword)
		require.Equal(t, i.Issuer(slug), back.Location().Query().Get("iss"), "code by query")

		posted := b.authorize(i, slug, authorization("response_mode", "form_post"))
		require.Equal(t, i.Issuer(slug), hidden(t, posted.Body, "iss"), "code by form")
		require.NotEmpty(t, hidden(t, posted.Body, "code"))
	}
}

func TestAZ08_RepeatedParametersAreRefused(t *testing.T) {
	t.Parallel()
	i := start(t, protocolFile("one"))
	for _, name := range []string{"scope", "nonce", "response_type", "code_challenge", "prompt", "max_age", "unknown"} {
		t.Run("authorize "+name, func(t *testing.T) {
			t.Parallel()
			q := authorization()
			q[name] = []string{q.Get(name), q.Get(name)}
			q2 := newBrowser(t).get(i.Issuer("one") + "/authorize?" + q.Encode())
			requireErrorAtClient(t, i, "one", q2, "invalid_request")
		})
	}
	for _, name := range []string{"state", "response_mode"} {
		t.Run("authorize "+name+", which says how to answer", func(t *testing.T) {
			t.Parallel()
			q := authorization()
			q[name] = []string{"query", "query"}
			requirePage(t, newBrowser(t).get(i.Issuer("one")+"/authorize?"+q.Encode()), http.StatusBadRequest)
		})
	}
	t.Run("resource may repeat", func(t *testing.T) {
		t.Parallel()
		q := authorization("client_id", "resources", "scope", "openid")
		q["resource"] = []string{orders, billing}
		requireErrorAtClient(t, i, "one", askSilently(t, i, "one", q), "login_required")
	})
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		code := newBrowser(t).code(i, "one")
		for _, name := range []string{"code", "grant_type", "redirect_uri", "code_verifier", "client_id", "unknown"} {
			form := exchange(code)
			form[name] = []string{form.Get(name), form.Get(name)}
			requireRefused(t, token(t, i, "one", form), http.StatusBadRequest, "invalid_request")
		}
		form := exchange(code)
		form["resource"] = []string{orders, billing}
		require.NotEqual(t, "invalid_request", token(t, i, "one", form).Error)
	})
	t.Run("logout", func(t *testing.T) {
		t.Parallel()
		q := url.Values{"state": {"a", "b"}, "client_id": {"web"}, "post_logout_redirect_uri": {"http://127.0.0.1:9/bye"}}
		requirePage(t, newBrowser(t).get(i.Issuer("one")+"/end_session?"+q.Encode()), http.StatusBadRequest)
		requirePage(t, newBrowser(t).post(i.Issuer("one")+"/end_session", q), http.StatusBadRequest)
	})
}

func TestAZ16_NoPageCanBeFramed(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	login := b.authorize(i, "one", authorization())
	pages := map[string]response{
		"login":     login,
		"error":     b.get(i.Issuer("one") + "/authorize"),
		"form_post": askSilently(t, i, "one", authorization("response_mode", "form_post")),
	}
	b.signIn(i, login, "ana", anaPassword)
	pages["logout"] = b.get(i.Issuer("one") + "/end_session")
	pages["signed out"] = newBrowser(t).get(i.Issuer("one") + "/end_session")
	for name, r := range pages {
		require.Equal(t, "DENY", r.Header.Get("X-Frame-Options"), name)
		require.Contains(t, r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", name)
	}
}

func TestAZ15_SwitchingOffStopsAFlowAtEveryStep(t *testing.T) {
	t.Parallel()
	enabled, disabled := realmFile("one"), strings.Replace(realmFile("one"), "name: Web shop\n", "name: Web shop\n    enabled: false\n", 1)
	require.NotEqual(t, enabled, disabled)

	t.Run("an application", func(t *testing.T) {
		t.Parallel()
		i := start(t, enabled)
		b := newBrowser(t)
		code := b.code(i, "one")
		live := token(t, i, "one", exchange(b.code(i, "one")))
		atLogin := newBrowser(t)
		page := atLogin.authorize(i, "one", authorization())
		i.apply(t, disabled)

		requirePage(t, b.authorize(i, "one", authorization()), http.StatusBadRequest)
		requirePage(t, atLogin.get(page.Request.URL.String()), http.StatusBadRequest)
		requirePage(t, atLogin.signIn(i, page, "ana", anaPassword), http.StatusBadRequest)
		requirePage(t, atLogin.get(strings.Replace(page.Request.URL.String(), "/login", "/authorize", 1)), http.StatusBadRequest)
		requireRefused(t, token(t, i, "one", exchange(code)), http.StatusUnauthorized, "invalid_client")
		r, _ := userinfo(t, i, "one", live.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)

		i.apply(t, strings.Replace(disabled, "enabled: false", "enabled: true", 1))
		requirePage(t, atLogin.get(page.Request.URL.String()), http.StatusOK)
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status, "the code was not burnt meanwhile")
	})
	t.Run("a person", func(t *testing.T) {
		t.Parallel()
		i := start(t, enabled)
		b := newBrowser(t)
		code := b.code(i, "one")
		live := token(t, i, "one", exchange(b.code(i, "one")))
		i.apply(t, strings.Replace(enabled, "username: ana\n", "username: ana\n    enabled: false\n", 1))

		requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none")), "login_required")
		page := b.authorize(i, "one", authorization())
		requirePage(t, page, http.StatusOK)
		requirePage(t, b.signIn(i, page, "ana", anaPassword), http.StatusUnprocessableEntity)
		requireRefused(t, token(t, i, "one", exchange(code)), http.StatusBadRequest, "invalid_grant")
		r, _ := userinfo(t, i, "one", live.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	})
	t.Run("a realm", func(t *testing.T) {
		t.Parallel()
		i := start(t, enabled, realmFile("two"))
		b := newBrowser(t)
		code := b.code(i, "one")
		live := token(t, i, "one", exchange(b.code(i, "one")))
		switchRealm(t, i, "one", "disabled")

		requirePage(t, b.getWith(i.Issuer("one")+"/authorize?"+authorization().Encode(), "Accept", "text/html"), http.StatusForbidden)
		for _, path := range []string{"/token", "/userinfo"} {
			r := b.post(i.Issuer("one")+path, exchange(code), "Authorization", "Bearer "+live.AccessToken)
			require.Equal(t, http.StatusForbidden, r.StatusCode, path)
			require.NotContains(t, r.Body, "access_token")
		}
		require.NotEmpty(t, newBrowser(t).code(i, "two"), "the other realm goes on")
		switchRealm(t, i, "one", "active")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status)
	})
}
