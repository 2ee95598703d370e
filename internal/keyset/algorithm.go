package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The algorithms of signing keys (RFC 7518 §3.1, RFC 8037 §3.1). A realm starts with ES256; the others are there
// for relying parties that ask for them.
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
	PS256 = "PS256"
	RS256 = "RS256"
)

// rsaBits is the size of new RSA keys (SECURITY.md JW-03).
const rsaBits = 3072

// signer signs and verifies by one algorithm with one key.
type signer interface {
	public() crypto.PublicKey
	// size of a signature in bytes
	size() int
	sign(message []byte) ([]byte, error)
	verify(message, sig []byte) bool
}

func newSigner(alg string, private crypto.Signer) (signer, error) {
	switch key := private.(type) {
	case *ecdsa.PrivateKey:
		if alg == ES256 {
			return es256{key}, nil
		}
	case ed25519.PrivateKey:
		if alg == EdDSA {
			return edDSA{key}, nil
		}
	case *rsa.PrivateKey:
		if alg == PS256 {
			return ps256{key}, nil
		}
		if alg == RS256 {
			return rs256{key}, nil
		}
	}
	return nil, fmt.Errorf("algorithm %s does not sign with a %T", alg, private)
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case PS256, RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("algorithm %q is not supported", alg)
}

func encodePrivate(k crypto.Signer) ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k) }

func decodePrivate(b []byte) (crypto.Signer, error) {
	k, err := x509.ParsePKCS8PrivateKey(b)
	if err != nil {
		return nil, err
	}
	private, ok := k.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a signing key")
	}
	return private, nil
}

// es256 is ECDSA on P-256 with SHA-256; the signature is R and S, 32 bytes each (RFC 7518 §3.4). Its nonce is derived
// from key and message (RFC 6979), so that no weakness of the random source can give the key away; it is also a fifth
// cheaper than drawing one.
type es256 struct{ key *ecdsa.PrivateKey }

const half = 32

func (s es256) public() crypto.PublicKey { return &s.key.PublicKey }
func (es256) size() int                  { return 2 * half }

func (s es256) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	der, err := s.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var r, t []byte
	sequence := cryptobyte.String(der)
	if !sequence.ReadASN1(&sequence, asn1.SEQUENCE) || !sequence.ReadASN1Integer(&r) || !sequence.ReadASN1Integer(&t) ||
		len(r) > half || len(t) > half {
		return nil, errors.New("not a signature of P-256")
	}
	sig := make([]byte, 2*half)
	copy(sig[half-len(r):], r)
	copy(sig[2*half-len(t):], t)
	return sig, nil
}

func (s es256) verify(message, sig []byte) bool {
	if len(sig) != 2*half {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.Verify(&s.key.PublicKey, digest[:], new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:]))
}

// edDSA is Ed25519 (RFC 8037 §3.1).
type edDSA struct{ key ed25519.PrivateKey }

func (s edDSA) public() crypto.PublicKey            { return s.key.Public() }
func (edDSA) size() int                             { return ed25519.SignatureSize }
func (s edDSA) sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }
func (s edDSA) verify(message, sig []byte) bool {
	public, ok := s.key.Public().(ed25519.PublicKey)
	return ok && ed25519.Verify(public, message, sig)
}

// ps256 is RSASSA-PSS with SHA-256 and a salt of the digest's length (RFC 7518 §3.5).
type ps256 struct{ key *rsa.PrivateKey }

func pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
}

func (s ps256) public() crypto.PublicKey { return &s.key.PublicKey }
func (s ps256) size() int                { return s.key.Size() }

func (s ps256) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, digest[:], pssOptions())
}

func (s ps256) verify(message, sig []byte) bool {
	digest := sha256.Sum256(message)
	return rsa.VerifyPSS(&s.key.PublicKey, crypto.SHA256, digest[:], sig, pssOptions()) == nil
}

// rs256 is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3), which OpenID Connect demands of every provider.
type rs256 struct{ key *rsa.PrivateKey }

func (s rs256) public() crypto.PublicKey { return &s.key.PublicKey }
func (s rs256) size() int                { return s.key.Size() }

func (s rs256) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
}

func (s rs256) verify(message, sig []byte) bool {
	digest := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], sig) == nil
}
