package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// audit is axe-core's judgement of pages in a tab.
type audit struct {
	*tab
	axe      string
	language string
	looks    []look
	// seen are the templates whose pages were judged.
	seen map[string]bool
}

// look is a way to look at a page.
type look struct {
	scheme string
	width  int64
}

// axeRun asks for what is against WCAG 2.2 AA or good practice, a line for each element.
const axeRun = `axe.run(document, {
	resultTypes: ["violations"],
	runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}).then(({ violations }) => violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`

// marks are by what each template's page is known.
var marks = map[string]string{
	"login": "#password", "consent": "[name=decision]", "select-account": "[name=account]", "formpost": "[data-autosubmit] button",
	"logout": "main form > button", "signed-out": "main > .actions > .primary", "restart": "main > .actions > .primary", "error": "#details",
	"signup": "#new-password", "code": "#code", "link": "main form > button", "done": "main > .actions > .primary", "password": "#new-password",
	"email-code": "#username:not([autocomplete*=webauthn])", "recover": "#username:not([autocomplete*=webauthn])",
	"verify-email": "#email-hint", "profile": "#nickname",
}

// judge fails when axe-core finds anything on the page that the tab shows, however it is looked at. The page is named
// after its template and, behind a space, its state.
func (a *audit) judge(page string) {
	a.t.Helper()
	template, _, _ := strings.Cut(page, " ")
	a.do(chromedp.WaitVisible(marks[template]))
	a.is(`document.documentElement.lang === "` + a.language + `"`)
	_, err := chromedp.Run(a.ctx, chromedp.Evaluate[bool](a.axe+";true"))
	require.NoError(a.t, err)
	for _, look := range a.looks {
		a.do(chromedp.EmulateViewport(look.width, 800))
		_, err := chromedp.Call(a.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: look.scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"}, // else colours are still on their way
		}})
		require.NoError(a.t, err)
		a.is(`matchMedia("(prefers-color-scheme: ` + look.scheme + `)").matches`)
		found, err := chromedp.Run(a.ctx, chromedp.Evaluate[[]string](axeRun, chromedp.EvalAwaitPromise))
		require.NoError(a.t, err)
		require.Empty(a.t, found, "%s, %s, %d pixels wide: see axe-core's rules by these names", page, look.scheme, look.width)
	}
	a.seen[template] = true
}

// accessibleRealm is a realm whose pages show all that they have.
func accessibleRealm(language string, shop *shop) string {
	return `
realm: one
name: Realm one
settings:
  start_url: "` + shop.URL + `"
  profile: [{claim: name}, {claim: nickname, required: true}, {claim: birthdate}, {claim: phone_number}]
  sign_in: {email_code: true}
flags: {ALLOW_AUTO_REGISTRATION: true, REQUIRE_EMAIL_VERIFICATION: true}
applications:
  - client_id: web
    name: Web shop
    secrets: [` + webSecret + `]
    redirect_uris: ["` + shop.URL + `/callback"]
    start_url: "` + shop.URL + `"
    publisher: Shops & Co.
    policy_uri: https://shop.example/privacy
    tos_uri: https://shop.example/terms
    grant_types: [authorization_code, refresh_token]
    scopes: [openid, profile, email, phone, address, offline_access, "api:read"]
    audiences: ["https://orders.example"]
users:
  - username: ana
    email: ana@example.test
    email_verified: true
    password: ` + anaPassword + `
    claims: {name: Ana Silva, nickname: Ana, locale: ` + language + `}
  - {username: una, email: una@example.test, password: ` + anaPassword + `, claims: {nickname: Una}}
  - {username: nia, email: nia@example.test, email_verified: true, password: ` + anaPassword + `}
`
}

