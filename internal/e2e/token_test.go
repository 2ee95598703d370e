package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAZ04_PKCEAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	withoutPKCE := []string{"client_id", "other", "code_challenge", "", "code_challenge_method", ""}

	t.Run("a wrong verifier burns the code, so that none does not help either", func(t *testing.T) {
		t.Parallel()
		for name, second := range map[string]string{"none": "", "the right one": verifier} {
			for _, client := range []string{"web", "other"} {
				form, headers := exchange, []string{"Authorization", basic("web", webSecret)}
				if client == "other" {
					form, headers = otherExchange, secretInForm()
				}
				code := newBrowser(t).code(i, "one", "client_id", client)
				requireRefused(t, token(t, i, "one", form(code, "code_verifier", strings.Repeat("x", 43)), headers...), http.StatusBadRequest, "invalid_grant")
				requireRefused(t, token(t, i, "one", form(code, "code_verifier", second), headers...), http.StatusBadRequest, "invalid_grant")
				require.Contains(t, eventData(t, i, "one", "grant.code_refused"), `{"reason": "invalid_grant"}`, "%s by %s", name, client)
			}
		}
	})
	t.Run("a challenge that was sent is enforced, optional or not", func(t *testing.T) {
		t.Parallel()
		code := newBrowser(t).code(i, "one", "client_id", "other")
		requireRefused(t, token(t, i, "one", otherExchange(code, "code_verifier", ""), secretInForm()...), http.StatusBadRequest, "invalid_grant")
		requireRefused(t, token(t, i, "one", otherExchange(code), secretInForm()...), http.StatusBadRequest, "invalid_grant")
		code = newBrowser(t).code(i, "one", "client_id", "other")
		require.Equal(t, http.StatusOK, token(t, i, "one", otherExchange(code), secretInForm()...).Status)
	})
	t.Run("an optional application works without", func(t *testing.T) {
		t.Parallel()
		code := newBrowser(t).code(i, "one", withoutPKCE...)
		require.Equal(t, http.StatusOK, token(t, i, "one", otherExchange(code, "code_verifier", ""), secretInForm()...).Status)
	})
	t.Run("a verifier without a stored challenge is refused", func(t *testing.T) {
		t.Parallel()
		code := newBrowser(t).code(i, "one", withoutPKCE...)
		requireRefused(t, token(t, i, "one", otherExchange(code), secretInForm()...), http.StatusBadRequest, "invalid_grant")
		requireRefused(t, token(t, i, "one", otherExchange(code, "code_verifier", ""), secretInForm()...), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("the challenge is no verifier", func(t *testing.T) {
		t.Parallel()
		code := newBrowser(t).code(i, "one")
		requireRefused(t, token(t, i, "one", exchange(code, "code_verifier", challenge())), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("a public application proves itself by nothing else", func(t *testing.T) {
		t.Parallel()
		uri := "http://127.0.0.1:51004/cb"
		native := func(code, proof string) tokens {
			return token(t, i, "one", exchange(code, "client_id", "native", "redirect_uri", uri, "code_verifier", proof), secretInForm()...)
		}
		requireRefused(t, native(newBrowser(t).code(i, "one", "client_id", "native", "redirect_uri", uri), ""), http.StatusBadRequest, "invalid_grant")
		require.Equal(t, http.StatusOK, native(newBrowser(t).code(i, "one", "client_id", "native", "redirect_uri", uri), verifier).Status)
	})
}

func TestAZ11_TheCode(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))

	t.Run("lives for 60 seconds", func(t *testing.T) {
		early, late := newBrowser(t).code(i, "one"), newBrowser(t).code(i, "one")
		i.Clock.Advance(59 * time.Second)
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(early)).Status)
		i.Clock.Advance(time.Second)
		requireRefused(t, token(t, i, "one", exchange(late)), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("is bound to its client", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		requireRefused(t, token(t, i, "one", otherExchange(code), secretInForm()...), http.StatusBadRequest, "invalid_grant")
	})
	for name, uri := range map[string]string{"another one": "https://shop.example/callback?x=1", "none": ""} {
		t.Run("is bound to its redirect_uri: "+name, func(t *testing.T) {
			code := newBrowser(t).code(i, "one")
			requireRefused(t, token(t, i, "one", exchange(code, "redirect_uri", uri)), http.StatusBadRequest, "invalid_grant")
			requireRefused(t, token(t, i, "one", exchange(code)), http.StatusBadRequest, "invalid_grant")
		})
	}
	t.Run("is bound to its realm", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		requireRefused(t, token(t, i, "two", exchange(code)), http.StatusBadRequest, "invalid_grant")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status, "another realm cannot burn it")
	})
	t.Run("ends with its session", func(t *testing.T) {
		b := newBrowser(t)
		used, unused := b.code(i, "one"), b.code(i, "one")
		hint := token(t, i, "one", exchange(used)).IDToken
		r := b.get(i.Issuer("one") + "/end_session?id_token_hint=" + hint)
		require.Equal(t, http.StatusOK, r.StatusCode)
		requireRefused(t, token(t, i, "one", exchange(unused)), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("is in the database as a hash only", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		raw, err := base64.RawURLEncoding.DecodeString(code)
		require.NoError(t, err)
		sum := sha256.Sum256([]byte(code))
		stored := one[string](t, i, "one", `SELECT g::text FROM grants g WHERE code_hash = $1`, sum[:])
		for _, form := range []string{code, hex.EncodeToString(raw), hex.EncodeToString(raw[16:])} {
			require.NotContains(t, stored, form)
		}
		require.NotContains(t, i.Logs.String(), code)
	})
	t.Run("is 256 random bits", func(t *testing.T) {
		b, seen := newBrowser(t), map[string]bool{}
		for range 5 {
			raw, err := base64.RawURLEncoding.DecodeString(b.code(i, "one"))
			require.NoError(t, err)
			require.Len(t, raw, 16+32, "the row's id and the secret")
			require.False(t, seen[string(raw[16:])])
			seen[string(raw[16:])] = true
		}
	})
	t.Run("is compared whole", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		for _, wrong := range []string{code[:len(code)-1], code + "A", code + "=", code[:60], strings.ToLower(code), " " + code, "x"} {
			if wrong == code {
				continue
			}
			requireRefused(t, token(t, i, "one", exchange(wrong)), http.StatusBadRequest, "invalid_grant")
		}
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status, "whoever does not know the code cannot burn it")
	})
}

func TestAZ12_ASecondUseOfTheCode(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	alive := func(t *testing.T, accessToken string) bool {
		t.Helper()
		r, _ := userinfo(t, i, "one", accessToken)
		return r.StatusCode == http.StatusOK
	}
	t.Run("by the client it was given to revokes everything that came of it", func(t *testing.T) {
		b := newBrowser(t)
		code := b.code(i, "one")
		first := token(t, i, "one", exchange(code))
		bystander := token(t, i, "one", exchange(b.code(i, "one")))
		require.True(t, alive(t, first.AccessToken))
		before := eventData(t, i, "one", "grant.revoked")

		requireRefused(t, token(t, i, "one", exchange(code)), http.StatusBadRequest, "invalid_grant")
		require.False(t, alive(t, first.AccessToken))
		require.Equal(t, append(before, `{"reason": "code_reuse"}`), eventData(t, i, "one", "grant.revoked"))
		require.True(t, alive(t, bystander.AccessToken), "another authorization of the same session lives")

		requireRefused(t, token(t, i, "one", exchange(code)), http.StatusBadRequest, "invalid_grant")
		require.Len(t, eventData(t, i, "one", "grant.revoked"), len(before)+1, "it is revoked once")
	})
	t.Run("revokes even when its proof is wrong or the code has expired meanwhile", func(t *testing.T) {
		for _, change := range [][]string{{"code_verifier", ""}, {"redirect_uri", "https://shop.example/callback?x=1"}} {
			code := newBrowser(t).code(i, "one")
			first := token(t, i, "one", exchange(code))
			i.Clock.Advance(2 * time.Minute)
			requireRefused(t, token(t, i, "one", exchange(code, change...)), http.StatusBadRequest, "invalid_grant")
			require.False(t, alive(t, first.AccessToken))
		}
	})
	t.Run("by another client touches nothing", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		first := token(t, i, "one", exchange(code))
		before := len(eventData(t, i, "one", "grant.revoked"))
		requireRefused(t, token(t, i, "one", otherExchange(code), secretInForm()...), http.StatusBadRequest, "invalid_grant")
		require.True(t, alive(t, first.AccessToken))
		require.Len(t, eventData(t, i, "one", "grant.revoked"), before)
	})
	t.Run("an unused code that another client presents is burnt", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		requireRefused(t, token(t, i, "one", otherExchange(code), secretInForm()...), http.StatusBadRequest, "invalid_grant")
		requireRefused(t, token(t, i, "one", exchange(code)), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("a failed client authentication burns nothing", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		for _, headers := range [][]string{
			{"Authorization", basic("web", "wrong-"+webSecret)},
			{"Authorization", basic("nobody", webSecret)},
			{"Authorization", "Bearer x"},
			{"Authorization", "Basic !"},
		} {
			requireRefused(t, token(t, i, "one", exchange(code), headers...), http.StatusUnauthorized, "invalid_client")
		}
		// Libraries that try one method after the other.
		requireRefused(t, token(t, i, "one", exchange(code, "client_id", "web", "client_secret", webSecret), secretInForm()...), http.StatusUnauthorized, "invalid_client")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status)
	})
}

