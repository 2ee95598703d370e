package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// button presses the one button of a page.
func (b *browser) button(i *instance, page response) response {
	b.t.Helper()
	return b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}})
}

func TestSignInByAMailedLink(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T) (*instance, *browser, response, string) {
		t.Helper()
		i := start(t, realmFile("one")+"settings: {sign_in: {email_code: true}}\n")
		b := newBrowser(t)
		login := b.loginPage(i)
		page := b.get(i.URL + regexp.MustCompile(`href="([^"]*/email-code\?[^"]*)"`).FindStringSubmatch(login.Body)[1])
		page = b.follow(i, b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}}))
		link := regexp.MustCompile(`http\S+/email-code/\S+`).FindString(i.mails(t, "one")[0].Text)
		require.True(t, strings.HasPrefix(link, i.Issuer("one")), link)
		return i, b, page, link
	}
	t.Run("signs in the browser that asked, under a new cookie", func(t *testing.T) {
		t.Parallel()
		i, b, _, link := ask(t)
		before := b.cookie(i)
		done := b.button(i, b.get(link))
		require.Equal(t, http.StatusOK, done.StatusCode, done.Body)
		require.NotEqual(t, before, b.cookie(i))
		code := requireCode(t, b.follow(i, b.get(i.URL+strings.ReplaceAll(regexp.MustCompile(`href="(/[^"]*authorize[^"]*)"`).FindStringSubmatch(done.Body)[1], "&amp;", "&"))))
		require.Equal(t, []any{"otp"}, claims(t, token(t, i, "one", exchange(code), "Authorization", basic("web", webSecret)).IDToken)["amr"])
		require.Equal(t, http.StatusGone, b.get(link).StatusCode, "once")
	})
	t.Run("signs in no other browser, and stays good", func(t *testing.T) {
		t.Parallel()
		i, b, _, link := ask(t)
		stranger := newBrowser(t)
		done := stranger.button(i, stranger.get(link))
		require.Contains(t, done.Body, "Open it where you asked for it")
		require.Equal(t, "login_required", stranger.silent(i))
		require.Equal(t, http.StatusOK, b.get(link).StatusCode)
		require.Equal(t, http.StatusOK, b.button(i, b.get(link)).StatusCode)
	})
	t.Run("is not there where the realm does not want it", func(t *testing.T) {
		t.Parallel()
		i, b, page, link := ask(t)
		i.apply(t, "realm: one\nsettings: {sign_in: {email_code: false}}\n")
		require.Equal(t, http.StatusGone, b.get(link).StatusCode)
		code := regexp.MustCompile(`\d{6}`).FindString(i.mails(t, "one")[0].Text)
		refused := b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "code": {code}})
		require.Equal(t, http.StatusForbidden, refused.StatusCode, "LG-12")
	})
}
