package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAuthorizeParameters(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))

	t.Run("state is optional and absent from the answer when it was absent", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		refused := requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization("state", "")), "login_required")
		require.NotContains(t, refused, "state")
		back := b.signIn(i, b.authorize(i, "one", authorization("state", "")), "ana", anaPassword)
		require.NotEmpty(t, back.Location().Query().Get("code"))
		require.NotContains(t, back.Location().Query(), "state")
	})
	t.Run("state comes back as it was sent", func(t *testing.T) {
		t.Parallel()
		for _, state := range []string{"x", "a b&c=d%20+é\"<>", strings.Repeat("long", 400)} {
			q := requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization("state", state)), "login_required")
			require.Equal(t, state, q.Get("state"))
			form := askSilently(t, i, "one", authorization("state", state, "response_mode", "form_post"))
			require.Equal(t, state, hidden(t, form.Body, "state"))
		}
	})
	t.Run("an application's own query stays", func(t *testing.T) {
		t.Parallel()
		r := askSilently(t, i, "one", authorization("redirect_uri", "https://shop.example/callback?x=1"))
		require.Equal(t, "1", r.Location().Query().Get("x"))
		require.Equal(t, "login_required", r.Location().Query().Get("error"))
	})
	t.Run("form_post posts to the registered address", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		page := b.signIn(i, b.authorize(i, "one", authorization("response_mode", "form_post")), "ana", anaPassword)
		requirePage(t, page, http.StatusOK)
		require.Contains(t, page.Body, `action="`+callback+`"`)
		require.Equal(t, "state-1", hidden(t, page.Body, "state"))
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(hidden(t, page.Body, "code"))).Status)
	})
	t.Run("unknown and empty parameters are ignored", func(t *testing.T) {
		t.Parallel()
		q := authorization("foo", "bar", "claims", `{"userinfo":{}}`, "display", "popup", "acr_values", "9")
		for _, name := range []string{"max_age", "request", "request_uri", "registration", "prompt", "id_token_hint", "resource", "response_mode"} {
			q.Set(name, "")
		}
		requireErrorAtClient(t, i, "one", askSilently(t, i, "one", q), "login_required")
	})
	for name, c := range map[string]struct {
		change []string
		code   string
	}{
		"request is refused by name":      {[]string{"request", "e30.e30."}, "request_not_supported"},
		"request_uri is refused by name":  {[]string{"request_uri", "https://evil.example/r"}, "request_uri_not_supported"},
		"registration is refused by name": {[]string{"registration", "{}"}, "registration_not_supported"},
		"max_age is a number":             {[]string{"max_age", "soon"}, "invalid_request"},
		"max_age is not negative":         {[]string{"max_age", "-1"}, "invalid_request"},
		"max_age is whole":                {[]string{"max_age", "1.5"}, "invalid_request"},
		"max_age is not endless":          {[]string{"max_age", "99999999999999999999"}, "invalid_request"},
		"an id_token_hint is one of ours": {[]string{"id_token_hint", "e30.e30.e30"}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization(c.change...)), c.code)
		})
	}
	for name, prompt := range map[string]string{"prompt=none stands alone": "none login", "prompt has known values": "hello"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newBrowser(t).get(i.Issuer("one") + "/authorize?" + authorization("prompt", prompt).Encode())
			requireErrorAtClient(t, i, "one", r, "invalid_request")
		})
	}
	t.Run("text that is none never is the server's fault", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"\x00", "\xff", "a\x00b", "\xed\xa0\x80"} {
			for _, name := range []string{"client_id", "redirect_uri", "state", "nonce", "scope", "login_hint", "code_challenge", "prompt", "resource", "ui_locales", "unknown"} {
				q := authorization(name, bad)
				b := newBrowser(t)
				r := b.follow(i, b.get(i.Issuer("one")+"/authorize?"+q.Encode()))
				if r.StatusCode == http.StatusOK {
					r = b.signIn(i, r, "ana", anaPassword)
				}
				require.Less(t, r.StatusCode, 500, "%s=%q", name, bad)
				require.NotEqual(t, "server_error", r.Location().Query().Get("error"), "%s=%q", name, bad)
			}
		}
		for _, path := range []string{"/realms/%00/authorize", "/realms/%ff/authorize", "/realms/one/login?tx=%00", "/realms/one/authorize?tx=%ff"} {
			require.Less(t, newBrowser(t).get(i.URL+path).StatusCode, 500, path)
		}
	})
}

func TestPromptNone(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none")), "login_required")

	page := b.authorize(i, "one", authorization())
	requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none")), "login_required")
	code := b.signIn(i, page, "ana", anaPassword).Location().Query().Get("code")
	ana := token(t, i, "one", exchange(code))

	silent := b.authorize(i, "one", authorization("prompt", "none")).Location().Query()
	require.NotEmpty(t, silent.Get("code"), "a session needs no page")
	require.Equal(t, "state-1", silent.Get("state"))

	same := b.authorize(i, "one", authorization("prompt", "none", "id_token_hint", ana.IDToken)).Location().Query()
	require.NotEmpty(t, same.Get("code"), "the hint names who is signed in")

	bob := newBrowser(t)
	bob.signIn(i, bob.authorize(i, "one", authorization()), "bob", anaPassword)
	requireErrorAtClient(t, i, "one", bob.authorize(i, "one", authorization("prompt", "none", "id_token_hint", ana.IDToken)), "login_required")

	i.Clock.Advance(10 * time.Minute)
	requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none", "max_age", "60")), "login_required")
	i.Clock.Advance(13 * time.Hour)
	requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none")), "login_required")
}

