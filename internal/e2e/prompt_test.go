package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at is the name of the step whose page r is; "" when it is none.
func at(r response) string {
	if r.StatusCode != http.StatusOK {
		return ""
	}
	return strings.TrimPrefix(r.Request.URL.Path, "/realms/one/")
}

// choose answers the account chooser and follows.
func (b *browser) choose(i *instance, page response, account string) response {
	b.t.Helper()
	return b.follow(i, b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}, "account": {account}}))
}

// house signs ana in at an application that needs no consent, and lets a minute pass.
func house(t testing.TB, i *instance) *browser {
	t.Helper()
	b := newBrowser(t)
	requireCode(t, b.reach(i, wants("house")))
	i.Clock.Advance(time.Minute)
	return b
}

// idToken is an ID token of ana or bob for "house".
func idToken(t testing.TB, i *instance, who string) string {
	t.Helper()
	b := newBrowser(t)
	r := b.signIn(i, b.authorize(i, "one", wants("house")), who, anaPassword)
	return token(t, i, "one", exchange(requireCode(t, r)), "Authorization", basic("house", webSecret)).IDToken
}

func TestPromptNoneNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	bob := idToken(t, i, "bob")
	stranger, ana := newBrowser(t), house(t, i)
	for _, c := range []struct {
		name string
		b    *browser
		q    url.Values
		want string
	}{
		{"nobody is signed in", stranger, wants("house"), "login_required"},
		{"nobody is signed in, and consent would be missing too", stranger, wants("notes"), "login_required"},
		{"somebody is", ana, wants("house"), ""},
		{"consent is missing", ana, wants("notes"), "consent_required"},
		{"consent is always asked", ana, wants("strict"), "consent_required"},
		{"the proof is too old", ana, wants("house", "max_age", "59"), "login_required"},
		{"the proof is new enough", ana, wants("house", "max_age", "60"), ""},
		{"a new proof is wanted", ana, wants("house", "max_age", "0"), "login_required"},
		{"the proof is too old and consent is missing", ana, wants("notes", "max_age", "1"), "login_required"},
		{"another account is hinted at", ana, wants("house", "login_hint", "bob@example.test"), "account_selection_required"},
		{"the account is hinted at", ana, wants("house", "login_hint", "ANA@example.TEST"), ""},
		{"a hint is nobody's name", ana, wants("house", "login_hint", "a b\u200bc"), ""},
		{"another person is expected", ana, wants("house", "id_token_hint", bob), "login_required"},
		{"acr_values is a wish", ana, wants("house", "acr_values", "urn:mace:incommon:iap:silver 2"), ""},
		{"display and claims_locales change nothing", ana, wants("house", "display", "popup", "claims_locales", "fr de"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Set("prompt", "none")
			r := c.b.get(i.Issuer("one") + "/authorize?" + c.q.Encode())
			if c.want == "" {
				requireCode(t, r)
				return
			}
			requireErrorAtClient(t, i, "one", r, c.want)
		})
	}
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM flows WHERE request LIKE '%prompt=none%'`), "silence leaves no flow")
}

func TestPromptSelectAccount(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	ask := wants("house", "prompt", "select_account")

	t.Run("goes on with the account that is there", func(t *testing.T) {
		b := house(t, i)
		page := b.authorize(i, "one", ask)
		require.Equal(t, "select-account", at(page))
		require.Contains(t, page.Body, "Continue as Ana Silva")
		require.Contains(t, page.Body, "Ana@Example.test")
		requireCode(t, b.choose(i, page, "this"))
		require.Equal(t, "select-account", at(b.authorize(i, "one", ask)), "each request asks")
	})
	t.Run("changes the account", func(t *testing.T) {
		b := house(t, i)
		login := b.choose(i, b.authorize(i, "one", ask), "another")
		require.Equal(t, "login", at(login))
		require.Empty(t, hidden(t, login.Body, "username"))
		require.NotContains(t, login.Body, "Confirm that it is you")
		got := token(t, i, "one", exchange(requireCode(t, b.signIn(i, login, "bob", anaPassword))), "Authorization", basic("house", webSecret))
		require.NotEqual(t, claims(t, idToken(t, i, "ana"))["sub"], claims(t, got.IDToken)["sub"])
	})
	t.Run("signs out", func(t *testing.T) {
		i := start(t, consentFile("one"))
		b := house(t, i)
		before := token(t, i, "one", exchange(requireCode(t, b.authorize(i, "one", wants("house")))), "Authorization", basic("house", webSecret))
		page, other := b.authorize(i, "one", ask), b.authorize(i, "one", ask)
		login := b.choose(i, page, "out")
		require.Equal(t, "login", at(login))
		require.Empty(t, hidden(t, login.Body, "username"))
		require.NotContains(t, login.Body, "Ana Silva")
		silent := b.get(i.Issuer("one") + "/authorize?" + wants("house", "prompt", "none").Encode())
		require.Equal(t, "login_required", silent.Location().Query().Get("error"))
		require.JSONEq(t, `{"reason": "logout"}`, eventData(t, i, "one", "session.ended")[0])
		refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {before.RefreshToken}}
		refused := newBrowser(t).post(i.Issuer("one")+"/token", refresh, "Authorization", basic("house", webSecret))
		require.Equal(t, http.StatusBadRequest, refused.StatusCode, "what was authorized in the session ended with it")
		require.Equal(t, "login", at(b.choose(i, other, "out")), "another tab finds nobody to sign out")
		requireCode(t, b.signIn(i, login, "bob", anaPassword))
	})
	t.Run("asks nobody who has just signed in", func(t *testing.T) {
		requireCode(t, newBrowser(t).reach(i, ask))
	})
	t.Run("wants an answer", func(t *testing.T) {
		b := house(t, i)
		page := b.authorize(i, "one", ask)
		requirePage(t, b.choose(i, page, "none"), http.StatusUnprocessableEntity)
	})
	t.Run("with login, the chosen account proves itself anew", func(t *testing.T) {
		b := house(t, i)
		login := b.choose(i, b.authorize(i, "one", wants("house", "prompt", "select_account login")), "this")
		require.Equal(t, "login", at(login))
		require.Contains(t, login.Body, "Confirm that it is you")
		require.Equal(t, "Ana@Example.test", hidden(t, login.Body, "username"))
		requireCode(t, b.signIn(i, login, "ana", anaPassword))
	})
	t.Run("with consent, both are asked", func(t *testing.T) {
		b := house(t, i)
		page := b.choose(i, b.authorize(i, "one", wants("house", "prompt", "consent select_account")), "this")
		requireConsentPage(t, page)
		requireCode(t, b.decide(i, page, "allow"))
	})
	t.Run("an answer does not hold for who signed in since", func(t *testing.T) {
		b := house(t, i)
		page := b.choose(i, b.authorize(i, "one", wants("strict", "prompt", "select_account")), "this")
		requireConsentPage(t, page)
		i.Clock.Advance(-time.Second) // so that the sign-in does not count as one of this flow
		requireCode(t, b.signIn(i, b.choose(i, b.authorize(i, "one", ask), "another"), "bob", anaPassword))
		i.Clock.Advance(time.Second)
		require.Equal(t, "select-account", at(b.follow(i, b.get(page.Request.URL.String()))))
	})
}

func TestLoginHint(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	t.Run("fills the login page", func(t *testing.T) {
		page := newBrowser(t).authorize(i, "one", wants("house", "login_hint", "bob@example.test"))
		require.Equal(t, "bob@example.test", hidden(t, page.Body, "username"))
	})
	t.Run("of the account that is there asks nothing", func(t *testing.T) {
		requireCode(t, house(t, i).authorize(i, "one", wants("house", "login_hint", "ana")))
	})
	t.Run("of another account lets choose", func(t *testing.T) {
		b := house(t, i)
		q := wants("house", "login_hint", "bob@example.test")
		page := b.authorize(i, "one", q)
		require.Equal(t, "select-account", at(page))
		require.Contains(t, page.Body, "Sign in as bob@example.test")
		requireCode(t, b.choose(i, page, "this"))
		login := b.choose(i, b.authorize(i, "one", q), "another")
		require.Equal(t, "bob@example.test", hidden(t, login.Body, "username"))
		requireCode(t, b.signIn(i, login, "bob", anaPassword))
	})
	t.Run("is text and nothing else", func(t *testing.T) {
		b := house(t, i)
		page := b.authorize(i, "one", wants("house", "login_hint", `"><script>alert(1)</script>@example.test`, "prompt", "login"))
		require.NotContains(t, page.Body, "<script>alert")
	})
}

