package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A form that stood open in one tab while the person signed in in another is of the cookie before. It does nothing; the
// page comes again, with why, and its form does.
func TestAFormOfBeforeASignInIsShownAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		// client is whom the person signs in for in the other tab.
		client string
		// open opens the page with the form.
		open func(t *testing.T, i *instance, b *browser) response
		// fields are what the person fills in or presses.
		fields func(t *testing.T, i *instance) url.Values
		// done requires that the form of the page that came again did what it is for.
		done func(t *testing.T, i *instance, b *browser, r response)
	}{
		"consent": {
			consentFile("one"), "notes",
			func(_ *testing.T, i *instance, b *browser) response { return b.reach(i, wants("notes")) },
			func(*testing.T, *instance) url.Values { return url.Values{"decision": {"allow"}} },
			func(t *testing.T, i *instance, b *browser, r response) {
				t.Helper()
				requireCode(t, b.follow(i, r))
			},
		},
		"code": {
			realmFile("one"), "web",
			func(_ *testing.T, i *instance, b *browser) response { return b.recover(i, "ana") },
			func(t *testing.T, i *instance) url.Values {
				t.Helper()
				code, _ := i.secrets(t, "ana@example.test")
				return url.Values{"code": {code}}
			},
			func(t *testing.T, i *instance, b *browser, r response) {
				t.Helper()
				require.Equal(t, "password", at(b.follow(i, r)))
			},
		},
		"link": {
			realmFile("one"), "web",
			func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				newBrowser(t).recover(i, "ana")
				_, link := i.secrets(t, "ana@example.test")
				return b.get(link)
			},
			func(*testing.T, *instance) url.Values { return url.Values{} },
			func(t *testing.T, i *instance, b *browser, r response) {
				t.Helper()
				require.Equal(t, "password", at(b.follow(i, r)))
			},
		},
		"logout": {
			realmFile("one"), "web",
			func(_ *testing.T, i *instance, b *browser) response {
				b.signIn(i, b.loginPage(i), "ana", anaPassword)
				return b.get(i.Issuer("one") + "/end_session")
			},
			func(*testing.T, *instance) url.Values { return url.Values{} },
			func(t *testing.T, i *instance, b *browser, r response) {
				t.Helper()
				require.Equal(t, http.StatusOK, r.StatusCode)
				require.Equal(t, "login_required", b.silent(i))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, c.file)
			b := newBrowser(t)
			page := c.open(t, i, b)
			require.Equal(t, http.StatusOK, page.StatusCode, page.Body)
			i.Clock.Advance(time.Second)
			tab := b.authorize(i, "one", wants(c.client, "prompt", "login"))
			require.Equal(t, http.StatusSeeOther, b.try(tab, "ana", anaPassword).StatusCode)
			form, address := c.fields(t, i), page.Request.URL.String()
			form.Set("csrf", hidden(t, page.Body, "csrf"))

			before := everything(t, i)
			for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {}} {
				require.Equal(t, http.StatusForbidden, b.post(address, form, headers...).StatusCode, headers)
			}
			again := b.post(address, form, "Sec-Fetch-Site", "same-origin", "Origin", "null")
			require.Equal(t, before, everything(t, i))
			require.Equal(t, http.StatusUnprocessableEntity, again.StatusCode, again.Body)
			require.Contains(t, again.Body, "You went on in another tab, so this page was out of date. Here it is again.")

			form.Set("csrf", hidden(t, again.Body, "csrf"))
			require.Equal(t, http.StatusForbidden, b.post(address, form, "Sec-Fetch-Site", "cross-site").StatusCode)
			c.done(t, i, b, b.post(address, form, "Sec-Fetch-Site", "same-origin", "Origin", "null"))
		})
	}
	t.Run("in the person's language", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		page := b.recover(i, "ana")
		form := url.Values{"csrf": {strings.Repeat("A", 60)}, "code": {"123456"}}
		again := b.post(page.Request.URL.String(), form, "Sec-Fetch-Site", "same-origin", "Accept-Language", "pt-BR")
		require.Contains(t, again.Body, "Você continuou em outra aba")
	})
}

// A browser says by itself that a form is from our own page. Its Origin does not: our pages send no referrer.
func chromiumGoesOnInAnotherTab(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	for name, scripts := range bothWays {
		t.Run(name, func(t *testing.T) {
			tb := openTab(t, browser, scripts)
			tb.do(chromedp.Navigate(shop.ask(i, "state", name)), chromedp.Click(`a[href*="/recover?"]`), chromedp.SendKeys("#username", "ana"),
				chromedp.Click(submit), chromedp.WaitVisible("#code"))
			other := tb.beside()
			other.do(chromedp.Navigate(shop.ask(i)))
			other.fillIn("ana", anaPassword)
			other.do(chromedp.WaitVisible("#arrived"))
			code, _ := i.secrets(t, "ana@example.test")
			tb.is(`(document.querySelector("#code").value = "` + code + `", true)`)
			tb.do(chromedp.Click(submit), chromedp.WaitVisible("#problems"))
			tb.is(`document.body.innerText.includes("You went on in another tab, so this page was out of date. Here it is again.")`)
			tb.is(`(document.querySelector("#code").value = "` + code + `", true)`)
			tb.do(chromedp.Click(submit), chromedp.WaitVisible("#new-password"))
			require.Empty(t, tb.violations())
		})
	}
}
