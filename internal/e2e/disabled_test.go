package e2e

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// enable lets whoever was disabled sign in again.
func (i *instance) enable(t *testing.T, person uuid.UUID) {
	t.Helper()
	require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error {
		_, err := lifecycle.Enable(t.Context(), tx, person, i.Clock.Now())
		return err
	}))
}

// interrupted is a journey in the middle of which its account is disabled.
type interrupted struct {
	// who is disabled, "" for ana; file changes the realm.
	who, file string
	// reach is the way to where it happens, goOn what the person does there, in the browser or another one.
	reach func(t *testing.T, i *instance, b *browser) response
	goOn  func(i *instance, b *browser, page response) response
	// says is on the last page, and at where it is; "" is login.
	says, at string
}

// presses are fields and buttons of the page that is there.
func presses(fields ...string) func(i *instance, b *browser, page response) response {
	return func(_ *instance, b *browser, page response) response { return b.answer(page, fields...) }
}

// typesCode types the code that was mailed to an address, before its owner was told that the account is disabled.
func typesCode(address string) func(i *instance, b *browser, page response) response {
	return func(i *instance, b *browser, page response) response {
		b.t.Helper()
		for _, m := range i.mails(b.t, "one") {
			if code := regexp.MustCompile(`(?m)^\s*(\d{6})\s*$`).FindString(m.Text); code != "" && strings.EqualFold(m.To.Mailbox, address) {
				return b.answer(page, "code", strings.TrimSpace(code))
			}
		}
		require.Fail(b.t, "no code was mailed")
		return page
	}
}

const linkGone = "This link does not work any more"

const byMail = "realm: one\nsettings: {sign_in: {email_code: true}}\n"

func journeys() map[string]interrupted {
	signsIn := func(fields ...string) func(t *testing.T, i *instance, b *browser) response {
		return func(_ *testing.T, i *instance, b *browser) response {
			return b.follow(i, b.try(b.loginPage(i, fields...), "ana", anaPassword))
		}
	}
	asksForACode := func(_ *testing.T, i *instance, b *browser) response {
		return b.follow(i, b.answer(b.from(i, "email-code"), "username", "ana"))
	}
	recovers := func(_ *testing.T, i *instance, b *browser) response { return b.recover(i, "ana") }
	verifies := func(t *testing.T, i *instance, b *browser) response {
		t.Helper()
		page := b.follow(i, b.try(b.loginPage(i), "bob", anaPassword))
		require.Equal(t, "verify-email", at(page), page.Body)
		return page
	}
	opensTheInvitation := func(t *testing.T, i *instance, b *browser) response {
		t.Helper()
		link, _ := invite(t, i)
		return b.get(link)
	}
	return map[string]interrupted{
		"sign-in, before the password": {
			reach: func(_ *testing.T, i *instance, b *browser) response { return b.loginPage(i) },
			goOn:  presses("username", "ana", "password", anaPassword), says: "This account is switched off.",
		},
		"sign-in, after the password": {
			reach: func(_ *testing.T, i *instance, b *browser) response { return b.try(b.loginPage(i), "ana", anaPassword) },
			goOn:  func(_ *instance, b *browser, r response) response { return b.get(r.Location().String()) },
		},
		"choice of an account": {
			reach: func(_ *testing.T, i *instance, b *browser) response {
				b.signIn(i, b.loginPage(i), "ana", anaPassword)
				i.Clock.Advance(time.Minute)
				return b.authorize(i, "one", authorization("prompt", "select_account"))
			},
			goOn: presses("account", "this"),
		},
		"consent": {
			file: "realm: one\napplications: [{client_id: web, consent: always}]\n", reach: signsIn(), goOn: presses("decision", "allow"),
		},
		"profile": {
			file: "realm: one\nsettings: {profile: [{claim: nickname, required: true}]}\n", reach: signsIn(), goOn: presses("nickname", "Annie"),
		},
		"forced change, right after the sign-in": {
			reach: func(_ *testing.T, i *instance, b *browser) response {
				i.demand(b.t.(*testing.T)) //nolint:forcetypeassert // it is
				return b.follow(i, b.try(b.loginPage(i), "ana", anaPassword))
			},
			goOn: presses("new-password", chosenPassword),
		},
		"forced change, in a live session": {
			reach: func(_ *testing.T, i *instance, b *browser) response {
				b.signIn(i, b.loginPage(i), "ana", anaPassword)
				i.Clock.Advance(time.Minute)
				i.demand(b.t.(*testing.T)) //nolint:forcetypeassert // it is
				return b.authorize(i, "one", authorization())
			},
			goOn: presses("password", anaPassword, "new-password", chosenPassword),
		},
		"proof of an address, before the mail": {who: "bob", file: open, reach: verifies, goOn: presses("email", "bob@example.test")},
		"proof of an address, by the code": {
			who: "bob", file: open,
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				return b.follow(i, b.answer(verifies(t, i, b), "email", "bob@example.test"))
			},
			goOn: typesCode("bob@example.test"),
		},
		"registration, after the link in another browser": {
			who: "eve@example.test", file: open,
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				page := b.register(i, "eve@example.test")
				_, link := i.secrets(t, "eve@example.test")
				phone := newBrowser(t)
				require.Equal(t, http.StatusOK, phone.button(i, phone.get(link)).StatusCode)
				return page
			},
			goOn: func(i *instance, b *browser, page response) response { return b.press(i, page, "authorize") },
		},
		"recovery, by the code": {
			reach: recovers, goOn: typesCode("ana@example.test"), says: "This is not the code of the newest message", at: "recover",
		},
		"recovery, by the link": {
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				recovers(t, i, b)
				_, link := i.secrets(t, "ana@example.test")
				return b.get(link)
			},
			goOn: presses(), says: linkGone,
		},
		"recovery, at the new password": {
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				return b.redeem(i, recovers(t, i, b))
			},
			goOn: presses("new-password", chosenPassword),
		},
		"recovery, at the new password in another browser": {
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				recovers(t, i, newBrowser(t))
				_, link := i.secrets(t, "ana@example.test")
				return b.follow(i, b.button(i, b.get(link)))
			},
			goOn: presses("new-password", chosenPassword), says: linkGone,
		},
		"e-mail code, by the code": {
			file: byMail, reach: asksForACode, goOn: typesCode("ana@example.test"), says: "This is not the code of the newest message", at: "email-code",
		},
		"e-mail code, by the link": {
			file: byMail,
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				asksForACode(t, i, b)
				_, link := i.secrets(t, "ana@example.test")
				return b.get(link)
			},
			goOn: presses(), says: linkGone,
		},
		"e-mail code, after it": {
			file: byMail,
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				return typesCode("ana@example.test")(i, b, asksForACode(t, i, b))
			},
			goOn: func(_ *instance, b *browser, r response) response { return b.get(r.Location().String()) },
		},
		"invitation, by the link": {who: "eva@example.test", reach: opensTheInvitation, goOn: presses(), says: linkGone},
		"invitation, at the password": {
			who: "eva@example.test",
			reach: func(t *testing.T, i *instance, b *browser) response {
				t.Helper()
				return b.follow(i, b.button(i, opensTheInvitation(t, i, b)))
			},
			goOn: presses("new-password", chosenPassword), says: linkGone,
		},
	}
}

