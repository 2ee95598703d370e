package web_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// samplePages is every page in its ordinary states.
func samplePages() map[string]web.Page {
	title := func(key string) web.Message { return web.Message{Key: key, Params: map[string]any{"app": "Notes"}} }
	login := web.Login{OfferRemember: true, ForgotURL: "/recover", SignUpURL: "/signup"}
	typed := login
	typed.Identifier, typed.Remember = "ana@example.test", true
	return map[string]web.Page{
		"login":     {Template: "login", Title: title("login.title"), Data: login, Token: "token"},
		"login-bad": {Template: "login", Title: title("login.title"), Data: typed, Token: "token", Problem: &web.Message{Key: "login.bad"}},
		"login-fields": {
			Template: "login", Title: title("login.title"), Data: typed, Token: "token",
			Fields: map[string]web.Message{"password": {Key: "login.password_required"}, "username": {Key: "login.identifier_required"}},
		},
		"login-confirm":  {Template: "login", Title: title("login.title"), Data: web.Login{Identifier: "ana@example.test", Confirm: true, EmailOnly: true}, Token: "token"},
		"restart":        {Template: "restart", Title: title("restart.title"), Data: web.Restart{URL: "/login?tx=1"}, Status: http.StatusGone},
		"logout":         {Template: "logout", Title: title("logout.title"), Data: web.Logout{Apps: []string{"Notes", "Mail"}, StayURL: "https://app.example.test/", Hidden: []web.Hidden{{Name: "state", Value: "s"}}}, Token: "token"},
		"select-account": {Template: "select-account", Title: title("select.title"), Data: map[string]any{"Name": "Ana", "Handle": "ana@example.test", "Hint": ""}, Token: "token"},
		"select-hint":    {Template: "select-account", Title: title("select.title"), Data: map[string]any{"Name": "Ana", "Handle": "", "Hint": "bob"}, Token: "token", Problem: &web.Message{Key: "select.none"}},
		"consent":        {Template: "consent", Title: title("consent.title"), Data: sampleConsent(), Token: "token"},
		"signed-out":     {Template: "signed-out", Title: title("signedout.title"), Data: web.SignedOut{App: "Notes", URL: "https://app.example.test/"}},
		"formpost": {
			Template: "formpost", Title: title("formpost.title"), FormAction: web.FormAction("https://app.example.test/cb"),
			Data: web.FormPost{URL: "https://app.example.test/cb", Hidden: []web.Hidden{{Name: "code", Value: "c"}, {Name: "iss", Value: "i"}}},
		},
	}
}

// sampleConsent has one of everything that package flow/consent shows.
func sampleConsent() map[string]any {
	scope := func(id, name, text string, known, fixed bool) map[string]any {
		return map[string]any{"ID": id, "Field": "scope " + name, "Name": name, "Text": text, "Hint": text + "_hint", "Known": known, "Fixed": fixed, "Ticked": true}
	}
	openid, other := scope("scope-0", "openid", "consent.scope.openid", true, true), scope("scope-2", "api", "consent.scope.other", false, false)
	return map[string]any{
		"App": "Notes", "Host": "app.example.test", "Name": "Ana", "Handle": "ana@example.test", "Audiences": []string{"https://api.example.test"},
		"Groups": []map[string]any{{"Title": "consent.group.who", "Scopes": []map[string]any{openid, scope("scope-1", "email", "consent.scope.email", true, false), other}}},
		"Before": []map[string]any{openid, other}, "OfferRemember": true, "Remember": true,
		"Life": map[string]any{"Key": "consent.life_offline", "Params": map[string]any{"n": 90}},
	}
}

