package e2e

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// demand has an administrator ask ana for another password.
func (i *instance) demand(t *testing.T) {
	t.Helper()
	ana := i.person(t, "ana")
	require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error {
		_, err := lifecycle.DemandPasswordChange(t.Context(), tx, ana, password.ByAdmin, i.Clock.Now())
		return err
	}))
}

// demanded signs ana in, has another password demanded of her a minute later, and opens the page for it.
func demanded(t *testing.T, i *instance) (b *browser, page response) {
	t.Helper()
	b = signedIn(t, i)
	i.Clock.Advance(time.Minute)
	i.demand(t)
	page = b.authorize(i, "one", authorization())
	require.Equal(t, "password", at(page), page.Body)
	return b, page
}

// passwordHash is what is stored of a person's password.
func passwordHash(t testing.TB, i *instance, person uuid.UUID) string {
	t.Helper()
	return one[string](t, i, "one", `SELECT hash FROM passwords WHERE user_id = $1`, person)
}

func TestForcedChange(t *testing.T) {
	t.Parallel()
	t.Run("right after the sign-in asks for no password twice", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		login := b.loginPage(i)
		i.demand(t)
		page := b.follow(i, b.try(login, "ana", anaPassword))
		require.Equal(t, "password", at(page), page.Body)
		require.Contains(t, page.Body, "Your administrator asks you to change your password.")
		require.NotContains(t, page.Body, `name="password"`)
		require.Equal(t, http.StatusUnprocessableEntity, b.answer(page, "new-password", anaPassword).StatusCode, "the one that there is")
		before := b.cookie(i)
		who := whoIs(t, i, b.follow(i, b.answer(page, "new-password", chosenPassword, "others", "1")))
		require.Equal(t, "Ana@Example.test", who["email"])
		require.NotEqual(t, before, b.cookie(i))
		require.Empty(t, b.silent(i))
		requirePassword(t, i, chosenPassword, anaPassword)
		subject, _ := i.letter(t, "ana@example.test")
		require.Equal(t, "Your password was changed", subject)
	})
	t.Run("comes between consent and the application", func(t *testing.T) {
		t.Parallel()
		i := start(t, consentFile("one"))
		b := newBrowser(t)
		page := b.reach(i, wants("notes"))
		requireConsentPage(t, page)
		i.demand(t)
		change := b.decide(i, page, "allow")
		require.Equal(t, "password", at(change), change.Body)
		last := b.follow(i, b.answer(change, "new-password", chosenPassword))
		if at(last) == "consent" {
			last = b.decide(i, last, "allow")
		}
		require.Equal(t, "state-1", last.Location().Query().Get("state"))
		requireCode(t, last)
	})
	t.Run("is not skipped by an application that cannot ask", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b, _ := demanded(t, i)
		require.Equal(t, "interaction_required", b.silent(i))
	})
}

