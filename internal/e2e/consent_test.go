package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
)

// consentFile is a realm with an application of each consent policy, and native ones.
func consentFile(slug string) string {
	app := func(id, name, more string) string {
		return `
  - client_id: ` + id + `
    name: ` + name + `
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `", "https://notes.example/cb"]
    grant_types: [authorization_code, refresh_token]
    scopes: [openid, profile, email, phone, address, offline_access, "api:read"]
    post_logout_redirect_uris: ["` + bye + `"]` + more
	}
	native := func(id, more string) string {
		return `
  - client_id: ` + id + `
    name: Pocket
    application_type: native
    token_endpoint_auth_method: none
    redirect_uris: ["http://127.0.0.1/cb", "com.example.pocket:/cb", "https://pocket.example/cb"]` + more
	}
	return `
realm: ` + slug + `
name: Realm ` + slug + `
applications:` + app("notes", "Notes", "") + app("strict", "Strict", "\n    consent: always") +
		app("house", "House", "\n    consent: never") + app("shop", "Shop", "\n    audiences: [\"https://orders.example\"]\n    publisher: Shops & Co.\n    policy_uri: https://shop.example/privacy\n    tos_uri: https://shop.example/terms?a=1&b=2") +
		native("pocket", "") + native("trusted", "\n    consent: never") + `
users:
  - username: ana
    email: Ana@Example.test
    password: ` + anaPassword + `
    claims: {name: Ana Silva}
  - username: bob
    email: bob@example.test
    password: ` + anaPassword + `
`
}

// wants is an authorization request of an application of consentFile.
func wants(client string, change ...string) url.Values {
	return authorization(append([]string{"client_id", client}, change...)...)
}

// reach asks for a code, signs ana in when that is wanted, and returns what comes then.
func (b *browser) reach(i *instance, q url.Values) response {
	b.t.Helper()
	r := b.authorize(i, "one", q)
	if strings.Contains(r.Request.URL.Path, "/login") {
		r = b.signIn(i, r, "ana", anaPassword)
	}
	return r
}

func requireConsentPage(t testing.TB, r response) {
	t.Helper()
	requirePage(t, r, http.StatusOK)
	require.Equal(t, "/realms/one/consent", r.Request.URL.Path)
}

// boxes are the boxes of a page, each ticked or not.
func boxes(t testing.TB, r response) map[string]bool {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(r.Body))
	require.NoError(t, err)
	found := map[string]bool{}
	for n := range doc.Descendants() {
		var name, kind string
		ticked := false
		for _, a := range n.Attr {
			switch a.Key {
			case "name":
				name = a.Val
			case "type":
				kind = a.Val
			case "checked":
				ticked = true
			}
		}
		if n.Data == "input" && kind == "checkbox" {
			found[name] = ticked
		}
	}
	return found
}

// decide answers a consent page with the boxes as they are, but for those given by name and value; "" unticks.
func (b *browser) decide(i *instance, page response, decision string, change ...string) response {
	b.t.Helper()
	form := url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}, "decision": {decision}}
	for name, ticked := range boxes(b.t, page) {
		if ticked {
			form.Set(name, "1")
		}
	}
	for k := 0; k+1 < len(change); k += 2 {
		form.Set(change[k], change[k+1])
		if change[k+1] == "" {
			form.Del(change[k])
		}
	}
	return b.follow(i, b.post(page.Request.URL.String(), form))
}

// grantedScope exchanges the code of r and returns the scope that came of it.
func grantedScope(t testing.TB, i *instance, client string, r response) string {
	t.Helper()
	got := token(t, i, "one", exchange(requireCode(t, r)), "Authorization", basic(client, webSecret))
	require.Equal(t, http.StatusOK, got.Status, "%+v", got)
	return got.Scope
}

func TestConsent(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))

	t.Run("shows who asks for what, and focuses nothing", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("notes", "redirect_uri", "https://notes.example/cb", "scope", "openid profile api:read offline_access"))
		requireConsentPage(t, page)
		for _, text := range []string{"Allow access for Notes?", "Notes (notes.example)", "Ana Silva", "Ana@Example.test", "See your profile", "api:read", "while you are away", "90 days"} {
			require.Contains(t, page.Body, text)
		}
		require.NotContains(t, page.Body, "autofocus")
		require.Equal(t, map[string]bool{"scope profile": true, "scope api:read": true, "scope offline_access": true, "remember": true}, boxes(t, page), "openid cannot be left out")
	})
	t.Run("shows where the access counts", func(t *testing.T) {
		require.Contains(t, newBrowser(t).reach(i, wants("shop")).Body, "https://orders.example")
	})
	t.Run("allowed and remembered, it is not asked for again", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("notes"))
		requireConsentPage(t, page)
		require.Equal(t, "openid profile email", grantedScope(t, i, "notes", b.decide(i, page, "allow")))
		requireCode(t, b.reach(i, wants("notes")))
		requireCode(t, b.authorize(i, "one", wants("notes", "prompt", "none")))
		requireCode(t, newBrowser(t).reach(i, wants("notes"))) // in another browser neither
		require.Equal(t, []string{`{"scopes": ["openid", "profile", "email"]}`}, eventData(t, i, "one", "consent.granted"))

		bob := newBrowser(t)
		requireConsentPage(t, bob.signIn(i, bob.authorize(i, "one", wants("notes")), "bob", anaPassword))
	})
	t.Run("only what is new is asked for", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("notes", "scope", "openid profile email phone"))
		requireConsentPage(t, page)
		require.Equal(t, map[string]bool{"scope phone": true, "remember": true}, boxes(t, page))
		require.Contains(t, page.Body, "You allowed 3 more before")
		require.Equal(t, "openid profile email phone", grantedScope(t, i, "notes", b.decide(i, page, "allow")))
		require.Contains(t, eventData(t, i, "one", "consent.granted"), `{"scopes": ["phone"]}`)
		requireCode(t, b.reach(i, wants("notes", "scope", "openid phone")))
	})
	t.Run("what is left out is not given and is asked for again", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("shop"))
		require.Equal(t, "openid profile", grantedScope(t, i, "shop", b.decide(i, page, "allow", "scope email", "")))
		again := b.reach(i, wants("shop"))
		requireConsentPage(t, again)
		require.Equal(t, map[string]bool{"scope email": true, "remember": true}, boxes(t, again))
	})
	t.Run("not remembered, it counts once", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("shop", "scope", "openid address"))
		require.Equal(t, "openid address", grantedScope(t, i, "shop", b.decide(i, page, "allow", "remember", "")))
		requireConsentPage(t, b.reach(i, wants("shop", "scope", "openid address")))
	})
	t.Run("prompt=consent asks again and can take back", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("notes", "prompt", "consent", "scope", "openid profile phone"))
		requireConsentPage(t, page)
		require.Equal(t, map[string]bool{"scope profile": true, "scope phone": true, "remember": true}, boxes(t, page))
		require.Equal(t, "openid profile", grantedScope(t, i, "notes", b.decide(i, page, "allow", "scope phone", "")))
		requireConsentPage(t, b.reach(i, wants("notes", "scope", "openid phone")))
		requireCode(t, b.reach(i, wants("notes", "scope", "openid email")))
		require.Contains(t, eventData(t, i, "one", "consent.revoked"), `{"grants": 0, "scopes": ["phone"]}`)
	})
	t.Run("always asks", func(t *testing.T) {
		b := newBrowser(t)
		for range 2 {
			page := b.reach(i, wants("strict"))
			requireConsentPage(t, page)
			require.NotContains(t, boxes(t, page), "remember")
			requireCode(t, b.decide(i, page, "allow", "remember", "1"))
		}
		requireErrorAtClient(t, i, "one", b.authorize(i, "one", wants("strict", "prompt", "none")), "consent_required")
	})
	t.Run("never asks", func(t *testing.T) {
		b := newBrowser(t)
		require.Equal(t, "openid profile email offline_access", grantedScope(t, i, "house", b.reach(i, wants("house", "scope", "openid profile email offline_access"))))
		requireConsentPage(t, b.reach(i, wants("house", "prompt", "consent"))) // but when the application itself wants it to
	})
	t.Run("silently it is an error", func(t *testing.T) {
		b := newBrowser(t)
		b.reach(i, wants("house"))
		requireErrorAtClient(t, i, "one", b.authorize(i, "one", wants("notes", "scope", "openid api:read", "prompt", "none")), "consent_required")
	})
	t.Run("an answer that is none is asked for again", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("strict"))
		again := b.decide(i, page, "perhaps", "scope email", "")
		requirePage(t, again, http.StatusUnprocessableEntity)
		require.Equal(t, map[string]bool{"scope profile": true, "scope email": false}, boxes(t, again))
	})
	t.Run("allowing nothing is no answer", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("strict", "scope", "api:read"))
		requirePage(t, b.decide(i, page, "allow", "scope api:read", ""), http.StatusUnprocessableEntity)
	})
	t.Run("another account decides for itself", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("strict"))
		login := b.decide(i, page, "another")
		require.Equal(t, "/realms/one/login", login.Request.URL.Path)
		page = b.signIn(i, login, "bob", anaPassword)
		requireConsentPage(t, page)
		require.Contains(t, page.Body, "bob@example.test")
		requireCode(t, b.decide(i, page, "allow"))
	})
	t.Run("another site cannot answer", func(t *testing.T) {
		b := newBrowser(t)
		page := b.reach(i, wants("strict"))
		requirePage(t, b.post(page.Request.URL.String(), url.Values{"decision": {"allow"}, "csrf": {"AAAA"}}), http.StatusForbidden)
		requirePage(t, newBrowser(t).post(page.Request.URL.String(), url.Values{"decision": {"allow"}, "csrf": {hidden(t, page.Body, "csrf")}}), http.StatusNotFound)
	})
}

func TestConsentDenied(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("notes"))
	requireConsentPage(t, page)
	signedIn := b.cookie(i)
	q := requireErrorAtClient(t, i, "one", b.decide(i, page, "deny"), "access_denied")
	require.Equal(t, "state-1", q.Get("state"))
	require.Equal(t, []string{`{"scopes": ["openid", "profile", "email"]}`}, eventData(t, i, "one", "consent.denied"))
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM grants`))
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM consents`))

	t.Run("the sign-in stays", func(t *testing.T) {
		require.Equal(t, signedIn, b.cookie(i))
		requireCode(t, b.authorize(i, "one", wants("house", "prompt", "none")))
	})
	t.Run("going back does not ask again", func(t *testing.T) {
		requireErrorAtClient(t, i, "one", b.follow(i, b.get(page.Request.URL.String())), "access_denied")
	})
	t.Run("asking anew does", func(t *testing.T) {
		requireConsentPage(t, b.reach(i, wants("notes")))
	})
	t.Run("form_post posts the refusal", func(t *testing.T) {
		r := b.decide(i, b.reach(i, wants("notes", "response_mode", "form_post")), "deny")
		require.Equal(t, "access_denied", hidden(t, r.Body, "error"))
	})
}

// The sign-in is finished before consent is asked: the cookie has changed, and only the new one opens the flow.
func TestSS01_TheSessionStartsBeforeConsent(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	attacker := newBrowser(t)
	login := attacker.authorize(i, "one", wants("notes"))
	planted := attacker.cookie(i)
	victim := withCookie(t, i, planted)
	page := victim.signIn(i, victim.get(login.Request.URL.String()), "ana", anaPassword)
	requireConsentPage(t, page)
	require.NotEqual(t, planted, victim.cookie(i))
	requirePage(t, attacker.get(page.Request.URL.String()), http.StatusNotFound)
	requireErrorAtClient(t, i, "one", attacker.authorize(i, "one", wants("house", "prompt", "none")), "login_required")
	requireCode(t, victim.authorize(i, "one", wants("house", "prompt", "none"))) // another tab, while consent waits
	requireCode(t, victim.decide(i, page, "allow"))
	require.Equal(t, []string{`{"amr": ["pwd"], "persistent": false}`}, eventData(t, i, "one", "session.started"))
}

// What happens in another tab meanwhile never makes one person's answer count for another.
func TestConsentBelongsToWhoGaveIt(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("notes"))
	requireConsentPage(t, page)
	i.Clock.Advance(time.Minute)
	requireCode(t, b.signIn(i, b.authorize(i, "one", wants("house", "prompt", "login")), "bob", anaPassword))
	requirePage(t, b.decide(i, page, "allow"), http.StatusForbidden) // the form was made for another cookie
	again := b.get(page.Request.URL.String())
	requireConsentPage(t, again)
	require.Contains(t, again.Body, "bob@example.test")
	got := token(t, i, "one", exchange(requireCode(t, b.decide(i, again, "allow"))), "Authorization", basic("notes", webSecret))
	require.Equal(t, one[string](t, i, "one", `SELECT u.subject FROM users u JOIN identifiers i ON i.user_id = u.id WHERE i.canonical = 'bob'`), claims(t, got.IDToken)["sub"])
}

// Ana has decided, and Bob signs in before the browser comes for the answer.
func TestConsentIsNotHandedOn(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("strict"))
	requireConsentPage(t, page)
	decided := b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "decision": {"allow"}})
	require.Equal(t, http.StatusSeeOther, decided.StatusCode)
	i.Clock.Advance(time.Minute)
	requireCode(t, b.signIn(i, b.authorize(i, "one", wants("house", "prompt", "login")), "bob", anaPassword))
	again := b.follow(i, b.get(decided.Location().String()))
	requireConsentPage(t, again)
	require.Contains(t, again.Body, "bob@example.test")
}

func TestConsentLapsesWithItsFlow(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("notes"))
	i.Clock.Advance(31 * time.Minute)
	restart := b.get(page.Request.URL.String())
	requirePage(t, restart, http.StatusOK)
	require.Contains(t, restart.Body, "You were away for a while")
	page = b.follow(i, b.get(strings.Replace(page.Request.URL.String(), "/consent", "/authorize", 1)))
	requireConsentPage(t, page)
	requireCode(t, b.decide(i, page, "allow"))
}

func TestConsentSurvivesARestart(t *testing.T) {
	t.Parallel()
	first := start(t, consentFile("one"))
	b := newBrowser(t)
	requireCode(t, b.decide(first, b.reach(first, wants("notes")), "allow"))
	second := startOn(t, first.Database)
	second.Clock.Set(first.Clock.Now())
	requireCode(t, newBrowser(t).reach(second, wants("notes")))
}

func TestAZ13_WhatCouldBeAnybodysProgramIsAskedEachTime(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	for _, c := range []struct {
		client, redirect string
		again            bool
	}{
		{"pocket", "http://127.0.0.1:4711/cb", true},
		{"pocket", "com.example.pocket:/cb", true},
		{"pocket", "https://pocket.example/cb", false}, // only its owner can claim that address
		{"trusted", "http://127.0.0.1:4711/cb", false},
	} {
		t.Run(c.client+" "+c.redirect, func(t *testing.T) {
			b := newBrowser(t)
			q := wants(c.client, "redirect_uri", c.redirect)
			page := b.reach(i, q)
			if page.StatusCode == http.StatusOK {
				require.Equal(t, c.again, strings.Contains(page.Body, "runs on your device"))
				require.Equal(t, !c.again, strings.Contains(page.Body, `name="remember"`))
				page = b.decide(i, page, "allow", "remember", "1")
			}
			requireCode(t, page)
			second := b.authorize(i, "one", q)
			silent := b.authorize(i, "one", wants(c.client, "redirect_uri", c.redirect, "prompt", "none")).Location().Query()
			if !c.again {
				requireCode(t, second)
				require.NotEmpty(t, silent.Get("code"))
				return
			}
			requireConsentPage(t, second)
			require.Equal(t, "consent_required", silent.Get("error"))
		})
	}
}

func TestAZ14_TheFormCanOnlyShrinkTheRequest(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("notes"))
	got := b.decide(i, page, "allow", "scope email", "", "scope phone", "1", "scope api:read", "1", "scope", "openid profile phone api:read",
		"client_id", "house", "redirect_uri", "https://evil.example/")
	require.Equal(t, callback, "http://"+got.Location().Host+got.Location().Path)
	require.Equal(t, "openid profile", grantedScope(t, i, "notes", got))
	require.Equal(t, "{openid,profile}", one[string](t, i, "one", `SELECT scopes::text FROM consents`))
	require.Equal(t, "{openid,profile}", one[string](t, i, "one", `SELECT scopes::text FROM grants`))

	t.Run("in the address neither", func(t *testing.T) {
		page := b.reach(i, wants("strict", "scope", "openid"))
		form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "decision": {"allow"}, "scope profile": {"1"}}
		r := b.follow(i, b.post(page.Request.URL.String()+"&scope=openid+profile&client_id=notes", form))
		require.Equal(t, "openid", grantedScope(t, i, "strict", r))
	})
}

func TestAZ14_TakingAConsentBackKillsTokens(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("notes"))
	code := requireCode(t, b.decide(i, page, "allow"))
	got := token(t, i, "one", exchange(code), "Authorization", basic("notes", webSecret))
	require.NotEmpty(t, got.RefreshToken)
	unused := requireCode(t, b.reach(i, wants("notes")))
	house := token(t, i, "one", exchange(requireCode(t, b.reach(i, wants("house")))), "Authorization", basic("house", webSecret))

	ana := one[uuid.UUID](t, i, "one", `SELECT user_id FROM identifiers WHERE canonical = 'ana'`)
	changed, err := lifecycle.RevokeConsent(t.Context(), i.Realm(t, "one"), ana, "notes", i.Clock.Now())
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, []string{`{"grants": 2, "scopes": ["openid", "profile", "email"]}`}, eventData(t, i, "one", "consent.revoked"))

	info, _ := userinfo(t, i, "one", got.AccessToken)
	require.Equal(t, http.StatusUnauthorized, info.StatusCode)
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}
	requireRefused(t, token(t, i, "one", refresh, "Authorization", basic("notes", webSecret)), http.StatusBadRequest, "invalid_grant")
	requireRefused(t, token(t, i, "one", exchange(unused), "Authorization", basic("notes", webSecret)), http.StatusBadRequest, "invalid_grant")
	info, _ = userinfo(t, i, "one", house.AccessToken)
	require.Equal(t, http.StatusOK, info.StatusCode, "another application's tokens live")

	requireConsentPage(t, b.reach(i, wants("notes")))
	requireConsentPage(t, b.follow(i, b.get(page.Request.URL.String()))) // a finished flow does not bring it back
	changed, err = lifecycle.RevokeConsent(t.Context(), i.Realm(t, "one"), ana, "notes", i.Clock.Now())
	require.NoError(t, err)
	require.False(t, changed)
	require.Len(t, eventData(t, i, "one", "consent.revoked"), 1)
}

func TestAZ15_SwitchingOffStopsAConsent(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("notes"))
	i.apply(t, strings.Replace(consentFile("one"), "name: Notes\n", "name: Notes\n    enabled: false\n", 1))
	requirePage(t, b.get(page.Request.URL.String()), http.StatusBadRequest)
	requirePage(t, b.decide(i, page, "allow"), http.StatusBadRequest)
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM grants`))

	i.apply(t, strings.Replace(consentFile("one"), "name: Notes\n", "name: Notes\n    enabled: true\n", 1))
	i.apply(t, strings.Replace(consentFile("one"), "username: ana\n", "username: ana\n    enabled: false\n", 1))
	r := b.decide(i, page, "allow")
	require.Equal(t, "/realms/one/login", r.Request.URL.Path, "the person was switched off")
}

