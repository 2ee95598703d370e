// Package oidc is the protocol: OAuth 2.0 and OpenID Connect on ory/fosite, every realm an issuer of its own.
//
// fosite validates requests and drives its handlers; this package decides everything around them. Request
// parameters are checked here first (duplicates, sizes, redirect addresses, PKCE policy), client authentication is
// ours, tokens are made by our strategies from the authorization's row and the injected clock, and every response
// and error is written here: no text of fosite reaches a client. There is one fosite provider for all realms; the
// realm, its keys and the unit of work ride in ctx (package store).
//
// /authorize is the sole dispatcher of the login flow. It loads the state by one statement, asks the engine for the
// first pending step, and issues when there is none. A token operation reads its row once, lets fosite decide,
// signs without holding a connection, and commits by one conditional statement; whoever loses a race gets
// invalid_grant. A failed proof after client authentication burns the code by the same kind of write.
//
// Left out on purpose: the implicit flow, hybrid flows that put tokens into the front channel, and the password
// grant (RFC 9700 §2.1.2, §2.4).
package oidc
