package demo_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

const (
	clientID = "demo"
	secret   = "a-secret-of-more-than-32-characters"
)

// issuer is a fake one at the network's edge: it answers as it is told to, also wrongly.
type issuer struct {
	*httptest.Server
	t         *testing.T
	key       *ecdsa.PrivateKey
	challenge string
	nonce     string
	// claims of the ID token, over the right ones.
	claims map[string]any
	// token changes the signed ID token.
	token func(string) string
	// answer replaces the token endpoint's answer.
	answer   http.HandlerFunc
	userinfo map[string]any
	access   string // the access token
	sendsIss bool
	down     bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i := &issuer{t: t, key: key, sendsIss: true, access: "opaque-access-token", userinfo: map[string]any{"sub": "u1", "name": "Ana <Silva>", "email": "ana@demo.test"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /realms/demo/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.down {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		i.json(w, map[string]any{
			"issuer": i.issuer(), "authorization_endpoint": i.issuer() + "/authorize", "token_endpoint": i.issuer() + "/token",
			"userinfo_endpoint": i.issuer() + "/userinfo", "jwks_uri": i.issuer() + "/jwks", "end_session_endpoint": i.issuer() + "/end_session",
			"id_token_signing_alg_values_supported": []string{"ES256"}, "authorization_response_iss_parameter_supported": i.sendsIss,
		})
	})
	mux.HandleFunc("GET /realms/demo/jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.json(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /realms/demo/token", i.exchange)
	mux.HandleFunc("GET /realms/demo/userinfo", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+i.access {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		i.json(w, i.userinfo)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) issuer() string { return i.URL + "/realms/demo" }

func (i *issuer) json(w http.ResponseWriter, v any) { i.refuse(w, http.StatusOK, v) }

func (i *issuer) refuse(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.t.Error(err)
	}
}

func (i *issuer) exchange(w http.ResponseWriter, r *http.Request) {
	if i.answer != nil {
		i.answer(w, r)
		return
	}
	user, pass, _ := r.BasicAuth()
	digest := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if user != clientID || pass != url.QueryEscape(secret) || r.PostFormValue("code") != "the-code" ||
		base64.RawURLEncoding.EncodeToString(digest[:]) != i.challenge {
		i.refuse(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "no"})
		return
	}
	now := time.Now()
	claims := map[string]any{
		"iss": i.issuer(), "sub": "u1", "aud": clientID, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "auth_time": now.Unix(), "nonce": i.nonce,
	}
	maps.Copy(claims, i.claims)
	token := i.sign(claims)
	if i.token != nil {
		token = i.token(token)
	}
	i.json(w, map[string]any{"access_token": i.access, "token_type": "Bearer", "expires_in": 300, "id_token": token, "scope": "openid"})
}

func (i *issuer) sign(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k1"}}, nil)
	if err != nil {
		i.t.Error(err)
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		i.t.Error(err)
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		i.t.Error(err)
		return ""
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		i.t.Error(err)
	}
	return token
}

// tampered changes the claims of a token and keeps its signature.
func tampered(token string) string {
	parts := strings.Split(token, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"sub":"u1"`, `"sub":"u2"`, 1)))
	return strings.Join(parts, ".")
}
