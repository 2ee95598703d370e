package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// bye is the registered address after a logout.
const bye = "http://127.0.0.1:9/bye"

// endSession asks for a logout, by GET.
func (b *browser) endSession(i *instance, slug string, q url.Values) response {
	b.t.Helper()
	return b.get(i.Issuer(slug) + "/end_session?" + q.Encode())
}

// requireSignedOut checks that the browser's session is dead, here and in the database.
func requireSignedOut(t testing.TB, i *instance, b *browser) {
	t.Helper()
	requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none")), "login_required")
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM sessions WHERE ended_at IS NULL`))
}

func requireSignedIn(t testing.TB, i *instance, b *browser) {
	t.Helper()
	require.NotEmpty(t, b.authorize(i, "one", authorization("prompt", "none")).Location().Query().Get("code"))
}

func TestLogoutByTheSessionsOwnIDToken(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	got := token(t, i, "one", exchange(b.code(i, "one")))
	cookie := i.Realm(t, "one").Cookie()

	r := b.endSession(i, "one", url.Values{"id_token_hint": {got.IDToken}, "post_logout_redirect_uri": {bye}, "state": {"s 1"}})
	require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
	require.Equal(t, bye+"?state=s+1", r.Header.Get("Location"))

	cleared := r.Cookies()
	require.Len(t, cleared, 1)
	require.Equal(t, cookie, cleared[0].Name)
	require.Negative(t, cleared[0].MaxAge)
	require.Equal(t, []string{`"cache"`}, r.Header.Values("Clear-Site-Data"))

	requireSignedOut(t, i, b)
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM grants WHERE revoked_at IS NULL`), "what was authorized in it has ended")
	require.Equal(t, []string{`{"reason": "logout"}`}, eventData(t, i, "one", "session.ended"))
	info, _ := userinfo(t, i, "one", got.AccessToken)
	require.Equal(t, http.StatusUnauthorized, info.StatusCode)

	t.Run("again is no error", func(t *testing.T) {
		r := b.endSession(i, "one", url.Values{"id_token_hint": {got.IDToken}, "post_logout_redirect_uri": {bye}})
		require.Equal(t, bye, r.Header.Get("Location"), "without state nothing is added")
	})
	t.Run("without an address it ends on a page", func(t *testing.T) {
		requirePage(t, b.endSession(i, "one", url.Values{"id_token_hint": {got.IDToken}}), http.StatusOK)
	})
}

func TestLogoutEndsOnlyItsOwnSession(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b, elsewhere := newBrowser(t), newBrowser(t)
	hint := token(t, i, "one", exchange(b.code(i, "one"))).IDToken
	there := token(t, i, "one", exchange(elsewhere.code(i, "one")))
	b.endSession(i, "one", url.Values{"id_token_hint": {hint}})
	requireSignedIn(t, i, elsewhere)
	info, _ := userinfo(t, i, "one", there.AccessToken)
	require.Equal(t, http.StatusOK, info.StatusCode)
}

func TestLogoutIsConfirmedOtherwise(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	elsewhere := token(t, i, "one", exchange(newBrowser(t).code(i, "one"))).IDToken
	for name, q := range map[string]url.Values{
		"without a hint":                {"client_id": {"web"}, "post_logout_redirect_uri": {bye}, "state": {"s"}},
		"by an ID token of another one": {"id_token_hint": {elsewhere}, "post_logout_redirect_uri": {bye}, "state": {"s"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t)
			b.code(i, "one")
			page := b.endSession(i, "one", q)
			requirePage(t, page, http.StatusOK)
			require.Empty(t, page.Header.Get("Clear-Site-Data"))
			requireSignedIn(t, i, b)

			form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}}
			for k := range q {
				form.Set(k, hidden(t, page.Body, k))
			}
			forged := url.Values{"csrf": {"AAAA"}, "client_id": {"web"}}
			requirePage(t, b.post(i.Issuer("one")+"/end_session", forged), http.StatusForbidden)
			requireSignedIn(t, i, b)

			r := b.post(page.Request.URL.String(), form)
			require.Equal(t, http.StatusSeeOther, r.StatusCode, r.Body)
			require.Equal(t, bye+"?state=s", r.Header.Get("Location"))
			require.Equal(t, []string{`"cache"`}, r.Header.Values("Clear-Site-Data"))
			requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization("prompt", "none")), "login_required")
		})
	}
	t.Run("posted by another site it is fetched first", func(t *testing.T) {
		b := newBrowser(t)
		b.code(i, "one")
		r := b.post(i.Issuer("one")+"/end_session", url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {bye}, "extra": {"x"}})
		require.Equal(t, http.StatusSeeOther, r.StatusCode)
		require.Equal(t, "/realms/one/end_session", r.Location().Path)
		require.NotContains(t, r.Location().Query(), "extra")
		requirePage(t, b.follow(i, r), http.StatusOK)
		requireSignedIn(t, i, b)
	})
}

func TestLogoutGoesNowhereUnregistered(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	b := newBrowser(t)
	hint := token(t, i, "one", exchange(b.code(i, "one"))).IDToken
	foreign := token(t, i, "two", exchange(newBrowser(t).code(i, "two"))).IDToken
	for name, q := range map[string]url.Values{
		"an unknown address":                 {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.example/"}},
		"nearly the address":                 {"id_token_hint": {hint}, "post_logout_redirect_uri": {bye + "/"}},
		"a redirect_uri":                     {"id_token_hint": {hint}, "post_logout_redirect_uri": {callback}},
		"an address without an application":  {"post_logout_redirect_uri": {bye}},
		"another application's address":      {"client_id": {"other"}, "post_logout_redirect_uri": {bye}},
		"an unknown application":             {"client_id": {"nobody"}, "post_logout_redirect_uri": {bye}},
		"a hint for another application":     {"id_token_hint": {hint}, "client_id": {"other"}, "post_logout_redirect_uri": {bye}},
		"a hint of another realm":            {"id_token_hint": {foreign}, "post_logout_redirect_uri": {bye}},
		"a hint that nobody signed":          {"id_token_hint": {"e30.e30.e30"}, "post_logout_redirect_uri": {bye}},
		"an address that is a script":        {"id_token_hint": {hint}, "post_logout_redirect_uri": {"javascript:alert(1)"}},
		"an address without its own session": {"client_id": {"web"}, "post_logout_redirect_uri": {"https://evil.example/"}},
	} {
		t.Run(name, func(t *testing.T) {
			requirePage(t, b.endSession(i, "one", q), http.StatusBadRequest)
			requireSignedIn(t, i, b)
			requirePage(t, newBrowser(t).endSession(i, "one", q), http.StatusBadRequest)
		})
	}
}

func TestLogoutOfNobodyIsAPage(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	requirePage(t, newBrowser(t).endSession(i, "one", url.Values{}), http.StatusOK)
	r := newBrowser(t).endSession(i, "one", url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {bye}, "state": {"x"}})
	require.Equal(t, bye+"?state=x", r.Header.Get("Location"))
}
