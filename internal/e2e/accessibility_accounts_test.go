package e2e

import (
	"regexp"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const submit = "main form button[type=submit]"

// makingAnAccount is what somebody meets who registers and makes every mistake.
func (a *audit) makingAnAccount(shop *shop, i *instance) {
	a.do(chromedp.Navigate(shop.ask(i)), chromedp.Click(`a[href*="/signup?"]`))
	a.judge("signup")
	a.is(`(document.forms[0].noValidate = true, document.querySelector("main button[type=submit]").click(), true)`)
	a.do(chromedp.WaitVisible("#email-error"))
	a.judge("signup with nothing filled in")
	a.do(chromedp.SendKeys("#email", "zoe@example.test"), chromedp.SendKeys("#nickname", "Zoe"),
		chromedp.SendKeys("#new-password", anaPassword), chromedp.Click(submit))
	a.judge("code")
	// Whether the script sends six digits by itself or the button does.
	a.is(`(document.forms[0].noValidate = true, document.querySelector("#code").value = "12345", document.querySelector("main button[type=submit]").click(), true)`)
	a.do(chromedp.WaitVisible("#code-error"))
	a.judge("code refused")
	a.do(chromedp.Navigate(a.mailed(i, `http\S+/verify-email/\S+`)))
	a.judge("link")
	a.do(chromedp.Click(submit))
	a.judge("done")
	a.do(chromedp.Reload())
	a.judge("done with a link that was used")
}

// comingBack is what people meet who cannot just sign in.
func (a *audit) comingBack(shop *shop, i *instance) {
	a.do(chromedp.Navigate(shop.ask(i, "prompt", "login")), chromedp.Click(`a[href*="/email-code?"]`))
	a.judge("email-code")
	a.do(chromedp.Navigate(shop.ask(i, "prompt", "login")), chromedp.Click(`a[href*="/recover?"]`))
	a.judge("recover")
	a.do(chromedp.SendKeys("#username", "ana"), chromedp.Click(submit))
	a.judge("code to recover by")
	a.do(chromedp.Navigate(a.mailed(i, `http\S+/recover/\S+`)))
	a.judge("link to recover by")
	a.do(chromedp.Click(submit))
	a.judge("password")
	for _, who := range []struct{ name, page string }{{"una", "verify-email"}, {"nia", "profile"}} {
		a.do(chromedp.Navigate(shop.ask(i, "prompt", "login")), chromedp.WaitVisible("#password"))
		a.fillIn(who.name, anaPassword)
		a.judge(who.page)
	}
}

// mailed is what the newest mail has that looks so.
func (a *audit) mailed(i *instance, like string) string {
	a.t.Helper()
	mails := i.mails(a.t, "one")
	require.NotEmpty(a.t, mails)
	found := regexp.MustCompile(like).FindString(mails[0].Text)
	require.NotEmpty(a.t, found, mails[0].Text)
	return found
}
