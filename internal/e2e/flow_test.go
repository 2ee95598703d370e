package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

func TestTabs_sign_in_one_after_the_other(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for name, prompt := range map[string]string{"without prompt": "", "with prompt=login": "login"} {
		b := newBrowser(t)
		first, second := b.loginPage(i, "state", "tab-1", "prompt", prompt), b.loginPage(i, "state", "tab-2", "prompt", prompt)
		require.NotEqual(t, first.Request.URL.Query().Get("tx"), second.Request.URL.Query().Get("tx"))
		i.Clock.Advance(time.Minute)
		for state, page := range map[string]response{"tab-1": first, "tab-2": second} {
			back := b.follow(i, b.try(page, "ana", anaPassword))
			requireCode(t, back)
			require.Equal(t, state, back.Location().Query().Get("state"), name)
		}
	}
}

func TestTabs_a_waiting_tab_goes_on_by_itself_when_loaded_again(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	first, second := b.loginPage(i), b.loginPage(i, "state", "tab-2")
	requireCode(t, b.follow(i, b.try(first, "ana", anaPassword)))
	back := b.follow(i, b.get(second.Request.URL.String()))
	requireCode(t, back)
	require.Equal(t, "tab-2", back.Location().Query().Get("state"))
	requireCode(t, b.follow(i, b.get(first.Request.URL.String()))) // the back button after signing in
}

func TestLapsedFlow_starts_again_by_itself(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for name, again := range map[string]func(b *browser, page response) response{
		"when posted":   func(b *browser, page response) response { return b.try(page, "ana", anaPassword) },
		"when reloaded": func(b *browser, page response) response { return b.get(page.Request.URL.String()) },
	} {
		b := newBrowser(t)
		page := b.loginPage(i, "state", "kept")
		i.Clock.Advance(31 * time.Minute)
		lapsed := again(b, page)
		require.Equal(t, http.StatusOK, lapsed.StatusCode, "%s\n%s", name, lapsed.Body)
		require.Contains(t, lapsed.Body, "You were away for a while.", name)
		page = b.follow(i, b.get(onward(t, i, lapsed)))
		back := b.follow(i, b.try(page, "ana", anaPassword))
		requireCode(t, back)
		require.Equal(t, "kept", back.Location().Query().Get("state"), name)
	}
}

func TestLapsedFlow_forgets_who_was_there(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	proved := b.try(b.loginPage(i), "ana", anaPassword)
	i.Clock.Advance(31 * time.Minute)
	page := b.follow(i, b.get(proved.Location().String()))
	require.Empty(t, input(t, page.Body, "username")["value"], "the person proves it again")
}

func TestGoneFlow_offers_a_way_out(t *testing.T) {
	t.Parallel()
	i := start(t, strings.Replace(realmFile("one"), "name: Realm one", "name: Realm one\nsettings: {start_url: \"https://start.example/\"}", 1))
	b := newBrowser(t)
	page := b.loginPage(i)
	i.Clock.Advance(24 * time.Hour)
	for _, r := range []response{b.get(page.Request.URL.String()), b.try(page, "ana", anaPassword), b.get(i.Issuer("one") + "/login")} {
		require.Equal(t, http.StatusNotFound, r.StatusCode)
		require.Contains(t, r.Body, `href="https://start.example/"`)
	}
}

// onward is where the page's one primary link leads.
func onward(t testing.TB, i *instance, page response) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Data == "a" && attribute(n, "class") == "primary" {
			to, err := page.Request.URL.Parse(attribute(n, "href"))
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(to.String(), i.URL), to)
			return to.String()
		}
	}
	require.Fail(t, "the page leads nowhere", page.Body)
	return ""
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// setUser switches an account on or off, as an operator does.
func setUser(t testing.TB, i *instance, name, enabled string) {
	t.Helper()
	i.apply(t, "realm: one\nusers:\n  - username: "+name+"\n    enabled: "+enabled+"\n")
}

