package e2e

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// attributed is a realm in which every page that asks for something can be met.
const attributed = `realm: one
flags: {ALLOW_AUTO_REGISTRATION: true, REQUIRE_EMAIL_VERIFICATION: true}
settings:
  sign_in: {email_code: true}
  profile: [{claim: given_name}, {claim: phone_number}, {claim: website}, {claim: birthdate}]
applications:
  - {client_id: asker, name: Asker, consent: always, secrets: [` + webSecret + `], redirect_uris: ["` + callback + `"], scopes: [openid, profile]}
`

// askingPages are all pages that ask for something: those of an application's request, whose forms may lead to it, and
// those that no application asked for.
func askingPages(t *testing.T, i *instance) (asked, unasked map[string]response) {
	t.Helper()
	asked, unasked = map[string]response{}, map[string]response{}
	b := newBrowser(t)
	login := b.loginPage(i)
	asked["login"], asked["login left empty"], asked["login refused"] = login, b.try(login, "", ""), b.try(login, "ana", "wrong")
	asked["signup"] = b.from(i, "signup")
	asked["signup refused"] = b.answer(asked["signup"], "email", "nothing", "new-password", "short")
	asked["code"] = b.register(i, "eve@example.test")
	asked["code refused"] = b.answer(asked["code"], "code", "no")
	asked["recover"] = b.from(i, "recover")
	asked["recover refused"] = b.answer(asked["recover"])
	asked["email-code"] = b.from(i, "email-code")
	_, verify := i.secrets(t, "eve@example.test")
	unasked["link"] = b.get(verify)

	asked["password after a code"] = b.redeem(i, b.recover(i, "ana"))
	newBrowser(t).recover(i, "ana")
	_, recovery := i.secrets(t, "ana@example.test")
	phone := newBrowser(t)
	unasked["link to recover by"] = phone.get(recovery)
	unasked["password after a link"] = phone.follow(i, phone.button(i, unasked["link to recover by"]))
	unasked["password refused"] = phone.answer(unasked["password after a link"], "new-password", "short")
	unasked["done"] = phone.setPassword(i, unasked["password after a link"], chosenPassword)
	unasked["gone"] = phone.get(recovery)
	unasked["recover without an application"] = phone.follow(i, phone.get(i.Issuer("one")+"/recover"))
	link, _ := invite(t, i)
	unasked["invitation"] = phone.get(link)

	ana := newBrowser(t)
	requireCode(t, ana.follow(i, ana.try(ana.loginPage(i), "ana", chosenPassword)))
	i.Clock.Advance(time.Minute)
	asked["select-account"] = ana.authorize(i, "one", authorization("prompt", "select_account"))
	asked["consent"] = ana.authorize(i, "one", authorization("client_id", "asker", "scope", "openid profile"))
	unasked["logout"] = ana.get(i.Issuer("one") + "/end_session")
	i.demand(t)
	asked["password that must be changed"] = ana.authorize(i, "one", authorization())
	asked["password that must be changed, refused"] = ana.answer(asked["password that must be changed"], "password", "", "new-password", chosenPassword)
	bob := newBrowser(t)
	asked["verify-email"] = bob.follow(i, bob.try(bob.loginPage(i), "bob", anaPassword))
	i.apply(t, "realm: one\nflags: {REQUIRE_EMAIL_VERIFICATION: false}\nsettings: {profile: [{claim: nickname, required: true}]}\n")
	asked["profile"] = bob.follow(i, bob.get(asked["verify-email"].Request.URL.String()))
	asked["profile refused"] = bob.answer(asked["profile"])
	return asked, unasked
}

