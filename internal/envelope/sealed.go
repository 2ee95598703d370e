package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

var (
	// ErrUnknownKey says that the value was sealed by a key that is not (or no
	// longer) at hand.
	ErrUnknownKey = errors.New("envelope: sealed by an unknown key")
	// ErrTampered says that the value is malformed, was changed, or was sealed
	// for another place than the additional data names.
	ErrTampered = errors.New("envelope: sealed value does not authenticate")
	// ErrNoKey says that a key's zero value was used.
	ErrNoKey = errors.New("envelope: the key is not set")
)

const (
	keySize     = 32
	maxKeyID    = 32
	formatV1    = 1
	headerFixed = 2 // version and key id length
	redacted    = "[redacted]"
)

// sealer is one AES-256-GCM key with the id that its ciphertexts carry.
type sealer struct {
	header []byte
	aead   cipher.AEAD
}

func newSealer(id string, secret []byte, label string) (*sealer, error) {
	if id == "" || len(id) > maxKeyID {
		return nil, fmt.Errorf("envelope: a key id has 1 to %d bytes", maxKeyID)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, label, keySize)
	if err != nil {
		return nil, fmt.Errorf("envelope: derive sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("envelope: set up AES: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("envelope: set up GCM: %w", err)
	}
	header := append([]byte{formatV1, byte(len(id))}, id...) //nolint:gosec // an id has at most 32 characters
	return &sealer{header: header, aead: aead}, nil
}

func (s *sealer) seal(plaintext, aad []byte) []byte {
	out := make([]byte, 0, len(s.header)+len(plaintext)+s.aead.Overhead())
	out = append(out, s.header...)
	return s.aead.Seal(out, nil, plaintext, s.bound(aad)) //nolint:gosec // this AEAD draws its nonce itself and demands nil
}

func (s *sealer) open(body, aad []byte) ([]byte, error) {
	plaintext, err := s.aead.Open(nil, nil, body, s.bound(aad))
	if err != nil {
		return nil, ErrTampered
	}
	return plaintext, nil
}

// bound prepends the header to the additional data. The header states its own
// length, so the concatenation is unambiguous.
func (s *sealer) bound(aad []byte) []byte {
	out := make([]byte, 0, len(s.header)+len(aad))
	return append(append(out, s.header...), aad...)
}

// KeyID returns the id of the key that sealed the value, without opening it.
func KeyID(sealed []byte) (string, error) {
	id, _, err := split(sealed)
	return id, err
}

func split(sealed []byte) (id string, body []byte, err error) {
	if len(sealed) < headerFixed || sealed[0] != formatV1 {
		return "", nil, ErrTampered
	}
	end := headerFixed + int(sealed[1])
	if end == headerFixed || end > headerFixed+maxKeyID || len(sealed) < end {
		return "", nil, ErrTampered
	}
	return string(sealed[headerFixed:end]), sealed[end:], nil
}
