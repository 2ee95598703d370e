package e2e

import (
	"regexp"
	"testing"

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
