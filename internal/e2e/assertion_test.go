package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// keyPair is what a client signs its assertions with.
type keyPair struct {
	alg, kid string
	private  crypto.Signer
}

func newPair(t testing.TB, alg, kid string) keyPair {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256", "PS256":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	require.NoError(t, err)
	return keyPair{alg, kid, private}
}

// jwks are public keys as a set.
func jwks(t testing.TB, pairs ...keyPair) string {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range pairs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.kid, Use: "sig"})
	}
	raw, err := json.Marshal(set)
	require.NoError(t, err)
	return string(raw)
}

type claimSet = map[string]any

// about are the claims of a good assertion by a client of realm "one", changed; nil takes one away.
func about(i *instance, id string, change claimSet) claimSet {
	now := i.Clock.Now().Unix()
	c := claimSet{"iss": id, "sub": id, "aud": i.Issuer("one"), "exp": now + 60, "iat": now, "jti": uuid.NewString()}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a JWT of the claims; head is added to its header.
func (k keyPair) sign(t testing.TB, c claimSet, head claimSet) string {
	t.Helper()
	payload, err := json.Marshal(c)
	require.NoError(t, err)
	return k.signRaw(t, payload, head)
}

func (k keyPair) signRaw(t testing.TB, payload []byte, head claimSet) string {
	t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, v := range head {
		options.ExtraHeaders[jose.HeaderKey(name)] = v
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.alg), Key: jose.JSONWebKey{Key: k.private, KeyID: k.kid}}, options)
	require.NoError(t, err)
	jws, err := signer.Sign(payload)
	require.NoError(t, err)
	text, err := jws.CompactSerialize()
	require.NoError(t, err)
	return text
}

