package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/worker"
)

// recover asks for the mail to choose a new password and returns the page that waits for the code.
func (b *browser) recover(i *instance, name string) response {
	b.t.Helper()
	page := b.follow(i, b.answer(b.from(i, "recover"), "username", name))
	require.Equal(b.t, "recover", at(page), page.Body)
	require.Contains(b.t, page.Body, "If there is an account for "+name)
	return page
}

// redeem shows ana's code back and returns the page for the new password.
func (b *browser) redeem(i *instance, page response) response {
	b.t.Helper()
	code, _ := i.secrets(b.t, "ana@example.test")
	page = b.follow(i, b.answer(page, "code", code))
	require.Equal(b.t, "password", at(page), page.Body)
	return page
}

// recovery is all of a realm that recovering an account could have changed.
func recovery(t testing.TB, i *instance) string {
	t.Helper()
	return one[string](t, i, "one", `SELECT (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY id), '[]') FROM challenges c)::text
		|| (SELECT jsonb_agg(to_jsonb(p) ORDER BY user_id) FROM passwords p)::text
		|| (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY id), '[]') FROM sessions s)::text || (SELECT count(*) FROM events)::text`)
}

// requirePassword requires that ana signs in with one password and not with the other.
func requirePassword(t testing.TB, i *instance, good, bad string) {
	t.Helper()
	b := newBrowser(t)
	page := b.loginPage(i)
	require.Equal(t, http.StatusUnprocessableEntity, b.try(page, "ana", bad).StatusCode)
	requireCode(t, b.follow(i, b.try(page, "ana", good)))
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	t.Run("by the code goes on to the application, by the new password", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		page := b.redeem(i, b.recover(i, "ana"))
		require.Equal(t, "Ana@Example.test", hidden(t, page.Body, "username"), "for password managers")
		refused := b.answer(page, "new-password", anaPassword)
		require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, "the one that there is")
		require.Equal(t, http.StatusUnprocessableEntity, b.answer(page, "new-password", "short").StatusCode)
		login := b.follow(i, b.answer(page, "new-password", chosenPassword))
		require.Equal(t, "login", at(login))
		require.Contains(t, login.Body, "Your password is changed")
		require.Equal(t, "login_required", b.silent(i), "it signs nobody in")
		require.Equal(t, "login", at(b.follow(i, b.answer(page, "new-password", "another "+chosenPassword))), "once")
		require.Equal(t, http.StatusUnprocessableEntity, b.try(login, "ana", anaPassword).StatusCode)
		requireCode(t, b.follow(i, b.try(login, "ana", chosenPassword)))
		requirePassword(t, i, chosenPassword, anaPassword)
	})
	t.Run("by the link in the browser that asked goes on there", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		b.recover(i, "Ana@Example.test")
		_, link := i.secrets(t, "ana@example.test")
		page := b.follow(i, b.button(i, b.get(link)))
		require.Equal(t, "password", at(page), page.Body)
		login := b.follow(i, b.answer(page, "new-password", chosenPassword))
		require.Equal(t, "login", at(login))
		requireCode(t, b.follow(i, b.try(login, "ana", chosenPassword)))
	})
	t.Run("by the link in another browser ends there", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b, phone := newBrowser(t), newBrowser(t)
		waiting := b.recover(i, "ana")
		_, link := i.secrets(t, "ana@example.test")
		page := phone.follow(i, phone.button(i, phone.get(link)))
		require.Equal(t, "password", at(page), page.Body)
		require.NotEqual(t, "password", at(b.follow(i, b.get(waiting.Request.URL.String()))), "who asked has shown nothing")
		done := phone.follow(i, phone.answer(page, "new-password", chosenPassword))
		require.Equal(t, "continue", at(done))
		require.Contains(t, done.Body, "Your password is changed")
		require.Equal(t, "login_required", phone.silent(i))
		requirePassword(t, i, chosenPassword, anaPassword)
	})
	t.Run("without an application", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		form := b.follow(i, b.get(i.Issuer("one")+"/recover"))
		page := b.redeem(i, b.follow(i, b.answer(form, "username", "ana")))
		require.Contains(t, b.follow(i, b.answer(page, "new-password", chosenPassword)).Body, "Your password is changed")
		requirePassword(t, i, chosenPassword, anaPassword)
	})
}

