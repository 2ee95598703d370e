package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// path is a way in. begin goes as far as one can without being in; enter takes the last step and tells whether the
// person is in.
type path struct {
	name  string
	begin func(t *testing.T, i *instance, who person) (enter func() bool)
}

// person is somebody of the realm: how they sign in, and where mail reaches them.
type person struct{ name, address string }

// isIn tells whether an application got the person: by this answer, or silently.
func (b *browser) isIn(i *instance, last response) bool {
	b.t.Helper()
	return last.Location().Query().Get("code") != "" || b.silent(i) == ""
}

func paths() []path {
	return []path{
		{"password", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			page := b.loginPage(i)
			return func() bool { return b.isIn(i, b.follow(i, b.try(page, who.name, anaPassword))) }
		}},
		{"code by mail", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			page := b.bySignInCode(i, who.name)
			code, _ := i.secrets(t, who.address)
			return func() bool { return b.isIn(i, b.follow(i, b.answer(page, "code", code))) }
		}},
		{"link by mail", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			page := b.bySignInCode(i, who.name)
			_, link := i.secrets(t, who.address)
			look := b.get(link)
			return func() bool {
				b.button(i, look)
				return b.isIn(i, b.follow(i, b.get(page.Request.URL.String())))
			}
		}},
		{"recovery by code", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			page := b.recover(i, who.name)
			code, _ := i.secrets(t, who.address)
			return func() bool { return b.chooses(i, b.follow(i, b.answer(page, "code", code)), who) }
		}},
		{"recovery by link", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			b.recover(i, who.name)
			_, link := i.secrets(t, who.address)
			look := b.get(link)
			return func() bool { return b.chooses(i, b.follow(i, b.button(i, look)), who) }
		}},
		{"recovery after the code", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			page := b.recover(i, who.name)
			code, _ := i.secrets(t, who.address)
			page = b.follow(i, b.answer(page, "code", code))
			require.Equal(t, "password", at(page))
			return func() bool { return b.chooses(i, page, who) }
		}},
		{"live session", func(t *testing.T, i *instance, who person) func() bool {
			b := signedInAs(t, i, who)
			return func() bool { return b.isIn(i, b.authorize(i, "one", authorization())) }
		}},
		{"chosen account", func(t *testing.T, i *instance, who person) func() bool {
			b := signedInAs(t, i, who)
			i.Clock.Advance(time.Second)
			page := b.authorize(i, "one", authorization("prompt", "select_account"))
			require.Equal(t, "select-account", at(page))
			return func() bool { return b.isIn(i, b.choose(i, page, "this")) }
		}},
		{"refresh token", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			login := b.authorize(i, "one", authorization("client_id", "keeper", "scope", "openid offline_access"))
			code := requireCode(t, b.follow(i, b.try(login, who.name, anaPassword)))
			got := token(t, i, "one", exchange(code), "Authorization", basic("keeper", webSecret))
			require.NotEmpty(t, got.RefreshToken)
			return func() bool { return refresh(t, i, got.RefreshToken).Status == http.StatusOK }
		}},
		{"issued code", func(t *testing.T, i *instance, who person) func() bool {
			b := newBrowser(t)
			code := requireCode(t, b.follow(i, b.try(b.loginPage(i), who.name, anaPassword)))
			return func() bool { return token(t, i, "one", exchange(code)).Status == http.StatusOK }
		}},
	}
}

// signedInAs is a browser in which somebody is signed in.
func signedInAs(t *testing.T, i *instance, who person) *browser {
	t.Helper()
	b := newBrowser(t)
	requireCode(t, b.follow(i, b.try(b.loginPage(i), who.name, anaPassword)))
	return b
}

// chooses sets another password where the page is the one for it, and signs in with it.
func (b *browser) chooses(i *instance, page response, who person) bool {
	b.t.Helper()
	if at(page) == "password" {
		if page = b.follow(i, b.answer(page, "new-password", chosenPassword)); at(page) == "password" {
			require.Fail(b.t, "the password was refused", page.Body)
		}
	}
	require.Equal(b.t, "login_required", b.silent(i), "MF-10, RS-05: it signs nobody in by itself")
	return b.isIn(i, b.follow(i, b.try(b.loginPage(i), who.name, chosenPassword)))
}

