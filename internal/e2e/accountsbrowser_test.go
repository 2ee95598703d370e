package e2e

import (
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

func registering(shop *shop) string {
	return `
realm: one
name: Realm one
flags: {ALLOW_AUTO_REGISTRATION: true, REQUIRE_EMAIL_VERIFICATION: true}
applications:
  - client_id: web
    name: Web shop
    consent: never
    secrets: [` + webSecret + `]
    redirect_uris: ["` + shop.URL + `/callback"]
users:
  - {username: ana, email: ana@example.test, email_verified: true, password: ` + anaPassword + `}
`
}

// TestAccountsInChromium: people register and come back, with and without the script, by code and by link.
func TestAccountsInChromium(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	register := func(t *testing.T, scripts bool) (*instance, *shop, *tab) {
		t.Helper()
		shop := newShop(t, "127.0.0.1:0", arrived)
		i := start(t, registering(shop))
		tb := openTab(t, browser, scripts)
		tb.do(chromedp.Navigate(shop.ask(i)), chromedp.Click(`a[href*="/signup?"]`), chromedp.SendKeys("#email", "zoe@example.test"),
			chromedp.SendKeys("#name", "Zoe"), chromedp.SendKeys("#new-password", anaPassword), chromedp.Click(submit), chromedp.WaitVisible("#code"))
		return i, shop, tb
	}
	newest := func(t *testing.T, i *instance, like string) string {
		t.Helper()
		found := regexp.MustCompile(like).FindString(i.mails(t, "one")[0].Text)
		require.NotEmpty(t, found)
		return found
	}
	t.Run("a code is sent by the script", func(t *testing.T) {
		t.Parallel()
		i, _, tb := register(t, true)
		tb.do(chromedp.SendKeys("#code", newest(t, i, `\b\d{6}\b`)), chromedp.WaitVisible("#arrived"))
		require.Empty(t, tb.violations())
	})
	t.Run("a code is sent by the button", func(t *testing.T) {
		t.Parallel()
		i, _, tb := register(t, false)
		tb.do(chromedp.SendKeys("#code", newest(t, i, `\b\d{6}\b`)), chromedp.Click(submit), chromedp.WaitVisible("#arrived"))
		require.Empty(t, tb.violations())
	})
	for name, scripts := range map[string]bool{"with the script": true, "without the script": false} {
		t.Run("a link in another browser, and the first window goes on, "+name, func(t *testing.T) {
			t.Parallel()
			i, _, tb := register(t, scripts)
			elsewhere := newBrowser(t)
			done := elsewhere.button(i, elsewhere.get(newest(t, i, `http\S+/verify-email/\S+`)))
			require.Equal(t, 200, done.StatusCode)
			tb.do(chromedp.Click(`a[data-check]`), chromedp.WaitVisible("#arrived"))
			require.Empty(t, tb.violations())
		})
		t.Run("a forgotten password, "+name, func(t *testing.T) {
			t.Parallel()
			shop := newShop(t, "127.0.0.1:0", arrived)
			i := start(t, registering(shop))
			tb := openTab(t, browser, scripts)
			tb.do(chromedp.Navigate(shop.ask(i)), chromedp.Click(`a[href*="/recover?"]`), chromedp.SendKeys("#username", "ana"), chromedp.Click(submit),
				chromedp.WaitVisible("#code"))
			tb.do(chromedp.Navigate(newest(t, i, `http\S+/recover/\S+`)), chromedp.Click(submit),
				chromedp.SendKeys("#new-password", "tuqo wabi lerez nomi"), chromedp.Click(submit), chromedp.WaitVisible(".notice"),
				chromedp.SendKeys("#username", "ana"), chromedp.SendKeys("#password", "tuqo wabi lerez nomi"), chromedp.Click(submit), chromedp.WaitVisible("#arrived"))
			require.Empty(t, tb.violations())
		})
	}
}

// accountsTab opens a tab on a realm with ana, whose address is proved, and bea, whose address is not.
func accountsTab(t *testing.T, browser chrome, scripts bool, change func(string) string) (*instance, *shop, *tab) {
	t.Helper()
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, change(registering(shop)+"  - {username: bea, email: bea@example.test, password: "+anaPassword+"}\n"))
	return i, shop, openTab(t, browser, scripts)
}

func unchanged(file string) string { return file }

// says requires a sentence on the page.
func (tb *tab) says(like string) {
	tb.t.Helper()
	tb.do(chromedp.WaitVisible("main h1"))
	text, err := chromedp.Run(tb.ctx, chromedp.Text("main"))
	require.NoError(tb.t, err)
	require.Regexp(tb.t, like, text, "at %s", tb.where())
}

// TestAccountsGoWrongInChromium: what people meet when a link is old, a door is shut, or an administrator steps in.
func TestAccountsGoWrongInChromium(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	for name, journey := range map[string]func(*testing.T, chrome, bool){
		"a link that was used, and the next one":      chromiumUsesALinkTwice,
		"a link that is over, and the next one":       chromiumComesTooLate,
		"another password in the middle":              chromiumIsMadeToChange,
		"registration switched off":                   chromiumFindsNoRegistration,
		"an address to be proved first":               chromiumProvesAnAddress,
		"an address that nobody wants proved":         chromiumNeedsNoProof,
		"an account disabled before the new password": chromiumIsDisabledRecovering,
		"an account disabled while its code waits":    chromiumIsDisabledProving,
		"an account disabled while it must change":    chromiumIsDisabledChanging,
		"a scanner that opens every link before":      chromiumIsScanned,
	} {
		for how, scripts := range map[string]bool{"with the script": true, "without the script": false} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				journey(t, browser, scripts)
			})
		}
	}
}