func TestRS05_RecoveryEndsWhatTheOldPasswordOpened(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	here, there := signedIn(t, i), signedIn(t, i, "remember", "1")
	kept, offline := keeper(t, i, "openid"), keeper(t, i, "openid offline_access")
	b := here // even the browser that recovers is signed out
	i.Clock.Advance(time.Minute)
	page := b.authorize(i, "one", authorization("prompt", "login"))
	page = b.follow(i, b.answer(b.press(i, page, "recover"), "username", "ana"))
	page = b.redeem(i, page)
	require.Empty(t, there.silent(i), "not before the new password")
	require.Equal(t, "login", at(b.follow(i, b.answer(page, "new-password", chosenPassword))))

	require.Equal(t, "login_required", here.silent(i))
	require.Equal(t, "login_required", there.silent(i))
	for _, dead := range []tokens{kept, offline} {
		require.Equal(t, "invalid_grant", refresh(t, i, dead.RefreshToken).Error)
		require.Contains(t, active(t, i, dead.AccessToken), `"active":false`)
	}
	subject, _ := i.letter(t, "ana@example.test")
	require.Equal(t, "Your password was changed", subject)
	requirePassword(t, i, chosenPassword, anaPassword)
}

func TestRS05_ID05_ARedeemedRecoveryDies(t *testing.T) {
	t.Parallel()
	inTx := func(t *testing.T, i *instance, act func(tx realm.Tx, ana uuid.UUID) error) {
		t.Helper()
		ana := i.person(t, "ana")
		require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error { return act(tx, ana) }))
	}
	for name, meanwhile := range map[string]func(t *testing.T, i *instance){
		"when the account is disabled, and stays so when it is enabled": func(t *testing.T, i *instance) {
			t.Helper()
			i.disable(t, "ana")
			i.enable(t, i.person(t, "ana"))
		},
		"when an administrator sets another password": func(t *testing.T, i *instance) {
			t.Helper()
			inTx(t, i, func(tx realm.Tx, ana uuid.UUID) error {
				_, err := lifecycle.SetPassword(t.Context(), tx, lifecycle.NewPassword{User: ana, Hash: "$argon2id$none", KeepOthers: true}, i.Clock.Now())
				return err
			})
		},
		"when the address changes": func(t *testing.T, i *instance) {
			t.Helper()
			i.apply(t, "realm: one\nusers: [{username: ana, email: new@example.test}]")
		},
		"when another one is redeemed": func(t *testing.T, i *instance) {
			t.Helper()
			other := newBrowser(t)
			other.redeem(i, other.recover(i, "ana"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"))
			b := newBrowser(t)
			page := b.redeem(i, b.recover(i, "ana"))
			meanwhile(t, i)
			before := passwordHash(t, i, i.person(t, "ana"))
			for _, r := range []response{b.get(page.Request.URL.String()), b.answer(page, "new-password", chosenPassword)} {
				require.Equal(t, "login", at(b.follow(i, r)), r.Body)
			}
			require.Equal(t, before, passwordHash(t, i, i.person(t, "ana")))
		})
	}
	t.Run("but not when another one is only asked for", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		page := b.redeem(i, b.recover(i, "ana"))
		newBrowser(t).recover(i, "ana")
		require.Equal(t, "login", at(b.follow(i, b.answer(page, "new-password", chosenPassword))))
		requirePassword(t, i, chosenPassword, anaPassword)
	})
	t.Run("with the links that were mailed when the account is disabled", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		newBrowser(t).recover(i, "ana")
		_, link := i.secrets(t, "ana@example.test")
		i.disable(t, "ana")
		i.enable(t, i.person(t, "ana"))
		require.Equal(t, http.StatusGone, newBrowser(t).get(link).StatusCode)
	})
}

func TestRS01_ALinkThatWasFollowedInTimeOutlivesItsChallenge(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	newBrowser(t).recover(i, "ana")
	_, link := i.secrets(t, "ana@example.test")
	i.Clock.Advance(time.Hour - time.Second)
	b := newBrowser(t)
	page := b.follow(i, b.button(i, b.get(link)))
	require.Equal(t, "password", at(page))
	i.Clock.Advance(20 * time.Minute)
	require.NoError(t, worker.Housekeeping{Realms: i.Realms, Keys: i.Keys, Now: i.Clock.Now}.Clean(t.Context()))
	require.Contains(t, b.setPassword(i, page, chosenPassword).Body, "Your password is changed")
}

