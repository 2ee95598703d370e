package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

const chosenPassword = "seven quiet herons over the lagoon"

// answer posts a page's form, to whatever address the page has, and follows nothing.
func (b *browser) answer(page response, fields ...string) response {
	b.t.Helper()
	form := url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}}
	for k := 0; k+1 < len(fields); k += 2 {
		form.Set(fields[k], fields[k+1])
	}
	return b.post(page.Request.URL.String(), form)
}

// press follows the page's link to a step or to the dispatcher.
func (b *browser) press(i *instance, page response, step string) response {
	b.t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	require.NoError(b.t, err)
	for n := range doc.Descendants() {
		if n.Data != "a" {
			continue
		}
		to, err := page.Request.URL.Parse(attribute(n, "href"))
		require.NoError(b.t, err)
		if strings.HasSuffix(to.Path, "/"+step) {
			return b.follow(i, b.get(to.String()))
		}
	}
	require.Fail(b.t, "the page has no such link", "%s\n%s", step, page.Body)
	return page
}

// from opens a page that the login page leads to.
func (b *browser) from(i *instance, step string) response {
	b.t.Helper()
	page := b.press(i, b.loginPage(i), step)
	require.Equal(b.t, step, at(page), page.Body)
	return page
}

// register fills in the page for a new account and returns the page that waits for the code.
func (b *browser) register(i *instance, email string) response {
	b.t.Helper()
	page := b.follow(i, b.answer(b.from(i, "signup"), "email", email, "new-password", chosenPassword))
	require.Equal(b.t, "verify-email", at(page), page.Body)
	return page
}

// letter is the newest mail to an address, "" when there is none.
func (i *instance) letter(t testing.TB, to string) (subject, text string) {
	t.Helper()
	for _, m := range i.mails(t, "one") {
		if strings.EqualFold(m.To.Mailbox, to) {
			return m.Subject, m.Text
		}
	}
	return "", ""
}

// secrets are the code and the link of the newest mail to an address.
func (i *instance) secrets(t testing.TB, to string) (code, link string) {
	t.Helper()
	_, text := i.letter(t, to)
	return secretsIn(t, text)
}

func secretsIn(t testing.TB, text string) (code, link string) {
	t.Helper()
	code = regexp.MustCompile(`(?m)^\s*(\d{6})\s*$`).FindString(text)
	link = regexp.MustCompile(`http\S+/(verify-email|recover|invitation|email-code)/[\w-]{20,}`).FindString(text)
	require.NotEmpty(t, code, text)
	require.NotEmpty(t, link, text)
	return strings.TrimSpace(code), link
}

// another is a code that is not the one.
func another(code string) string {
	n, _ := strconv.Atoi(code)
	return strconv.Itoa(100000 + (n+1)%900000)
}

// open is the realm "one" where everybody may make an account, once they have proved their address.
const open = "realm: one\nflags: {ALLOW_AUTO_REGISTRATION: true, REQUIRE_EMAIL_VERIFICATION: true}\n"

