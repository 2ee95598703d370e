package keyset_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

const claims = `{"sub":"ann"}`

type bundle struct {
	*testdb.Bundle
	store      *keyset.Store
	realm      realm.Realm
	other      realm.Realm
	kid        string
	ring       *keyset.Ring
	key        *keyset.Key
	otherRing  *keyset.Ring
	privateKey *ecdsa.PrivateKey
}

func setup(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.store = keyset.NewStore(b.Clock.Now, rand.Reader)
	b.realm, b.other = b.Realm(t, "acme"), b.Realm(t, "other")
	b.kid = b.make(t, b.realm, keyset.ES256)
	b.make(t, b.other, keyset.ES256)
	b.ring, b.otherRing = b.load(t, b.realm), b.load(t, b.other)
	var err error
	b.key, err = b.ring.Active(keyset.ES256)
	require.NoError(t, err)
	plain, err := b.realm.DataKey.Open(b.sealed(t), b.realm.AAD("keys", "private_key", b.kid))
	require.NoError(t, err)
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	require.NoError(t, err)
	b.privateKey = parsed.(*ecdsa.PrivateKey)
	return b
}

func (b *bundle) make(t testing.TB, r realm.Realm, alg string) (kid string) {
	t.Helper()
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) (err error) {
		kid, err = b.store.Make(t.Context(), tx, alg)
		return err
	}))
	return kid
}

func (b *bundle) load(t testing.TB, r realm.Realm) *keyset.Ring {
	t.Helper()
	ring, err := b.store.Ring(t.Context(), r)
	require.NoError(t, err)
	return ring
}

