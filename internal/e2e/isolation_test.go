package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// TestTwoRealms holds two realms side by side whose applications, secrets, people and passwords are equal. Whatever
// one of them gave out is worth nothing in the other.
func TestTwoRealms(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	b := newBrowser(t)
	got := token(t, i, "one", exchange(b.code(i, "one")))

	t.Run("a code", func(t *testing.T) {
		code := b.code(i, "one")
		requireRefused(t, token(t, i, "two", exchange(code)), http.StatusBadRequest, "invalid_grant")
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status, "nor can the other realm burn it")
	})
	t.Run("an access token", func(t *testing.T) {
		r, _ := userinfo(t, i, "two", got.AccessToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
	})
	t.Run("an ID token", func(t *testing.T) {
		requireErrorAtClient(t, i, "two", askSilently(t, i, "two", authorization("id_token_hint", got.IDToken)), "invalid_request")
		requirePage(t, b.endSession(i, "two", url.Values{"id_token_hint": {got.IDToken}}), http.StatusBadRequest)
	})
	t.Run("a session", func(t *testing.T) {
		one, two := i.Realm(t, "one").Cookie(), i.Realm(t, "two").Cookie()
		require.NotEqual(t, one, two)
		requireErrorAtClient(t, i, "two", b.authorize(i, "two", authorization("prompt", "none")), "login_required")

		address, err := url.Parse(i.URL)
		require.NoError(t, err)
		for _, cookie := range b.client.Jar.Cookies(address) {
			if cookie.Name != one {
				continue
			}
			thief := newBrowser(t)
			thief.client.Jar.SetCookies(address, []*http.Cookie{{Name: two, Value: cookie.Value, Path: "/"}})
			requireErrorAtClient(t, i, "two", thief.authorize(i, "two", authorization("prompt", "none")), "login_required")
		}
		b.code(i, "two")
		requireSignedIn(t, i, b) // in realm one: the two sessions stand beside each other
	})
	t.Run("a flow", func(t *testing.T) {
		mine := newBrowser(t)
		page := mine.authorize(i, "one", authorization())
		requirePage(t, page, http.StatusOK)
		address, err := url.Parse(i.URL)
		require.NoError(t, err)
		cookies := mine.client.Jar.Cookies(address)
		require.Len(t, cookies, 1)
		mine.client.Jar.SetCookies(address, []*http.Cookie{{Name: i.Realm(t, "two").Cookie(), Value: cookies[0].Value, Path: "/"}})

		there := strings.Replace(page.Request.URL.String(), "/realms/one/", "/realms/two/", 1)
		requirePage(t, mine.get(there), http.StatusNotFound)
		requirePage(t, mine.get(strings.Replace(there, "/login?", "/authorize?", 1)), http.StatusNotFound)
		form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
		requirePage(t, mine.post(there, form), http.StatusNotFound)
		require.NotEmpty(t, mine.signIn(i, page, "ana", anaPassword).Location().Query().Get("code"))
	})
	t.Run("a form's token", func(t *testing.T) {
		mine := newBrowser(t)
		one, two := mine.authorize(i, "one", authorization()), mine.authorize(i, "two", authorization())
		form := url.Values{"csrf": {hidden(t, one.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
		requirePage(t, mine.post(two.Request.URL.String(), form), http.StatusForbidden)
	})
	t.Run("an application and a person", func(t *testing.T) {
		i.apply(t, `
realm: two
applications:
  - {client_id: only-two, name: Only two, secrets: [`+otherSecret+`], redirect_uris: ["`+callback+`"], scopes: [openid]}
users:
  - {username: zoe, email: zoe@example.test, password: `+anaPassword+`}
`)
		ask := func(slug string) response {
			return askSilently(t, i, slug, authorization("client_id", "only-two", "scope", "openid"))
		}
		requireErrorAtClient(t, i, "two", ask("two"), "login_required")
		requirePage(t, ask("one"), http.StatusBadRequest)
		requireRefused(t, token(t, i, "one", exchange("x"), "Authorization", basic("only-two", otherSecret)), http.StatusUnauthorized, "invalid_client")

		mine := newBrowser(t)
		requirePage(t, mine.signIn(i, mine.authorize(i, "one", authorization()), "zoe", anaPassword), http.StatusUnprocessableEntity)
	})
	t.Run("a subject", func(t *testing.T) {
		there := newBrowser(t)
		other := token(t, i, "two", exchange(there.code(i, "two")))
		require.NotEqual(t, claims(t, got.IDToken)["sub"], claims(t, other.IDToken)["sub"])
	})
}

func TestJW04_EachRealmHasItsOwnKeys(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	ids := map[string]bool{}
	for _, slug := range []string{"one", "two"} {
		for _, key := range keySet(t, i, slug) {
			require.False(t, ids[key["kid"]], "a key id is unique")
			ids[key["kid"]] = true
			raw, err := base64.RawURLEncoding.DecodeString(key["kid"])
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(raw), 12, "and random")
		}
	}
	at := token(t, i, "two", exchange(newBrowser(t).code(i, "two"))).AccessToken
	requireTokenRefused(t, i, at)

	// The other realm's key under this realm's key id, and the other realm's issuer under its own.
	parts := strings.Split(at, ".")
	head := header(t, at)
	head["kid"] = keySet(t, i, "one")[0]["kid"]
	requireTokenRefused(t, i, encoded(t, head)+"."+parts[1]+"."+parts[2])
}

// encoded is a part of a JWT.
func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(b)
}

// requireTokenRefused checks that realm one takes the token neither as an access token nor as a hint.
func requireTokenRefused(t testing.TB, i *instance, jwt string) {
	t.Helper()
	r, _ := userinfo(t, i, "one", jwt)
	require.Equal(t, http.StatusUnauthorized, r.StatusCode, "%s\n%s", jwt, r.Body)
	requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization("id_token_hint", jwt)), "invalid_request")
}