// proof is the form of a client_credentials request that an assertion authenticates.
func proof(assertion string, change ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

// prove asks for a token by an assertion.
func prove(t testing.TB, i *instance, slug, assertion string, change ...string) tokens {
	t.Helper()
	return token(t, i, slug, proof(assertion, change...), secretInForm()...)
}

// signersFile is a realm whose services prove themselves by keys, all by the same set.
func signersFile(slug, keys string) string {
	return `
realm: ` + slug + `
applications:
  - client_id: signer
    token_endpoint_auth_method: private_key_jwt
    jwks: ` + keys + `
    grant_types: [client_credentials, "` + jwtBearer + `"]
    scopes: [read, write]
    audiences: [https://api.example]
    introspects: ["*"]
  - client_id: second
    token_endpoint_auth_method: private_key_jwt
    jwks: ` + keys + `
    grant_types: [client_credentials]
    scopes: [read]
  - client_id: strict
    token_endpoint_auth_method: private_key_jwt
    strict_assertion_audience: true
    jwks: ` + keys + `
    grant_types: [client_credentials]
    scopes: [read]
  - client_id: shop
    token_endpoint_auth_method: private_key_jwt
    token_endpoint_auth_signing_alg: ES256
    jwks: ` + keys + `
    redirect_uris: ["` + callback + `"]
    grant_types: [authorization_code, refresh_token]
    consent: never
  - client_id: disabled
    enabled: false
    token_endpoint_auth_method: private_key_jwt
    jwks: ` + keys + `
    grant_types: [client_credentials]
  - client_id: secretive
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `"]
    grant_types: [authorization_code, refresh_token, client_credentials]
    scopes: [openid, profile, email, read]
    consent: never
users:
  - {username: ana, email: ana@example.test, password: ` + anaPassword + `}
`
}

// signers is a running server with realms "one" and "two" of signersFile.
type signers struct {
	*instance
	es, ed, rs keyPair
}

func startSigners(t *testing.T) signers {
	t.Helper()
	s := signers{es: newPair(t, "ES256", "es"), ed: newPair(t, "EdDSA", "ed"), rs: newPair(t, "RS256", "rs")}
	keys := jwks(t, s.es, s.ed, s.rs)
	s.instance = start(t, signersFile("one", keys), signersFile("two", keys))
	return s
}

func TestTK09_PrivateKeyJWT(t *testing.T) {
	t.Parallel()
	s := startSigners(t)

	t.Run("every algorithm of the keys", func(t *testing.T) {
		ps := s.rs
		ps.alg = "PS256"
		for _, k := range []keyPair{s.es, s.ed, s.rs, ps} {
			got := prove(t, s.instance, "one", k.sign(t, about(s.instance, "signer", nil), nil), "scope", "read")
			require.Equal(t, http.StatusOK, got.Status, "%s: %+v", k.alg, got)
			require.Equal(t, "signer", claims(t, got.AccessToken)["sub"])
		}
	})
	t.Run("EdDSA by its name in RFC 9864, which the signature covers", func(t *testing.T) {
		private, ok := s.ed.private.(ed25519.PrivateKey)
		require.True(t, ok)
		named := func(alg, kid string) string {
			payload, err := json.Marshal(about(s.instance, "signer", nil))
			require.NoError(t, err)
			input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"`+kid+`"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
			return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(input)))
		}
		require.Equal(t, http.StatusOK, prove(t, s.instance, "one", named("Ed25519", "ed")).Status)
		_, rest, _ := strings.Cut(named("Ed25519", "ed"), ".")
		for _, forged := range []string{
			named("Ed25519", "es"), named("ed25519", "ed"), named("Ed448", "ed"), named("Ed25519", "ed") + "AAAA",
			base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"ed"}`)) + "." + rest,
		} {
			requireRefused(t, prove(t, s.instance, "one", forged), http.StatusUnauthorized, "invalid_client")
		}
	})
	t.Run("one statement and one commit", func(t *testing.T) {
		before := s.DB.Stats()
		require.Equal(t, http.StatusOK, prove(t, s.instance, "one", s.es.sign(t, about(s.instance, "signer", nil), nil)).Status)
		after := s.DB.Stats().Sub(before)
		require.EqualValues(t, 1, after.Statements)
		require.EqualValues(t, 1, after.Transactions)
	})
	now := s.Clock.Now().Unix()
	for name, change := range map[string]claimSet{
		"aud the token endpoint":       {"aud": s.Issuer("one") + "/token"},
		"aud a list of one":            {"aud": []string{s.Issuer("one")}},
		"exp five minutes ahead":       {"exp": now + 300},
		"exp a moment ago":             {"exp": now - 4},
		"iat a moment ahead":           {"iat": now + 5, "nbf": now + 5},
		"neither iat nor nbf":          {"iat": nil},
		"an exp that is no whole one":  {"exp": float64(now) + 30.5},
		"a jti of 255 bytes":           {"jti": strings.Repeat("j", 255)},
		"claims that nobody asked for": {"admin": true, "scope": "root"},
	} {
		t.Run("accepts "+name, func(t *testing.T) {
			got := prove(t, s.instance, "one", s.es.sign(t, about(s.instance, "signer", change), nil))
			require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		})
	}
	for name, change := range map[string]claimSet{
		"aud missing":              {"aud": nil},
		"aud another realm":        {"aud": s.Issuer("two")},
		"aud another endpoint":     {"aud": s.Issuer("one") + "/introspect"},
		"aud the issuer and more":  {"aud": []string{s.Issuer("one"), s.Issuer("one") + "/token"}},
		"aud the issuer twice":     {"aud": []string{s.Issuer("one"), s.Issuer("one")}},
		"aud a list of none":       {"aud": []string{}},
		"aud with a slash":         {"aud": s.Issuer("one") + "/"},
		"aud the server":           {"aud": s.URL},
		"exp missing":              {"exp": nil},
		"exp past":                 {"exp": now - 5},
		"exp far ahead":            {"exp": now + 306},
		"exp beyond all time":      {"exp": 1e18},
		"exp beyond numbers":       {"exp": 1e30},
		"exp a text":               {"exp": "soon"},
		"iat ahead":                {"iat": now + 6},
		"nbf ahead":                {"nbf": now + 6},
		"jti missing":              {"jti": nil},
		"jti empty":                {"jti": ""},
		"jti too long":             {"jti": strings.Repeat("j", 256)},
		"jti with NUL":             {"jti": "a\x00b"},
		"jti a number":             {"jti": 7},
		"iss another":              {"iss": "second"},
		"sub another":              {"sub": "second"},
		"iss missing":              {"iss": nil},
		"sub missing":              {"sub": nil},
		"an unknown client":        {"iss": "nobody", "sub": "nobody"},
		"a client with NUL":        {"iss": "signer\x00", "sub": "signer\x00"},
		"a disabled client":        {"iss": "disabled", "sub": "disabled"},
		"a client with a secret":   {"iss": "secretive", "sub": "secretive"},
		"another client's alg":     {"iss": "shop", "sub": "shop", "alg": "EdDSA"},
		"claims in capitals alone": {"iss": nil, "sub": nil, "ISS": "signer", "SUB": "signer"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			k := s.es
			if change["alg"] == "EdDSA" {
				k = s.ed
			}
			requireRefused(t, prove(t, s.instance, "one", k.sign(t, about(s.instance, "signer", change), nil)), http.StatusUnauthorized, "invalid_client")
		})
	}
	t.Run("refuses a jti a second time, and a burnt one only once it counted", func(t *testing.T) {
		c := about(s.instance, "signer", nil)
		wrong := maps.Clone(c)
		wrong["aud"] = s.Issuer("two")
		requireRefused(t, prove(t, s.instance, "one", s.es.sign(t, wrong, nil)), http.StatusUnauthorized, "invalid_client")
		require.Equal(t, http.StatusOK, prove(t, s.instance, "one", s.es.sign(t, c, nil)).Status, "a refused assertion burns no jti")
		again := prove(t, s.instance, "one", s.es.sign(t, c, nil))
		requireRefused(t, again, http.StatusUnauthorized, "invalid_client")
		require.Contains(t, again.Description, "used before")
		c["exp"] = now + 200
		requireRefused(t, prove(t, s.instance, "one", s.ed.sign(t, c, nil)), http.StatusUnauthorized, "invalid_client")
	})
	t.Run("a jti counts once for each client and each realm", func(t *testing.T) {
		id := uuid.NewString()
		for range 2 {
			for _, where := range []struct{ realm, client string }{{"one", "signer"}, {"one", "second"}, {"two", "signer"}} {
				c := about(s.instance, where.client, claimSet{"jti": id, "aud": s.Issuer(where.realm)})
				prove(t, s.instance, where.realm, s.es.sign(t, c, nil))
			}
		}
		for realm, want := range map[string]int{"one": 2, "two": 1} {
			require.Equal(t, want, one[int](t, s.instance, realm, `SELECT count(*) FROM used_assertions WHERE jti = $1`, id), realm)
		}
	})
	t.Run("strict ones name the issuer as a text", func(t *testing.T) {
		for _, aud := range []any{s.Issuer("one") + "/token", []string{s.Issuer("one")}} {
			requireRefused(t, prove(t, s.instance, "one", s.es.sign(t, about(s.instance, "strict", claimSet{"aud": aud}), nil)), http.StatusUnauthorized, "invalid_client")
		}
		require.Equal(t, http.StatusOK, prove(t, s.instance, "one", s.es.sign(t, about(s.instance, "strict", nil), nil)).Status)
		s.apply(t, "realm: two\nsettings: {strict_assertion_audience: true}")
		for aud, status := range map[string]int{s.Issuer("two") + "/token": http.StatusUnauthorized, s.Issuer("two"): http.StatusOK} {
			require.Equal(t, status, prove(t, s.instance, "two", s.es.sign(t, about(s.instance, "signer", claimSet{"aud": aud}), nil)).Status, aud)
		}
	})
}