func TestIDTokenHint(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	ana, bob := idToken(t, i, "ana"), idToken(t, i, "bob")
	t.Run("of the account that is there asks nothing", func(t *testing.T) {
		requireCode(t, house(t, i).authorize(i, "one", wants("house", "id_token_hint", ana)))
	})
	t.Run("of another person asks them to sign in", func(t *testing.T) {
		b := house(t, i)
		login := b.authorize(i, "one", wants("house", "id_token_hint", bob))
		require.Equal(t, "login", at(login))
		got := token(t, i, "one", exchange(requireCode(t, b.signIn(i, login, "bob", anaPassword))), "Authorization", basic("house", webSecret))
		require.Equal(t, claims(t, bob)["sub"], claims(t, got.IDToken)["sub"])
	})
	t.Run("is an error when somebody else signs in, who stays signed in", func(t *testing.T) {
		b := newBrowser(t)
		login := b.authorize(i, "one", wants("notes", "id_token_hint", bob))
		requireErrorAtClient(t, i, "one", b.signIn(i, login, "ana", anaPassword), "login_required")
		requireCode(t, b.authorize(i, "one", wants("house", "prompt", "none", "id_token_hint", ana)))
	})
	t.Run("counts however old it is", func(t *testing.T) {
		i.Clock.Advance(30 * 24 * time.Hour)
		requireCode(t, house(t, i).authorize(i, "one", wants("house", "id_token_hint", ana)))
	})
}

