package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
)

// spend types wrong codes into the page until there are no more tries, asking for another code when one is dead.
func (b *browser) spend(i *instance, page response) response {
	b.t.Helper()
	for n := 0; ; n++ {
		require.Less(b.t, n, 2*budget)
		if r := b.answer(page, "code", "no code"); r.StatusCode == http.StatusTooManyRequests {
			return b.follow(i, b.answer(page, "action", "resend"))
		}
	}
}

// bySignInCode opens the page that waits for a code to sign in with.
func (b *browser) bySignInCode(i *instance, name string) response {
	b.t.Helper()
	page := b.follow(i, b.answer(b.from(i, "email-code"), "username", name))
	require.Equal(b.t, "email-code", at(page), page.Body)
	return page
}

func TestLG05_CountersAreSeparate(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), patient)
	b := newBrowser(t)
	login := b.loginPage(i)
	requirePasswordWaits := func(wait bool) {
		t.Helper()
		if wait {
			require.Equal(t, http.StatusTooManyRequests, b.try(login, "ana", anaPassword).StatusCode)
		} else {
			require.Equal(t, http.StatusUnprocessableEntity, b.try(login, "ana", "wrong").StatusCode)
		}
	}
	recovery := newBrowser(t)
	waiting := recovery.recover(i, "ana")
	requireRecoveryWaits := func() {
		t.Helper()
		code, _ := i.secrets(t, "ana@example.test")
		require.Equal(t, http.StatusTooManyRequests, recovery.answer(waiting, "code", code).StatusCode, "the right one, too")
	}

	// Codes of recovery are used up: neither passwords nor codes to sign in with are.
	waiting = recovery.spend(i, waiting)
	requireRecoveryWaits()
	requirePasswordWaits(false)
	// Signing in by a code gives back neither.
	for range budget - 1 {
		requirePasswordWaits(false)
	}
	requirePasswordWaits(true)
	mailed := newBrowser(t)
	page := mailed.bySignInCode(i, "ana")
	require.Equal(t, http.StatusUnprocessableEntity, mailed.answer(page, "code", "no code").StatusCode)
	code, _ := i.secrets(t, "ana@example.test")
	requireCode(t, mailed.follow(i, mailed.answer(page, "code", code)))
	requirePasswordWaits(true)
	waiting = recovery.follow(i, recovery.answer(waiting, "action", "resend"))
	requireRecoveryWaits()

	// A right password gives back no codes.
	owner := newBrowser(t)
	page = owner.bySignInCode(i, "bob")
	page = owner.spend(i, page)
	other := newBrowser(t)
	verify := other.follow(i, other.try(other.loginPage(i), "bob", anaPassword))
	require.Equal(t, "verify-email", at(verify), "the password was right")
	code, _ = i.secrets(t, "bob@example.test")
	require.Equal(t, http.StatusTooManyRequests, owner.answer(page, "code", code).StatusCode)
	// And the code that proves an address is none of these.
	waits := other.follow(i, other.answer(verify, "email", "bob@example.test"))
	code, _ = i.secrets(t, "bob@example.test")
	requireCode(t, other.follow(i, other.answer(waits, "code", code)))
}

// asks are the pages on which somebody has a mail sent to a name.
var asks = map[string]struct{ step, field string }{
	"recovery":     {"recover", "username"},
	"registration": {"signup", "email"},
	"sign-in code": {"email-code", "username"},
}

func TestLG03_MailsToAllSpellingsShareOneBudget(t *testing.T) {
	t.Parallel()
	addresses := map[string][]string{
		"known":   {"ana@example.test", "ANA@EXAMPLE.TEST", " ana@example.test ", "Ana@example\u3002test", "\uff41na@example.test", "ana@\uff25xample.test"},
		"unknown": {"eve@example.test", "EVE@EXAMPLE.TEST", " eve@example.test ", "Eve@example\u3002test", "\uff45ve@example.test", "eve@\uff25xample.test"},
	}
	for name, ask := range asks {
		for whose, spellings := range addresses {
			t.Run(name+" of "+whose, func(t *testing.T) {
				t.Parallel()
				i := start(t, realmFile("one"), patient)
				if whose == "known" && ask.field == "username" {
					spellings = append([]string{"ana", "ANA", "\uff21na"}, spellings...)
				}
				send := func(spelling string) int {
					b := newBrowser(t)
					return b.answer(b.from(i, ask.step), ask.field, spelling, "new-password", chosenPassword).StatusCode
				}
				for n := range 5 {
					require.Equal(t, http.StatusSeeOther, send(spellings[n]), spellings[n])
				}
				for _, spelling := range spellings {
					require.Equal(t, http.StatusTooManyRequests, send(spelling), spelling)
				}
			})
		}
	}
}