func TestJW02_ForgedTokens(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	got := token(t, i, "one", exchange(newBrowser(t).code(i, "one")))
	key := keySet(t, i, "one")[0]
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	payload := strings.Split(got.AccessToken, ".")[1]
	signature := strings.Split(got.AccessToken, ".")[2]

	signed := func(head map[string]any) string {
		text := encoded(t, head) + "." + payload
		digest := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, own, digest[:])
		require.NoError(t, err)
		var sig [64]byte
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return text + "." + base64.RawURLEncoding.EncodeToString(sig[:])
	}
	with := func(change map[string]any) map[string]any {
		head := map[string]any{"alg": "ES256", "kid": key["kid"], "typ": "at+jwt"}
		maps.Copy(head, change)
		return head
	}
	for _, typ := range []string{"at+jwt", "JWT"} {
		for name, jwt := range map[string]string{
			"alg none, no signature":         encoded(t, with(map[string]any{"alg": "none", "typ": typ})) + "." + payload + ".",
			"alg none, the true signature":   encoded(t, with(map[string]any{"alg": "none", "typ": typ})) + "." + payload + "." + signature,
			"alg in other letters":           encoded(t, with(map[string]any{"alg": "nOnE", "typ": typ})) + "." + payload + ".",
			"no alg":                         encoded(t, map[string]any{"kid": key["kid"], "typ": typ}) + "." + payload + "." + signature,
			"a key of one's own":             signed(with(map[string]any{"typ": typ})),
			"a key in the header":            signed(with(map[string]any{"typ": typ, "jwk": publicJWK(t, own)})),
			"the address of a key":           signed(with(map[string]any{"typ": typ, "jku": "https://evil.example/jwks"})),
			"a certificate":                  signed(with(map[string]any{"typ": typ, "x5u": "https://evil.example/c", "x5c": []string{"AAAA"}})),
			"an unknown key id":              signed(with(map[string]any{"typ": typ, "kid": "unknown"})),
			"no key id":                      signed(map[string]any{"alg": "ES256", "typ": typ}),
			"a path as key id":               signed(with(map[string]any{"typ": typ, "kid": "../../dev/null"})),
			"another algorithm of the key":   encoded(t, with(map[string]any{"alg": "ES384", "typ": typ})) + "." + payload + "." + signature,
			"a signature of zeros":           encoded(t, with(map[string]any{"typ": typ})) + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
			"an empty signature":             encoded(t, with(map[string]any{"typ": typ})) + "." + payload + ".",
			"a changed header":               encoded(t, with(map[string]any{"typ": typ, "x": 1})) + "." + payload + "." + signature,
			"an extension that must be kept": encoded(t, with(map[string]any{"typ": typ, "crit": []string{"exp"}})) + "." + payload + "." + signature,
			"two parts":                      encoded(t, with(map[string]any{"typ": typ})) + "." + payload,
			"four parts":                     got.AccessToken + ".x",
		} {
			t.Run(name+" as "+typ, func(t *testing.T) { requireTokenRefused(t, i, jwt) })
		}
	}
	t.Run("HMAC with the public key", func(t *testing.T) {
		for _, secret := range publicForms(t, key) {
			for _, typ := range []string{"at+jwt", "JWT"} {
				text := encoded(t, with(map[string]any{"alg": "HS256", "typ": typ})) + "." + payload
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(text))
				requireTokenRefused(t, i, text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
			}
		}
	})
	t.Run("changed claims", func(t *testing.T) {
		c := claims(t, got.AccessToken)
		c["exp"] = i.Clock.Now().Add(24 * time.Hour).Unix()
		requireTokenRefused(t, i, strings.Split(got.AccessToken, ".")[0]+"."+encoded(t, c)+"."+signature)
	})
	t.Run("an ID token is no access token, and the other way round", func(t *testing.T) {
		r, _ := userinfo(t, i, "one", got.IDToken)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization("id_token_hint", got.AccessToken)), "invalid_request")
	})
	t.Run("the kind of token is what its header says", func(t *testing.T) {
		signer, err := i.Keys.Signer(t.Context(), i.Realm(t, "one"), "ES256")
		require.NoError(t, err)
		everything := claims(t, got.AccessToken)
		maps.Copy(everything, claims(t, got.IDToken))
		body, err := json.Marshal(everything)
		require.NoError(t, err)
		access, err := signer.SignAccessToken(body)
		require.NoError(t, err)
		id, err := signer.SignIDToken(body)
		require.NoError(t, err)

		r, _ := userinfo(t, i, "one", access)
		require.Equal(t, http.StatusOK, r.StatusCode)
		requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization("id_token_hint", access)), "invalid_request")
		r, _ = userinfo(t, i, "one", id)
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		requireErrorAtClient(t, i, "one", askSilently(t, i, "one", authorization("id_token_hint", id)), "login_required")
	})
	t.Run("the signature's other spelling", func(t *testing.T) {
		// The last character of 64 bytes in base64url carries four bits that must be zero.
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(letters, signature[len(signature)-1])
		other := got.AccessToken[:len(got.AccessToken)-1] + letters[last+1:last+2]
		requireTokenRefused(t, i, other)
	})
	r, _ := userinfo(t, i, "one", got.AccessToken)
	require.Equal(t, http.StatusOK, r.StatusCode, "the true one is good")
}