func TestTK08_ClientAuthentication(t *testing.T) {
	t.Parallel()
	i := start(t, protocolFile("one"))
	code := newBrowser(t).code(i, "one")
	for name, c := range map[string]struct {
		form    url.Values
		headers []string
		status  int
		code    string
	}{
		"two methods":                       {exchange(code, "client_id", "web", "client_secret", webSecret), []string{"Authorization", basic("web", webSecret)}, 400, "invalid_request"},
		"two methods, one of them wrong":    {exchange(code, "client_id", "web", "client_secret", "x"), []string{"Authorization", basic("web", webSecret)}, 400, "invalid_request"},
		"a secret and an assertion":         {exchange(code, "client_id", "web", "client_secret", webSecret, "client_assertion", "x"), secretInForm(), 400, "invalid_request"},
		"two names":                         {exchange(code, "client_id", "other"), []string{"Authorization", basic("web", webSecret)}, 400, "invalid_request"},
		"the form instead of Basic":         {exchange(code, "client_id", "web", "client_secret", webSecret), secretInForm(), 401, "invalid_client"},
		"Basic instead of the form":         {exchange(code), []string{"Authorization", basic("other", otherSecret)}, 401, "invalid_client"},
		"nothing for a confidential client": {exchange(code, "client_id", "web"), secretInForm(), 401, "invalid_client"},
		"a secret for a public client":      {exchange(code, "client_id", "native", "client_secret", "x"), secretInForm(), 401, "invalid_client"},
		"no client":                         {exchange(code), secretInForm(), 401, "invalid_client"},
		"an assertion":                      {exchange(code, "client_id", "web", "client_assertion", "x", "client_assertion_type", "y"), secretInForm(), 401, "invalid_client"},
		"an empty secret":                   {exchange(code), []string{"Authorization", basic("web", "")}, 401, "invalid_client"},
		"another client's secret":           {exchange(code), []string{"Authorization", basic("web", otherSecret)}, 401, "invalid_client"},
		"a name that is no text":            {exchange(code), []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("%FF%00:x"))}, 401, "invalid_client"},
		"the hash of the secret":            {exchange(code), []string{"Authorization", basic("web", hashOf(webSecret))}, 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefused(t, token(t, i, "one", c.form, c.headers...), c.status, c.code)
		})
	}
	t.Run("an unknown client, a wrong secret and a wrong method are answered alike", func(t *testing.T) {
		var bodies []string
		for _, header := range []string{basic("nobody", webSecret), basic("web", "wrong"), basic("other", otherSecret)} {
			r := newBrowser(t).post(i.Issuer("one")+"/token", exchange(code), "Authorization", header)
			require.Equal(t, `Basic realm="`+i.Issuer("one")+`"`, r.Header.Get("WWW-Authenticate"))
			bodies = append(bodies, r.Body)
		}
		require.Equal(t, bodies[0], bodies[1])
		require.Equal(t, bodies[0], bodies[2])
	})
	t.Run("Basic credentials are form-encoded", func(t *testing.T) {
		odd := newBrowser(t).code(i, "one", "client_id", oddID)
		unencoded := "Basic " + base64.StdEncoding.EncodeToString([]byte(oddID+":"+oddSecret))
		requireRefused(t, token(t, i, "one", exchange(odd), "Authorization", unencoded), http.StatusUnauthorized, "invalid_client")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(odd), "Authorization", basic(oddID, oddSecret)).Status)
	})
	t.Run("parameters without a value are absent", func(t *testing.T) {
		uri := "com.example.app:/cb"
		native := newBrowser(t).code(i, "one", "client_id", "native", "redirect_uri", uri)
		form := exchange(native, "client_id", "native", "redirect_uri", uri)
		form.Set("client_secret", "")
		require.Equal(t, http.StatusOK, token(t, i, "one", form, secretInForm()...).Status)
		form = exchange(code, "client_id", "web")
		form.Set("client_secret", "")
		require.Equal(t, http.StatusOK, token(t, i, "one", form).Status, "Basic alone")
	})
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func TestTK11_TK12_TheTokenEndpoint(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	address := i.Issuer("one") + "/token"
	authorized := []string{"Authorization", basic("web", webSecret)}

	t.Run("answers are not to be stored", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		for _, status := range []int{http.StatusOK, http.StatusBadRequest} { // the second is a second use
			r := newBrowser(t).post(address, exchange(code), authorized...)
			require.Equal(t, status, r.StatusCode)
			require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
			require.True(t, strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"))
			require.Empty(t, r.Header.Values("Set-Cookie"))
		}
	})
	t.Run("errors are the RFC's and nothing of ours", func(t *testing.T) {
		for _, c := range []struct {
			form url.Values
			code string
		}{
			{url.Values{}, "invalid_request"},
			{url.Values{"grant_type": {"password"}, "username": {"ana"}, "password": {anaPassword}}, "unsupported_grant_type"},
			{url.Values{"grant_type": {"implicit"}}, "unsupported_grant_type"},
			{url.Values{"grant_type": {"urn:example"}}, "unsupported_grant_type"},
			{url.Values{"grant_type": {"authorization_code"}}, "invalid_request"},
			{exchange("x"), "invalid_grant"},
			{exchange(strings.Repeat("A", 64)), "invalid_grant"},
		} {
			r := newBrowser(t).post(address, c.form, authorized...)
			require.Equal(t, http.StatusBadRequest, r.StatusCode, r.Body)
			var body map[string]any
			require.NoError(t, json.Unmarshal([]byte(r.Body), &body))
			require.Equal(t, c.code, body["error"])
			require.Len(t, body, 2, "error and error_description")
			for _, internal := range []string{"fosite", "pgx", "SQLSTATE", "grants", ".go", "Make sure that"} {
				require.NotContains(t, r.Body, internal)
			}
		}
	})
	t.Run("only POST", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodTrace} {
			r := newBrowser(t).send(method, address+"?"+exchange(code).Encode(), authorized...)
			require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode, method)
			require.Contains(t, r.Header.Get("Allow"), http.MethodPost)
		}
		r := newBrowser(t).post(address+"?"+exchange(code).Encode(), url.Values{}, authorized...)
		require.Equal(t, http.StatusBadRequest, r.StatusCode, "parameters in the address do not count")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status)
	})
	t.Run("only a form", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		for _, kind := range []string{"application/json", "text/plain", "multipart/form-data; boundary=x", ""} {
			r := newBrowser(t).post(address, exchange(code), append([]string{"Content-Type", kind}, authorized...)...)
			require.Equal(t, http.StatusBadRequest, r.StatusCode, kind)
			require.Contains(t, r.Body, "invalid_request")
		}
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status)
	})
	t.Run("the body is bounded", func(t *testing.T) {
		code := newBrowser(t).code(i, "one")
		r := newBrowser(t).post(address, exchange(code, "pad", strings.Repeat("x", 64<<10)), authorized...)
		require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, r.StatusCode)
		require.NotContains(t, r.Body, "access_token")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code, "pad", strings.Repeat("x", 32<<10))).Status)
	})
	t.Run("a grant that the application does not have", func(t *testing.T) {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}
		requireRefused(t, token(t, i, "one", form), http.StatusBadRequest, "unauthorized_client")
	})
}