func TestANewProofIsDemandedOnce(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for _, c := range []struct{ name, parameter, value string }{
		{"prompt=login", "prompt", "login"}, {"max_age=0", "max_age", "0"}, {"max_age that has passed", "max_age", "300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBrowser(t)
			first := claims(t, token(t, i, "one", exchange(b.code(i, "one"))).IDToken)
			require.EqualValues(t, i.Clock.Now().Unix(), first["auth_time"])

			i.Clock.Advance(10 * time.Minute)
			old := claims(t, token(t, i, "one", exchange(b.code(i, "one"))).IDToken)
			require.Equal(t, first["auth_time"], old["auth_time"], "a code without a new proof carries the old time")

			page := b.authorize(i, "one", authorization(c.parameter, c.value))
			requirePage(t, page, http.StatusOK)
			require.Equal(t, page.Request.URL.String(), b.follow(i, b.get(page.Request.URL.String())).Request.URL.String(), "asking again does not help")

			i.Clock.Advance(time.Minute)
			back := b.signIn(i, page, "ana", anaPassword)
			code := back.Location().Query().Get("code")
			require.NotEmpty(t, code, "one proof is enough: %s %s", back.Status, back.Header.Get("Location"))
			again := claims(t, token(t, i, "one", exchange(code)).IDToken)
			require.EqualValues(t, i.Clock.Now().Unix(), again["auth_time"])
			require.Equal(t, first["sid"], again["sid"], "the same person keeps the session")

			i.Clock.Advance(10 * time.Minute)
			requirePage(t, b.authorize(i, "one", authorization(c.parameter, c.value)), http.StatusOK)
		})
	}
	t.Run("max_age that has not passed demands none", func(t *testing.T) {
		b := newBrowser(t)
		b.code(i, "one")
		i.Clock.Advance(5 * time.Minute)
		require.NotEmpty(t, b.authorize(i, "one", authorization("max_age", "300")).Location().Query().Get("code"))
	})
}

func TestPostedAuthorizationRequest(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	posted := func(t *testing.T, b *browser, change ...string) string {
		t.Helper()
		r := b.post(i.Issuer("one")+"/authorize", authorization(change...))
		require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
		require.Empty(t, r.Header.Values("Set-Cookie"), "another site's form gets no cookie")
		to := r.Location()
		require.Equal(t, "/realms/one/authorize", to.Path)
		require.Len(t, to.Query(), 1)
		require.NotEmpty(t, to.Query().Get("tx"))
		return to.String()
	}
	t.Run("leads to the login page and on", func(t *testing.T) {
		b := newBrowser(t)
		page := b.follow(i, b.get(posted(t, b)))
		requirePage(t, page, http.StatusOK)
		require.NotEmpty(t, b.signIn(i, page, "ana", anaPassword).Location().Query().Get("code"))
	})
	t.Run("finds the session of the browser that follows", func(t *testing.T) {
		b := newBrowser(t)
		b.code(i, "one")
		require.NotEmpty(t, b.follow(i, b.get(posted(t, newBrowser(t)))).Location().Query().Get("code"))
	})
	t.Run("belongs to the first browser that follows", func(t *testing.T) {
		first, second := newBrowser(t), newBrowser(t)
		address := posted(t, newBrowser(t))
		requirePage(t, first.follow(i, first.get(address)), http.StatusOK)
		requirePage(t, second.follow(i, second.get(address)), http.StatusNotFound)
		second.code(i, "one")
		requirePage(t, second.follow(i, second.get(address)), http.StatusNotFound)
		requirePage(t, first.follow(i, first.get(address)), http.StatusOK)
	})
	t.Run("waits a minute", func(t *testing.T) {
		b := newBrowser(t)
		late, early := posted(t, b), posted(t, b)
		i.Clock.Advance(59 * time.Second)
		requirePage(t, b.follow(i, b.get(early)), http.StatusOK)
		i.Clock.Advance(time.Second)
		requirePage(t, b.follow(i, b.get(late)), http.StatusNotFound)
	})
	t.Run("goes to the step only through the dispatcher", func(t *testing.T) {
		b := newBrowser(t)
		address := strings.Replace(posted(t, b), "/authorize?", "/login?", 1)
		requirePage(t, b.get(address), http.StatusNotFound)
	})
	t.Run("is a form", func(t *testing.T) {
		r := newBrowser(t).post(i.Issuer("one")+"/authorize", authorization(), "Content-Type", "text/plain")
		requirePage(t, r, http.StatusUnsupportedMediaType)
	})
	t.Run("is refused like one by GET", func(t *testing.T) {
		r := newBrowser(t).post(i.Issuer("one")+"/authorize", authorization("scope", "openid admin"))
		requireErrorAtClient(t, i, "one", r, "invalid_scope")
	})
}
