package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ory/fosite"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/oidc/admission"
	"github.com/gatehouse-id/gatehouse/internal/oidc/assertion"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// credentials are how a client says who it is. method is one of the token_endpoint_auth_method values.
type credentials struct {
	method, id, secret string
	assertion          assertion.Assertion // of private_key_jwt
	isGrant            bool                // the assertion is the grant too
}

// authenticateClient authenticates the client of a request: by exactly one method, and by the one that it is
// registered for (RFC 6749 §2.3). Unknown clients, disabled ones, wrong secrets and wrong signatures are answered
// alike.
func (p *Provider) authenticateClient(ctx context.Context, r realm.Realm, cred credentials) (*client.Client, error) {
	c, err := p.Clients.ByClientID(ctx, r, cred.id)
	failed := refuse(codeInvalidClient, describe(codeInvalidClient))
	switch {
	case errors.Is(err, realm.ErrUnknown):
		return nil, failed.because(admission.Guess("unknown client"))
	case err != nil:
		return nil, err
	case !c.Enabled:
		return nil, failed.because(errors.New("disabled client"))
	case c.TokenEndpointAuthMethod != cred.method:
		return nil, failed.because(errors.New("registered for " + c.TokenEndpointAuthMethod + ", used " + cred.method))
	case cred.method == methodKey:
		if err := p.prove(ctx, r, c, cred.assertion); err != nil {
			return nil, err
		}
	case cred.method != "none" && !c.ProvesSecret(cred.secret):
		return nil, failed.because(admission.Guess("wrong secret"))
	}
	return c, nil
}

// readAssertion takes a client's credentials from an assertion.
func readAssertion(text string, form url.Values) (credentials, *protocolError) {
	a, err := assertion.Parse(text)
	if err != nil {
		return credentials{}, refuse(codeInvalidClient, describe(codeInvalidClient)).because(err)
	}
	id, named := a.ClientID(), form.Get("client_id")
	switch {
	case id == "" && named == "":
		return credentials{}, refuse(codeInvalidClient, "The assertion is not the client's own, iss and sub differ: name the client by client_id.")
	case id == "":
		id = named
	case named != "" && named != id:
		return credentials{}, refuse(codeInvalidRequest, "The client_id differs from the one in the assertion.")
	}
	return credentials{method: methodKey, id: id, assertion: a}, nil
}

// prove uses up the assertion of a client that is registered to use one.
func (p *Provider) prove(ctx context.Context, r realm.Realm, c *client.Client, a assertion.Assertion) error {
	err := p.Assertions.Use(ctx, r, c, a)
	var wrong assertion.ClaimError
	switch {
	case errors.As(err, &wrong):
		return refuse(codeInvalidClient, string(wrong))
	case errors.Is(err, assertion.ErrInvalid):
		return refuse(codeInvalidClient, describe(codeInvalidClient)).because(err)
	}
	return err
}

// methodKey is the method of clients that sign assertions (OpenID Connect Core §9).
const methodKey = "private_key_jwt"

func readCredentials(req *http.Request, form url.Values) (credentials, *protocolError) {
	// A parameter without a value counts as absent (RFC 6749 §3.2).
	header, secret, signed := req.Header.Get("Authorization"), form.Get("client_secret"), form.Get("client_assertion")
	switch {
	case header != "" && (secret != "" || signed != ""), secret != "" && signed != "":
		return credentials{}, refuse(codeInvalidRequest, "More than one client authentication method is used.")
	case signed != "" && form.Get("client_assertion_type") != assertion.Type:
		return credentials{}, refuse(codeInvalidClient, "The client_assertion_type is not supported; use "+assertion.Type+".")
	case signed != "":
		return readAssertion(signed, form)
	case header != "":
		cred, ok := readBasic(req)
		if !ok {
			return credentials{}, refuse(codeInvalidClient, "The Authorization header is not a valid Basic one.")
		}
		if id := form.Get("client_id"); id != "" && id != cred.id {
			return credentials{}, refuse(codeInvalidRequest, "The client_id differs from the one in the Authorization header.")
		}
		return cred, nil
	case form.Get("client_id") == "":
		return credentials{}, refuse(codeInvalidClient, "The client is not named: send client_id, or authenticate by HTTP Basic.")
	case secret != "":
		return credentials{method: "client_secret_post", id: form.Get("client_id"), secret: secret}, nil
	}
	return credentials{method: "none", id: form.Get("client_id")}, nil
}

// readBasic reads HTTP Basic credentials, whose two parts are form-encoded (RFC 6749 §2.3.1).
func readBasic(req *http.Request) (credentials, bool) {
	rawID, rawSecret, ok := req.BasicAuth()
	if !ok {
		return credentials{}, false
	}
	id, err := url.QueryUnescape(rawID)
	if err != nil {
		return credentials{}, false
	}
	secret, err := url.QueryUnescape(rawSecret)
	if err != nil {
		return credentials{}, false
	}
	return credentials{method: "client_secret_basic", id: id, secret: secret}, id != "" && !strings.ContainsRune(id, 0)
}

// authenticatedBefore is fosite's client authentication: it hands over the client that authenticateClient let in.
func authenticatedBefore(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
	c := &store.Of(ctx).Client
	if c.Client == nil {
		return nil, fosite.ErrInvalidClient
	}
	return c, nil
}