func TestDisabledInTheMiddle(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	proved := b.try(b.loginPage(i), "ana", anaPassword)
	require.Equal(t, http.StatusSeeOther, proved.StatusCode)
	setUser(t, i, "ana", "false")
	page := b.follow(i, proved)
	require.Equal(t, http.StatusOK, page.StatusCode, "no code for somebody who was switched off")
	require.Equal(t, "password", input(t, page.Body, "password")["type"])

	setUser(t, i, "ana", "true")
	b = signedIn(t, i)
	require.Empty(t, b.silent(i))
	setUser(t, i, "ana", "false")
	require.Equal(t, "login_required", b.silent(i), "a session of theirs opens nothing either")
}

func TestLoginPage_keeps_what_was_typed_but_never_the_password(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i, "login_hint", "hint@example.test")
	require.Equal(t, "hint@example.test", input(t, page.Body, "username")["value"])
	require.NotContains(t, input(t, page.Body, "remember"), "checked", "never ticked by us")

	answer := b.try(page, " Somebody@Else.test", "not-it-4711", "remember", "1")
	require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode)
	require.Equal(t, " Somebody@Else.test", input(t, answer.Body, "username")["value"])
	require.Contains(t, input(t, answer.Body, "remember"), "checked")
	require.NotContains(t, answer.Body, "not-it-4711")
	require.Contains(t, answer.Body, "<title>Error: ")

	for field, missing := range map[string]url.Values{
		"username": {"password": {"not-it-4711"}}, "password": {"username": {"ana"}},
	} {
		missing.Set("csrf", hidden(t, page.Body, "csrf"))
		answer := b.post(page.Request.URL.String(), missing)
		require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode)
		require.Equal(t, "true", input(t, answer.Body, field)["aria-invalid"], field)
		require.NotContains(t, answer.Body, "not-it-4711")
	}
}

func TestPromptLogin_asks_again_and_keeps_the_session(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	exchanged := func(code string) map[string]any { return claims(t, token(t, i, "one", exchange(code)).IDToken) }
	before := exchanged(requireCode(t, b.authorize(i, "one", authorization())))
	i.Clock.Advance(time.Minute)
	page := b.loginPage(i, "prompt", "login")
	require.Contains(t, page.Body, "Confirm that it is you")
	require.Empty(t, b.silent(i), "asking alone ends nothing")
	after := exchanged(requireCode(t, b.follow(i, b.try(page, "ana", anaPassword))))
	require.NotEmpty(t, before["sid"])
	require.Equal(t, before["sid"], after["sid"])
	require.InDelta(t, 60, after["auth_time"].(float64)-before["auth_time"].(float64), 0.1) //nolint:forcetypeassert // a claim that is not a number fails the test
}

func TestAnotherPerson_ends_the_session_before(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	anas := b.cookie(i)
	var session string
	i.scan(t, "one", "SELECT id::text FROM sessions", &session)
	i.Clock.Advance(time.Minute)
	requireCode(t, b.follow(i, b.try(b.loginPage(i, "prompt", "login"), "bob", anaPassword)))
	require.Equal(t, "login_required", withCookie(t, i, anas).silent(i))
	var live int
	i.scan(t, "one", "SELECT count(*) FROM sessions WHERE ended_at IS NULL", &live)
	require.Equal(t, 1, live)
	var reason string
	i.scan(t, "one", "SELECT data->>'reason' FROM events WHERE type = 'session.ended' AND session_id = '"+session+"'", &reason)
	require.Equal(t, "replaced", reason)
}

// state is all that a refused form could have changed.
func state(t testing.TB, i *instance) string {
	t.Helper()
	var s string
	i.scan(t, "one", `SELECT (SELECT jsonb_agg(to_jsonb(f) ORDER BY tx_hash) FROM flows f)::text
		|| (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY id), '[]') FROM sessions s)::text || (SELECT count(*) FROM events)::text`, &s)
	return s
}