func TestLG03_CodesOfAllSpellingsShareOneCounter(t *testing.T) {
	t.Parallel()
	for name, spellings := range map[string][]string{
		"known":   {"ana", "ANA@EXAMPLE.TEST", "\uff41na", " ana@example.test", "Ana@example\u3002test"},
		"unknown": {"nobody@example.test", "NOBODY@example.test", "nobody@example\u3002test", "\uff4eobody@example.test", " nobody@example.test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), patient)
			var last *browser
			var page response
			for _, spelling := range spellings {
				last = newBrowser(t)
				page = last.follow(i, last.answer(last.from(i, "recover"), "username", spelling))
				require.Equal(t, http.StatusUnprocessableEntity, last.answer(page, "code", "no code").StatusCode, spelling)
			}
			require.Equal(t, http.StatusTooManyRequests, last.answer(page, "code", "no code").StatusCode)
		})
	}
}

// However a stranger keeps failing, the owner's mail lets them in.
func TestLG04_AStrangerCannotKeepTheOwnerOut(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"code", "link"} {
		t.Run("who recovers by the "+by, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), patient)
			owner := browserFrom(t, "127.0.0.7")
			guess := func(from string) {
				stranger := browserFrom(t, from)
				page := stranger.loginPage(i)
				stranger.fail(page, "ana", budget)
				require.Equal(t, http.StatusTooManyRequests, stranger.try(page, "ana", "wrong").StatusCode)
			}
			guess("127.0.0.8")
			require.Equal(t, http.StatusTooManyRequests, owner.try(owner.loginPage(i), "ana", anaPassword).StatusCode)

			page := owner.recover(i, "ana")
			code, link := i.secrets(t, "ana@example.test")
			if by == "code" {
				page = owner.follow(i, owner.answer(page, "code", code))
			} else {
				page = owner.follow(i, owner.button(i, owner.get(link)))
			}
			login := owner.follow(i, owner.answer(page, "new-password", chosenPassword))
			guess("127.0.0.9") // the account is counted anew, and used up again
			requireCode(t, owner.follow(i, owner.try(login, "ana", chosenPassword)))
			for _, from := range []string{"127.0.0.8", "127.0.0.9"} {
				stranger := browserFrom(t, from)
				require.Equal(t, http.StatusTooManyRequests, stranger.try(stranger.loginPage(i), "ana", "wrong").StatusCode, "it lets nobody guess on")
			}
		})
	}
	t.Run("by using up codes and mails", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), patient)
		stranger, owner := browserFrom(t, "127.0.0.8"), browserFrom(t, "127.0.0.7")
		page := stranger.spend(i, stranger.recover(i, "ana"))
		for n := 0; stranger.answer(page, "action", "resend").StatusCode != http.StatusTooManyRequests; n++ {
			require.Less(t, n, 20)
		}
		ask := owner.from(i, "recover")
		require.Equal(t, http.StatusTooManyRequests, owner.answer(ask, "username", "ana").StatusCode)
		_, link := i.secrets(t, "ana@example.test") // of the last mail that the stranger had sent
		page = owner.follow(i, owner.button(i, owner.get(link)))
		require.Equal(t, "password", at(page), page.Body)
		owner.follow(i, owner.answer(page, "new-password", chosenPassword))
		requireCode(t, owner.follow(i, owner.try(owner.loginPage(i), "ana", chosenPassword)))
	})
	t.Run("who has another way to sign in", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), patient)
		stranger, owner := browserFrom(t, "127.0.0.8"), browserFrom(t, "127.0.0.7")
		stranger.fail(stranger.loginPage(i), "ana", budget)
		page := owner.bySignInCode(i, "ana")
		code, _ := i.secrets(t, "ana@example.test")
		requireCode(t, owner.follow(i, owner.answer(page, "code", code)))
	})
}

// An administrator has attempts forgotten in every process, whatever counts them and wherever they came from.
func TestUnthrottle(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T) (one, two *instance){
		"with processes that share nothing": neighbouring,
		"with Redis": func(t *testing.T) (one, two *instance) {
			t.Helper()
			one, two, _ = sharing(t, realmFile("one"), patient)
			return one, two
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := begin(t)
			guessPasswords(t, "ana", first, second)
			requireHeldOff(t, first, second)
			b := newBrowser(t)
			page := b.spend(first, b.recover(first, "ana"))
			for n := 0; b.answer(page, "action", "resend").StatusCode != http.StatusTooManyRequests; n++ {
				require.Less(t, n, 20)
			}

			_, err := app.UserDo(t.Context(), operator(t, first), "one", "ana", app.UnthrottleUser, "")
			require.NoError(t, err)
			page = b.follow(first, b.answer(page, "action", "resend"))
			code, _ := sent(t, "ana@example.test", first, second)
			require.Equal(t, "password", at(b.follow(first, b.answer(page, "code", code))))
			for _, i := range []*instance{first, second} {
				owner := newBrowser(t)
				require.Equal(t, http.StatusUnprocessableEntity, owner.try(owner.loginPage(i), "ana", "wrong").StatusCode)
				requireCode(t, owner.follow(i, owner.try(owner.loginPage(i), "ANA@example.test", anaPassword)))
			}
			guessPasswords(t, "ana", first, second)
			requireHeldOff(t, first, second)
			require.Len(t, eventData(t, first, "one", "user.unthrottled"), 1)
		})
	}
}