// Wherever somebody is in the middle of, they do not get on once they are disabled, and do not come back to it by being
// enabled again.
func TestSS04_AZ15_EveryJourneyStopsWhenTheAccountIsDisabled(t *testing.T) {
	t.Parallel()
	for name, c := range journeys() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := []string{realmFile("one")}
			if c.file != "" {
				files = append(files, c.file)
			}
			if c.who == "" {
				c.who = "ana"
			}
			i := start(t, files...)
			b := newBrowser(t)
			page := c.reach(t, i, b)
			require.Less(t, page.StatusCode, 400, page.Body)
			person := i.person(t, c.who)
			stored := func() string {
				return one[string](t, i, "one", `SELECT coalesce((SELECT hash FROM passwords WHERE user_id = $1), '')`, person)
			}
			before := stored()
			i.Clock.Advance(time.Second)
			i.disable(t, c.who)

			last := b.follow(i, c.goOn(i, b, page))
			stopped := func() {
				t.Helper()
				require.Equal(t, before, stored())
				require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL`, person))
				require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM grants WHERE user_id = $1 AND revoked_at IS NULL`, person))
				require.Equal(t, "login_required", b.silent(i))
			}
			stopped()
			require.Less(t, last.StatusCode, 500, last.Body)
			if c.says == linkGone {
				require.Equal(t, http.StatusGone, last.StatusCode, last.Body)
			} else {
				require.Contains(t, last.Request.URL.Path, "/"+cmp.Or(c.at, "login"), last.Body)
			}
			require.Contains(t, last.Body, c.says)
			if c.says != "This account is switched off." {
				require.NotRegexp(t, `(?i)switched off|disabled`, last.Body, "LG-06: not before the password is right")
			}

			i.enable(t, person)
			for _, address := range []string{page.Request.URL.String(), last.Request.URL.String()} {
				back := b.follow(i, b.get(address))
				require.Empty(t, back.Location().Query().Get("code"))
				require.False(t, strings.HasSuffix(back.Request.URL.Path, "/password"), back.Request.URL.Path)
			}
			stopped()
		})
	}
}
