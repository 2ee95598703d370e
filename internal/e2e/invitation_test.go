package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
)

const chosen = "a quiet river under stones"

// operator is the command line beside a running server, whose clock it then shares.
func operator(t *testing.T, i *instance) app.Process {
	t.Helper()
	p := process(t, i.Database, i.Logs)
	p.Config.PublicURL = config.Origin(i.URL)
	return p
}

// invite makes eva by an invitation and returns the link that was mailed to her.
func invite(t *testing.T, i *instance) (link string, invited lifecycle.Mailed) {
	t.Helper()
	made, err := app.UserCreate(t.Context(), operator(t, i), "one", app.NewUser{Email: "Eva@example.test", Name: "Eva", Invite: true})
	require.NoError(t, err)
	return i.mailedLink(t), made.Invitation
}

// mailedLink is the link of the last mail.
func (i *instance) mailedLink(t *testing.T) string {
	t.Helper()
	i.Clock.Set(time.Now())
	mails := i.mails(t, "one")
	require.NotEmpty(t, mails)
	link := regexp.MustCompile(`http://\S+`).FindString(mails[0].Text)
	require.Contains(t, link, i.Issuer("one")+"/")
	return link
}

// setPassword sets the password on the page of a step.
func (b *browser) setPassword(i *instance, page response, plain string) response {
	b.t.Helper()
	require.Equal(b.t, http.StatusOK, page.StatusCode, page.Body)
	return b.follow(i, b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}, "new-password": {plain}}))
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	t.Run("leads to a password, and the invited signs in with a verified address", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		link, _ := invite(t, i)
		b := newBrowser(t)
		for range 2 {
			require.Equal(t, http.StatusOK, b.get(link).StatusCode, "RS-04: looking at it changes nothing")
		}
		page := b.follow(i, b.button(i, b.get(link)))
		require.Contains(t, page.Body, `value="Eva@example.test"`, "password managers learn whose it is")
		short := b.setPassword(i, page, "short")
		require.Equal(t, http.StatusUnprocessableEntity, short.StatusCode)
		done := b.setPassword(i, page, chosen)
		require.Equal(t, http.StatusOK, done.StatusCode, done.Body)
		require.Equal(t, "login_required", b.silent(i), "RS-05: it signs nobody in")
		require.Len(t, i.mails(t, "one"), 1, "there is nothing to give notice of")

		code := requireCode(t, b.signIn(i, b.loginPage(i), "eva@example.test", chosen))
		_, told := userinfo(t, i, "one", token(t, i, "one", exchange(code)).AccessToken)
		require.Equal(t, "Eva@example.test", told["email"])
		require.Equal(t, true, told["email_verified"])
	})
	t.Run("works once", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		link, _ := invite(t, i)
		b, other := newBrowser(t), newBrowser(t)
		late := other.get(link)
		b.setPassword(i, b.follow(i, b.button(i, b.get(link))), chosen)
		require.Equal(t, http.StatusGone, b.get(link).StatusCode)
		require.Equal(t, http.StatusGone, other.button(i, late).StatusCode)
	})
	t.Run("is ended by the next one, by a password, and by another address", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"))
		gone := func(link, why string) {
			require.Equal(t, http.StatusGone, newBrowser(t).get(link).StatusCode, why)
		}
		first, _ := invite(t, i)
		_, err := app.UserInvite(t.Context(), operator(t, i), "one", "eva@example.test")
		require.NoError(t, err)
		second := i.mailedLink(t)
		gone(first, "a newer one was mailed")
		require.Equal(t, http.StatusOK, newBrowser(t).get(second).StatusCode)
		_, err = app.UserSetPassword(t.Context(), operator(t, i), "one", "eva@example.test", chosen)
		require.NoError(t, err)
		gone(second, "there is a password")
	})
}

// Whoever reads an address that is not the person's any more gets no account by it, and does not bring it back.
func TestID05_AnInvitationToAFormerAddressIsOver(t *testing.T) {
	t.Parallel()
	i := start(t, withUsers("username: eva\nemail: old@example.test"))
	_, err := app.UserInvite(t.Context(), operator(t, i), "one", "eva")
	require.NoError(t, err)
	link := i.mailedLink(t)
	i.apply(t, "realm: one\nusers: [{username: eva, email: new@example.test}]")
	b := newBrowser(t)
	require.Equal(t, http.StatusGone, b.button(i, b.get(link)).StatusCode)
	require.Equal(t, "new@example.test", one[string](t, i, "one", `SELECT display FROM identifiers WHERE canonical LIKE '%@example.test' AND user_id =
		(SELECT user_id FROM identifiers WHERE canonical = 'eva')`))
}