// whoIs is what the application learns about the person, by the code that r brings.
func whoIs(t testing.TB, i *instance, r response) map[string]any {
	t.Helper()
	got := token(t, i, "one", exchange(requireCode(t, r)))
	require.Equal(t, http.StatusOK, got.Status, "%+v", got)
	_, who := userinfo(t, i, "one", got.AccessToken)
	return who
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	t.Run("by the code leads back to the application", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b := newBrowser(t)
		page := b.register(i, "Eve@Example.test")
		require.Contains(t, page.Body, "Eve@Example.test")
		require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM identifiers WHERE canonical = 'eve@example.test'`), "not before the proof")
		code, link := i.secrets(t, "Eve@Example.test")
		before := b.cookie(i)
		who := whoIs(t, i, b.follow(i, b.answer(page, "code", code)))
		require.Equal(t, "Eve@Example.test", who["email"])
		require.Equal(t, true, who["email_verified"])
		require.NotEqual(t, before, b.cookie(i))
		require.Empty(t, b.silent(i))
		require.Equal(t, http.StatusGone, b.get(link).StatusCode, "the code spends the link")
		again := newBrowser(t)
		requireCode(t, again.follow(i, again.try(again.loginPage(i), "eve@example.test", chosenPassword)))
	})
	t.Run("by the link in another browser lets the first go on", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b, stranger := newBrowser(t), newBrowser(t)
		page := b.register(i, "eve@example.test")
		_, link := i.secrets(t, "eve@example.test")
		require.Equal(t, "verify-email", at(b.press(i, page, "authorize")), "not before the proof")
		done := stranger.button(i, stranger.get(link))
		require.Equal(t, http.StatusOK, done.StatusCode, done.Body)
		require.Contains(t, done.Body, "Your e-mail is confirmed")
		require.Equal(t, "login_required", stranger.silent(i))
		require.Equal(t, true, whoIs(t, i, b.press(i, page, "authorize"))["email_verified"])
		require.Equal(t, http.StatusGone, stranger.get(link).StatusCode, "once")
	})
	t.Run("by a link that opens in the language of its mail", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b, stranger := newBrowser(t), newBrowser(t)
		page := b.get(b.from(i, "signup").Request.URL.String() + "&ui_locales=pt-BR")
		page = b.follow(i, b.answer(page, "email", "eve@example.test", "new-password", chosenPassword))
		require.Equal(t, "verify-email", at(page), page.Body)
		_, text := i.letter(t, "eve@example.test")
		asks := stranger.get(regexp.MustCompile(`http\S+/verify-email/\S+`).FindString(text))
		for _, shown := range []response{asks, stranger.button(i, asks)} {
			requirePage(t, shown, http.StatusOK)
			require.Contains(t, shown.Body, `<html lang="pt-BR"`)
		}
	})
	t.Run("asked for by the application", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b := newBrowser(t)
		page := b.authorize(i, "one", authorization("prompt", "create"))
		require.Equal(t, "signup", at(page))
		page = b.follow(i, b.answer(page, "email", "eve@example.test", "new-password", chosenPassword))
		code, _ := i.secrets(t, "eve@example.test")
		require.Equal(t, "eve@example.test", whoIs(t, i, b.follow(i, b.answer(page, "code", code)))["email"])
	})
	t.Run("by the link of somebody who asked for an address that was registered since, is refused", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b, other := newBrowser(t), newBrowser(t)
		page := b.register(i, "eve@example.test")
		_, link := i.secrets(t, "eve@example.test")
		late := other.register(i, "eve@example.test")
		code, _ := i.secrets(t, "eve@example.test")
		requireCode(t, other.follow(i, other.answer(late, "code", code)))
		require.Contains(t, b.button(i, b.get(link)).Body, "This address has an account")
		require.Equal(t, "verify-email", at(b.press(i, page, "authorize")))
		require.Equal(t, 1, one[int](t, i, "one", `SELECT count(*) FROM identifiers WHERE canonical = 'eve@example.test'`))
	})
}

// unproved is a server whose clock goes, with the realm "one" where everybody may make an account and confirm its
// address later.
func unproved(t *testing.T) *instance {
	t.Helper()
	return startWith(t, testdb.NewURL(t), func(_ *app.Process, o *app.Options) { o.Now = time.Now }, realmFile("one"),
		"realm: one\nflags: {ALLOW_AUTO_REGISTRATION: true, REQUIRE_EMAIL_VERIFICATION: false}\n")
}

// waitForAccount waits until the background work has made somebody's account.
func (i *instance) waitForAccount(t *testing.T, email string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return one[bool](t, i, "one", `SELECT EXISTS (SELECT 1 FROM identifiers WHERE canonical = $1)`, email)
	}, time.Minute, 20*time.Millisecond)
}

// waitForMail waits until the background work has sent somebody their nth mail, and returns its text.
func (i *instance) waitForMail(t *testing.T, to string, nth int) (text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		n := 0
		for _, m := range i.Outbox.Mails() {
			if m.To.Mailbox != to {
				continue
			}
			if n == 0 {
				text = m.Text // the newest
			}
			n++
		}
		return n >= nth
	}, time.Minute, 20*time.Millisecond)
	return text
}

func TestRegistrationWithoutProof(t *testing.T) {
	t.Parallel()
	i := unproved(t)
	i.work(t)
	verifyLink := func(text string) string { return regexp.MustCompile(`http\S+/verify-email/\S+`).FindString(text) }
	t.Run("signs in without confirming", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		page := b.register(i, "eve@example.test")
		i.waitForAccount(t, "eve@example.test")
		login := b.press(i, page, "login")
		require.Equal(t, "login", at(login))
		require.Equal(t, false, whoIs(t, i, b.follow(i, b.try(login, "eve@example.test", chosenPassword)))["email_verified"])
	})
	t.Run("confirms later by the code of the first mail", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		page := b.register(i, "zoe@example.test")
		i.waitForAccount(t, "zoe@example.test")
		code := regexp.MustCompile(`\d{6}`).FindString(i.waitForMail(t, "zoe@example.test", 1))
		require.Equal(t, true, whoIs(t, i, b.follow(i, b.answer(page, "code", code)))["email_verified"])
	})
	t.Run("confirms later by the link in another browser, and the first goes on", func(t *testing.T) {
		t.Parallel()
		b, phone := newBrowser(t), newBrowser(t)
		page := b.register(i, "mia@example.test")
		i.waitForAccount(t, "mia@example.test")
		require.Equal(t, "verify-email", at(b.press(i, page, "authorize")), "not before the proof")
		link := verifyLink(i.waitForMail(t, "mia@example.test", 1))
		require.Contains(t, phone.button(i, phone.get(link)).Body, "Your e-mail is confirmed")
		require.Equal(t, "login_required", phone.silent(i))
		require.Equal(t, true, whoIs(t, i, b.press(i, page, "authorize"))["email_verified"])
	})
	t.Run("confirms by the link of a mail that was sent again", func(t *testing.T) {
		t.Parallel()
		b, phone := newBrowser(t), newBrowser(t)
		page := b.register(i, "kim@example.test")
		i.waitForAccount(t, "kim@example.test")
		page = b.follow(i, b.answer(page, "action", "resend"))
		link := verifyLink(i.waitForMail(t, "kim@example.test", 2))
		require.Contains(t, phone.button(i, phone.get(link)).Body, "Your e-mail is confirmed")
		require.Equal(t, true, whoIs(t, i, b.press(i, page, "authorize"))["email_verified"])
	})
	// Whoever asked for an account at somebody else's address does not come in by it once its owner has taken it.
	t.Run("lets nobody on whose account was recovered or disabled meanwhile", func(t *testing.T) {
		t.Parallel()
		recovers := func(t *testing.T, address string) {
			t.Helper()
			owner := newBrowser(t)
			owner.recover(i, address)
			reset := regexp.MustCompile(`http\S+/recover/\S+`).FindString(i.waitForMail(t, address, 2))
			require.Equal(t, "login", at(owner.setPassword(i, owner.follow(i, owner.button(i, owner.get(reset))), "another "+chosenPassword)))
		}
		disable := func(t *testing.T, address string) {
			t.Helper()
			id := i.person(t, address)
			require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error {
				_, err := lifecycle.Disable(t.Context(), tx, id, "", time.Now())
				return err
			}))
		}
		for name, by := range map[string]func(t *testing.T, b *browser, page response, text string) response{
			"link": func(_ *testing.T, b *browser, page response, text string) response {
				owner := newBrowser(t)
				require.Contains(t, owner.button(i, owner.get(verifyLink(text))).Body, "Your e-mail is confirmed")
				return b.press(i, page, "authorize")
			},
			"code": func(_ *testing.T, b *browser, page response, text string) response {
				return b.follow(i, b.answer(page, "code", regexp.MustCompile(`\d{6}`).FindString(text)))
			},
		} {
			for what, happens := range map[string]func(t *testing.T, address string){"recovered": recovers, "disabled": disable} {
				t.Run(what+" "+name, func(t *testing.T) {
					t.Parallel()
					b, address := newBrowser(t), what+"-"+name+"@example.test"
					page := b.register(i, address)
					i.waitForAccount(t, address)
					text := i.waitForMail(t, address, 1)
					happens(t, address)
					require.Equal(t, "login", at(by(t, b, page, text)))
					require.Equal(t, "login_required", b.silent(i))
				})
			}
		}
	})
}

func TestRegistrationWithoutProof_sends_the_code_again_before_the_account_is_made(t *testing.T) {
	t.Parallel()
	i := unproved(t)
	b := newBrowser(t)
	page := b.register(i, "eve@example.test")
	page = b.follow(i, b.answer(page, "action", "resend"))
	i.work(t)
	i.waitForAccount(t, "eve@example.test")
	require.Equal(t, false, whoIs(t, i, b.signIn(i, b.press(i, page, "login"), "eve@example.test", chosenPassword))["email_verified"])
	require.Equal(t, 1, one[int](t, i, "one", `SELECT count(*) FROM users u JOIN identifiers n ON n.user_id = u.id WHERE n.canonical = 'eve@example.test'`))
}

// seen is what an answer tells somebody who does not have the mail.
func seen(r response, address string) []string {
	body := regexp.MustCompile(`[\w-]{20,}`).ReplaceAllString(r.Body, "TOKEN")
	body = strings.ReplaceAll(body, address, "ADDRESS")
	to := r.Location()
	var cookies []string
	for _, c := range r.Cookies() {
		cookies = append(cookies, c.Name)
	}
	return append([]string{r.Status, to.Path, strings.Join(cookies, " "), r.Header.Get("Retry-After")}, strings.Split(body, "\n")...)
}

func TestLG08_AKnownAddressRegistersLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	for name, required := range map[string]string{"proved first": "true", "proved later": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), strings.Replace(open, "VERIFICATION: true", "VERIFICATION: "+required, 1))
			journey := func(address string) (all [][]string) {
				b := newBrowser(t)
				add := func(r response) response {
					all = append(all, seen(r, address))
					return r
				}
				form := b.from(i, "signup")
				add(b.answer(form, "email", address, "new-password", "short"))
				page := add(b.follow(i, add(b.answer(form, "email", address, "new-password", chosenPassword))))
				add(b.answer(page, "code", ""))
				add(b.answer(page, "code", another("000000")))
				page = add(b.follow(i, add(b.answer(page, "action", "resend"))))
				add(b.answer(page, "code", another("111111")))
				add(b.follow(i, add(b.answer(page, "action", "leave"))))
				return all
			}
			unknown, known := journey("eve@example.test"), journey("ana@example.test")
			require.Equal(t, unknown, known)
			subject, text := i.letter(t, "Ana@Example.test")
			require.Equal(t, "You already have an account at Web shop", subject)
			require.NotRegexp(t, `\b\d{6}\b`, text)
			require.NotContains(t, text, "/verify-email/")
			i.secrets(t, "eve@example.test")
		})
	}
}

func TestLG12_ClosedRegistrationIsRefusedByTheServer(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open)
	b := newBrowser(t)
	page := b.from(i, "signup")
	waiting := newBrowser(t)
	asked := waiting.register(i, "zoe@example.test")
	require.Equal(t, "verify-email", at(asked))
	i.apply(t, "realm: one\nflags: {ALLOW_AUTO_REGISTRATION: false}\nsettings: {registration: {contact: The front desk}}\n")

	closed := b.get(page.Request.URL.String())
	requirePage(t, closed, http.StatusOK)
	require.Contains(t, closed.Body, "You cannot create an account here")
	require.Contains(t, closed.Body, "The front desk")
	require.NotContains(t, closed.Body, "new-password")
	require.NotContains(t, b.loginPage(i).Body, "/signup")
	require.Equal(t, "login", at(b.authorize(i, "one", authorization("prompt", "create"))))

	refused := b.answer(page, "email", "eve@example.test", "new-password", chosenPassword)
	require.Equal(t, http.StatusForbidden, refused.StatusCode, refused.Body)
	subject, _ := i.letter(t, "eve@example.test")
	require.Empty(t, subject)
}

func TestRegistrationAdmitsDomains(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open+"settings: {registration: {allow_domains: [example.test], deny_domains: [bad.example.test]}}\n")
	for address, admitted := range map[string]bool{
		"eve@example.test": true, "eve@SUB.example.test": true, "eve@bad.example.test": false, "eve@x.bad.example.test": false,
		"eve@other.test": false, "eve@notexample.test": false, "eve@example.test.evil": false,
	} {
		t.Run(address, func(t *testing.T) {
			b := newBrowser(t)
			answer := b.answer(b.from(i, "signup"), "email", address, "new-password", chosenPassword)
			if admitted {
				require.Equal(t, http.StatusSeeOther, answer.StatusCode, answer.Body)
				return
			}
			require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode)
			require.Contains(t, answer.Body, "Accounts are not made for addresses of this domain")
			require.Equal(t, address, input(t, answer.Body, "email")["value"])
			require.NotContains(t, answer.Body, chosenPassword)
		})
	}
}

func TestRequiredClaims(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open+"settings: {profile: [{claim: given_name, required: true}, {claim: nickname, required: true}]}\n")
	t.Run("are asked of who registers", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		page := b.from(i, "signup")
		filled := []string{"email", "eve@example.test", "new-password", chosenPassword, "given_name", "Eve"}
		answer := b.answer(page, filled...)
		require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode)
		require.Equal(t, "true", input(t, answer.Body, "nickname")["aria-invalid"])
		require.Equal(t, "Eve", input(t, answer.Body, "given_name")["value"])
		page = b.follow(i, b.answer(page, append(filled, "nickname", "evie")...))
		code, _ := i.secrets(t, "eve@example.test")
		who := whoIs(t, i, b.follow(i, b.answer(page, "code", code)))
		require.Equal(t, "Eve", who["given_name"])
		require.Equal(t, "evie", who["nickname"])
	})
	t.Run("and once of who has an account", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		page := b.follow(i, b.try(b.loginPage(i), "ana", anaPassword))
		require.Equal(t, "profile", at(page), page.Body)
		require.NotContains(t, page.Body, `name="given_name"`, "what is known is not asked")
		require.Equal(t, http.StatusUnprocessableEntity, b.answer(page, "nickname", " ").StatusCode)
		require.Equal(t, "annie", whoIs(t, i, b.follow(i, b.answer(page, "nickname", "annie")))["nickname"])
		again := newBrowser(t)
		requireCode(t, again.follow(i, again.try(again.loginPage(i), "ana", anaPassword)))
	})
}

// disable has an administrator take an account out of use.
func (i *instance) disable(t *testing.T, name string) {
	t.Helper()
	id := i.person(t, name)
	require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error {
		_, err := lifecycle.Disable(t.Context(), tx, id, "", i.Clock.Now())
		return err
	}))
}

func (i *instance) person(t testing.TB, name string) uuid.UUID {
	t.Helper()
	return one[uuid.UUID](t, i, "one", `SELECT user_id FROM identifiers WHERE canonical = $1`, name)
}
