package client_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/safehttp"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func p256(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// jwk is a key as JSON, with members added.
func jwk(t testing.TB, key any, kid, more string) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid})
	require.NoError(t, err)
	return strings.TrimSuffix(string(raw), "}") + more + "}"
}

func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func TestTK09_RegisteredKeys(t *testing.T) {
	t.Parallel()
	ec, ed := p256(t, elliptic.P256()), edKey(t)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	read := func(text string) (client.KeySet, error) {
		var k client.KeySet
		err := json.Unmarshal([]byte(text), &k)
		return k, err
	}
	good := jwk(t, ec.Public(), "a", "")

	t.Run("are stored as what counts of them, in one form", func(t *testing.T) {
		t.Parallel()
		first, err := read(set(jwk(t, ec.Public(), "a", `,"ext":true,"key_ops":["verify"],"use":"sig"`), jwk(t, ed.Public(), "b", ""), jwk(t, rsa2048.Public(), "", "")))
		require.NoError(t, err)
		byNewName, err := read(set(jwk(t, ed.Public(), "b", `,"alg":"Ed25519"`)))
		require.NoError(t, err)
		require.Contains(t, string(byNewName), `"alg":"EdDSA"`)
		again, err := read(string(first))
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.NotContains(t, string(first), "ext")
		for _, empty := range []string{`{"keys":[]}`, `{}`} {
			none, err := read(empty)
			require.NoError(t, err)
			require.Empty(t, none)
		}
	})
	for name, c := range map[string]struct{ text, says string }{
		"a private EC key":         {set(jwk(t, ec, "a", "")), `keys[0] has "d"`},
		"a private RSA key":        {set(good, jwk(t, rsa2048, "a", "")), `keys[1] has "d"`},
		"a private OKP key":        {set(jwk(t, ed, "a", "")), `has "d"`},
		"a shared secret":          {set(`{"kty":"oct","k":"c2VjcmV0"}`), `has "k"`},
		"half a private key":       {set(jwk(t, rsa2048.Public(), "a", `,"p":"AQAB"`)), `has "p"`},
		"an empty private part":    {set(jwk(t, ec.Public(), "a", `,"d":""`)), `has "d"`},
		"another curve":            {set(jwk(t, p256(t, elliptic.P384()).Public(), "a", "")), "P-256"},
		"a point off the curve":    {set(`{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`), "is not a public"},
		"a short RSA key":          {set(shortRSA(t)), "2048"},
		"a key to encrypt with":    {set(jwk(t, ec.Public(), "a", `,"use":"enc"`)), `"enc"`},
		"operations without it":    {set(jwk(t, ec.Public(), "a", `,"key_ops":["sign"]`)), "key_ops"},
		"HS256 for a public key":   {set(jwk(t, ec.Public(), "a", `,"alg":"HS256"`)), "HS256"},
		"RS256 for an EC key":      {set(jwk(t, ec.Public(), "a", `,"alg":"RS256"`)), "RS256"},
		"RS512":                    {set(jwk(t, rsa2048.Public(), "a", `,"alg":"RS512"`)), "RS512"},
		"an unknown type":          {set(`{"kty":"XYZ"}`), "is not a public"},
		"no type":                  {set(`{}`), "is not a public"},
		"no key":                   {set(`"x"`), "is not a JSON Web Key"},
		"something else":           {`[]`, "is not a JWK set"},
		"more than anybody needs":  {set(strings.Split(strings.TrimSuffix(strings.Repeat(good+"|", 21), "|"), "|")...), "at most 20"},
		"a name as long as a book": {set(jwk(t, ec.Public(), strings.Repeat("k", 256), "")), "kid"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := read(c.text)
			require.ErrorContains(t, err, c.says)
		})
	}
	t.Run("stand in the settings where they are needed, once", func(t *testing.T) {
		t.Parallel()
		keys, err := read(set(good))
		require.NoError(t, err)
		valid := client.Settings{TokenEndpointAuthMethod: "private_key_jwt", JWKS: keys, GrantTypes: []string{"client_credentials", client.GrantJWTBearer}}.WithDefaults()
		require.Empty(t, valid.Check())
		require.False(t, valid.Public())
		require.False(t, valid.HasSecret())
		for name, c := range map[string]struct {
			change func(s *client.Settings)
			says   string
		}{
			"none":                      {func(s *client.Settings) { s.JWKS = "" }, "private_key_jwt; give the public keys"},
			"two places":                {func(s *client.Settings) { s.JWKSURI = "https://app.example/jwks" }, "keep one"},
			"an algorithm without key":  {func(s *client.Settings) { s.TokenEndpointAuthSigningAlg = "RS256" }, "no key of jwks"},
			"an unknown algorithm":      {func(s *client.Settings) { s.TokenEndpointAuthSigningAlg = "none" }, "token_endpoint_auth_signing_alg"},
			"a grant without a key":     {func(s *client.Settings) { s.TokenEndpointAuthMethod = "client_secret_basic" }, "needs token_endpoint_auth_method private_key_jwt"},
			"an address that is http":   {func(s *client.Settings) { s.JWKS, s.JWKSURI = "", "http://app.example/jwks" }, "jwks_uri"},
			"an address that is a file": {func(s *client.Settings) { s.JWKS, s.JWKSURI = "", "file:///jwks" }, "jwks_uri"},
			"an address with a user":    {func(s *client.Settings) { s.JWKS, s.JWKSURI = "", "https://a:b@app.example/jwks" }, "jwks_uri"},
			"keys that are no keys":     {func(s *client.Settings) { s.JWKS = "x" }, "jwks is not a JWK set"},
		} {
			s := valid
			c.change(&s)
			require.Contains(t, strings.Join(s.Check(), "; "), c.says, name)
		}
		for _, address := range []string{"https://app.example/jwks", "http://127.0.0.1:8000/jwks", "https://app.example:8443/jwks?a=b"} {
			s := valid
			s.JWKS, s.JWKSURI = "", address
			require.Empty(t, s.Check(), address)
		}
	})
}