func TestWB01_FormsOfOthersChangeNothing(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	b, stranger := newBrowser(t), newBrowser(t)
	page, tab, foreign := b.loginPage(i), b.loginPage(i), stranger.loginPage(i)
	elsewhere := b.authorize(i, "two", authorization())
	own := hidden(t, page.Body, "csrf")
	before := state(t, i)
	for name, try := range map[string]struct{ token, header, value string }{
		"no token":                    {"", "", ""},
		"garbage":                     {"AAAA", "", ""},
		"a changed token":             {own[:len(own)-2] + "AA", "", ""},
		"another browser's token":     {hidden(t, foreign.Body, "csrf"), "", ""},
		"another tab's token":         {hidden(t, tab.Body, "csrf"), "", ""},
		"another realm's token":       {hidden(t, elsewhere.Body, "csrf"), "", ""},
		"from another site":           {own, "Sec-Fetch-Site", "cross-site"},
		"from a sibling host":         {own, "Sec-Fetch-Site", "same-site"},
		"from another origin":         {own, "Origin", "https://evil.example"},
		"from another port":           {own, "Origin", "http://127.0.0.1:1"},
		"from https instead of http":  {own, "Origin", strings.Replace(i.URL, "http:", "https:", 1)},
		"from an origin with our own": {own, "Origin", i.URL + ".evil.example"},
	} {
		form := url.Values{"csrf": {try.token}, "username": {"ana"}, "password": {anaPassword}}
		var headers []string
		if try.header != "" {
			headers = []string{try.header, try.value}
		}
		r := b.post(page.Request.URL.String(), form, headers...)
		require.Equal(t, http.StatusForbidden, r.StatusCode, "%s\n%s", name, r.Body)
		require.Empty(t, r.Header["Set-Cookie"], name)
		require.Equal(t, page.Request.URL.String(), onward(t, i, r), "%s: the page leads back to the form", name)
	}
	require.Equal(t, before, state(t, i))
	form := url.Values{"csrf": {own}, "username": {"ana"}, "password": {anaPassword}}
	requireCode(t, b.follow(i, b.post(page.Request.URL.String(), form, "Sec-Fetch-Site", "same-origin", "Origin", i.URL)))
}

func TestWB01_NobodyElseSignsAPersonOut(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b, login := signedIn(t, i), newBrowser(t).loginPage(i)
	address := i.Issuer("one") + "/end_session"
	page := b.get(address)
	for name, form := range map[string]url.Values{
		"garbage": {"csrf": {"AAAA"}}, "a login token": {"csrf": {hidden(t, login.Body, "csrf")}},
		"another person's token": {"csrf": {hidden(t, signedIn(t, i).get(address).Body, "csrf")}},
	} {
		before := state(t, i)
		require.Equal(t, http.StatusForbidden, b.post(address, form).StatusCode, name)
		require.Equal(t, before, state(t, i), name)
	}
	require.Equal(t, http.StatusForbidden, b.post(address, url.Values{"csrf": {hidden(t, page.Body, "csrf")}}, "Sec-Fetch-Site", "cross-site").StatusCode)
	asked := b.post(address, url.Values{}, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusSeeOther, asked.StatusCode, "without a token it is another application's request, and the person is asked")
	require.Empty(t, b.silent(i))
	require.Equal(t, http.StatusOK, b.post(address, url.Values{"csrf": {hidden(t, page.Body, "csrf")}}).StatusCode)
	require.Equal(t, "login_required", b.silent(i))
}

// No endpoint that reads the cookie takes JSON; those that read a form refuse every other kind of body.
func TestWB02_NothingButFormsIsTakenWithACookie(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
	for _, address := range []string{page.Request.URL.String(), i.Issuer("one") + "/end_session", i.Issuer("one") + "/authorize"} {
		for _, kind := range []string{"application/json", "text/plain", "multipart/form-data; boundary=x", ""} {
			require.Equal(t, http.StatusUnsupportedMediaType, b.post(address, form, "Content-Type", kind).StatusCode, "%s %q", address, kind)
		}
	}
}

