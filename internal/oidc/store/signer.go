package store

import (
	"context"
	"errors"

	"github.com/ory/fosite/token/jwt"
)

// NoSigner satisfies fosite's factories. Their validator of id_token_hint never runs: package oidc takes the hint out of
// the request before and checks it itself.
type NoSigner struct{}

var errNoSigner = errors.New("not part of this signer")

// Generate implements jwt.Signer.
func (NoSigner) Generate(context.Context, jwt.MapClaims, jwt.Mapper) (token, signature string, err error) {
	return "", "", errNoSigner
}

// Validate implements jwt.Signer.
func (NoSigner) Validate(context.Context, string) (string, error) { return "", errNoSigner }

// Hash implements jwt.Signer.
func (NoSigner) Hash(context.Context, []byte) ([]byte, error) { return nil, errNoSigner }

// Decode implements jwt.Signer.
func (NoSigner) Decode(context.Context, string) (*jwt.Token, error) { return nil, errNoSigner }

// GetSignature implements jwt.Signer.
func (NoSigner) GetSignature(context.Context, string) (string, error) { return "", errNoSigner }

// GetSigningMethodLength implements jwt.Signer.
func (NoSigner) GetSigningMethodLength(context.Context) int { return 0 }
