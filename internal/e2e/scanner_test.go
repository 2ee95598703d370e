package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
)

// scan opens every link of every mail as programs that read mails do: by HEAD and by GET, several times, with cookies,
// along every redirect, and what the pages link to as well.
func (b *browser) scan(i *instance) (opened int) {
	b.t.Helper()
	for _, m := range i.mails(b.t, "one") {
		for _, link := range regexp.MustCompile(`https?://[^\s"<>]+`).FindAllString(m.Text+" "+m.HTML, -1) {
			for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodHead, http.MethodGet, http.MethodGet} {
				r := b.follow(i, b.send(method, link))
				require.NotEqual(b.t, http.StatusMethodNotAllowed, r.StatusCode, "%s %s", method, link)
				require.Less(b.t, r.StatusCode, 500, "%s %s", method, link)
				for _, onward := range regexp.MustCompile(`<a [^>]*href="([^"]+)"`).FindAllStringSubmatch(r.Body, -1) {
					to, err := r.Request.URL.Parse(strings.ReplaceAll(onward[1], "&amp;", "&"))
					require.NoError(b.t, err)
					require.Less(b.t, b.follow(i, b.get(to.String())).StatusCode, 500, to)
				}
			}
			opened++
		}
	}
	return opened
}

func TestRS04_AMailScannerChangesNothing(t *testing.T) {
	t.Parallel()
	const byMail = "realm: one\nsettings: {sign_in: {email_code: true}}\n"
	for name, c := range map[string]struct {
		realm string
		// ask has a mail with a link sent and returns its address and where the person waits, if anywhere.
		ask func(t *testing.T, i *instance, b *browser) (address string, waiting response)
		// arrived requires that the link did, in the person's browser, what it is for.
		arrived func(t *testing.T, i *instance, b *browser, waiting, done response)
	}{
		"registration": {
			open,
			func(_ *testing.T, i *instance, b *browser) (string, response) {
				return "eve@example.test", b.register(i, "eve@example.test")
			},
			func(t *testing.T, i *instance, b *browser, waiting, _ response) {
				t.Helper()
				require.Equal(t, true, whoIs(t, i, b.press(i, waiting, "authorize"))["email_verified"])
			},
		},
		"verification": {
			"realm: one\n",
			func(t *testing.T, i *instance, _ *browser) (string, response) {
				t.Helper()
				_, err := app.UserSendVerification(t.Context(), operator(t, i), "one", "bob")
				require.NoError(t, err)
				i.mailedLink(t)
				return "bob@example.test", response{}
			},
			func(t *testing.T, i *instance, _ *browser, _, _ response) {
				t.Helper()
				require.True(t, one[bool](t, i, "one", `SELECT verified_at IS NOT NULL FROM identifiers WHERE canonical = 'bob@example.test'`))
			},
		},
		"recovery": {
			"realm: one\n",
			func(_ *testing.T, i *instance, b *browser) (string, response) {
				return "ana@example.test", b.recover(i, "ana")
			},
			func(t *testing.T, i *instance, b *browser, _, done response) {
				t.Helper()
				require.Equal(t, "login", at(b.setPassword(i, b.follow(i, done), chosenPassword)))
				requirePassword(t, i, chosenPassword, anaPassword)
			},
		},
		"invitation": {
			"realm: one\n",
			func(t *testing.T, i *instance, _ *browser) (string, response) {
				t.Helper()
				invite(t, i)
				return "eva@example.test", response{}
			},
			func(t *testing.T, i *instance, b *browser, _, done response) {
				t.Helper()
				require.Contains(t, b.setPassword(i, b.follow(i, done), chosen).Body, "Your account is ready")
				requireCode(t, b.signIn(i, b.loginPage(i), "eva@example.test", chosen))
			},
		},
		"e-mail code": {
			byMail,
			func(t *testing.T, i *instance, b *browser) (string, response) {
				t.Helper()
				page := b.from(i, "email-code")
				return "ana@example.test", b.follow(i, b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}}))
			},
			func(t *testing.T, i *instance, b *browser, waiting, _ response) {
				t.Helper()
				requireCode(t, b.follow(i, b.get(waiting.Request.URL.String())))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), c.realm)
			b := newBrowser(t)
			address, waiting := c.ask(t, i, b)
			i.mails(t, "one")
			before := settled(t, i)
			scanner := newBrowser(t)
			require.NotZero(t, scanner.scan(i))
			scanner.scan(i)
			require.Equal(t, before, settled(t, i))
			_, text := i.letter(t, address)
			link := regexp.MustCompile(`http\S+/(verify-email|recover|invitation|email-code)/[\w-]{20,}`).FindString(text)
			require.NotEmpty(t, link, text)
			done := b.button(i, b.get(link))
			require.Less(t, done.StatusCode, 400, done.Body)
			c.arrived(t, i, b, waiting, done)
		})
	}
}