func shortRSA(t *testing.T) string {
	t.Helper()
	return `{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 171) + `"}` // 1,026 bits
}

// publisher serves a JWK set over http and counts how often it is asked.
type publisher struct {
	*httptest.Server
	asked  atomic.Int32
	body   atomic.Pointer[string]
	status atomic.Int32
}

func publish(t *testing.T, keys ...string) *publisher {
	t.Helper()
	p := &publisher{}
	p.set(http.StatusOK, keys...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		w.WriteHeader(int(p.status.Load()))
		_, _ = w.Write([]byte(*p.body.Load()))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) set(status int, keys ...string) {
	body := set(keys...)
	p.body.Store(&body)
	p.status.Store(int32(status))
}

// looker finds the keys of clients, by a clock that is moved.
type looker struct {
	*client.Keys
	clock testdb.Clock
	realm realm.Realm
}

func look(t *testing.T, allow string) *looker {
	t.Helper()
	var list config.Destinations
	require.NoError(t, list.UnmarshalText([]byte(allow)))
	l := &looker{realm: realm.Realm{Facts: &realm.Facts{ID: uuid.New()}}}
	l.clock.Set(time.Now())
	outbound := safehttp.New(safehttp.Options{Allow: list})
	t.Cleanup(outbound.Close)
	l.Keys = client.NewKeys(outbound, l.clock.Now)
	return l
}

// knows tells whether the client has that key under that name.
func (l *looker) knows(t *testing.T, c client.Client, kid string, public crypto.PublicKey) (bool, error) {
	t.Helper()
	return l.Verify(t.Context(), l.realm, &c, "ES256", kid, func(k client.Key) bool {
		key, ok := k.Public.(*ecdsa.PublicKey)
		return ok && key.Equal(public)
	})
}

func TestOB03_PublishedKeysAreAskedForSeldom(t *testing.T) {
	t.Parallel()
	old, next := p256(t, elliptic.P256()).Public(), p256(t, elliptic.P256()).Public()
	setup := func(t *testing.T, keys ...string) (*publisher, *looker, client.Client) {
		t.Helper()
		p := publish(t, keys...)
		return p, look(t, strings.TrimPrefix(p.URL, "http://")), client.Client{ClientID: "service", Settings: client.Settings{JWKSURI: p.URL}}
	}
	t.Run("once for ten minutes", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t, jwk(t, old, "old", ""))
		for range 3 {
			known, err := l.knows(t, c, "old", old)
			require.NoError(t, err)
			require.True(t, known)
		}
		require.EqualValues(t, 1, p.asked.Load())
		l.clock.Advance(10 * time.Minute)
		_, err := l.knows(t, c, "old", old)
		require.NoError(t, err)
		require.EqualValues(t, 2, p.asked.Load())
	})
	t.Run("at most once a minute for unknown names", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t, jwk(t, old, "old", ""))
		for _, kid := range []string{"a", "b", "c", "", "old"} {
			known, err := l.knows(t, c, kid, next)
			require.NoError(t, err)
			require.False(t, known)
		}
		require.EqualValues(t, 1, p.asked.Load(), "it was asked just now")
		l.clock.Advance(time.Minute)
		for range 3 {
			_, err := l.knows(t, c, "old", next)
			require.NoError(t, err)
		}
		require.EqualValues(t, 1, p.asked.Load(), "a bad signature by a known key is no reason")
		for _, kid := range []string{"a", "b", "c"} {
			_, err := l.knows(t, c, kid, next)
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, p.asked.Load())
	})
	t.Run("a new key is found, an old one forgotten", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t, jwk(t, old, "old", ""))
		_, err := l.knows(t, c, "old", old)
		require.NoError(t, err)
		p.set(http.StatusOK, jwk(t, next, "next", ""))
		l.clock.Advance(time.Minute)
		known, err := l.knows(t, c, "next", next)
		require.NoError(t, err)
		require.True(t, known)
		known, err = l.knows(t, c, "old", old)
		require.NoError(t, err)
		require.False(t, known)
		require.EqualValues(t, 2, p.asked.Load())
	})
	t.Run("without a name each key is tried", func(t *testing.T) {
		t.Parallel()
		_, l, c := setup(t, jwk(t, old, "old", ""), jwk(t, next, "", ""))
		known, err := l.knows(t, c, "", next)
		require.NoError(t, err)
		require.True(t, known)
	})
	t.Run("keys that cannot be used are left out", func(t *testing.T) {
		t.Parallel()
		_, l, c := setup(t, `{"kty":"XYZ","kid":"old"}`, `{"kty":"oct","k":"eA","kid":"old"}`, jwk(t, next, "old", `,"use":"enc"`), jwk(t, old, "old", ""))
		known, err := l.knows(t, c, "old", old)
		require.NoError(t, err)
		require.True(t, known)
		known, err = l.knows(t, c, "old", next)
		require.NoError(t, err)
		require.False(t, known)
	})
	t.Run("a key is for the algorithms that it was published for", func(t *testing.T) {
		t.Parallel()
		rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		_, l, c := setup(t, jwk(t, rsaKey.Public(), "pinned", `,"alg":"PS256"`), jwk(t, rsaKey.Public(), "free", ""), jwk(t, old, "ec", ""))
		tried := func(alg, kid string) bool {
			proved, err := l.Verify(t.Context(), l.realm, &c, alg, kid, func(client.Key) bool { return true })
			require.NoError(t, err)
			return proved
		}
		for _, good := range [][2]string{{"PS256", "pinned"}, {"PS256", "free"}, {"RS256", "free"}, {"RS256", ""}, {"ES256", "ec"}} {
			require.True(t, tried(good[0], good[1]), good)
		}
		for _, wrong := range [][2]string{{"RS256", "pinned"}, {"ES256", "free"}, {"RS256", "ec"}, {"HS256", "free"}, {"none", ""}, {"EdDSA", ""}} {
			require.False(t, tried(wrong[0], wrong[1]), wrong)
		}
		c.TokenEndpointAuthSigningAlg = "PS256"
		require.False(t, tried("RS256", "free"))
		require.True(t, tried("PS256", "free"))
	})
	t.Run("known keys outlive a broken place for an hour", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t, jwk(t, old, "old", ""))
		_, err := l.knows(t, c, "old", old)
		require.NoError(t, err)
		p.set(http.StatusInternalServerError)
		l.clock.Advance(59 * time.Minute)
		for range 3 {
			known, err := l.knows(t, c, "old", old)
			require.NoError(t, err)
			require.True(t, known)
		}
		require.EqualValues(t, 2, p.asked.Load())
		l.clock.Advance(time.Minute)
		_, err = l.knows(t, c, "old", old)
		require.Error(t, err)
	})
	t.Run("a place without keys is asked every ten seconds", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t)
		for range 3 {
			_, err := l.knows(t, c, "old", old)
			require.ErrorContains(t, err, "no key that can be used")
		}
		require.EqualValues(t, 1, p.asked.Load())
		p.set(http.StatusOK, jwk(t, old, "old", ""))
		l.clock.Advance(10 * time.Second)
		known, err := l.knows(t, c, "old", old)
		require.NoError(t, err)
		require.True(t, known)
	})
	t.Run("once for many at a time", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t, jwk(t, old, "old", ""))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				known, err := l.knows(t, c, "old", old)
				if err != nil || !known {
					t.Errorf("known %t, %v", known, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, p.asked.Load())
	})
	t.Run("for each client and realm by itself", func(t *testing.T) {
		t.Parallel()
		p, l, c := setup(t, jwk(t, old, "old", ""))
		_, err := l.knows(t, c, "old", old)
		require.NoError(t, err)
		c.ClientID = "other"
		_, err = l.knows(t, c, "old", old)
		require.NoError(t, err)
		l.realm = realm.Realm{Facts: &realm.Facts{ID: uuid.New()}}
		_, err = l.knows(t, c, "old", old)
		require.NoError(t, err)
		require.EqualValues(t, 3, p.asked.Load())
	})
	t.Run("only where the operator lets it (OB-01)", func(t *testing.T) {
		t.Parallel()
		p := publish(t, jwk(t, old, "old", ""))
		l := look(t, "elsewhere.example")
		_, err := l.knows(t, client.Client{ClientID: "service", Settings: client.Settings{JWKSURI: p.URL}}, "old", old)
		require.ErrorIs(t, err, safehttp.ErrRefused)
		require.Zero(t, p.asked.Load())
	})
}