func TestSS09_ANewProofIsReal(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	for _, q := range []url.Values{
		wants("strict", "prompt", "login"), wants("strict", "prompt", "login consent"), wants("strict", "max_age", "0"), wants("strict", "max_age", "30"),
		wants("strict", "prompt", "create"),
	} {
		t.Run(q.Get("prompt")+q.Get("max_age"), func(t *testing.T) {
			b := house(t, i)
			login := b.authorize(i, "one", q)
			require.Equal(t, "login", at(login))
			require.Contains(t, login.Body, "Confirm that it is you")
			for _, step := range []string{"/consent", "/authorize", "/select-account"} {
				around := b.follow(i, b.get(strings.Replace(login.Request.URL.String(), "/login", step, 1)))
				require.Equal(t, "login", at(around), "there is no way around it by %s", step)
			}
			i.Clock.Advance(time.Minute)
			proved := i.Clock.Now()
			page := b.signIn(i, login, "ana", anaPassword)
			requireConsentPage(t, page)
			i.Clock.Advance(10 * time.Minute) // thinking about the consent does not make the proof of this request too old
			got := token(t, i, "one", exchange(requireCode(t, b.decide(i, page, "allow"))), "Authorization", basic("strict", webSecret))
			require.EqualValues(t, proved.Unix(), claims(t, got.IDToken)["auth_time"])
			require.Equal(t, "login", at(b.follow(i, b.get(login.Request.URL.String()))), "loading it again asks again")
		})
	}
}