func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join(libraries(t), "node_modules/axe-core/axe.min.js"))
	require.NoError(t, err)
	browser := chromium(t)
	// What depends on both scheme and width depends on no language.
	few := []look{{"light", 1280}, {"dark", 320}}
	for language, looks := range map[string][]look{"en": append([]look{{"light", 320}, {"dark", 1280}}, few...), "pt-BR": few, "es": few} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			shop := newShop(t, "127.0.0.1:0", arrived)
			i := start(t, accessibleRealm(language, shop))
			a := &audit{tab: openTab(t, browser, true), axe: string(axe), language: language, looks: looks, seen: map[string]bool{}}
			_, err := chromedp.Call(a.ctx, network.SetExtraHTTPHeaders,
				network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}})
			require.NoError(t, err)
			a.signingIn(shop, i)
			a.signedIn(shop, i)
			a.leaving(i)
			a.makingAnAccount(shop, i)
			a.comingBack(shop, i)
			a.failing(shop, i)

			templates, err := filepath.Glob("../../templates/pages/*.html")
			require.NoError(t, err)
			for _, file := range templates {
				template := strings.TrimSuffix(filepath.Base(file), ".html")
				require.True(t, template == "layout" || a.seen[template], "no visit here leads to the page %s", template)
			}
		})
	}
}

// signingIn leads a person who makes every mistake to the application by a form.
func (a *audit) signingIn(shop *shop, i *instance) {
	a.do(chromedp.Navigate(shop.ask(i, "response_mode", "form_post")))
	a.judge("login")
	a.is(`(document.forms[0].noValidate = true, document.querySelector("main button[type=submit]").click(), true)`)
	a.do(chromedp.WaitVisible("#username-error"))
	a.judge("login with nothing filled in")
	a.fillIn("ana", "wrong")
	a.do(chromedp.WaitNotPresent("#username-error"), chromedp.WaitVisible("#problems"))
	a.judge("login refused")
	a.do(chromedp.SendKeys("#password", anaPassword), chromedp.Click("main button[type=submit]"), chromedp.WaitVisible("button[value=allow]"))
	a.is(`document.querySelector("#remember") !== null`)
	a.judge("consent")
	// Without the script the form waits for the person.
	a.block(i.URL + "/*.js")
	a.do(chromedp.Click("button[value=allow]"), chromedp.WaitReady("input[name=code]"))
	a.judge("formpost")
	a.block()
	a.do(chromedp.Click("main button[type=submit]"), chromedp.WaitVisible("#arrived"))
}

// signedIn is what a person with a session is asked.
func (a *audit) signedIn(shop *shop, i *instance) {
	i.Clock.Advance(time.Second) // whoever has just signed in is asked nothing
	a.do(chromedp.Navigate(shop.ask(i, "prompt", "select_account")))
	a.judge("select-account")
	a.do(chromedp.Navigate(shop.ask(i, "prompt", "select_account", "login_hint", "bob")))
	a.judge("select-account with a hint")
	a.do(chromedp.Navigate(shop.ask(i, "scope", "openid profile email phone address offline_access api:read")), chromedp.WaitVisible("button[value=allow]"))
	a.is(`document.querySelector("details.before").open = true`)
	a.judge("consent to more than before")
	a.do(chromedp.Navigate(shop.ask(i, "prompt", "login")))
	a.judge("login to confirm")
}

func (a *audit) leaving(i *instance) {
	a.do(chromedp.Navigate(i.Issuer("one") + "/end_session?client_id=web"))
	a.judge("logout")
	a.do(chromedp.Click("main button[type=submit]"), chromedp.WaitNotPresent("main form"))
	a.judge("signed-out")
}

func (a *audit) failing(shop *shop, i *instance) {
	a.do(chromedp.Navigate(shop.ask(i, "redirect_uri", "https://evil.example/")))
	a.judge("error with its cause")
	a.do(chromedp.Navigate(i.Issuer("one") + "/nothing"))
	a.judge("error of an address")
	i.Clock.Advance(time.Second)
	a.do(chromedp.Navigate(shop.ask(i, "prompt", "login")), chromedp.WaitVisible("#username"))
	i.Clock.Advance(31 * time.Minute)
	a.do(chromedp.Reload())
	a.judge("restart")
}

// block keeps the tab from loading what matches.
func (a *audit) block(patterns ...string) {
	a.t.Helper()
	rules := make([]*network.BlockPattern, 0, len(patterns))
	for _, p := range patterns {
		rules = append(rules, &network.BlockPattern{URLPattern: p, Block: true})
	}
	_, err := chromedp.Call(a.ctx, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: rules})
	require.NoError(a.t, err)
}