func (b *bundle) sealed(t testing.TB) (sealed []byte) {
	t.Helper()
	require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT private_key FROM keys WHERE kid = $1`, b.kid).Scan(&sealed))
	return sealed
}

// change alters the realm's keys behind the store's back and reads them anew.
func (b *bundle) change(t *testing.T, statement string, args ...any) *keyset.Ring {
	t.Helper()
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
		if _, err := tx.Exec(t.Context(), statement, args...); err != nil {
			return err
		}
		return event.Record(t.Context(), tx, keyset.Made{}, b.Clock.Now())
	}))
	b.Clock.Advance(time.Second)
	return b.load(t, b.realm)
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a token of any header, signed by a P-256 key as ES256 wants it.
func sign(t *testing.T, head string, key *ecdsa.PrivateKey) string {
	t.Helper()
	signed := encode(head) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	require.NoError(t, err)
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig[:])
}

func TestJW02_TheKeyDecidesNotTheHeader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(t, err)
	payload, err := b.ring.Verify(good, "at+jwt")
	require.NoError(t, err)
	require.JSONEq(t, claims, string(payload))
	parts := strings.Split(good, ".")

	attacker, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := json.Marshal(jose.JSONWebKey{Key: &attacker.PublicKey, KeyID: b.kid, Algorithm: "ES256"})
	require.NoError(t, err)
	jwks, _ := b.ring.JWKS()
	der, err := x509.MarshalPKIXPublicKey(&b.privateKey.PublicKey)
	require.NoError(t, err)
	hs256 := func(secret []byte) string {
		signed := encode(`{"alg":"HS256","kid":"`+b.kid+`","typ":"at+jwt"}`) + "." + encode(claims)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	head := func(extra string) string { return `{"alg":"ES256","kid":"` + b.kid + `","typ":"at+jwt"` + extra + `}` }

	for name, token := range map[string]string{
		"no algorithm, no signature":     encode(`{"alg":"none","kid":"`+b.kid+`","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"no algorithm, a good signature": sign(t, `{"alg":"none","kid":"`+b.kid+`","typ":"at+jwt"}`, b.privateKey),
		"None in another spelling":       encode(`{"alg":"nOnE","kid":"`+b.kid+`","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"algorithm missing":              sign(t, `{"kid":"`+b.kid+`","typ":"at+jwt"}`, b.privateKey),
		"HS256 with the public key":      hs256(der),
		"HS256 with the published set":   hs256(jwks),
		"HS256 with nothing":             hs256(nil),
		"another algorithm of this key":  sign(t, `{"alg":"ES384","kid":"`+b.kid+`","typ":"at+jwt"}`, b.privateKey),
		"RS256 for an EC key":            sign(t, `{"alg":"RS256","kid":"`+b.kid+`","typ":"at+jwt"}`, b.privateKey),
		"a key id nobody has":            sign(t, `{"alg":"ES256","kid":"x","typ":"at+jwt"}`, b.privateKey),
		"no key id":                      sign(t, `{"alg":"ES256","typ":"at+jwt"}`, b.privateKey),
		"a stranger's key":               sign(t, head(""), attacker),
		"a key that the header brings":   sign(t, head(`,"jwk":`+string(public)), attacker),
		"a place that the header names":  sign(t, head(`,"jku":"https://evil.example/jwks"`), attacker),
		"a certificate at a place":       sign(t, head(`,"x5u":"https://evil.example/x"`), attacker),
		"a certificate in the header":    sign(t, head(`,"x5c":["`+base64.StdEncoding.EncodeToString(der)+`"]`), attacker),
		"something critical":             sign(t, head(`,"crit":["exp"],"exp":1`), b.privateKey),
		"an unencoded payload":           sign(t, head(`,"b64":false,"crit":["b64"]`), b.privateKey),
		"another type":                   sign(t, `{"alg":"ES256","kid":"`+b.kid+`","typ":"JWT"}`, b.privateKey),
		"no type":                        sign(t, `{"alg":"ES256","kid":"`+b.kid+`"}`, b.privateKey),
		"a header that is no object":     sign(t, `[]`, b.privateKey),
		"a signature of zeros":           parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a signature that is short":      parts[0] + "." + parts[1] + "." + parts[2][:40],
		"a signature that is long":       parts[0] + "." + parts[1] + "." + parts[2] + "AAAA",
		"a signature of another payload": parts[0] + "." + encode(`{"sub":"eve"}`) + "." + parts[2],
		"a line break at the end":        good + "\n",
		"a line break inside":            parts[0] + "." + parts[1] + "." + parts[2][:20] + "\n" + parts[2][20:],
		"padding":                        good + "==",
		"two parts":                      parts[0] + "." + parts[1],
		"four parts":                     good + ".x",
		"nothing":                        "",
		"dots":                           "..",
		"a token as large as a book":     good[:len(good)-1] + strings.Repeat("A", 20<<10),
	} {
		_, err := b.ring.Verify(token, "at+jwt")
		require.ErrorIs(t, err, keyset.ErrInvalid, name)
	}
	t.Run("places and keys in the header of a good token are ignored", func(t *testing.T) {
		_, err := b.ring.Verify(sign(t, head(`,"jku":"https://evil.example/jwks","jwk":`+string(public)), b.privateKey), "at+jwt")
		require.NoError(t, err)
	})
	t.Run("an ID token is no access token", func(t *testing.T) {
		id, err := b.key.SignIDToken([]byte(claims))
		require.NoError(t, err)
		_, err = b.ring.Verify(id, "at+jwt")
		require.ErrorIs(t, err, keyset.ErrInvalid)
		_, err = b.ring.Verify(id, "JWT")
		require.NoError(t, err)
	})
}

func TestJW04_EveryRealmHasItsOwnKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(t, err)

	t.Run("another realm's ring never verifies", func(t *testing.T) {
		_, err := b.otherRing.Verify(token, "at+jwt")
		require.ErrorIs(t, err, keyset.ErrInvalid)
		foreign, err := b.otherRing.Active(keyset.ES256)
		require.NoError(t, err)
		require.NotEqual(t, b.kid, foreign.KID)
		renamed := sign(t, `{"alg":"ES256","kid":"`+foreign.KID+`","typ":"at+jwt"}`, b.privateKey)
		_, err = b.otherRing.Verify(renamed, "at+jwt")
		require.ErrorIs(t, err, keyset.ErrInvalid)
	})
	t.Run("key ids are random", func(t *testing.T) {
		raw, err := base64.RawURLEncoding.DecodeString(b.kid)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(raw), 12)
	})
	t.Run("the published set has its public keys and nothing private", func(t *testing.T) {
		body, etag := b.ring.JWKS()
		require.NotEmpty(t, etag)
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal(body, &set))
		require.Len(t, set.Keys, 1)
		require.True(t, set.Keys[0].IsPublic())
		require.Equal(t, "sig", set.Keys[0].Use)
		require.Equal(t, "ES256", set.Keys[0].Algorithm)
		require.NotContains(t, string(body), `"d"`)
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
		require.NoError(t, err)
		payload, err := jws.Verify(set.Key(b.kid)[0])
		require.NoError(t, err, "another implementation verifies with it")
		require.JSONEq(t, claims, string(payload))
		_, other := b.otherRing.JWKS()
		require.NotEqual(t, etag, other)
	})
}

func TestJW06_PrivateKeysAreSealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sealed := b.sealed(t)
	place := b.realm.AAD("keys", "private_key", b.kid)

	t.Run("and do not lie in the table", func(t *testing.T) {
		d, err := b.privateKey.Bytes()
		require.NoError(t, err)
		require.NotContains(t, string(sealed), string(d))
	})
	t.Run("and open by the realm's data key alone, in their place alone", func(t *testing.T) {
		_, err := b.realm.DataKey.Open(sealed, place)
		require.NoError(t, err)
		for name, open := range map[string]func() ([]byte, error){
			"another realm's key":    func() ([]byte, error) { return b.other.DataKey.Open(sealed, place) },
			"another realm's place":  func() ([]byte, error) { return b.realm.DataKey.Open(sealed, b.other.AAD("keys", "private_key", b.kid)) },
			"another key's place":    func() ([]byte, error) { return b.realm.DataKey.Open(sealed, b.realm.AAD("keys", "private_key", "x")) },
			"another column's place": func() ([]byte, error) { return b.realm.DataKey.Open(sealed, b.realm.AAD("keys", "kid", b.kid)) },
			"the process's own key":  func() ([]byte, error) { return b.Keyring.Open(sealed, place) },
			"no place":               func() ([]byte, error) { return b.realm.DataKey.Open(sealed, nil) },
		} {
			_, err := open()
			require.Error(t, err, name)
		}
	})
	t.Run("and a row that was copied to another realm opens nothing there", func(t *testing.T) {
		require.NoError(t, b.other.InTx(t.Context(), func(tx realm.Tx) error {
			if _, err := tx.Exec(t.Context(), `INSERT INTO keys (kid, alg, state, private_key, created_at, since) VALUES ($1, 'ES256', 'retired', $2, $3, $3)`, b.kid, sealed, b.Clock.Now()); err != nil {
				return err
			}
			return event.Record(t.Context(), tx, keyset.Made{}, b.Clock.Now())
		}))
		b.Clock.Advance(time.Second)
		_, err := b.store.Ring(t.Context(), b.other)
		require.Error(t, err)
	})
}

func TestStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(t, err)

	t.Run("a second active key of an algorithm is refused", func(t *testing.T) {
		err := b.realm.InTx(t.Context(), func(tx realm.Tx) error { _, err := b.store.Make(t.Context(), tx, keyset.ES256); return err })
		require.True(t, postgres.UniqueViolation(err, "keys_active"), "%v", err)
	})
	t.Run("next is published and does not sign, but verifies what a faster process signed", func(t *testing.T) {
		ring := b.change(t, `UPDATE keys SET state = 'next'`)
		_, err := ring.Active(keyset.ES256)
		require.Error(t, err)
		_, err = ring.Verify(token, "at+jwt")
		require.NoError(t, err)
		body, _ := ring.JWKS()
		require.Contains(t, string(body), b.kid)
	})
	t.Run("retired verifies and does not sign", func(t *testing.T) {
		ring := b.change(t, `UPDATE keys SET state = 'retired'`)
		_, err := ring.Active(keyset.ES256)
		require.Error(t, err)
		_, err = ring.Verify(token, "at+jwt")
		require.NoError(t, err)
	})
	t.Run("revoked is gone", func(t *testing.T) {
		ring := b.change(t, `UPDATE keys SET state = 'revoked'`)
		_, err := ring.Verify(token, "at+jwt")
		require.ErrorIs(t, err, keyset.ErrInvalid)
		body, _ := ring.JWKS()
		require.NotContains(t, string(body), b.kid)
		require.JSONEq(t, `{"keys":[]}`, string(body))
	})
	t.Run("an algorithm nobody knows is refused", func(t *testing.T) {
		for _, alg := range []string{"", "none", "HS256", "ES257"} {
			err := b.realm.InTx(t.Context(), func(tx realm.Tx) error { _, err := b.store.Make(t.Context(), tx, alg); return err })
			require.Error(t, err, alg)
		}
	})
}

func TestJW03_EveryAlgorithmVerifiesElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, alg := range []string{keyset.EdDSA, keyset.PS256, keyset.RS256} {
		b.make(t, b.realm, alg)
	}
	ring := b.load(t, b.realm)
	body, _ := ring.JWKS()
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(body, &set))
	require.Len(t, set.Keys, 4)
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256} {
		key, err := ring.Active(string(alg))
		require.NoError(t, err)
		token, err := key.SignIDToken([]byte(claims))
		require.NoError(t, err)
		_, err = ring.Verify(token, "JWT")
		require.NoError(t, err, alg)
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
		require.NoError(t, err)
		_, err = jws.Verify(set.Key(key.KID)[0])
		require.NoError(t, err, alg)
		for _, other := range []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256} {
			if other == alg {
				continue
			}
			renamed := encode(strings.ReplaceAll(`{"alg":"X","kid":"`+key.KID+`","typ":"JWT"}`, "X", string(other))) + token[strings.IndexByte(token, '.'):]
			_, err := ring.Verify(renamed, "JWT")
			require.ErrorIs(t, err, keyset.ErrInvalid, "%s as %s", alg, other)
		}
	}
}

// Nothing but what was signed verifies, and nothing makes it panic.
func FuzzJW02_Verify(f *testing.F) {
	b := setup(f)
	good, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(f, err)
	head, _, _ := strings.Cut(good, ".")
	for _, seed := range []string{
		"", "..", "a.b.c", good, encode(`{"alg":"none","kid":"`+b.kid+`","typ":"at+jwt"}`) + "." + encode(claims) + ".",
		head + "." + encode(claims) + "." + strings.Repeat("A", 86),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if token == good {
			return
		}
		_, err := b.ring.Verify(token, "at+jwt")
		require.ErrorIs(t, err, keyset.ErrInvalid)
	})
}
