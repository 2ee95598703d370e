package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ory/fosite"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// credentials are how a client says who it is. method is one of the token_endpoint_auth_method values.
type credentials struct {
	method, id, secret string
}

// authenticateClient authenticates the client of a token request: by exactly one method, and by the one that it is
// registered for (RFC 6749 §2.3). Unknown clients, disabled ones and wrong secrets are answered alike.
func (p *Provider) authenticateClient(ctx context.Context, r realm.Realm, req *http.Request, form url.Values) (client.Client, error) {
	cred, refusal := readCredentials(req, form)
	if refusal != nil {
		return client.Client{}, refusal
	}
	c, err := p.Clients.ByClientID(ctx, r, cred.id)
	failed := refuse(codeInvalidClient, describe(codeInvalidClient))
	switch {
	case errors.Is(err, realm.ErrUnknown):
		return client.Client{}, failed.because(guess("unknown client"))
	case err != nil:
		return client.Client{}, err
	case !c.Enabled:
		return client.Client{}, failed.because(errors.New("disabled client"))
	case c.TokenEndpointAuthMethod != cred.method:
		return client.Client{}, failed.because(errors.New("registered for " + c.TokenEndpointAuthMethod + ", used " + cred.method))
	case cred.method != "none" && !c.ProvesSecret(cred.secret):
		return client.Client{}, failed.because(guess("wrong secret"))
	}
	return c, nil
}

func readCredentials(req *http.Request, form url.Values) (credentials, *protocolError) {
	// A parameter without a value counts as absent (RFC 6749 §3.2).
	header, secret, assertion := req.Header.Get("Authorization"), form.Get("client_secret"), form.Get("client_assertion")
	switch {
	case header != "" && (secret != "" || assertion != ""), secret != "" && assertion != "":
		return credentials{}, refuse(codeInvalidRequest, "More than one client authentication method is used.")
	case assertion != "":
		return credentials{}, refuse(codeInvalidClient, "The client authentication method is not supported.")
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
		return credentials{"client_secret_post", form.Get("client_id"), secret}, nil
	}
	return credentials{"none", form.Get("client_id"), ""}, nil
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
	return credentials{"client_secret_basic", id, secret}, id != "" && !strings.ContainsRune(id, 0)
}

type clientKey struct{}

// withClient passes the authenticated client on to fosite.
func withClient(ctx context.Context, c client.Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// authenticatedBefore is fosite's client authentication: it hands over the client that authenticateClient let in.
func authenticatedBefore(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
	c, ok := ctx.Value(clientKey{}).(client.Client)
	if !ok {
		return nil, fosite.ErrInvalidClient
	}
	return store.Client{Client: c}, nil
}