func TestIDToken(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	got := token(t, i, "one", exchange(b.code(i, "one")))
	require.Equal(t, "openid profile email", got.Scope)
	require.EqualValues(t, 300, got.ExpiresIn)
	now := i.Clock.Now().Unix()
	id := claims(t, got.IDToken)
	subject := one[string](t, i, "one", `SELECT subject FROM users u JOIN identifiers n ON n.user_id = u.id WHERE n.canonical = 'ana'`)
	session := one[string](t, i, "one", `SELECT id::text FROM sessions`)

	left := sha256.Sum256([]byte(got.AccessToken))
	require.Equal(t, map[string]any{
		"iss": i.Issuer("one"), "sub": subject, "aud": "web", "exp": float64(now + 600), "iat": float64(now), "auth_time": float64(now),
		"nonce": "nonce-1", "acr": "1", "amr": []any{"pwd"}, "sid": session,
		"at_hash": base64.RawURLEncoding.EncodeToString(left[:16]),
	}, id)
	head := header(t, got.IDToken)
	require.Equal(t, "ES256", head["alg"])
	require.Equal(t, "JWT", head["typ"])
	require.Len(t, head, 3, "alg, kid, typ")

	t.Run("carries no nonce when none was sent", func(t *testing.T) {
		plain := token(t, i, "one", exchange(b.code(i, "one", "nonce", "")))
		require.NotContains(t, claims(t, plain.IDToken), "nonce")
	})
	t.Run("is not given without openid", func(t *testing.T) {
		plain := token(t, i, "one", exchange(b.code(i, "one", "scope", "profile")))
		require.Equal(t, http.StatusOK, plain.Status)
		require.Empty(t, plain.IDToken)
	})
}