// The table of PAGES by which browsers, password managers and assistive technology know what a page is, and what its
// forms may lead to.
func TestPW15_PagesHaveTheAttributesThatBrowsersNeed(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), attributed)
	asked, unasked := askingPages(t, i)
	for name, page := range asked {
		requireFormAction(t, name, page, "'self' https: http://127.0.0.1:9")
		requireKnownFields(t, name, page)
	}
	for name, page := range unasked {
		requireFormAction(t, name, page, "'self'")
		requireKnownFields(t, name, page)
	}
	pages := maps.Clone(asked)
	maps.Copy(pages, unasked)
	plain := map[string]string{"autocapitalize": "none", "autocorrect": "off", "spellcheck": "false"}
	identifier := with(plain, "name", "username", "type", "text", "inputmode", "email", "autocomplete", "username", "required", "")
	login := with(identifier, "autocomplete", "username webauthn")
	email := with(plain, "name", "email", "type", "email", "inputmode", "email", "autocomplete", "username", "required", "")
	code := with(plain, "name", "code", "type", "text", "inputmode", "numeric", "pattern", "[0-9 ]*", "maxlength", "8", "autocomplete", "one-time-code", "required", "")
	current := map[string]string{"name": "password", "type": "password", "autocomplete": "current-password", "required": "", "value": absent}
	chosen := map[string]string{
		"name": "new-password", "type": "password", "autocomplete": "new-password", "required": "", "value": absent, "minlength": "12",
		"passwordrules": "minlength: 12; maxlength: 256; allowed: ascii-printable;",
	}
	told := func(fields map[string]string, by string) map[string]string {
		return with(fields, "aria-invalid", "true", "aria-describedby", by)
	}
	summary := map[string]string{"role": "alert", "tabindex": "-1"}
	for _, c := range []struct {
		page, id string
		want     map[string]string
	}{
		{"login", "username", with(login, "autofocus", "", "aria-invalid", absent)},
		{"login", "password", with(current, "autofocus", absent, "aria-invalid", absent)},
		{"login", "remember", map[string]string{"type": "checkbox", "checked": absent, "aria-describedby": "remember-hint"}},
		{"login left empty", "username", told(login, "username-error")},
		{"login left empty", "password", told(current, "password-error password-caps")},
		{"login left empty", "problems", summary},
		{"login refused", "problems", summary},
		{"login refused", "username", with(login, "value", "ana", "aria-invalid", absent)},
		{"login refused", "password", with(current, "aria-invalid", absent)},
		{"signup", "email", with(email, "autofocus", "")},
		{"signup", "new-password", chosen},
		{"signup", "given_name", map[string]string{"type": "text", "autocomplete": "given-name", "required": absent}},
		{"signup", "phone_number", map[string]string{"type": "tel", "inputmode": "tel", "autocomplete": "tel"}},
		{"signup", "website", map[string]string{"type": "url", "inputmode": "url", "autocomplete": "url"}},
		{"signup", "birthdate", map[string]string{"type": "date", "autocomplete": "bday"}},
		{"signup refused", "email", told(with(email, "value", "nothing", "autofocus", absent), "email-error")},
		{"signup refused", "new-password", told(chosen, "new-password-error new-password-demands new-password-caps")},
		{"signup refused", "problems", summary},
		{"code", "code", with(code, "autofocus", "")},
		{"code refused", "code", told(code, "code-error")},
		{"code refused", "problems", summary},
		{"recover", "username", with(identifier, "autofocus", "")},
		{"recover refused", "username", told(identifier, "username-error")},
		{"recover without an application", "username", identifier},
		{"email-code", "username", with(identifier, "autofocus", "")},
		{"password after a code", "new-password", chosen},
		{"password after a link", "new-password", chosen},
		{"password refused", "new-password", told(chosen, "new-password-error new-password-demands new-password-caps")},
		{"password that must be changed", "password", current},
		{"password that must be changed", "new-password", chosen},
		{"password that must be changed", "others", map[string]string{"type": "checkbox", "checked": "", "aria-describedby": "others-hint"}},
		{"password that must be changed, refused", "password", told(current, "password-error password-caps")},
		{"verify-email", "email", with(email, "autocomplete", "email", "value", "bob@example.test", "aria-describedby", "email-hint")},
		{"profile", "nickname", map[string]string{"type": "text", "autocomplete": "nickname", "required": ""}},
		{"profile refused", "nickname", map[string]string{"aria-invalid": "true", "aria-describedby": "nickname-error"}},
	} {
		t.Run(c.page+" "+c.id, func(t *testing.T) {
			got, found := element(t, pages[c.page].Body, func(a map[string]string) bool { return a["id"] == c.id })
			require.True(t, found, "there is no #%s\n%s", c.id, pages[c.page].Body)
			for attribute, want := range c.want {
				value, has := got[attribute]
				require.Equal(t, want != absent, has, attribute)
				if has {
					require.Equal(t, want, value, attribute)
				}
			}
		})
	}
	for name, whose := range map[string]string{
		"password after a code": "Ana@Example.test", "password after a link": "Ana@Example.test", "password that must be changed": "Ana@Example.test",
	} {
		hidden, found := element(t, pages[name].Body, func(a map[string]string) bool { return a["name"] == "username" })
		require.True(t, found, name)
		require.Equal(t, "username", hidden["autocomplete"], name)
		require.Equal(t, whose, hidden["value"], name)
		require.Contains(t, hidden, "hidden", name)
	}
}