// What becomes of an account shows on no page that waits for a code of it.
func TestLG08_APageThatWaitsForACodeTellsNothing(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(t *testing.T, i *instance, name string){
		"when another browser asks too": func(t *testing.T, i *instance, name string) {
			t.Helper()
			newBrowser(t).recover(i, name)
		},
		"when the account is disabled": func(t *testing.T, i *instance, name string) {
			t.Helper()
			if name == "ana" {
				i.disable(t, "ana")
			}
		},
		"when its owner recovers it": func(t *testing.T, i *instance, name string) {
			t.Helper()
			owner := newBrowser(t)
			page := owner.recover(i, name)
			if name == "ana" {
				owner.follow(i, owner.answer(owner.redeem(i, page), "new-password", chosenPassword))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journey := func(name string) (all [][]string) {
				i := start(t, realmFile("one"))
				b := newBrowser(t)
				page := b.recover(i, name)
				meanwhile(t, i, name)
				add := func(r response) response {
					all = append(all, seen(r, name))
					return r
				}
				add(b.follow(i, b.get(page.Request.URL.String())))
				for range 6 {
					add(b.answer(page, "code", "123 456"))
				}
				add(b.follow(i, add(b.answer(page, "action", "resend"))))
				return all
			}
			require.Equal(t, journey("nobody"), journey("ana"))
		})
	}
}

func TestLG08_AKnownNameRecoversLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	i := start(t, withUsers("username: locked\nemail: locked@example.test\nenabled: false\npassword: "+anaPassword, "username: mailless\npassword: "+anaPassword))
	journey := func(name, from string) (all [][]string) {
		b := browserFrom(t, from)
		add := func(r response) response {
			all = append(all, seen(r, name))
			return r
		}
		page := add(b.follow(i, add(b.answer(b.from(i, "recover"), "username", name))))
		add(b.answer(page, "code", another("000000")))
		page = add(b.follow(i, add(b.answer(page, "action", "resend"))))
		for range 3 {
			page = b.follow(i, b.answer(page, "action", "resend"))
		}
		add(b.answer(page, "action", "resend")) // the sixth
		add(b.follow(i, add(b.answer(page, "action", "leave"))))
		return all
	}
	unknown := journey("nobody", "127.0.1.1")
	require.Equal(t, "429 Too Many Requests", unknown[5][0], "%s", unknown[5])
	for n, name := range []string{"ana", "bob@example.test", "nobody@example.test", "locked", "mailless"} {
		require.Equal(t, unknown, journey(name, fmt.Sprintf("127.0.2.%d", n+1)), name)
	}
	to := map[string]int{}
	for _, m := range i.mails(t, "one") {
		to[strings.ToLower(m.To.Mailbox)]++
	}
	require.Equal(t, map[string]int{"ana@example.test": 5, "bob@example.test": 5}, to)
}

func TestRecoveryShowsWhatWasTypedAndNoMore(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.recover(i, "ana")
	code, _ := i.secrets(t, "ana@example.test")
	for _, r := range []response{page, b.answer(page, "code", another(code)), b.follow(i, b.answer(page, "action", "resend"))} {
		require.NotContains(t, strings.ToLower(r.Body), "@")
		require.NotContains(t, r.Body, "Silva")
	}
}

