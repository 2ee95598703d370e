package oidc

import (
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/internal/client"
)

// grantAssertion is the grant of an assertion (RFC 7523 §2.1). It is about the client, by the client or by an issuer that
// it trusts, so it is both: what the client proves itself by, and what it gets tokens for, for itself as by
// client_credentials. Nobody is trusted to speak for people.
const grantAssertion = client.GrantJWTBearer

// readGrantCredentials is readCredentials at the token endpoint, where the grant may be the authentication. The code
// of its refusals is the grant's (RFC 7523 §3.1).
func readGrantCredentials(req *http.Request, form url.Values) (credentials, *protocolError) {
	text := form.Get("assertion")
	if form.Get("grant_type") != grantAssertion || text == "" {
		return readCredentials(req, form)
	}
	if req.Header.Get("Authorization") != "" || form.Get("client_secret") != "" || form.Get("client_assertion") != "" {
		return credentials{}, refuse(codeInvalidRequest, "The assertion authenticates the client; leave out what else does.")
	}
	cred, refusal := readAssertion(text, form)
	if refusal != nil {
		return credentials{}, refusal.ofGrant()
	}
	cred.isGrant = true
	return cred, nil
}

// ofGrant is a refusal of a client where the client's proof is the grant.
func (e *protocolError) ofGrant() *protocolError {
	if e.Code != codeInvalidClient {
		return e
	}
	description := e.Description
	if description == describe(codeInvalidClient) {
		description = "The assertion is not accepted."
	}
	return refuse(codeInvalidGrant, description).because(e.cause)
}