func TestTK09_ManyUsesOfOneAssertionAtOnce(t *testing.T) {
	t.Parallel()
	s := startSigners(t)
	text := s.es.sign(t, about(s.instance, "signer", nil), nil)
	var results [callers]tokens
	race(func(n int) { results[n] = prove(t, s.instance, "one", text) })
	won := 0
	for _, got := range results {
		if got.Status == http.StatusOK {
			won++
			continue
		}
		requireRefused(t, got, http.StatusUnauthorized, "invalid_client")
	}
	require.Equal(t, 1, won)
}

func TestJW02_JW11_ForgedAssertions(t *testing.T) {
	t.Parallel()
	s := startSigners(t)
	good := func() claimSet { return about(s.instance, "signer", nil) }
	payload := func() string {
		raw, err := json.Marshal(good())
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	head := func(h string) string { return base64.RawURLEncoding.EncodeToString([]byte(h)) }
	mac := func(key []byte) string {
		input := head(`{"alg":"HS256","kid":"es"}`) + "." + payload()
		m := hmac.New(sha256.New, key)
		m.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(s.es.private.Public())
	require.NoError(t, err)
	stranger := newPair(t, "ES256", "es")
	nameless := keyPair{"ES256", "", s.es.private}
	publicJWK := jose.JSONWebKey{Key: stranger.private.Public()}
	twice := []byte(`{"iss":"signer","sub":"signer","sub":"signer",` + string(must(json.Marshal(good())))[1:])
	require.Equal(t, http.StatusOK, prove(t, s.instance, "one", s.es.sign(t, good(), nil)).Status) // caches are warm from here on
	parts := strings.Split(s.es.sign(t, good(), nil), ".")

	for name, text := range map[string]string{
		"no algorithm":                 head(`{"alg":"none"}`) + "." + payload() + ".",
		"no algorithm, a signature":    head(`{"alg":"none","kid":"es"}`) + "." + payload() + "." + parts[2],
		"HS256 with the public key":    mac(der),
		"HS256 with the published set": mac([]byte(jwks(t, s.es))),
		"a stranger's key":             stranger.sign(t, good(), nil),
		"a key in the header":          stranger.sign(t, good(), claimSet{"jwk": publicJWK}),
		"a place in the header":        stranger.sign(t, good(), claimSet{"jku": "https://evil.example/jwks"}),
		"a key under another's name":   keyPair{"ES256", "ed", s.es.private}.sign(t, good(), nil),
		"a name that nobody has":       keyPair{"ES256", "who", s.es.private}.sign(t, good(), nil),
		"another algorithm":            keyPair{"RS384", "rs", s.rs.private}.sign(t, good(), nil),
		"something critical":           s.es.sign(t, good(), claimSet{"crit": []string{"exp"}, "exp": 1}),
		"an access token's typ":        s.es.sign(t, good(), claimSet{"typ": "at+jwt"}),
		"another proof's typ":          s.es.sign(t, good(), claimSet{"typ": "dpop+jwt"}),
		"another payload":              parts[0] + "." + payload() + "." + parts[2],
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"two parts":                    parts[0] + "." + parts[1],
		"five parts":                   parts[0] + "." + parts[1] + "." + parts[2] + ".e.f",
		"no JWT":                       "x",
		"a claim twice":                s.es.signRaw(t, twice, nil),
		"claims that are a list":       s.es.signRaw(t, []byte(`[]`), nil),
		"more than 16 KiB":             s.es.sign(t, about(s.instance, "signer", claimSet{"pad": strings.Repeat("x", 16<<10)}), nil),
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			before := s.DB.Stats()
			requireRefused(t, prove(t, s.instance, "one", text), http.StatusUnauthorized, "invalid_client")
			require.LessOrEqual(t, s.DB.Stats().Sub(before).Statements, int64(1), "at most the client was read")
		})
	}
	t.Run("a key needs no name, and a good typ does not harm", func(t *testing.T) {
		require.Equal(t, http.StatusOK, prove(t, s.instance, "one", nameless.sign(t, good(), nil)).Status)
		for _, typ := range []string{"JWT", "client-authentication+jwt", "application/client-authentication+jwt"} {
			require.Equal(t, http.StatusOK, prove(t, s.instance, "one", s.es.sign(t, good(), claimSet{"typ": typ})).Status, typ)
		}
	})
	t.Run("what is wrong is told to who has the key", func(t *testing.T) {
		late := about(s.instance, "signer", claimSet{"exp": 1})
		require.Contains(t, prove(t, s.instance, "one", s.es.sign(t, late, nil)).Description, "expired")
		require.Equal(t, "Client authentication failed.", prove(t, s.instance, "one", stranger.sign(t, late, nil)).Description)
		unknown := about(s.instance, "nobody", nil)
		require.Equal(t, "Client authentication failed.", prove(t, s.instance, "one", stranger.sign(t, unknown, nil)).Description)
	})
}