// mountPages serves each sample page under its name, for GET and POST.
func mountPages(t *testing.T, b *bundle, r realm.Realm) {
	t.Helper()
	for name, page := range samplePages() {
		handle := func(c *echo.Context) error { return b.Page(c, r, page) }
		b.echo.GET("/"+name, handle, b.Pages)
		b.echo.POST("/"+name, handle, b.Pages)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := realmAt(t, secureOrigin, realm.New{Slug: "demo", Name: "Acme & Söhne", Settings: realm.Settings{
		Locale: "es", Texts: map[string]realm.Text{"en": {"login.submit": "Come in"}},
	}})
	mountPages(t, b, r)

	t.Run("says_language_realm_and_title", func(t *testing.T) {
		t.Parallel()
		res := b.get(t, "/login", "Accept-Language", "en")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Contains(t, res.body, `<html lang="en" dir="ltr">`)
		require.Contains(t, res.body, "<title>Sign in to Notes · Acme &amp; Söhne</title>")
		require.Contains(t, res.body, `/realms/demo/assets/gatehouse.`)
		require.Equal(t, "en", res.Header.Get("Content-Language"))
	})
	t.Run("chooses_the_language_by_address_then_browser_then_realm", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, b.get(t, "/login?ui_locales=pt-BR", "Accept-Language", "en").body, `lang="pt-BR"`)
		require.Contains(t, b.get(t, "/login", "Accept-Language", "pt-BR, en;q=0.5").body, `lang="pt-BR"`)
		require.Contains(t, b.get(t, "/login").body, `lang="es"`)
	})
	t.Run("uses_the_realms_own_words", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, b.get(t, "/login", "Accept-Language", "en").body, "Come in")
		require.Contains(t, b.get(t, "/login", "Accept-Language", "en").body, "Come in")
	})
	t.Run("switches_the_language_and_keeps_the_query", func(t *testing.T) {
		t.Parallel()
		body := b.get(t, "/login?tx=a%22b&ui_locales=es", "Accept-Language", "en").body
		require.Contains(t, body, `<form class="language" method="get" action="/login">`)
		require.Contains(t, body, `<input type="hidden" name="tx" value="a&#34;b">`)
		require.Equal(t, 1, strings.Count(body, `name="ui_locales"`))
		require.Contains(t, body, `<option value="es" lang="es" dir="ltr" selected>`)
		require.NotContains(t, b.get(t, "/formpost").body, "ui_locales")
	})
	t.Run("with_problems_is_422_and_says_so_in_its_title", func(t *testing.T) {
		t.Parallel()
		res := b.get(t, "/login-bad", "Accept-Language", "en")
		require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
		require.Contains(t, res.body, "<title>Error: Sign in to Notes")
		require.Contains(t, res.body, `role="alert" tabindex="-1" autofocus`)
		require.Equal(t, 1, strings.Count(res.body, "autofocus"))
		require.Empty(t, res.Header.Get("WWW-Authenticate"))
	})
	t.Run("links_its_summary_to_the_fields_in_their_order", func(t *testing.T) {
		t.Parallel()
		body := b.get(t, "/login-fields", "Accept-Language", "en").body
		require.Contains(t, body, "Check 2 fields:")
		require.Less(t, strings.Index(body, `<a href="#username">`), strings.Index(body, `<a href="#password">`))
		require.Equal(t, 2, strings.Count(body, `aria-invalid="true"`))
		require.Contains(t, body, `aria-describedby="username-error"`)
		require.Contains(t, body, `aria-describedby="password-error password-caps"`)
		require.Contains(t, body, `id="password-error"`)
	})
	t.Run("is_an_error_when_the_template_fails", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.echo.GET("/", func(c *echo.Context) error { return b.Page(c, realm.Realm{}, web.Page{Template: "login"}) })
		b.echo.GET("/none", func(c *echo.Context) error { return b.Page(c, realm.Realm{}, web.Page{Template: "none"}) })
		require.Equal(t, http.StatusInternalServerError, b.browse(t, "/").StatusCode)
		require.Equal(t, http.StatusInternalServerError, b.browse(t, "/none").StatusCode)
	})
	t.Run("never_switches_the_language_to_another_origin", func(t *testing.T) {
		t.Parallel()
		require.NotContains(t, b.browse(t, "//evil.example.test/x").body, `action="//evil`)
	})
}

// Every page stands on the same few rules, whatever it asks.
func TestPagesAreWellFormed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	for name := range samplePages() {
		body := b.browse(t, "/"+name).body
		root, err := html.Parse(strings.NewReader(body))
		require.NoError(t, err, name)
		ids := map[string]bool{}
		count := map[string]int{}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			count[n.Data]++
			if id := attr(n, "id"); id != "" {
				require.False(t, ids[id], "%s: two elements are %s", name, id)
				ids[id] = true
			}
		}
		require.Equal(t, 1, count["main"], name)
		require.Equal(t, 1, count["h1"], name)
		for n := range root.Descendants() {
			switch {
			case n.Data == "label":
				require.True(t, ids[attr(n, "for")], "%s: a label of nothing", name)
			case n.Data == "input" && attr(n, "type") != "hidden":
				require.NotEmpty(t, attr(n, "id"), name)
			case n.Data == "form" && attr(n, "method") == "post" && name != "formpost":
				require.Contains(t, nested(n), "csrf", name)
			}
			for described := range strings.FieldsSeq(attr(n, "aria-describedby")) {
				require.True(t, ids[described], "%s: %s does not exist", name, described)
			}
		}
	}
}

