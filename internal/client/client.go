// Package client owns relying parties ("applications" in what administrators read): what each may ask for, where
// its answers may go, and its secrets.
package client

import (
	"time"

	"github.com/google/uuid"
)

// Client is a registered relying party. Clients are cached and shared: never change one.
type Client struct {
	ID       uuid.UUID
	ClientID string
	Name     string
	Enabled  bool
	Settings
	// SecretHashes are SHA-256 hashes of the live secrets, the newest first.
	SecretHashes [][]byte
	CreatedAt    time.Time
}

// Settings are what an administrator decides about a client.
type Settings struct {
	// ApplicationType is web, browser or native.
	ApplicationType string
	// TokenEndpointAuthMethod is how the client authenticates: none, client_secret_basic or client_secret_post.
	TokenEndpointAuthMethod string
	RedirectURIs            []string
	PostLogoutRedirectURIs  []string
	// Origins may call the token and userinfo endpoints from a browser (CORS).
	Origins       []string
	GrantTypes    []string
	ResponseTypes []string
	Scopes        []string
	// Audiences an access token may name; the first ones are not implied.
	Audiences []string
	// PKCE is required or optional; a public client's is always required.
	PKCE string
	// StartURL is where people begin to use the application.
	StartURL string
}

// Public tells whether the client cannot keep a secret (RFC 6749 §2.1).
func (s Settings) Public() bool { return s.TokenEndpointAuthMethod == "none" }