func must(b []byte, _ error) []byte { return b }

func TestTK01_TK08_AssertionsAtEveryEndpoint(t *testing.T) {
	t.Parallel()
	s := startSigners(t)
	by := func(client string) string { return s.es.sign(t, about(s.instance, client, nil), nil) }
	post := func(endpoint string, form url.Values, headers ...string) response {
		return newBrowser(t).post(s.Issuer("one")+endpoint, form, headers...)
	}

	t.Run("a code and a refresh token are the client's that they were given to", func(t *testing.T) {
		codeOf := func(client string) url.Values {
			return exchange(newBrowser(t).code(s.instance, "one", "client_id", client), "client_assertion_type", assertionType, "client_assertion", by("shop"))
		}
		requireRefused(t, token(t, s.instance, "one", codeOf("secretive"), secretInForm()...), http.StatusBadRequest, "invalid_grant")
		got := token(t, s.instance, "one", codeOf("shop"), secretInForm()...)
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		require.Equal(t, "shop", claims(t, got.IDToken)["aud"])
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}}
		requireRefused(t, token(t, s.instance, "one", form, "Authorization", basic("secretive", webSecret)), http.StatusBadRequest, "invalid_grant")
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", s.es.sign(t, about(s.instance, "shop", claimSet{"aud": s.Issuer("two")}), nil))
		requireRefused(t, token(t, s.instance, "two", form, secretInForm()...), http.StatusBadRequest, "invalid_grant")
		form.Set("client_assertion", by("shop"))
		require.Equal(t, http.StatusOK, token(t, s.instance, "one", form, secretInForm()...).Status)
	})
	t.Run("introspection and revocation", func(t *testing.T) {
		got := prove(t, s.instance, "one", by("signer"))
		form := func() url.Values { return proof(by("signer"), "grant_type", "", "token", got.AccessToken) }
		require.Contains(t, post("/introspect", form()).Body, `"active":true`)
		require.Equal(t, http.StatusOK, post("/revoke", form()).StatusCode)
		require.Equal(t, `{"active":false}`, strings.TrimSpace(post("/introspect", form()).Body))
		used := form()
		require.Equal(t, http.StatusOK, post("/introspect", used).StatusCode)
		require.Equal(t, http.StatusUnauthorized, post("/introspect", used).StatusCode, "an assertion counts once, wherever")
		require.Equal(t, http.StatusUnauthorized, post("/revoke", used).StatusCode)
		grant := url.Values{"grant_type": {jwtBearer}, "assertion": {by("signer")}, "token": {got.AccessToken}}
		require.Equal(t, http.StatusUnauthorized, post("/introspect", grant).StatusCode, "a grant is for the token endpoint")
	})
	for name, c := range map[string]struct {
		form    url.Values
		headers []string
		status  int
		code    string
	}{
		"a secret beside it":                {proof(by("signer"), "client_id", "signer", "client_secret", webSecret), nil, 400, "invalid_request"},
		"Basic beside it":                   {proof(by("signer")), []string{"Authorization", basic("signer", webSecret)}, 400, "invalid_request"},
		"another client_id":                 {proof(by("signer"), "client_id", "second"), nil, 400, "invalid_request"},
		"no type":                           {proof(by("signer"), "client_assertion_type", ""), nil, 401, "invalid_client"},
		"another type":                      {proof(by("signer"), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), nil, 401, "invalid_client"},
		"an assertion of a secret's client": {proof(by("secretive")), nil, 401, "invalid_client"},
		"its name alone":                    {url.Values{"grant_type": {"client_credentials"}, "client_id": {"signer"}}, nil, 401, "invalid_client"},
		"a secret instead":                  {url.Values{"grant_type": {"client_credentials"}}, []string{"Authorization", basic("signer", webSecret)}, 401, "invalid_client"},
		"an empty secret instead":           {url.Values{"grant_type": {"client_credentials"}}, []string{"Authorization", basic("signer", "")}, 401, "invalid_client"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			headers := c.headers
			if headers == nil {
				headers = secretInForm()
			}
			requireRefused(t, token(t, s.instance, "one", c.form, headers...), c.status, c.code)
		})
	}
	t.Run("its own client_id beside it is welcome", func(t *testing.T) {
		require.Equal(t, http.StatusOK, prove(t, s.instance, "one", by("signer"), "client_id", "signer").Status)
	})
	t.Run("metadata says so", func(t *testing.T) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(newBrowser(t).get(s.Issuer("one")+discovery).Body), &m))
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			require.Contains(t, m[endpoint+"_endpoint_auth_methods_supported"], "private_key_jwt")
			require.Equal(t, []any{"ES256", "EdDSA", "PS256", "RS256", "Ed25519"}, m[endpoint+"_endpoint_auth_signing_alg_values_supported"])
		}
	})
}