// recovers asks for a new password for ana and returns the link that was mailed.
func (tb *tab) recovers(i *instance, shop *shop) (link string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate(shop.ask(i)), chromedp.Click(`a[href*="/recover?"]`), chromedp.SendKeys("#username", "ana"), chromedp.Click(submit),
		chromedp.WaitVisible("#code"))
	_, link = i.secrets(tb.t, "ana@example.test")
	return link
}

func chromiumUsesALinkTwice(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	link := tb.recovers(i, shop)
	tb.do(chromedp.Navigate(link), chromedp.Click(submit), chromedp.WaitVisible("#new-password"), chromedp.Navigate(link))
	tb.says("This link does not work any more")
	tb.do(chromedp.Click(`main a[href*="/recover"]`), chromedp.WaitVisible("#username"))
	require.Empty(t, tb.violations())
}

func chromiumComesTooLate(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	link := tb.recovers(i, shop)
	i.Clock.Advance(time.Hour + time.Second)
	tb.do(chromedp.Navigate(link))
	tb.says("This link does not work any more")
	tb.do(chromedp.Click(`main a[href*="/recover"]`), chromedp.SendKeys("#username", "ana"), chromedp.Click(submit), chromedp.WaitVisible("#code"))
	_, link = i.secrets(t, "ana@example.test")
	tb.do(chromedp.Navigate(link), chromedp.Click(submit), chromedp.WaitVisible("#new-password"))
	require.Empty(t, tb.violations())
}

func chromiumIsMadeToChange(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	i.demand(t)
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("ana", anaPassword)
	tb.do(chromedp.WaitVisible("#new-password"), chromedp.SendKeys("#new-password", anaPassword), chromedp.Click(submit), chromedp.WaitVisible("#new-password-error"),
		chromedp.SendKeys("#new-password", chosenPassword), chromedp.Click(submit), chromedp.WaitVisible("#arrived"))
	require.Len(t, shop.called(), 1)
	require.Empty(t, tb.violations())
}

func chromiumFindsNoRegistration(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	tb.do(chromedp.Navigate(shop.ask(i)), chromedp.WaitVisible(`a[href*="/signup?"]`))
	at := tb.where()
	i.apply(t, "realm: one\nflags: {ALLOW_AUTO_REGISTRATION: false}\n")
	tb.do(chromedp.Click(`a[href*="/signup?"]`))
	tb.says("You cannot create an account here")
	tb.do(chromedp.Navigate(at), chromedp.WaitVisible("#username"))
	tb.is(`document.querySelector('a[href*="/signup"]') === null`)
	require.Empty(t, tb.violations())
}

func chromiumProvesAnAddress(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("bea", anaPassword)
	tb.do(chromedp.WaitVisible("#email"), chromedp.Click(submit), chromedp.WaitVisible("#code"))
	code, _ := i.secrets(t, "bea@example.test")
	tb.do(chromedp.SendKeys("#code", code))
	if !scripts {
		tb.do(chromedp.Click(submit))
	}
	tb.do(chromedp.WaitVisible("#arrived"))
	require.Empty(t, tb.violations())
}

func chromiumNeedsNoProof(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, func(file string) string {
		return regexp.MustCompile("REQUIRE_EMAIL_VERIFICATION: true").ReplaceAllString(file, "REQUIRE_EMAIL_VERIFICATION: false")
	})
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("bea", anaPassword)
	tb.do(chromedp.WaitVisible("#arrived"))
	require.Empty(t, tb.violations())
}

func chromiumIsDisabledRecovering(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	tb.do(chromedp.Navigate(tb.recovers(i, shop)), chromedp.Click(submit), chromedp.WaitVisible("#new-password"))
	i.disable(t, "ana")
	tb.do(chromedp.SendKeys("#new-password", chosenPassword), chromedp.Click(submit), chromedp.WaitNotPresent("#new-password"))
	require.Empty(t, shop.called())
	require.Empty(t, tb.violations())
}

func chromiumIsDisabledProving(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("bea", anaPassword)
	tb.do(chromedp.WaitVisible("#email"), chromedp.Click(submit), chromedp.WaitVisible("#code"))
	code, _ := i.secrets(t, "bea@example.test")
	i.Clock.Advance(time.Second)
	i.disable(t, "bea")
	tb.do(chromedp.SendKeys("#code", code))
	if !scripts {
		tb.do(chromedp.Click(submit))
	}
	tb.do(chromedp.WaitVisible("#password"))
	require.Empty(t, shop.called())
	require.Empty(t, tb.violations())
}

func chromiumIsDisabledChanging(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	i.demand(t)
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("ana", anaPassword)
	tb.do(chromedp.WaitVisible("#new-password"))
	i.disable(t, "ana")
	tb.do(chromedp.SendKeys("#new-password", chosenPassword), chromedp.Click(submit), chromedp.WaitVisible("#password"))
	require.Empty(t, shop.called())
	require.Empty(t, tb.violations())
}

// The scanner is a whole browser, scripts and all, which opens the link and looks at what it shows.
func chromiumIsScanned(t *testing.T, browser chrome, scripts bool) {
	i, shop, tb := accountsTab(t, browser, scripts, unchanged)
	link := tb.recovers(i, shop)
	events := one[int](t, i, "one", `SELECT count(*)::int FROM events`)
	for range 2 {
		scanner := openTab(t, browser, true)
		scanner.do(chromedp.Navigate(link), chromedp.WaitVisible(submit))
		require.Empty(t, scanner.violations())
	}
	require.Equal(t, events, one[int](t, i, "one", `SELECT count(*)::int FROM events`))
	tb.do(chromedp.Navigate(link), chromedp.Click(submit), chromedp.SendKeys("#new-password", chosenPassword), chromedp.Click(submit), chromedp.WaitVisible(".notice"))
	require.Empty(t, tb.violations())
}