func nested(n *html.Node) (names []string) {
	for child := range n.Descendants() {
		if name := attr(child, "name"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func find(t *testing.T, body, id string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	for n := range root.Descendants() {
		if attr(n, "id") == id {
			return n
		}
	}
	require.Fail(t, "there is no element "+id)
	return nil
}

func TestPW15_LoginFormIsWhatPasswordManagersLookFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	body := b.browse(t, "/login").body

	username := find(t, body, "username")
	for name, want := range map[string]string{
		"name": "username", "type": "text", "inputmode": "email", "autocomplete": "username webauthn",
		"autocapitalize": "none", "autocorrect": "off", "spellcheck": "false",
	} {
		require.Equal(t, want, attr(username, name), name)
	}
	password := find(t, body, "password")
	for name, want := range map[string]string{"name": "password", "type": "password", "autocomplete": "current-password"} {
		require.Equal(t, want, attr(password, name), name)
	}
	require.Equal(t, "email", attr(find(t, b.browse(t, "/login-confirm").body, "username"), "type"))
	require.NotContains(t, body, "onpaste")
	require.Empty(t, attr(password, "maxlength"), "a password is never cut")
}

func TestPW15_PasswordsAreNeverSentBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	for _, name := range []string{"login", "login-bad", "login-fields"} {
		require.Empty(t, attr(find(t, b.browse(t, "/"+name).body, "password"), "value"), name)
	}
}

func TestPW14_NoHintsAndNoSecretQuestions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	for _, name := range []string{"login", "login-bad", "login-fields", "login-confirm"} {
		var visible []string
		root, err := html.Parse(strings.NewReader(b.browse(t, "/"+name).body))
		require.NoError(t, err)
		for n := range root.Descendants() {
			if n.Data == "input" && attr(n, "type") != "hidden" {
				visible = append(visible, attr(n, "name"))
				require.Empty(t, attr(n, "placeholder"))
			}
		}
		require.Subset(t, []string{"username", "password", "remember"}, visible, name)
	}
}

func TestWB05_HostileNamesStayText(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script>{{.Token}}`
	b := setup(t)
	r := realmAt(t, secureOrigin, realm.New{Slug: "demo", Name: hostile})
	message := web.Message{Key: "login.title", Params: map[string]any{"app": hostile}}
	pages := map[string]web.Page{
		"login":      {Template: "login", Title: message, Token: "the-token", Data: web.Login{Identifier: hostile}, Problem: &message, Fields: map[string]web.Message{"username": message, hostile: message}},
		"logout":     {Template: "logout", Title: message, Data: web.Logout{Apps: []string{hostile}, StayURL: "javascript:alert(1)", Hidden: []web.Hidden{{Name: hostile, Value: hostile}}}},
		"signed-out": {Template: "signed-out", Title: message, Data: web.SignedOut{App: hostile, URL: "javascript:alert(1)"}},
		"restart":    {Template: "restart", Title: message, Data: web.Restart{URL: "javascript:alert(1)"}},
		"formpost":   {Template: "formpost", Title: message, Data: web.FormPost{URL: "javascript:alert(1)", Hidden: []web.Hidden{{Name: hostile, Value: hostile}}}},
	}
	for name, page := range pages {
		b.echo.GET("/"+name, func(c *echo.Context) error { return b.Page(c, r, page) }, b.Pages)
		body := b.browse(t, "/"+name).body
		require.NotContains(t, body, "<script>", name)
		require.NotContains(t, body, "javascript:", name)
		require.Contains(t, body, "&lt;script&gt;", name)
		require.Contains(t, body, "{{.Token}}", "a name became template source")
	}
	for i, address := range []string{"data:text/html,x", "vbscript:x", "//evil.example.test", `/\evil.example.test`, "https:", "file:///x", "blob:x"} {
		path := "/signed-out-" + strconv.Itoa(i)
		b.echo.GET(path, func(c *echo.Context) error {
			return b.Page(c, r, web.Page{Template: "signed-out", Data: web.SignedOut{URL: address}})
		})
		require.NotContains(t, b.browse(t, path).body, "<a ", address)
	}
}