func TestTK07_SecretsAndKeysAreNotKept(t *testing.T) {
	t.Parallel()
	s := startSigners(t)
	text := s.es.sign(t, about(s.instance, "signer", nil), nil)
	require.Equal(t, http.StatusOK, prove(t, s.instance, "one", text).Status)
	requireRefused(t, prove(t, s.instance, "one", text), http.StatusUnauthorized, "invalid_client")
	require.NotContains(t, s.Logs.String(), text, "an assertion in a log could be used")
	require.NotContains(t, s.Logs.String(), webSecret)
	rows := one[string](t, s.instance, "one", `SELECT string_agg(c::text, '') || (SELECT string_agg(x::text, '') FROM client_secrets x) FROM clients c`)
	require.NotContains(t, rows, webSecret)
	require.NotContains(t, rows, `"d"`)
	hash := sha256.Sum256([]byte(webSecret))
	require.Equal(t, 1, one[int](t, s.instance, "one", `SELECT count(*) FROM client_secrets WHERE hash = $1`, hash[:]))
}

func TestTK07_TwoSecretsAtATime(t *testing.T) {
	t.Parallel()
	const file = "realm: one\napplications:\n  - {client_id: service, grant_types: [client_credentials], scopes: [read], secrets: ["
	i := start(t, file+webSecret+"]}")
	works := func(secret string) bool {
		got := token(t, i, "one", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("service", secret))
		return got.Status == http.StatusOK
	}
	i.apply(t, file+webSecret+", "+otherSecret+"]}")
	require.True(t, works(webSecret))
	require.True(t, works(otherSecret))
	require.False(t, works(webSecret[:40]))
	require.False(t, works(webSecret+otherSecret))
}

