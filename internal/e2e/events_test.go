package e2e

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
)

// recorded is an event with its personal fields opened.
type recorded struct {
	Type, Kind, Actor, Client, Request, Reason string
	User, Session                              *uuid.UUID
	At                                         time.Time
	Personal                                   event.Personal
}

// lastEvent is the number of the newest event.
func (i *instance) lastEvent(t testing.TB) (seq int64) {
	t.Helper()
	i.scan(t, "one", "SELECT coalesce(max(seq), 0) FROM events", &seq)
	return seq
}

// events are the realm's events after a number, in order.
func (i *instance) events(t testing.TB, after int64) []recorded {
	t.Helper()
	r := i.Realm(t, "one")
	rows, err := r.Query(t.Context(), `SELECT e.id, e.type, e.actor_kind, e.actor, coalesce(e.client_id, ''), e.request_id, coalesce(e.data->>'reason', ''),
		e.user_id, e.session_id, e.at, e.personal_digest, p.sealed
		FROM events e LEFT JOIN event_personal p ON p.event_id = e.id WHERE e.seq > $1 ORDER BY e.seq`, after)
	require.NoError(t, err)
	defer rows.Close()
	var all []recorded
	for rows.Next() {
		var e recorded
		var id uuid.UUID
		var digest, sealed []byte
		require.NoError(t, rows.Scan(&id, &e.Type, &e.Kind, &e.Actor, &e.Client, &e.Request, &e.Reason, &e.User, &e.Session, &e.At, &digest, &sealed))
		require.NotEmpty(t, sealed, "%s has no personal fields", e.Type)
		e.Personal, err = event.OpenPersonal(r, id, sealed, digest)
		require.NoError(t, err)
		all = append(all, e)
	}
	require.NoError(t, rows.Err())
	return all
}

func types(events []recorded) []string {
	var names []string
	for _, e := range events {
		names = append(names, e.Type)
	}
	return names
}

func TestAU01_ASignInIsRecorded(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	var ana uuid.UUID
	i.scan(t, "one", "SELECT user_id FROM identifiers WHERE canonical = 'ana'", &ana)
	b, begin := newBrowser(t), i.lastEvent(t)
	page := b.loginPage(i)
	require.Empty(t, i.events(t, begin), "looking at a page is no event")

	wrong := b.try(page, "ANA", "wrong")
	unknown := b.try(page, "nobody@example.test", "wrong")
	refusals := i.events(t, begin)
	require.Equal(t, []string{"login.refused", "login.refused"}, types(refusals))
	for k, want := range []struct {
		answer        response
		reason, typed string
		user          *uuid.UUID
	}{{wrong, "wrong", "ANA", &ana}, {unknown, "unknown", "nobody@example.test", nil}} {
		got := refusals[k]
		require.Equal(t, want.reason, got.Reason)
		require.Equal(t, want.user, got.User)
		require.Equal(t, "anonymous", got.Kind)
		require.Empty(t, got.Actor)
		require.Equal(t, "web", got.Client)
		require.Equal(t, want.answer.Header.Get("X-Request-Id"), got.Request)
		require.Equal(t, want.typed, got.Personal.Identifier)
		require.Equal(t, "127.0.0.1", got.Personal.Address)
		require.Contains(t, got.Personal.UserAgent, "Go-http-client")
		require.NotEmpty(t, got.Personal.Salt)
	}

	begin = i.lastEvent(t)
	back := b.follow(i, b.try(page, "ana", anaPassword))
	got := token(t, i, "one", exchange(requireCode(t, back)))
	require.Equal(t, http.StatusOK, got.Status)
	sid := claims(t, got.IDToken)["sid"]
	journey := i.events(t, begin)
	require.Equal(t, []string{"session.started", "grant.exchanged"}, types(journey))
	for _, e := range journey {
		require.Equal(t, &ana, e.User, e.Type)
		require.NotNil(t, e.Session, e.Type)
		require.Equal(t, sid, e.Session.String(), e.Type)
		require.True(t, i.Clock.Now().Equal(e.At), e.Type)
		require.Equal(t, "127.0.0.1", e.Personal.Address, e.Type)
		require.Len(t, e.Request, 26, e.Type)
	}
	started, exchanged := journey[0], journey[1]
	require.Equal(t, []string{"user", ana.String(), back.Header.Get("X-Request-Id")}, []string{started.Kind, started.Actor, started.Request})
	require.Equal(t, []string{"client", "web", "web"}, []string{exchanged.Kind, exchanged.Actor, exchanged.Client})

	begin = i.lastEvent(t)
	i.Clock.Advance(time.Minute)
	requireCode(t, b.follow(i, b.try(b.loginPage(i, "prompt", "login"), "ana", anaPassword)))
	again := i.events(t, begin)
	require.Equal(t, []string{"session.rotated", "session.renewed"}, types(again))
	for _, e := range again {
		require.Equal(t, []string{"user", ana.String(), ana.String()}, []string{e.Kind, e.Actor, e.User.String()}, e.Type)
		require.Equal(t, sid, e.Session.String(), e.Type)
	}

	begin = i.lastEvent(t)
	address := i.Issuer("one") + "/end_session"
	require.Equal(t, http.StatusOK, b.post(address, url.Values{"csrf": {hidden(t, b.get(address).Body, "csrf")}}).StatusCode)
	ended := i.events(t, begin)
	require.Equal(t, []string{"session.ended"}, types(ended))
	require.Equal(t, []string{"user", ana.String(), "logout"}, []string{ended[0].Kind, ended[0].Actor, ended[0].Reason})
	require.Equal(t, sid, ended[0].Session.String())
}

