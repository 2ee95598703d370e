package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// Bounds of a client's keys. Each key may cost a verification, so there are few.
const (
	maxKeys    = 20
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192
)

// KeySet is a client's public keys: a JWK set (RFC 7517 §5) as JSON in canonical form, so that equal sets are equal
// texts. "" is none.
type KeySet string

// UnmarshalJSON reads a JWK set. It refuses what no assertion could be verified with, and private keys above all:
// whoever registers one has shown it to everybody on the way.
func (k *KeySet) UnmarshalJSON(text []byte) error {
	keys, err := readRegistered(text)
	if err != nil || len(keys) == 0 {
		*k = ""
		return err
	}
	var canonical jose.JSONWebKeySet
	for _, key := range keys {
		canonical.Keys = append(canonical.Keys, jose.JSONWebKey{Key: key.Public, KeyID: key.ID, Algorithm: key.alg, Use: "sig"})
	}
	written, err := json.Marshal(canonical)
	if err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	*k = KeySet(written)
	return nil
}

// readRegistered reads a set that somebody registers, so that whatever is wrong with it can be mended.
func readRegistered(text []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New(`is not a JWK set: {"keys": [...]}`)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("has %d keys; at most %d", len(set.Keys), maxKeys)
	}
	var keys []Key
	for i, raw := range set.Keys {
		key, err := readKey(raw)
		if err != nil {
			return nil, fmt.Errorf("keys[%d] %w", i, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// EdDSA is the algorithm of Ed25519 keys (RFC 8037 §3.1).
const EdDSA = "EdDSA"

// Key is a public key that a client signs its assertions by.
type Key struct {
	// ID is the key's kid, "" when it has none.
	ID     string
	Public crypto.PublicKey
	alg    string // "" for each that fits
}

// Fits tells whether the key verifies signatures of that algorithm. The key decides: its type, and the algorithm that
// it was published for.
func (k Key) Fits(alg string) bool {
	return slices.Contains(algorithmsOf(k.Public), alg) && (k.alg == "" || k.alg == alg)
}

// algorithmsOf lists the algorithms for a type of key (RFC 7518 §3.1, RFC 8037 §3.1).
func algorithmsOf(public crypto.PublicKey) []string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "PS256"}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return []string{"ES256"}
		}
	case ed25519.PublicKey:
		return []string{EdDSA}
	}
	return nil
}

// readKey reads one JWK.
func readKey(raw []byte) (Key, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return Key{}, errors.New("is not a JSON Web Key")
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, has := members[private]; has {
			return Key{}, fmt.Errorf("has %q, which is part of a secret: register the public key alone, and make a new pair", private)
		}
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil || !jwk.Valid() || !jwk.IsPublic() {
		return Key{}, errors.New("is not a public RSA, EC or OKP key")
	}
	if rsaKey, ok := jwk.Key.(*rsa.PublicKey); ok && (rsaKey.N.BitLen() < minRSABits || rsaKey.N.BitLen() > maxRSABits || rsaKey.E < 3 || rsaKey.E%2 == 0) {
		return Key{}, fmt.Errorf("is an RSA key of %d bits with the exponent %d; allowed are %d to %d bits", rsaKey.N.BitLen(), rsaKey.E, minRSABits, maxRSABits)
	}
	if jwk.Algorithm == "Ed25519" { // the same by its name in RFC 9864
		jwk.Algorithm = EdDSA
	}
	key := Key{ID: jwk.KeyID, Public: jwk.Key, alg: jwk.Algorithm}
	var operations []string
	switch fits := algorithmsOf(jwk.Key); {
	case len(fits) == 0:
		return Key{}, errors.New("is of a kind that is not supported: RSA, P-256 and Ed25519 are")
	case jwk.Use != "" && jwk.Use != "sig":
		return Key{}, fmt.Errorf("is for the use %q and not for signatures", jwk.Use)
	case jwk.Algorithm != "" && !slices.Contains(fits, jwk.Algorithm):
		return Key{}, fmt.Errorf("is for the algorithm %q; allowed are %q", jwk.Algorithm, fits)
	case len(jwk.KeyID) > maxKID:
		return Key{}, fmt.Errorf("has a kid of more than %d bytes", maxKID)
	}
	if given, has := members["key_ops"]; has && (json.Unmarshal(given, &operations) != nil || !slices.Contains(operations, "verify")) {
		return Key{}, errors.New("has key_ops without verify")
	}
	return key, nil
}

// maxKID is how long a key's name may be.
const maxKID = 255

// readPublished reads a set that a client publishes. What cannot be used is left out, as RFC 7517 §5 asks.
func readPublished(text []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return nil, errors.New("not a JWK set")
	}
	var keys []Key
	for _, raw := range set.Keys {
		if key, err := readKey(raw); err == nil && len(keys) < maxKeys {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// methodKey is the method of clients that are proved by a JWT (OpenID Connect Core §9).
const methodKey = "private_key_jwt"

// checkKeys says what is wrong with the settings by which a client proves itself with keys.
func (s Settings) checkKeys() []string {
	var wrong []string
	byKey := s.TokenEndpointAuthMethod == methodKey
	switch {
	case s.JWKS != "" && s.JWKSURI != "":
		wrong = append(wrong, "jwks stands beside jwks_uri; keep one and empty the other")
	case byKey && s.JWKS == "" && s.JWKSURI == "" && len(s.TrustedIssuers) == 0:
		wrong = append(wrong, "token_endpoint_auth_method is private_key_jwt; give the public keys as jwks, where they are as jwks_uri, or who vouches for the application as trusted_issuers")
	}
	if slices.Contains(s.GrantTypes, GrantJWTBearer) && !byKey {
		wrong = append(wrong, "grant_types has "+GrantJWTBearer+", which needs token_endpoint_auth_method private_key_jwt")
	}
	if s.JWKSURI != "" {
		if why := checkKeysAddress(s.JWKSURI); why != "" {
			wrong = append(wrong, fmt.Sprintf("jwks_uri: %q %s", s.JWKSURI, why))
		}
	}
	if s.JWKS == "" {
		return wrong
	}
	keys, err := readRegistered([]byte(s.JWKS))
	if err != nil {
		return append(wrong, "jwks "+err.Error())
	}
	if alg := s.TokenEndpointAuthSigningAlg; alg != "" && !slices.ContainsFunc(keys, func(k Key) bool { return k.Fits(alg) }) {
		wrong = append(wrong, fmt.Sprintf("token_endpoint_auth_signing_alg is %q; no key of jwks is for it", alg))
	}
	return wrong
}