func TestPW07_AForcedChangeInALiveSessionAsksForTheCurrentPassword(t *testing.T) {
	t.Parallel()
	t.Run("and counts wrong ones with those at sign-in", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b, page := demanded(t, i)
		ana := i.person(t, "ana")
		before := passwordHash(t, i, ana)
		require.Contains(t, page.Body, `name="password"`)
		require.Equal(t, http.StatusUnprocessableEntity, b.answer(page, "new-password", chosenPassword).StatusCode, "none")
		refused := len(eventData(t, i, "one", password.Refused{}.Type()))
		wrong := b.answer(page, "password", "not-it-4711", "new-password", chosenPassword)
		require.Equal(t, http.StatusUnprocessableEntity, wrong.StatusCode)
		require.Contains(t, wrong.Body, "This is not your current password.")
		require.NotContains(t, wrong.Body, "not-it-4711")
		require.Len(t, eventData(t, i, "one", password.Refused{}.Type()), refused+1)
		for n := 0; wrong.StatusCode != http.StatusTooManyRequests; n++ {
			require.Less(t, n, 50)
			wrong = b.answer(page, "password", "not-it-4711", "new-password", chosenPassword)
		}
		require.NotEmpty(t, wrong.Header.Get("Retry-After"))
		require.Equal(t, http.StatusTooManyRequests, b.answer(page, "password", anaPassword, "new-password", chosenPassword).StatusCode)
		require.Equal(t, before, passwordHash(t, i, ana))
		stranger := newBrowser(t)
		require.Equal(t, http.StatusTooManyRequests, stranger.try(stranger.loginPage(i), "ana", anaPassword).StatusCode)
		i.Clock.Advance(20 * time.Minute)
		requireCode(t, b.follow(i, b.answer(page, "password", anaPassword, "new-password", chosenPassword)))
	})
	for name, elsewhere := range map[string]bool{"and signs out elsewhere": true, "and leaves others signed in": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"))
			there := signedIn(t, i)
			got := keeper(t, i, "openid offline_access")
			b, page := demanded(t, i)
			require.Contains(t, input(t, page.Body, "others"), "checked", "the safe way is the one that needs no thought")
			fields := []string{"password", anaPassword, "new-password", chosenPassword}
			if elsewhere {
				fields = append(fields, "others", "1")
			}
			requireCode(t, b.follow(i, b.answer(page, fields...)))
			require.Empty(t, b.silent(i))
			wantSession, wantRefresh := "", ""
			if elsewhere {
				wantSession, wantRefresh = "login_required", "invalid_grant"
			}
			require.Equal(t, wantSession, there.silent(i))
			require.Equal(t, wantRefresh, refresh(t, i, got.RefreshToken).Error)
		})
	}
}

func TestPW05_PasswordsAreRotatedOnlyWhereTheRealmSaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		days int
		want bool
	}{
		"not by default":           {"realm: one\n", 800, false},
		"not when switched off":    {"realm: one\nflags: {FORCE_PASSWORD_ROTATION: false}\nsettings: {password: {max_age: 1d}}\n", 800, false},
		"not before its time":      {"realm: one\nflags: {FORCE_PASSWORD_ROTATION: true}\n", 89, false},
		"after ninety days":        {"realm: one\nflags: {FORCE_PASSWORD_ROTATION: true}\n", 90, true},
		"after the realm's choice": {"realm: one\nflags: {FORCE_PASSWORD_ROTATION: true}\nsettings: {password: {max_age: 7d}}\n", 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), c.file)
			i.Clock.Advance(time.Duration(c.days) * 24 * time.Hour)
			b := newBrowser(t)
			r := b.follow(i, b.try(b.loginPage(i), "ana", anaPassword))
			if !c.want {
				requireCode(t, r)
				return
			}
			require.Equal(t, "password", at(r), r.Body)
			require.Contains(t, r.Body, "Your password is old")
			requireCode(t, b.follow(i, b.answer(r, "new-password", chosenPassword)))
			again := newBrowser(t)
			requireCode(t, again.follow(i, again.try(again.loginPage(i), "ana", chosenPassword)))
		})
	}
}

// verifying signs bob in, whose address is not proved, and returns the page that demands the proof.
func verifying(t *testing.T, i *instance) (b *browser, page response) {
	t.Helper()
	b = newBrowser(t)
	page = b.follow(i, b.try(b.loginPage(i), "bob", anaPassword))
	require.Equal(t, "verify-email", at(page), page.Body)
	require.Equal(t, "bob@example.test", hidden(t, page.Body, "email"))
	return b, page
}