// visit opens an address as a browser does, which says that it likes pages best, under another host when one is given.
func (b *browser) visit(address, host string) response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.t, err)
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	req.Host = host
	return b.do(req)
}

// everyPage opens every page there is.
func everyPage(t testing.TB, i *instance, change ...string) map[string]response {
	t.Helper()
	b := newBrowser(t)
	login := b.loginPage(i, change...)
	all := map[string]response{
		"login": login, "refused": b.try(login, "ana", "wrong"), "empty": b.try(login, "", ""),
		"cross-site": b.post(login.Request.URL.String(), url.Values{}),
		"gone":       b.get(i.Issuer("one") + "/login?tx=AAAA"), "no such page": b.visit(i.Issuer("one")+"/nothing", ""),
		"no such realm": b.visit(i.URL+"/realms/none/authorize", ""), "no such host": b.visit(i.Issuer("one")+"/authorize", "other.example"),
		"bad redirect": b.get(i.Issuer("one") + "/authorize?" + authorization("redirect_uri", "https://evil.example/").Encode()),
	}
	form := b.loginPage(i, append(change, "response_mode", "form_post")...)
	all["formpost"] = b.follow(i, b.try(form, "ana", anaPassword))
	all["logout"] = b.get(i.Issuer("one") + "/end_session")
	all["signed-out"] = b.post(i.Issuer("one")+"/end_session", url.Values{"csrf": {hidden(t, all["logout"].Body, "csrf")}})
	lapsing := b.loginPage(i, change...)
	i.Clock.Advance(31 * time.Minute)
	all["restart"] = b.get(lapsing.Request.URL.String())
	return all
}

func TestWB03_WB04_WB07_WB10_EveryPage(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for name, page := range everyPage(t, i) {
		h := page.Header
		require.Contains(t, page.Body, "<!doctype html>", name)
		policy := map[string]string{}
		for _, directive := range strings.Split(h.Get("Content-Security-Policy"), "; ") {
			key, value, _ := strings.Cut(directive, " ")
			policy[key] = value
		}
		action := policy["form-action"]
		delete(policy, "form-action")
		require.Equal(t, map[string]string{
			"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "font-src": "'self'",
			"connect-src": "'self'", "object-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'",
		}, policy, name)
		switch name {
		case "login", "refused", "empty", "formpost":
			require.Equal(t, "'self' https: http://127.0.0.1:9", action, name)
		default:
			require.Equal(t, "'self'", action, name)
		}
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), name)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), name)
		require.Equal(t, "no-store", h.Get("Cache-Control"), name)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), name)
		require.Empty(t, h.Get("Cross-Origin-Opener-Policy"), "%s: sign-in in a pop-up needs its opener", name)
		require.Empty(t, h.Get("Strict-Transport-Security"), "%s: not without https", name)
	}
}