func TestRS01_RS07_ALinkWorksOnceForAnHourAndUntilTheNext(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T) (i *instance, b *browser, page response, link string) {
		t.Helper()
		i, b = start(t, realmFile("one")), newBrowser(t)
		page = b.recover(i, "ana")
		_, link = i.secrets(t, "ana@example.test")
		return i, b, page, link
	}
	gone := func(t *testing.T, i *instance, link string) {
		t.Helper()
		r := newBrowser(t).get(link)
		requirePage(t, r, http.StatusGone)
		require.Contains(t, r.Body, i.Issuer("one")[len(i.URL):]+"/recover", "where to get another one")
	}
	t.Run("used", func(t *testing.T) {
		t.Parallel()
		i, _, _, link := ask(t)
		first, second := newBrowser(t), newBrowser(t)
		page, late := first.get(link), second.get(link)
		require.Equal(t, "password", at(first.follow(i, first.button(i, page))))
		gone(t, i, link)
		require.Equal(t, http.StatusGone, second.button(i, late).StatusCode)
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		i, _, _, link := ask(t)
		b := newBrowser(t)
		page := b.get(link)
		i.Clock.Advance(time.Hour - time.Second)
		require.Equal(t, http.StatusOK, newBrowser(t).get(link).StatusCode)
		i.Clock.Advance(time.Second)
		gone(t, i, link)
		require.Equal(t, http.StatusGone, b.button(i, page).StatusCode)
	})
	t.Run("an expired code", func(t *testing.T) {
		t.Parallel()
		i, b, page, _ := ask(t)
		code, _ := i.secrets(t, "ana@example.test")
		i.Clock.Advance(10 * time.Minute)
		require.Contains(t, b.answer(page, "code", code).Body, "This code can no longer be used")
	})
	t.Run("replaced by the one that was sent again", func(t *testing.T) {
		t.Parallel()
		i, b, page, link := ask(t)
		old, _ := i.secrets(t, "ana@example.test")
		page = b.follow(i, b.answer(page, "action", "resend"))
		code, next := i.secrets(t, "ana@example.test")
		gone(t, i, link)
		require.Equal(t, http.StatusOK, newBrowser(t).get(next).StatusCode)
		if old != code {
			require.Equal(t, http.StatusUnprocessableEntity, b.answer(page, "code", old).StatusCode)
		}
		require.Equal(t, "password", at(b.follow(i, b.answer(page, "code", code))))
		gone(t, i, next)
	})
	t.Run("replaced from another browser", func(t *testing.T) {
		t.Parallel()
		i, b, page, link := ask(t)
		old, _ := i.secrets(t, "ana@example.test")
		newBrowser(t).recover(i, "ana@example.test")
		gone(t, i, link)
		require.NotEqual(t, "password", at(b.follow(i, b.answer(page, "code", old))))
	})
	t.Run("tried too often", func(t *testing.T) {
		t.Parallel()
		i, b, page, _ := ask(t)
		code, _ := i.secrets(t, "ana@example.test")
		for range 5 {
			require.NotEqual(t, http.StatusSeeOther, b.answer(page, "code", another(code)).StatusCode)
			i.Clock.Advance(time.Minute)
		}
		require.NotEqual(t, http.StatusSeeOther, b.answer(page, "code", code).StatusCode)
	})
}

func TestRS02_ASecretDoesNothingForAnotherPurposeOrRealm(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"), open+"settings: {sign_in: {email_code: true}}\n")
	b := newBrowser(t)
	b.recover(i, "ana")
	b.register(i, "eve@example.test")
	_, reset := i.secrets(t, "ana@example.test")
	_, verify := i.secrets(t, "eve@example.test")
	secret := func(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }
	own := b.get(reset)
	before := recovery(t, i)
	for _, link := range []string{reset, verify} {
		for _, issuer := range []string{i.Issuer("one"), i.Issuer("two")} {
			for _, step := range []string{"recover", "verify-email", "invitation", "email-code"} {
				address := issuer + "/" + step + "/" + secret(link)
				if address == link {
					continue
				}
				require.Equal(t, http.StatusGone, b.get(address).StatusCode, address)
				stolen := b.post(address, url.Values{"csrf": {hidden(t, own.Body, "csrf")}})
				require.Equal(t, http.StatusForbidden, stolen.StatusCode, "a form belongs to its page: %s", address)
			}
		}
	}
	require.Equal(t, before, recovery(t, i))
	require.Equal(t, "password", at(b.follow(i, b.button(i, own))))
}