func header(t testing.TB, jwt string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(jwt[:strings.IndexByte(jwt, '.')])
	require.NoError(t, err)
	var h map[string]any
	require.NoError(t, json.Unmarshal(raw, &h))
	return h
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	i := start(t, protocolFile("one"))
	b := newBrowser(t)
	got := token(t, i, "one", exchange(b.code(i, "one", "scope", "openid email")))
	now := i.Clock.Now().Unix()
	at, id := claims(t, got.AccessToken), claims(t, got.IDToken)

	require.Equal(t, "at+jwt", header(t, got.AccessToken)["typ"])
	require.Equal(t, i.Issuer("one"), at["iss"])
	require.Equal(t, i.Issuer("one"), at["aud"], "without resource the audience is the issuer, never the client")
	require.Equal(t, "web", at["client_id"])
	require.Equal(t, id["sub"], at["sub"])
	require.Equal(t, "openid email", at["scope"])
	require.EqualValues(t, now, at["iat"])
	require.EqualValues(t, now+300, at["exp"])
	require.EqualValues(t, now, at["auth_time"])
	require.Equal(t, "1", at["acr"])
	require.Equal(t, []any{"pwd"}, at["amr"])
	require.NotContains(t, at, "nonce")
	require.NotContains(t, at, "email")

	t.Run("has an id of its own of 128 bits", func(t *testing.T) {
		other := claims(t, token(t, i, "one", exchange(b.code(i, "one"))).AccessToken)
		require.NotEqual(t, at["jti"], other["jti"])
		raw, err := base64.RawURLEncoding.DecodeString(at["jti"].(string)) //nolint:forcetypeassert // a panic fails the test too
		require.NoError(t, err)
		require.Len(t, raw, 16)
	})
	for name, c := range map[string]struct {
		asked []string
		aud   any
	}{
		"is for the resource that was asked for": {[]string{orders}, orders},
		"is for all that were asked for":         {[]string{orders, billing}, []any{orders, billing}},
		"is for the application's own otherwise": {nil, []any{orders, billing}},
	} {
		t.Run(name, func(t *testing.T) {
			q := authorization("client_id", "resources", "scope", "openid "+secondScope)
			q["resource"] = c.asked
			code := b.authorize(i, "one", q).Location().Query().Get("code")
			got := token(t, i, "one", exchange(code), "Authorization", basic("resources", webSecret))
			require.Equal(t, http.StatusOK, got.Status, "%+v", got)
			require.Equal(t, c.aud, claims(t, got.AccessToken)["aud"])
			require.Equal(t, "resources", claims(t, got.IDToken)["aud"])
		})
	}
}