func TestAU01_EveryRefusedSignInHasItsReason(t *testing.T) {
	t.Parallel()
	i := start(t, withUsers("username: gone\nenabled: false\npassword: "+anaPassword))
	b := newBrowser(t)
	page := b.loginPage(i)
	begin := i.lastEvent(t)
	b.try(page, "gone", anaPassword)
	b.try(page, "ana\u200b", "x")
	b.try(page, "ana", strings.Repeat("x", 300))
	for range 5 {
		b.try(page, "bob", "wrong")
	}
	var reasons []string
	for _, e := range i.events(t, begin) {
		require.Equal(t, "login.refused", e.Type)
		reasons = append(reasons, e.Reason)
	}
	require.Equal(t, []string{"inactive", "unknown", "wrong", "wrong", "wrong", "wrong", "wrong", "wrong"}, reasons)
	begin = i.lastEvent(t)
	b.try(page, "bob", anaPassword)
	require.Equal(t, "throttled", i.events(t, begin)[0].Reason)
}

func TestLG09_TheAddressIsThePeers(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := browserFrom(t, "127.0.0.7")
	page := b.loginPage(i)
	begin := i.lastEvent(t)
	form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {"wrong"}}
	for n := range 6 {
		forged := "203.0.113." + string(rune('1'+n))
		r := b.post(page.Request.URL.String(), form,
			"X-Forwarded-For", forged, "X-Real-Ip", forged, "Forwarded", "for="+forged, "True-Client-Ip", forged, "X-Forwarded-Host", "evil.example")
		if n == 5 {
			requireThrottled(t, r, time.Second)
		}
	}
	for _, e := range i.events(t, begin) {
		require.Equal(t, "127.0.0.7", e.Personal.Address)
	}
}

func TestAU03_NoSecretIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	const wrong, unmatched = "hunter2-not-the-password", "canary-password-of-nobody"
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	secrets := map[string]string{
		"password": anaPassword, "wrong password": wrong, "password of nobody": unmatched, "client secret": webSecret, "verifier": verifier,
		"pre-login cookie": b.cookie(i), "form token": hidden(t, page.Body, "csrf"), "flow": page.Request.URL.Query().Get("tx"),
	}
	b.try(page, "ana", wrong)
	b.try(page, "nobody", unmatched)
	b.post(page.Request.URL.String(), url.Values{"username": {"ana"}, "password": {wrong}}) // no form token
	b.post(page.Request.URL.String(), url.Values{"password": {wrong + "\x00"}})             // not text
	b.post(page.Request.URL.String(), url.Values{"password": {wrong}}, "Content-Type", "text/plain")
	code := requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
	got := token(t, i, "one", exchange(code))
	require.Equal(t, http.StatusOK, got.Status)
	secrets["cookie"], secrets["code"], secrets["access token"], secrets["ID token"] = b.cookie(i), code, got.AccessToken, got.IDToken

	burnt := b.code(i, "one")
	secrets["burnt code"], secrets["wrong verifier"] = burnt, strings.Repeat("wrong-verifier", 4)
	require.Equal(t, "invalid_grant", token(t, i, "one", exchange(burnt, "code_verifier", secrets["wrong verifier"])).Error)
	secrets["wrong client secret"] = "not-the-secret-0123456789abcdef"
	token(t, i, "one", exchange(code), "Authorization", basic("web", secrets["wrong client secret"]))
	token(t, i, "one", exchange(code)) // used twice
	for _, bearer := range []string{got.AccessToken, got.AccessToken + "x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.Issuer("one")+"/userinfo", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+bearer)
		b.do(req)
	}
	b.get(i.Issuer("one") + "/end_session?id_token_hint=" + got.IDToken)
	b.get(i.Issuer("one") + "/end_session?id_token_hint=" + got.IDToken + "x")

	keeper := basic("keeper", webSecret)
	kept := token(t, i, "one", exchange(b.code(i, "one", "client_id", "keeper")), "Authorization", keeper)
	require.NotEmpty(t, kept.RefreshToken)
	renewed := token(t, i, "one", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {kept.RefreshToken}}, "Authorization", keeper)
	require.NotEmpty(t, renewed.RefreshToken)
	secrets["refresh token"], secrets["next refresh token"], secrets["next access token"] = kept.RefreshToken, renewed.RefreshToken, renewed.AccessToken
	for _, tok := range []string{kept.RefreshToken, renewed.RefreshToken, renewed.AccessToken} {
		ask(t, i, "/introspect", "keeper", webSecret, url.Values{"token": {tok}})
		ask(t, i, "/introspect", "keeper", secrets["wrong client secret"], url.Values{"token": {tok}})
		ask(t, i, "/revoke", "keeper", webSecret, url.Values{"token": {tok}})
	}

	written := requireNowhere(t, i, secrets)
	require.Contains(t, written["the log"], `"route":"/realms/:realm/token"`, "this test can see the log")
	require.Contains(t, written["the database"], "grant.exchanged")
	require.Contains(t, written["the metrics"], "/realms/:realm/token")
	require.NotContains(t, written["the log"], "ana@example.test")
	require.NotContains(t, strings.ToLower(written["the log"]), "127.0.0.1\"", "nor addresses in full")
}