// A logout that another site's form starts takes the ID token with it, but never into an address.
func TestLO01_APostedLogoutKeepsItsTokenOutOfTheAddress(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	signIn := func(t *testing.T) (*browser, url.Values) {
		b := newBrowser(t)
		got := token(t, i, "one", exchange(requireCode(t, b.reach(i, wants("house")))), "Authorization", basic("house", webSecret))
		return b, url.Values{"id_token_hint": {got.IDToken}, "post_logout_redirect_uri": {bye}, "state": {"s"}}
	}
	posted := func(t *testing.T, form url.Values) string {
		r := newBrowser(t).post(i.Issuer("one")+"/end_session", form, "Sec-Fetch-Site", "cross-site")
		require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
		require.Empty(t, r.Header.Values("Set-Cookie"))
		require.Regexp(t, `^/realms/one/end_session\?tx=[A-Za-z0-9_-]{22}$`, r.Header.Get("Location"))
		return r.Location().String()
	}
	t.Run("the session's own token signs out at once", func(t *testing.T) {
		b, form := signIn(t)
		require.Equal(t, bye+"?state=s", b.get(posted(t, form)).Header.Get("Location"))
		requireErrorAtClient(t, i, "one", b.authorize(i, "one", wants("house", "prompt", "none")), "login_required")
	})
	t.Run("without it the person is asked", func(t *testing.T) {
		b, form := signIn(t)
		form.Del("id_token_hint")
		form.Set("client_id", "house")
		page := b.get(posted(t, form))
		requirePage(t, page, http.StatusOK)
		require.Contains(t, page.Body, "Sign out of House?")
		requireCode(t, b.authorize(i, "one", wants("house", "prompt", "none")))
		require.Equal(t, http.StatusOK, b.get(page.Request.URL.String()).StatusCode, "the page can be loaded again")
		requirePage(t, newBrowser(t).get(page.Request.URL.String()), http.StatusOK) // a stranger learns nothing
		r := b.post(page.Request.URL.String(), url.Values{"csrf": {hidden(t, page.Body, "csrf")}})
		require.Equal(t, bye+"?state=s", r.Header.Get("Location"))
		requireErrorAtClient(t, i, "one", b.authorize(i, "one", wants("house", "prompt", "none")), "login_required")
	})
	t.Run("somebody else's token asks too", func(t *testing.T) {
		_, form := signIn(t)
		b, _ := signIn(t)
		requirePage(t, b.get(posted(t, form)), http.StatusOK)
		requireCode(t, b.authorize(i, "one", wants("house", "prompt", "none")))
	})
	t.Run("too late it is as if nobody had sent them", func(t *testing.T) {
		b, form := signIn(t)
		address := posted(t, form)
		i.Clock.Advance(time.Minute)
		page := b.get(address)
		requirePage(t, page, http.StatusOK)
		require.NotContains(t, page.Body, "House")
		requireCode(t, b.authorize(i, "one", wants("house", "prompt", "none")))
	})
	t.Run("nobody is signed in", func(t *testing.T) {
		_, form := signIn(t)
		require.Equal(t, bye+"?state=s", newBrowser(t).get(posted(t, form)).Header.Get("Location"))
	})
	t.Run("it is no flow of a sign-in", func(t *testing.T) {
		b, form := signIn(t)
		address := posted(t, form)
		for _, step := range []string{"/authorize?", "/login?", "/consent?"} {
			requirePage(t, b.get(strings.Replace(address, "/end_session?", step, 1)), http.StatusNotFound)
		}
		login := newBrowser(t)
		page := login.authorize(i, "one", wants("house"))
		r := login.get(strings.Replace(page.Request.URL.String(), "/login?", "/end_session?", 1))
		requirePage(t, r, http.StatusOK)
		require.NotContains(t, r.Body, "House")
	})
}

func TestLO02_APostedLogoutGoesNowhereUnregistered(t *testing.T) {
	t.Parallel()
	i := start(t, consentFile("one"))
	for _, uri := range []string{"https://evil.example/", bye + "/", callback, bye + "?x"} {
		form := url.Values{"client_id": {"house"}, "post_logout_redirect_uri": {uri}}
		r := newBrowser(t).post(i.Issuer("one")+"/end_session", form, "Accept", "text/html")
		requirePage(t, r, http.StatusBadRequest)
	}
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM flows`))
}

func TestRefusedAddressIsMarkedWhereItDiffers(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	explain := func(uri string) string {
		r := newBrowser(t).visit(i.Issuer("one")+"/authorize?"+authorization("redirect_uri", uri).Encode(), "")
		requirePage(t, r, http.StatusBadRequest)
		return r.Body
	}
	require.Contains(t, explain("https://shop.example/callbak?x=1"), ""+
		"  https://shop.example/callbak?x=1\n"+
		"  https://shop.example/callback?x=1\n"+
		"                             ^\n"+
		"character 28: &#34;k&#34; instead of &#34;c&#34;\n")
	require.Contains(t, explain("https://shop.example/callback"), "character 30: the received one ends here")
	require.Contains(t, explain(callback+"/"), "character 28: the registered one ends here")
	require.Contains(t, explain("https://shоp.example/callback?x=1"), `  https://sh\u043ep.example/callback?x=1`, "a look-alike letter shows")
	require.NotContains(t, explain("https://evil.example/<script>alert(1)</script>"), "<script>alert")
	require.Contains(t, explain("https://evil.example/"), "gatehouse realm apply -f FILE")
}