func TestID05_RecoveryByAFormerAddressIsOver(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"code", "link"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"))
			b := newBrowser(t)
			page := b.follow(i, b.get(i.Issuer("one")+"/recover"))
			page = b.follow(i, b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}}))
			link := i.mailedLink(t)
			code := regexp.MustCompile(`(?m)^    (\d{6})$`).FindStringSubmatch(i.mails(t, "one")[0].Text)[1]
			i.apply(t, "realm: one\nusers: [{username: ana, email: new@example.test}]")
			if by == "link" {
				require.Equal(t, http.StatusGone, b.button(i, b.get(link)).StatusCode)
				return
			}
			refused := b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "code": {code}})
			require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, refused.Body)
		})
	}
}

func TestRS08_AnInvitationExpiresToTheSecond(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	link, invited := invite(t, i)
	b := newBrowser(t)
	i.Clock.Set(invited.Until.Add(-time.Second))
	page := b.get(link)
	require.Equal(t, http.StatusOK, page.StatusCode)
	i.Clock.Set(invited.Until)
	require.Equal(t, http.StatusGone, b.get(link).StatusCode)
	require.Equal(t, http.StatusGone, b.button(i, page).StatusCode)
	require.Empty(t, one[string](t, i, "one", `SELECT coalesce(max(hash), '') FROM passwords p JOIN identifiers n ON n.user_id = p.user_id WHERE n.canonical = 'eva@example.test'`))
}

func TestRS08_AOneTimePasswordExpiresToTheSecond(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	once, done, err := app.UserSetOneTimePassword(t.Context(), operator(t, i), "one", "ana", time.Hour)
	require.NoError(t, err)
	require.True(t, done.Changed)
	i.Clock.Set(once.Until.Add(-time.Second))
	b, late := newBrowser(t), newBrowser(t)
	page := b.follow(i, b.try(b.loginPage(i), "ana", once.Password.Reveal()))
	require.Contains(t, page.Body, `name="new-password"`, "it must be changed")
	login := late.loginPage(i)
	i.Clock.Set(once.Until)
	require.Equal(t, http.StatusUnprocessableEntity, late.try(login, "ana", once.Password.Reveal()).StatusCode)
	requireCode(t, b.setPassword(i, page, chosen))
}

func TestAVerificationThatIsSentAgain(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	_, err := app.UserSendVerification(t.Context(), operator(t, i), "one", "bob")
	require.NoError(t, err)
	link := i.mailedLink(t)
	require.NotRegexp(t, `(?m)^    \d{6}$`, i.mails(t, "one")[0].Text, "no page waits for a code")
	b := newBrowser(t)
	require.Equal(t, http.StatusOK, b.button(i, b.get(link)).StatusCode)
	_, told := userinfo(t, i, "one", token(t, i, "one", exchange(requireCode(t, b.signIn(i, b.loginPage(i), "bob", anaPassword)))).AccessToken)
	require.Equal(t, true, told["email_verified"])
	_, err = app.UserSendVerification(t.Context(), operator(t, i), "one", "bob")
	require.ErrorIs(t, err, lifecycle.ErrVerified)
}

func TestLG08_AWrongCodeSaysTheSameForAnAddressThatNobodyHas(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	said := map[string]string{}
	for _, name := range []string{"ana@example.test", "nobody@example.test"} {
		b := newBrowser(t)
		page := b.follow(i, b.get(i.Issuer("one")+"/recover"))
		page = b.follow(i, b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {name}}))
		wrong := b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "code": {"no"}})
		require.Equal(t, http.StatusUnprocessableEntity, wrong.StatusCode)
		said[name] = regexp.MustCompile(`id="code-error"[^>]*>[^<]*<`).FindString(wrong.Body)
	}
	require.NotEmpty(t, said["ana@example.test"])
	require.Equal(t, said["ana@example.test"], said["nobody@example.test"])
}