// Whichever way somebody comes, the same is asked about their account.
func TestLG10_EveryPathAsksTheSame(t *testing.T) {
	t.Parallel()
	for _, state := range []struct {
		name       string
		unverified bool
		become     func(t *testing.T, i *instance, tx realm.Tx, id uuid.UUID) error
		// in are the paths that lead in all the same, and why.
		in map[string]string
	}{
		{name: "active"},
		{name: "disabled", become: disabled},
		{name: "locked", become: locked},
		{name: "to change the password", become: func(t *testing.T, i *instance, tx realm.Tx, id uuid.UUID) error {
			t.Helper()
			_, err := lifecycle.DemandPasswordChange(t.Context(), tx, id, password.Breached, i.Clock.Now())
			return err
		}, in: map[string]string{
			"recovery by code": "another one was chosen", "recovery by link": "another one was chosen", "recovery after the code": "another one was chosen",
			"refresh token": "what applications were allowed stays", "issued code": "it was issued before",
		}},
		{name: "unverified", unverified: true, in: map[string]string{
			"code by mail": "it proves the address", "link by mail": "it proves the address",
			"refresh token": "what applications were allowed stays", "issued code": "it was issued before",
		}},
	} {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			var people []string
			for n := range paths() {
				people = append(people, fmt.Sprintf("username: p%d\nemail: p%[1]d@example.test\nemail_verified: %t\npassword: %s", n, !state.unverified, anaPassword))
			}
			i := start(t, withUsers(people...)+"settings: {sign_in: {email_code: true}}\n")
			var enter []func() bool
			for n, p := range paths() {
				who := person{fmt.Sprintf("p%d", n), fmt.Sprintf("p%d@example.test", n)}
				enter = append(enter, p.begin(t, i, who))
				if state.become != nil {
					id := i.person(t, who.name)
					require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error { return state.become(t, i, tx, id) }), p.name)
				}
			}
			if state.unverified {
				i.apply(t, "realm: one\nflags: {REQUIRE_EMAIL_VERIFICATION: true}\n")
			}
			for n, p := range paths() {
				why, in := state.in[p.name]
				require.Equal(t, in || state.name == "active", enter[n](), "%s: %s", p.name, why)
			}
		})
	}
}

func disabled(t *testing.T, i *instance, tx realm.Tx, id uuid.UUID) error {
	t.Helper()
	_, err := lifecycle.Disable(t.Context(), tx, id, "", i.Clock.Now())
	return err
}

func locked(t *testing.T, i *instance, tx realm.Tx, id uuid.UUID) error {
	t.Helper()
	_, err := lifecycle.Lock(t.Context(), tx, id, "", i.Clock.Now())
	return err
}

func TestLG10_AnInvitationAsksTheSame(t *testing.T) {
	t.Parallel()
	for state, become := range map[string]func(t *testing.T, i *instance, tx realm.Tx, id uuid.UUID) error{"active": nil, "disabled": disabled, "locked": locked} {
		for when, followed := range map[string]bool{" before the link": false, " after the link": true} {
			t.Run(state+when, func(t *testing.T) {
				t.Parallel()
				i := start(t, withUsers("username: eva\nemail: eva@example.test"))
				_, err := app.UserInvite(t.Context(), operator(t, i), "one", "eva")
				require.NoError(t, err)
				link := i.mailedLink(t)
				b := newBrowser(t)
				page := b.get(link)
				if followed {
					page = b.follow(i, b.button(i, page))
				}
				if become != nil {
					id := i.person(t, "eva")
					require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error { return become(t, i, tx, id) }))
				}
				if !followed {
					page = b.follow(i, b.button(i, page))
				}
				require.Equal(t, become == nil, b.chooses(i, page, person{"eva", "eva@example.test"}))
			})
		}
	}
}

// Recovering proves that somebody reads the mail, and nothing else: it is no sign-in, and no part of one.
func TestMF10_RecoveryIsNoFactor(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"code", "link"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"))
			b := signedIn(t, i)
			i.Clock.Advance(time.Minute)
			page := b.authorize(i, "one", authorization("prompt", "login"))
			page = b.follow(i, b.answer(b.press(i, page, "recover"), "username", "ana"))
			code, link := i.secrets(t, "ana@example.test")
			sessions := func() int { return one[int](t, i, "one", `SELECT count(*)::int FROM sessions`) }
			before := sessions()
			if by == "code" {
				page = b.follow(i, b.answer(page, "code", code))
			} else {
				page = b.follow(i, b.button(i, b.get(link)))
			}
			require.Equal(t, "password", at(page))
			require.Equal(t, "password", at(b.follow(i, b.get(i.Issuer("one")+"/authorize?tx="+page.Request.URL.Query().Get("tx")))), "nothing goes on without it")
			fresh := newBrowser(t)
			require.Equal(t, "login_required", fresh.silent(i))
			login := b.follow(i, b.answer(page, "new-password", chosenPassword))
			require.Equal(t, "login", at(login))
			require.Equal(t, "login_required", b.silent(i))
			require.Equal(t, before, sessions())
			require.Zero(t, one[int](t, i, "one", `SELECT count(*)::int FROM flows WHERE user_id IS NOT NULL OR amr <> '{}'`))

			i.Clock.Advance(time.Minute)
			signedInAt := i.Clock.Now().Unix()
			got := claims(t, token(t, i, "one", exchange(requireCode(t, b.follow(i, b.try(login, "ana", chosenPassword))))).IDToken)
			require.Equal(t, []any{"pwd"}, got["amr"], "the mail is no part of it")
			require.Equal(t, "1", got["acr"])
			require.EqualValues(t, signedInAt, got["auth_time"])
		})
	}
}