func TestRFC7523_AssertionGrant(t *testing.T) {
	t.Parallel()
	s := startSigners(t)
	ask := func(text string, change ...string) tokens {
		form := url.Values{"grant_type": {jwtBearer}, "assertion": {text}}
		for i := 0; i+1 < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		return token(t, s.instance, "one", form, secretInForm()...)
	}
	by := func(client string, change claimSet) string {
		return s.es.sign(t, about(s.instance, client, change), nil)
	}

	t.Run("gives the client a token for itself", func(t *testing.T) {
		require.Equal(t, http.StatusOK, ask(by("signer", nil)).Status) // caches are warm from here on
		before := s.DB.Stats()
		got := ask(by("signer", nil), "scope", "read", "resource", "https://api.example")
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		require.EqualValues(t, 1, s.DB.Stats().Sub(before).Statements, "the jti")
		require.Empty(t, got.RefreshToken)
		require.Empty(t, got.IDToken)
		require.Equal(t, "read", got.Scope)
		c := claims(t, got.AccessToken)
		require.Equal(t, "signer", c["sub"])
		require.Equal(t, "signer", c["client_id"])
		require.Equal(t, "https://api.example", c["aud"])
		require.Equal(t, true, inspectBy(t, s, got.AccessToken)["active"])
	})
	t.Run("once, as everywhere", func(t *testing.T) {
		text := by("signer", nil)
		require.Equal(t, http.StatusOK, ask(text).Status)
		requireRefused(t, ask(text), http.StatusBadRequest, "invalid_grant")
		requireRefused(t, prove(t, s.instance, "one", text), http.StatusUnauthorized, "invalid_client")
	})
	for name, c := range map[string]struct {
		text   string
		change []string
		code   string
	}{
		"a person's name as sub":      {by("signer", claimSet{"sub": "ana"}), nil, "invalid_grant"},
		"another client as sub":       {by("signer", claimSet{"sub": "second"}), nil, "invalid_grant"},
		"an issuer that nobody knows": {by("https://issuer.example", nil), nil, "invalid_grant"},
		"another realm":               {by("signer", claimSet{"aud": s.Issuer("two")}), nil, "invalid_grant"},
		"an expired one":              {by("signer", claimSet{"exp": 1}), nil, "invalid_grant"},
		"a stranger's":                {newPair(t, "ES256", "es").sign(t, about(s.instance, "signer", nil), nil), nil, "invalid_grant"},
		"a client without the grant":  {by("second", nil), nil, "unauthorized_client"},
		"a client with a secret":      {by("secretive", nil), nil, "invalid_grant"},
		"a scope beyond its own":      {by("signer", nil), []string{"scope", "admin"}, "invalid_scope"},
		"openid":                      {by("signer", nil), []string{"scope", "openid"}, "invalid_scope"},
		"a resource beyond its own":   {by("signer", nil), []string{"resource", "https://evil.example"}, "invalid_target"},
		"a second proof":              {by("signer", nil), []string{"client_assertion_type", assertionType, "client_assertion", by("signer", nil)}, "invalid_request"},
		"a secret beside it":          {by("signer", nil), []string{"client_id", "signer", "client_secret", "x"}, "invalid_request"},
		"another client_id":           {by("signer", nil), []string{"client_id", "second"}, "invalid_request"},
		"no JWT":                      {"x", nil, "invalid_grant"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			requireRefused(t, ask(c.text, c.change...), http.StatusBadRequest, c.code)
		})
	}
	t.Run("refuses none at all", func(t *testing.T) {
		requireRefused(t, prove(t, s.instance, "one", by("signer", nil), "grant_type", jwtBearer), http.StatusBadRequest, "invalid_request")
	})
}

// inspectBy introspects as "signer".
func inspectBy(t *testing.T, s signers, accessToken string) map[string]any {
	t.Helper()
	r := newBrowser(t).post(s.Issuer("one")+"/introspect", proof(s.es.sign(t, about(s.instance, "signer", nil), nil), "token", accessToken))
	require.Equal(t, http.StatusOK, r.StatusCode, r.Body)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.Body), &answer))
	return answer
}
