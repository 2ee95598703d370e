package e2e

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// act does something to an account. comesBack tells whether the person may sign in afterwards.
type act struct {
	name      string
	do        func(tx realm.Tx, ana uuid.UUID, now time.Time) error
	comesBack bool
}

func acts(t *testing.T) []act {
	return []act{
		{"disabled", func(tx realm.Tx, ana uuid.UUID, now time.Time) error {
			_, err := lifecycle.Disable(t.Context(), tx, ana, "", now)
			return err
		}, false},
		{"locked", func(tx realm.Tx, ana uuid.UUID, now time.Time) error {
			_, err := lifecycle.Lock(t.Context(), tx, ana, "", now)
			return err
		}, false},
		{"deleted", func(tx realm.Tx, ana uuid.UUID, now time.Time) error {
			_, err := lifecycle.Delete(t.Context(), tx, ana, "", now)
			return err
		}, false},
		{"signed out", func(tx realm.Tx, ana uuid.UUID, now time.Time) error {
			_, err := lifecycle.EndSessions(t.Context(), tx, ana, uuid.Nil, now)
			return err
		}, true},
		{"disabled and enabled", func(tx realm.Tx, ana uuid.UUID, now time.Time) error {
			if _, err := lifecycle.Disable(t.Context(), tx, ana, "", now); err != nil {
				return err
			}
			_, err := lifecycle.Enable(t.Context(), tx, ana, now)
			return err
		}, true},
	}
}

// act does it a second later, to ana.
func (i *instance) act(t *testing.T, a act) {
	t.Helper()
	i.Clock.Advance(time.Second)
	ana := one[uuid.UUID](t, i, "one", `SELECT user_id FROM identifiers WHERE canonical = 'ana'`)
	require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error { return a.do(tx, ana, i.Clock.Now()) }))
}

// active asks introspection about a token as the application "keeper".
func active(t *testing.T, i *instance, token string) string {
	t.Helper()
	r := newBrowser(t).post(i.Issuer("one")+"/introspect", url.Values{"token": {token}}, "Authorization", basic("keeper", webSecret))
	require.Equal(t, http.StatusOK, r.StatusCode, r.Body)
	return r.Body
}

func TestSS04_NothingWorksOnceAnAccountWas(t *testing.T) {
	t.Parallel()
	for _, a := range acts(t) {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"))
			here, there := signedIn(t, i), signedIn(t, i, "remember", "1")
			got := keeper(t, i, "openid offline_access")
			other := token(t, i, "one", exchange(here.code(i, "one")))
			unused := there.code(i, "one", "client_id", "keeper", "scope", "openid offline_access")
			require.Contains(t, active(t, i, got.AccessToken), `"active":true`)

			i.act(t, a)
			require.Equal(t, "login_required", here.silent(i))
			require.Equal(t, "login_required", there.silent(i))
			require.Equal(t, "invalid_grant", refresh(t, i, got.RefreshToken).Error)
			late := token(t, i, "one", exchange(unused), "Authorization", basic("keeper", webSecret))
			require.Equal(t, "invalid_grant", late.Error)
			for _, dead := range []string{got.AccessToken, other.AccessToken} {
				r, _ := userinfo(t, i, "one", dead)
				require.Equal(t, http.StatusUnauthorized, r.StatusCode)
			}
			require.Contains(t, active(t, i, got.AccessToken), `"active":false`)
			require.Contains(t, active(t, i, got.RefreshToken), `"active":false`)

			again := newBrowser(t)
			r := again.follow(i, again.try(again.loginPage(i), "ana", anaPassword))
			require.Equal(t, a.comesBack, r.Header.Get("Location") != "", r.Body)
			if a.comesBack {
				require.Empty(t, again.silent(i))
				require.Equal(t, "login_required", here.silent(i), "what had ended stays so")
				require.Equal(t, "invalid_grant", refresh(t, i, got.RefreshToken).Error)
			}
		})
	}
}

func TestSS04_AFlowInTheMiddleStopsWhenAnAccountWas(t *testing.T) {
	t.Parallel()
	for _, a := range acts(t) {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			i := start(t, consentFile("one"))
			proved, consenting, signed := newBrowser(t), newBrowser(t), newBrowser(t)
			// One has posted the password and not come for the answer, one looks at the consent page, and one is signed in
			// and asks for another application.
			answer := proved.try(proved.authorize(i, "one", wants("house")), "ana", anaPassword)
			require.Equal(t, http.StatusSeeOther, answer.StatusCode)
			page := consenting.reach(i, wants("notes"))
			requireConsentPage(t, page)
			requireCode(t, signed.reach(i, wants("house")))

			i.act(t, a)
			for name, r := range map[string]response{
				"proved":     proved.follow(i, answer),
				"consenting": consenting.decide(i, page, "allow"),
				"signed in":  signed.authorize(i, "one", wants("house")),
			} {
				require.Equal(t, "/realms/one/login", r.Request.URL.Path, name)
				require.Equal(t, http.StatusOK, r.StatusCode, name)
			}
			require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM sessions WHERE ended_at IS NULL`))
			if a.comesBack {
				r := proved.authorize(i, "one", wants("house"))
				requireCode(t, proved.signIn(i, r, "ana", anaPassword))
			}
		})
	}
}

func TestSS04_ARealmFileThatDisablesEndsSessions(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	i.apply(t, "realm: one\nusers: [{username: ana, enabled: false}]")
	i.apply(t, "realm: one\nusers: [{username: ana, enabled: true}]")
	require.Equal(t, "login_required", b.silent(i))
	require.Equal(t, []string{`{"reason": "realm file"}`}, eventData(t, i, "one", "user.disabled"))
}

// The command line is another process: nothing of it is in the server's memory.
func TestSS04_TheCommandLineActsOnARunningServer(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := signedIn(t, i)
	p := process(t, i.Database, i.Logs)
	p.Config.PublicURL = config.Origin(i.URL)
	_, err := app.UserDo(t.Context(), p, "one", "ANA@example.test", app.DisableUser, "left")
	require.NoError(t, err)
	require.Equal(t, "login_required", b.silent(i))
	require.Equal(t, []string{`{"reason": "left"}`}, eventData(t, i, "one", "user.disabled"))
}

func TestUserShow_tells_of_the_password_and_of_sign_ins(t *testing.T) {
	t.Parallel()
	crypted, err := bcrypt.GenerateFromPassword([]byte(anaPassword), 10)
	require.NoError(t, err)
	i := start(t, withUsers("username: old\npassword_hash: '"+string(crypted)+"'"))
	show := func(name string) app.UserDetails {
		d, err := app.UserShow(t.Context(), operator(t, i), "one", name)
		require.NoError(t, err)
		return d
	}
	old := show("old")
	require.Equal(t, "bcrypt", old.Password.Format)
	require.True(t, old.Password.Outdated)
	require.True(t, old.SignedInAt.IsZero())

	b := newBrowser(t)
	page := b.loginPage(i)
	b.fail(page, "old", 2)
	require.EqualValues(t, 2, show("old").Refused)
	requireCode(t, b.follow(i, b.try(page, "old", anaPassword)))
	other := newBrowser(t)
	other.fail(other.loginPage(i), "old", 1)
	now := show("old")
	require.Equal(t, "argon2id", now.Password.Format)
	require.False(t, now.Password.Outdated)
	require.WithinDuration(t, i.Clock.Now(), now.SignedInAt, time.Second)
	require.EqualValues(t, 1, now.Refused)
	require.Nil(t, show("ana").Password.Until)
}