func TestID04_OnlyItsProofMakesAnAddressVerified(t *testing.T) {
	t.Parallel()
	verified := func(t *testing.T, i *instance) bool {
		t.Helper()
		return one[bool](t, i, "one", `SELECT verified_at IS NOT NULL FROM identifiers WHERE canonical = 'bob@example.test'`)
	}
	claim := url.Values{"email_verified": {"true"}, "verified": {"1"}, "claims": {`{"email_verified":true}`}}
	t.Run("where the realm lets people in without", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		login := b.loginPage(i, "claims", `{"userinfo":{"email_verified":{"value":true}}}`)
		fields := []string{"username", "bob", "password", anaPassword}
		for name := range claim {
			fields = append(fields, name, claim.Get(name))
		}
		require.Equal(t, false, whoIs(t, i, b.follow(i, b.answer(login, fields...)))["email_verified"])
		require.False(t, verified(t, i))
	})
	t.Run("where it does not", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b, page := verifying(t, i)
		waiting := b.follow(i, b.answer(page, "email", "bob@example.test", "email_verified", "true"))
		code, link := i.secrets(t, "bob@example.test")
		require.NotEqual(t, http.StatusSeeOther, b.answer(waiting, "code", another(code), "email_verified", "true").StatusCode)
		require.Equal(t, http.StatusOK, b.get(link).StatusCode, "looking proves nothing")
		require.Equal(t, "verify-email", at(b.press(i, waiting, "authorize")))
		require.False(t, verified(t, i))
		who := whoIs(t, i, b.follow(i, b.answer(waiting, "code", code)))
		require.Equal(t, true, who["email_verified"])
		require.Empty(t, b.silent(i))
	})
	t.Run("where it no longer does, in a live session", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		b := newBrowser(t)
		requireCode(t, b.follow(i, b.try(b.loginPage(i), "bob", anaPassword)))
		i.apply(t, open)
		require.Equal(t, "interaction_required", b.silent(i))
		require.Equal(t, "verify-email", at(b.authorize(i, "one", authorization())))
	})
	t.Run("by the link in another browser, which signs nobody in", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), open)
		b, page := verifying(t, i)
		waiting := b.follow(i, b.answer(page, "email", "bob@example.test"))
		_, link := i.secrets(t, "bob@example.test")
		phone := newBrowser(t)
		require.Contains(t, phone.button(i, phone.get(link)).Body, "Your e-mail is confirmed")
		require.Equal(t, "login_required", phone.silent(i))
		require.Equal(t, true, whoIs(t, i, b.press(i, waiting, "authorize"))["email_verified"])
	})
}

func TestID05_TheOldAddressStaysUntilTheNewOneIsProved(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open)
	newBrowser(t).recover(i, "bob")
	_, reset := i.secrets(t, "bob@example.test")
	b, page := verifying(t, i)
	waiting := b.follow(i, b.answer(page, "email", "Robert@Example.test"))
	code, _ := i.secrets(t, "robert@example.test")
	bob := i.person(t, "bob")
	names := func() []string {
		return one[[]string](t, i, "one", `SELECT array_agg(canonical ORDER BY canonical) FROM identifiers WHERE user_id = $1`, bob)
	}
	require.Equal(t, []string{"bob", "bob@example.test"}, names())
	require.Equal(t, http.StatusOK, newBrowser(t).get(reset).StatusCode)
	subject, _ := i.letter(t, "bob@example.test")
	require.Equal(t, "Choose a new password", subject, "nothing has changed that there is to tell of")

	who := whoIs(t, i, b.follow(i, b.answer(waiting, "code", code)))
	require.Equal(t, "Robert@Example.test", who["email"])
	require.Equal(t, true, who["email_verified"])
	require.Equal(t, []string{"bob", "robert@example.test"}, names())
	subject, text := i.letter(t, "bob@example.test")
	require.Equal(t, "Your e-mail address was changed", subject)
	require.NotContains(t, text, "Robert@Example.test", "masked")
	require.Equal(t, http.StatusGone, newBrowser(t).get(reset).StatusCode)
}

func TestID05_SomebodyElsesAddressIsNotTaken(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), open)
	journey := func(address string) (all [][]string) {
		b, page := verifying(t, i)
		answer := b.answer(page, "email", address)
		waiting := b.follow(i, answer)
		return [][]string{seen(answer, address), seen(waiting, address), seen(b.answer(waiting, "code", another("000000")), address)}
	}
	require.Equal(t, journey("free@example.test"), journey("ana@example.test"), "LG-08")
	subject, text := i.letter(t, "ana@example.test")
	require.Equal(t, "You already have an account at Web shop", subject)
	require.NotContains(t, text, "/verify-email/")
}