// requireNowhere looks for secrets in all that realm "one" and its server have written, and returns that.
func requireNowhere(t *testing.T, i *instance, secrets map[string]string) (written map[string]string) {
	t.Helper()
	i.flush()
	metrics, err := i.Registry.Gather()
	require.NoError(t, err)
	written = map[string]string{"the log": i.Logs.String(), "the database": i.rows(t, "one")}
	for _, family := range metrics {
		written["the metrics"] += family.String()
	}
	for where, what := range written {
		for name, secret := range secrets {
			require.GreaterOrEqual(t, len(secret), 20, name)
			require.NotContains(t, what, secret, "%s is in %s", name, where)
			require.NotContains(t, what, url.QueryEscape(secret), "%s is in %s", name, where)
			require.NotContains(t, what, hex.EncodeToString([]byte(secret)), "%s is in %s", name, where)
		}
	}
	return written
}

func TestAU03_NoAssertionIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	s := startSigners(t)
	i := s.instance
	assert := func(k keyPair, change claimSet) string { return k.sign(t, about(i, "signer", change), nil) }
	good, early := assert(s.es, nil), assert(s.es, claimSet{"nbf": i.Clock.Now().Unix() + 600})
	forged := good[:len(good)-6] + "AAAAAA"
	strange := newPair(t, "ES256", "es").sign(t, about(i, "signer", nil), nil)
	secrets := map[string]string{"assertion": good, "early assertion": early, "forged assertion": forged, "assertion of a stranger": strange}
	got := prove(t, i, "one", good)
	require.Equal(t, http.StatusOK, got.Status, "%+v", got)
	secrets["access token"] = got.AccessToken
	for _, refused := range []string{good, early, forged, strange} {
		require.Equal(t, http.StatusUnauthorized, prove(t, i, "one", refused).Status)
		for _, endpoint := range []string{"/introspect", "/revoke"} {
			form := proof(refused, "token", got.AccessToken)
			require.Equal(t, http.StatusUnauthorized, newBrowser(t).post(i.Issuer("one")+endpoint, form).StatusCode)
		}
		newBrowser(t).post(i.Issuer("one")+"/token", url.Values{"grant_type": {jwtBearer}, "assertion": {refused}})
		newBrowser(t).get(i.Issuer("one") + "/token?client_assertion=" + refused)
	}
	granted := assert(s.ed, nil)
	secrets["granting assertion"] = granted
	require.Equal(t, http.StatusOK, token(t, i, "one", url.Values{"grant_type": {jwtBearer}, "assertion": {granted}}, secretInForm()...).Status)
	parts := map[string]string{} // a signature alone would do harm, too
	for name, text := range secrets {
		parts["signature of the "+name] = text[strings.LastIndexByte(text, '.')+1:]
	}
	requireNowhere(t, i, secrets)
	written := requireNowhere(t, i, parts)
	require.Contains(t, written["the log"], `"route":"/realms/:realm/introspect"`)
}
