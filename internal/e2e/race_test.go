package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

const atOnce = 20

// together calls do that many times at once and returns what came of it.
func together[T any](do func(n int) T) []T { return testdb.Together(atOnce, do) }

func TestAZ11_AZ12_ManyExchangesOfOneCodeAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	for range 3 {
		code := newBrowser(t).code(i, "one")
		all := together(func(int) tokens { return token(t, i, "one", exchange(code)) })
		var winners []tokens
		for _, got := range all {
			if got.Status == http.StatusOK {
				winners = append(winners, got)
				continue
			}
			requireRefused(t, got, http.StatusBadRequest, "invalid_grant")
		}
		require.Len(t, winners, 1)
		r, _ := userinfo(t, i, "one", winners[0].AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode, "after a race the authorization is dead")
	}
	require.Len(t, eventData(t, i, "one", "grant.exchanged"), 3)
	require.Equal(t, []string{`{"reason": "code_reuse"}`, `{"reason": "code_reuse"}`, `{"reason": "code_reuse"}`}, eventData(t, i, "one", "grant.revoked"))
	require.Zero(t, one[int](t, i, "one", `SELECT count(*) FROM grants WHERE revoked_at IS NULL`))
}

func TestAZ12_ManyWrongProofsAtOnceBurnTheCodeOnce(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	code := newBrowser(t).code(i, "one")
	all := together(func(n int) tokens {
		if n%2 == 0 {
			return token(t, i, "one", otherExchange(code), secretInForm()...)
		}
		return token(t, i, "one", exchange(code, "code_verifier", strings.Repeat("x", 43)))
	})
	for _, got := range all {
		requireRefused(t, got, http.StatusBadRequest, "invalid_grant")
	}
	require.Len(t, eventData(t, i, "one", "grant.code_refused"), 1)
	require.Empty(t, eventData(t, i, "one", "grant.exchanged"))
}

// copyOf is another browser with the same cookies.
func copyOf(t testing.TB, b *browser, at string) *browser {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(u, b.client.Jar.Cookies(u))
	c := newBrowser(t)
	c.client.Jar = jar
	return c
}

func TestTheLastStepLoadedManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.authorize(i, "one", authorization())
	form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
	passed := b.post(page.Request.URL.String(), form)
	require.Equal(t, http.StatusSeeOther, passed.StatusCode, passed.Body)
	dispatcher := passed.Location().String()

	all := together(func(int) response { return copyOf(t, b, i.URL).get(dispatcher) })
	codes := map[string]bool{}
	for _, r := range all {
		require.Less(t, r.StatusCode, 500, r.Body)
		if code := r.Location().Query().Get("code"); code != "" {
			require.False(t, codes[code])
			codes[code] = true
			require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status)
			continue
		}
		requirePage(t, r, http.StatusNotFound)
	}
	require.Len(t, codes, 1, "one code")
	require.Equal(t, 1, one[int](t, i, "one", `SELECT count(*) FROM sessions`))
	require.Equal(t, 1, one[int](t, i, "one", `SELECT count(*) FROM grants`))
	require.Equal(t, 1, one[int](t, i, "one", `SELECT count(*) FROM flows WHERE completed_at IS NOT NULL`))
}

func TestManyAuthorizationsOfOneSessionAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	b.code(i, "one")
	codes := map[string]bool{}
	for _, r := range together(func(int) response { return b.authorize(i, "one", authorization()) }) {
		code := r.Location().Query().Get("code")
		require.NotEmpty(t, code, r.Body)
		codes[code] = true
	}
	require.Len(t, codes, atOnce)
}

func TestManyLogoutsAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	hint := token(t, i, "one", exchange(b.code(i, "one"))).IDToken
	for _, r := range together(func(int) response {
		return copyOf(t, b, i.URL).get(i.Issuer("one") + "/end_session?id_token_hint=" + hint)
	}) {
		requirePage(t, r, http.StatusOK)
	}
	require.Len(t, eventData(t, i, "one", "session.ended"), 1)
}