func TestWB05_HostileText(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.Token}}javascript:`
	i := start(t, strings.Replace(realmFile("one"), "name: Web shop", "name: '"+hostile+"'", 1))
	pages := everyPage(t, i, "login_hint", hostile, "state", hostile, "ui_locales", hostile)
	b := newBrowser(t)
	pages["typed"] = b.try(b.loginPage(i), hostile, "wrong")
	require.Equal(t, hostile, input(t, pages["login"].Body, "username")["value"])
	require.Equal(t, hostile, input(t, pages["typed"].Body, "username")["value"])
	require.Equal(t, hostile, input(t, pages["formpost"].Body, "state")["value"])
	require.Contains(t, text(t, pages["login"].Body), "Sign in to "+hostile)
	for name, page := range pages {
		doc, err := html.Parse(strings.NewReader(page.Body))
		require.NoError(t, err)
		scripts := 0
		for n := range doc.Descendants() {
			switch {
			case n.Type != html.ElementNode:
				continue
			case n.Data == "script":
				scripts++
				require.Nil(t, n.FirstChild, "%s: inline script", name)
			case n.Data == "style" || n.Data == "iframe" || n.Data == "object" || n.Data == "img":
				require.Fail(t, "an element that no page of ours has", "%s: %s", name, n.Data)
			}
			for _, a := range n.Attr {
				require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "style", "%s: %s", name, a.Key)
				if a.Key == "href" || a.Key == "action" || a.Key == "src" {
					require.NotContains(t, strings.ToLower(a.Val), "javascript:", name)
				}
			}
		}
		require.Equal(t, 1, scripts, name)
	}
}

// text is what a page says.
func text(t testing.TB, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var all strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			all.WriteString(n.Data)
		}
	}
	return all.String()
}

func TestWB07_NoOtherOriginReadsPages(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	page := newBrowser(t).loginPage(i)
	allowed := func(method, address, origin string) http.Header {
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", http.MethodPost)
		h := http.Header{}
		for key, values := range b.do(req).Header {
			if strings.HasPrefix(key, "Access-Control-") {
				h[key] = values
			}
		}
		return h
	}
	for _, address := range []string{
		i.Issuer("one") + "/authorize?" + authorization().Encode(), page.Request.URL.String(), i.Issuer("one") + "/end_session", i.Issuer("one") + "/nothing",
	} {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			require.Empty(t, allowed(method, address, "https://spa.example"), "%s %s", method, address)
		}
	}
	for _, endpoint := range []string{"/token", "/userinfo"} {
		h := allowed(http.MethodOptions, i.Issuer("one")+endpoint, "https://spa.example")
		require.Equal(t, "https://spa.example", h.Get("Access-Control-Allow-Origin"), endpoint)
		require.Empty(t, h.Get("Access-Control-Allow-Credentials"), endpoint)
		require.Empty(t, allowed(http.MethodOptions, i.Issuer("one")+endpoint, "https://spa.example.evil.example"), endpoint)
	}
}

func TestWB08_AfterAFormTheBrowserGets(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	posted := b.post(i.Issuer("one")+"/authorize", authorization())
	require.Equal(t, http.StatusSeeOther, posted.StatusCode)
	page := b.follow(i, posted)
	r := b.try(page, "ana", anaPassword)
	for range 5 {
		require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
		if r.Location().Host == "127.0.0.1:9" {
			break
		}
		r = b.get(r.Location().String())
	}
	requireCode(t, r)
	address := i.Issuer("one") + "/end_session?client_id=web&post_logout_redirect_uri=" + url.QueryEscape("http://127.0.0.1:9/bye")
	confirm := b.get(address)
	form := url.Values{
		"csrf": {hidden(t, confirm.Body, "csrf")}, "client_id": {"web"}, "post_logout_redirect_uri": {"http://127.0.0.1:9/bye"},
	}
	require.Equal(t, http.StatusSeeOther, b.post(i.Issuer("one")+"/end_session", form).StatusCode)
}

func TestWB10_LogoutTakesTheCookieAndNothingElse(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	address := i.Issuer("one") + "/end_session"
	r := b.post(address, url.Values{"csrf": {hidden(t, b.get(address).Body, "csrf")}})
	require.Equal(t, []string{i.Realm(t, "one").Cookie() + "=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"}, r.Header["Set-Cookie"])
	require.Equal(t, `"cache"`, r.Header.Get("Clear-Site-Data"))
	require.Empty(t, b.cookie(i))
	raw := newBrowser(t).post(i.Issuer("one")+"/token", exchange("no-such-code"), "Authorization", basic("web", webSecret))
	require.Equal(t, "no-store", raw.Header.Get("Cache-Control"))
}