func publicJWK(t testing.TB, k *ecdsa.PrivateKey) map[string]string {
	t.Helper()
	point, err := k.PublicKey.Bytes()
	require.NoError(t, err)
	return map[string]string{
		"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}
}

// publicForms are the bytes that libraries have taken for a secret: the public key as JWK, coordinates, DER and PEM.
func publicForms(t testing.TB, jwk map[string]string) [][]byte {
	t.Helper()
	x, err := base64.RawURLEncoding.DecodeString(jwk["x"])
	require.NoError(t, err)
	y, err := base64.RawURLEncoding.DecodeString(jwk["y"])
	require.NoError(t, err)
	text, err := json.Marshal(jwk)
	require.NoError(t, err)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return [][]byte{text, slices.Concat(x, y), der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), {}}
}

func TestJW06_SigningKeysAreSealedInTheirPlace(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	b := newBrowser(t)
	code := b.code(i, "one")
	stored := func(slug string) []byte {
		return one[[]byte](t, i, slug, `SELECT private_key FROM keys WHERE state = 'active'`)
	}

	_, err := x509.ParsePKCS8PrivateKey(stored("one"))
	require.Error(t, err)
	other := stored("two")
	require.NoError(t, i.Realm(t, "one").InTx(t.Context(), func(tx realm.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE keys SET private_key = $1 WHERE state = 'active'`, other); err != nil {
			return err
		}
		return event.Record(t.Context(), tx, event.RealmUpdated{}, i.Clock.Now())
	}))
	i.Clock.Advance(time.Second) // caches end

	requireRefused(t, token(t, i, "one", exchange(code)), http.StatusInternalServerError, "server_error")
	require.Equal(t, http.StatusInternalServerError, b.get(i.Issuer("one")+"/jwks").StatusCode)
	require.NotContains(t, b.get(i.Issuer("one")+"/jwks").Body, "key")
	require.Equal(t, http.StatusOK, token(t, i, "two", exchange(newBrowser(t).code(i, "two"))).Status, "the other realm goes on")
}

func TestOP02_TheHostFindsTheRealm(t *testing.T) {
	t.Parallel()
	hosted := strings.Replace(realmFile("hosted"), "name: Realm hosted", "name: Realm hosted\nhosts: [login.example.test, old.example.test]", 1)
	ask := func(t *testing.T, i *instance, host, path string, headers ...string) response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL+path, http.NoBody)
		require.NoError(t, err)
		if host != "" {
			req.Host = host
		}
		for k := 0; k+1 < len(headers); k += 2 {
			req.Header.Set(headers[k], headers[k+1])
		}
		return newBrowser(t).do(req)
	}
	issuer := func(t *testing.T, r response) string {
		t.Helper()
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.Body), &m), r.Body)
		for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"} {
			require.Contains(t, m[endpoint], m["issuer"].(string)+"/") //nolint:forcetypeassert // a panic fails the test too
		}
		return m["issuer"].(string) //nolint:forcetypeassert // as above
	}
	i := start(t, realmFile("one"), hosted)

	t.Run("a realm's own host is its issuer, whatever the port", func(t *testing.T) {
		for _, host := range []string{"login.example.test", "LOGIN.example.test", "login.example.test:8443", "old.example.test"} {
			require.Equal(t, "https://login.example.test", issuer(t, ask(t, i, host, discovery)), host)
		}
		page := ask(t, i, "login.example.test", "/authorize?"+authorization().Encode())
		require.Equal(t, http.StatusSeeOther, page.StatusCode)
		require.True(t, strings.HasPrefix(page.Header.Get("Location"), "/login?tx="))
		require.True(t, strings.HasPrefix(page.Header.Get("Set-Cookie"), "__Host-gh-"))
	})
	t.Run("unknown hosts and realms are not there", func(t *testing.T) {
		for _, c := range []struct{ host, path string }{
			{"evil.example", discovery},
			{"evil.example", "/realms/one" + discovery},
			{"evil.example", "/realms/one/authorize?" + authorization().Encode()},
			{"login.example.test", "/realms/one" + discovery},
			{"login.example.test.evil.example", discovery},
			{"", "/realms/nobody" + discovery},
			{"", "/realms/ONE" + discovery},
			{"", "/realms/hosted" + discovery}, // it has one issuer only
			{"", "/realms/one/x/.." + discovery},
			{"", discovery},
			{"", "/"},
			{"", "/realms/"},
			{"", "/realms/system" + "/nothing"},
		} {
			r := ask(t, i, c.host, c.path)
			require.Equal(t, http.StatusNotFound, r.StatusCode, "%s %s", c.host, c.path)
			require.Empty(t, r.Header.Get("Location"))
		}
	})
	forwarded := []string{"X-Forwarded-Host", "login.example.test"}
	t.Run("X-Forwarded-Host of just anybody means nothing", func(t *testing.T) {
		require.Equal(t, i.Issuer("one"), issuer(t, ask(t, i, "", "/realms/one"+discovery, forwarded...)))
		require.Equal(t, http.StatusNotFound, ask(t, i, "", discovery, forwarded...).StatusCode)
		require.Equal(t, http.StatusNotFound, ask(t, i, "", discovery, "Forwarded", "host=login.example.test").StatusCode)
	})
	t.Run("X-Forwarded-Host of a trusted proxy does", func(t *testing.T) {
		behind := startWith(t, testdb.NewURL(t), func(p *app.Process, _ *app.Options) {
			require.NoError(t, p.Config.TrustedProxies.UnmarshalText([]byte("127.0.0.1/32")))
		}, hosted)
		require.Equal(t, "https://login.example.test", issuer(t, ask(t, behind, "", discovery, forwarded...)))
		require.Equal(t, http.StatusNotFound, ask(t, behind, "", discovery, "X-Forwarded-Host", "evil.example").StatusCode)
		require.Less(t, ask(t, behind, "", discovery, "X-Forwarded-Host", "\xff").StatusCode, 500)
	})
}