func TestRS03_TheLinkLeadsToTheIssuer(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	form := b.from(i, "recover")
	fields := url.Values{"csrf": {hidden(t, form.Body, "csrf")}, "username": {"ana"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, form.Request.URL.String(), strings.NewReader(fields.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Host = "evil.example"
	require.GreaterOrEqual(t, b.do(req).StatusCode, 400)
	require.Empty(t, i.mails(t, "one"))

	answer := b.post(form.Request.URL.String(), fields, "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https",
		"Forwarded", "host=evil.example;proto=https", "X-Original-Host", "evil.example", "X-Host", "evil.example")
	require.Equal(t, http.StatusSeeOther, answer.StatusCode, answer.Body)
	_, text := i.letter(t, "ana@example.test")
	require.NotContains(t, text, "evil.example")
	for _, link := range regexp.MustCompile(`https?://\S+`).FindAllString(text, -1) {
		require.True(t, strings.HasPrefix(link, i.Issuer("one")+"/"), link)
	}
}

func TestRS04_LookingChangesNothing(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open)
	b := newBrowser(t)
	waiting := b.recover(i, "ana")
	newBrowser(t).register(i, "eve@example.test")
	var links []string
	for _, m := range i.mails(t, "one") {
		links = append(links, regexp.MustCompile(`https?://[^\s"<>]+`).FindAllString(m.Text+" "+m.HTML, -1)...)
	}
	require.GreaterOrEqual(t, len(links), 4)
	before := recovery(t, i)
	scanner := newBrowser(t)
	for _, link := range links {
		for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} {
			r := scanner.send(method, link)
			require.Less(t, r.StatusCode, 500, "%s %s", method, link)
			if method == http.MethodGet && strings.Contains(link, "/recover/") {
				require.Equal(t, http.StatusOK, r.StatusCode)
				require.Equal(t, "no-referrer", r.Header.Get("Referrer-Policy"))
				require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
			}
		}
		for _, form := range []url.Values{{}, {"csrf": {"AAAA"}}, {"csrf": {hidden(t, waiting.Body, "csrf")}}} {
			require.GreaterOrEqual(t, scanner.post(link, form).StatusCode, 400, link)
		}
	}
	require.Equal(t, before, recovery(t, i))
	_, link := i.secrets(t, "ana@example.test")
	require.Equal(t, http.StatusForbidden, b.post(link, url.Values{"csrf": {hidden(t, scanner.get(link).Body, "csrf")}}).StatusCode, "another browser's form")
	require.Equal(t, before, recovery(t, i))
	require.Equal(t, "password", at(b.follow(i, b.button(i, b.get(link)))))
}

func TestRS06_ThePasswordPageComesAfterTheSecret(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	login := b.loginPage(i)
	skip := func(name string, page response, onward string) {
		address := strings.Replace(page.Request.URL.String(), "/"+at(page)+"?", "/password?", 1)
		require.Contains(t, address, "/password?tx=", name)
		require.Equal(t, onward, at(b.follow(i, b.get(address))), name)
		before := recovery(t, i)
		for _, fields := range []url.Values{{"new-password": {chosenPassword}}, {"new-password": {chosenPassword}, "password": {anaPassword}, "username": {"ana"}}} {
			fields.Set("csrf", hidden(t, page.Body, "csrf"))
			r := b.post(address, fields)
			require.Equal(t, http.StatusSeeOther, r.StatusCode, name)
			require.Equal(t, onward, at(b.follow(i, r)), name)
		}
		require.Equal(t, before, recovery(t, i), name)
	}
	skip("nothing asked", login, "login")
	waiting := b.follow(i, b.answer(b.press(i, login, "recover"), "username", "ana"))
	skip("no code typed", waiting, "recover")
	code, _ := i.secrets(t, "ana@example.test")
	b.answer(waiting, "code", another(code))
	skip("a wrong code typed", waiting, "recover")
	page := b.redeem(i, waiting)
	thief := newBrowser(t)
	require.NotEqual(t, "password", at(thief.follow(i, thief.get(page.Request.URL.String()))), "only the browser that showed the code")
	require.Equal(t, "login", at(b.follow(i, b.answer(page, "new-password", chosenPassword))))
	skip("once is enough", login, "login")
}

// Whoever reads the mails of an account learns that their link does not work any more, and never that all is done.
func TestLG06_TheLinkOfADisabledAccountSaysThatItIsOver(t *testing.T) {
	t.Parallel()
	over := func(t *testing.T, r response) {
		t.Helper()
		requirePage(t, r, http.StatusGone)
		require.Contains(t, r.Body, "This link does not work any more")
		require.NotRegexp(t, `(?i)switched off|disabled|all done|signed in`, r.Body)
	}
	t.Run("followed before", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		newBrowser(t).recover(i, "ana")
		_, link := i.secrets(t, "ana@example.test")
		phone := newBrowser(t)
		page := phone.follow(i, phone.button(i, phone.get(link)))
		require.Equal(t, "password", at(page))
		i.disable(t, "ana")
		over(t, phone.follow(i, phone.get(page.Request.URL.String())))
		over(t, phone.follow(i, phone.answer(page, "new-password", chosenPassword)))
		over(t, phone.get(link))
	})
	for name, step := range map[string]string{"sent again": "recover", "sent again to sign in": "email-code"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), "realm: one\nsettings: {sign_in: {email_code: true}}\n")
			b := newBrowser(t)
			waiting := b.follow(i, b.answer(b.from(i, step), "username", "ana"))
			i.disable(t, "ana")
			waiting = b.follow(i, b.answer(waiting, "action", "resend"))
			code, link := i.secrets(t, "ana@example.test")
			over(t, b.button(i, b.get(link)))
			require.Contains(t, b.answer(waiting, "code", code).Body, "This code can no longer be used")
		})
	}
}
