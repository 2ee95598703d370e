// Package keyset owns signing keys: it makes them, keeps their private halves sealed by the realm's data key, and
// signs and verifies with them. Every realm has a ring of its own; nothing is ever verified with another's.
package keyset

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// The states of a key. Next is published but not used yet, active signs, retired only verifies. A revoked key is never
// read.
const (
	Next    = "next"
	Active  = "active"
	Retired = "retired"
)

// ErrInvalid says that a token is not one that this ring signed: malformed, unknown key, wrong algorithm or bad
// signature.
var ErrInvalid = errors.New("invalid token")

// maxToken bounds what is parsed at all (SECURITY.md JW-11).
const maxToken = 16 << 10

// Key is one signing key of a realm.
type Key struct {
	KID    string
	Alg    string
	State  string
	since  time.Time // when it came into its state
	signer signer
	// heads are ready-made JOSE headers by typ, base64url with the dot.
	accessHead, jwtHead string
}

func newKey(kid, alg, state string, since time.Time, private crypto.Signer) (*Key, error) {
	signer, err := newSigner(alg, private)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", kid, err)
	}
	k := &Key{KID: kid, Alg: alg, State: state, since: since, signer: signer}
	k.accessHead, k.jwtHead = k.head("at+jwt"), k.head("JWT")
	return k, nil
}

func (k *Key) head(typ string) string {
	h := `{"alg":` + strconv.Quote(k.Alg) + `,"kid":` + strconv.Quote(k.KID) + `,"typ":` + strconv.Quote(typ) + `}`
	return base64.RawURLEncoding.EncodeToString([]byte(h)) + "."
}

// SignAccessToken makes a JWT of typ at+jwt (RFC 9068 §2.1) of ready-made claims.
func (k *Key) SignAccessToken(claims []byte) (string, error) { return k.sign(k.accessHead, claims) }

// SignIDToken makes a JWT of typ JWT of ready-made claims; signed userinfo answers are of the same kind.
func (k *Key) SignIDToken(claims []byte) (string, error) { return k.sign(k.jwtHead, claims) }

// SignTyped makes a JWT of another typ.
func (k *Key) SignTyped(typ string, claims []byte) (string, error) {
	return k.sign(k.head(typ), claims)
}

func (k *Key) sign(head string, claims []byte) (string, error) {
	size := k.signer.size()
	out := make([]byte, 0, len(head)+base64.RawURLEncoding.EncodedLen(len(claims))+1+base64.RawURLEncoding.EncodedLen(size))
	out = base64.RawURLEncoding.AppendEncode(append(out, head...), claims)
	sig, err := k.signer.sign(out)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", k.KID, err)
	}
	return string(base64.RawURLEncoding.AppendEncode(append(out, '.'), sig)), nil
}

// Ring is a realm's keys. It is immutable and shared.
type Ring struct {
	keys   []*Key // the published ones
	old    []*Key // those that are good for hints alone
	public []byte
	etag   string
}

func newRing(keys []*Key, now time.Time) (*Ring, error) {
	r := &Ring{}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		if k.State == Retired && !now.Before(k.since.Add(After)) {
			r.old = append(r.old, k)
			continue
		}
		r.keys = append(r.keys, k)
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.signer.public(), KeyID: k.KID, Algorithm: k.Alg, Use: "sig"})
	}
	public, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode the key set: %w", err)
	}
	sum := sha256.Sum256(public)
	r.public, r.etag = public, `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`
	return r, nil
}

// Active returns the key that signs with alg.
func (r *Ring) Active(alg string) (*Key, error) {
	for _, k := range r.keys {
		if k.Alg == alg && k.State == Active {
			return k, nil
		}
	}
	return nil, fmt.Errorf("the realm has no active %s key", alg)
}

// JWKS is the public key set (RFC 7517 §5) with its entity tag. Do not change the bytes.
func (r *Ring) JWKS() (body []byte, etag string) { return r.public, r.etag }

// Verify checks a compact JWS of the given typ and returns its payload. The key decides the algorithm: the header
// must name a published key and that key's algorithm, and can bring neither keys nor addresses of keys.
// A next key counts as well: another process may know already that it signs. Any failure is ErrInvalid.
func (r *Ring) Verify(token, typ string) ([]byte, error) { return verify(r.keys, token, typ) }

// VerifyHint checks an ID token that may have expired long ago, as an id_token_hint may (OpenID Connect Core §3.1.2.1):
// like Verify, but a key that retired not longer than Hints ago counts as well.
func (r *Ring) VerifyHint(token string) ([]byte, error) {
	return verify(slices.Concat(r.keys, r.old), token, "JWT")
}

func verify(keys []*Key, token, typ string) ([]byte, error) {
	// Go's base64 skips line breaks, even when it is strict: a token could be written in many ways.
	if len(token) > maxToken || strings.Count(token, ".") != 2 || strings.ContainsAny(token, "\r\n") {
		return nil, ErrInvalid
	}
	last := strings.LastIndexByte(token, '.')
	head64, payload64, _ := strings.Cut(token[:last], ".")
	rawHead, err := strict.DecodeString(head64)
	if err != nil {
		return nil, ErrInvalid
	}
	var head struct {
		Alg, Kid, Typ string
		Crit          []string
	}
	if json.Unmarshal(rawHead, &head) != nil || !strings.EqualFold(head.Typ, typ) || len(head.Crit) > 0 {
		return nil, ErrInvalid
	}
	sig, err := strict.DecodeString(token[last+1:])
	if err != nil {
		return nil, ErrInvalid
	}
	for _, k := range keys {
		if k.KID != head.Kid {
			continue
		}
		if k.Alg != head.Alg || !k.signer.verify([]byte(token[:last]), sig) {
			return nil, ErrInvalid
		}
		payload, err := strict.DecodeString(payload64)
		if err != nil {
			return nil, ErrInvalid
		}
		return payload, nil
	}
	return nil, ErrInvalid
}

var strict = base64.RawURLEncoding.Strict() //nolint:gochecknoglobals // a constant that Go cannot spell