// requireFormAction requires what the page says that its forms may lead to.
func requireFormAction(t *testing.T, name string, page response, want string) {
	t.Helper()
	_, action, found := strings.Cut(page.Header.Get("Content-Security-Policy"), "; form-action ")
	require.True(t, found, name)
	require.Equal(t, want, action, "%s\n%s", name, page.Body)
}

// requireKnownFields requires of every field of a page that it says what it is.
func requireKnownFields(t *testing.T, name string, page response) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	require.NoError(t, err)
	var fields []map[string]string
	ids, labels, secret, whose := map[string]bool{}, map[string]bool{}, false, false
	for n := range doc.Descendants() {
		a := map[string]string{}
		for _, attribute := range n.Attr {
			a[attribute.Key] = attribute.Val
		}
		ids[a["id"]] = true
		switch {
		case n.Data == "label":
			labels[a["for"]] = true
		case n.Data == "form" && a["method"] == "post":
			require.NotContains(t, a, "action", "%s: a form goes to its own page", name)
		case n.Data == "input" && a["type"] != "hidden":
			fields = append(fields, a)
			secret = secret || a["type"] == "password"
			whose = whose || strings.HasPrefix(a["autocomplete"], "username")
		}
	}
	for _, a := range fields {
		if _, hidden := a["hidden"]; !hidden {
			require.True(t, labels[a["id"]], "%s: %s has no label", name, a["name"])
		}
		for id := range strings.FieldsSeq(a["aria-describedby"]) {
			require.True(t, ids[id], "%s: %s is described by #%s, which is not there", name, a["name"], id)
		}
		if a["type"] != "checkbox" {
			require.NotEmpty(t, a["autocomplete"], "%s: %s", name, a["name"])
		}
		if a["type"] == "password" {
			require.NotContains(t, a, "maxlength", "%s: browsers cut what is pasted to it, and a password is never cut (PW-02)", name)
		}
		for attribute := range a {
			require.False(t, strings.HasPrefix(attribute, "on"), "%s: %s", name, attribute)
		}
	}
	require.True(t, !secret || whose, "%s: password managers want to know whose password it is", name)
	if page.StatusCode == http.StatusUnprocessableEntity {
		require.Contains(t, page.Body, "<title>Error: ", name)
		for link := range links(page) {
			require.True(t, ids[link], "%s: the summary leads to #%s, which is not there", name, link)
		}
	} else {
		require.NotContains(t, page.Body, "<title>Error: ", name)
	}
	require.Empty(t, page.Header.Values("WWW-Authenticate"), name)
}

// links are the ids that the links of a page lead to on it.
func links(page response) map[string]bool {
	found := map[string]bool{}
	for part := range strings.SplitSeq(page.Body, `href="#`) {
		if id, _, ok := strings.Cut(part, `"`); ok && !strings.HasPrefix(part, "<!doctype") {
			if id, err := url.PathUnescape(id); err == nil {
				found[id] = true
			}
		}
	}
	return found
}

// absent is what an attribute is that an element must not have.
const absent = "\x00"

func with(attributes map[string]string, more ...string) map[string]string {
	all := maps.Clone(attributes)
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// element is the attributes of a page's first element that is the one.
func element(t testing.TB, page string, is func(attributes map[string]string) bool) (attributes map[string]string, found bool) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
		}
		if is(attributes) {
			return attributes, true
		}
	}
	return nil, false
}