func TestConsentSpeaksThreeLanguages(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	for locale, text := range map[string]string{"en": "Allow access for Strict?", "pt-BR": "Permitir o acesso de Strict?", "es": "¿Permitir el acceso de Strict?"} {
		t.Run(locale, func(t *testing.T) {
			b := newBrowser(t)
			page := b.reach(i, wants("strict", "ui_locales", locale, "scope", "openid profile email phone address offline_access api:read"))
			requireConsentPage(t, page)
			require.Contains(t, page.Body, text)
			require.NotContains(t, page.Body, "consent.", "a key without its text")
			requirePage(t, b.decide(i, page, ""), http.StatusUnprocessableEntity)
		})
	}
	t.Run("a choice on one page holds on the next", func(t *testing.T) {
		b := newBrowser(t)
		login := b.authorize(i, "one", wants("strict", "ui_locales", "en"))
		login = b.get(login.Request.URL.String() + "&ui_locales=es")
		page := b.signIn(i, login, "ana", anaPassword)
		requireConsentPage(t, page)
		require.Contains(t, page.Body, "¿Permitir el acceso de Strict?")
		require.Equal(t, "es", page.Request.URL.Query().Get("ui_locales"))
		form := b.follow(i, b.get(i.Issuer("one")+"/authorize?"+wants("strict", "response_mode", "form_post", "ui_locales", "pt-BR").Encode()))
		require.Contains(t, b.decide(i, form, "allow").Body, `lang="pt-BR"`)
	})
}

func TestConsentSaysWhoMakesTheApplicationAndUnderWhichTerms(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	b := newBrowser(t)
	page := b.reach(i, wants("shop"))
	requireConsentPage(t, page)
	require.Contains(t, page.Body, "Made by Shops &amp; Co.")
	for address, text := range map[string]string{"https://shop.example/privacy": "Privacy policy", "https://shop.example/terms?a=1&amp;b=2": "Terms of use"} {
		require.Contains(t, page.Body, `<a href="`+address+`" target="_blank" rel="noopener">`+text)
	}
	page = b.reach(i, wants("notes"))
	requireConsentPage(t, page)
	require.NotContains(t, page.Body, `class="about"`, "nothing is known of it")

	i.apply(t, strings.Replace(consentFile("one"), "publisher: Shops & Co.", "publisher: Acme", 1))
	page = b.reach(i, wants("shop"))
	require.Contains(t, page.Body, "Made by Acme")
	require.Equal(t, []string{`{"changed": ["publisher"]}`}, eventData(t, i, "one", "client.updated"), "the event says what changed")
}
