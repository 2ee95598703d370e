package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// serviceID is the application without people. There is one in a realm for each of serviceAlgs, named after it.
const serviceID = "service"

// serviceAlgs are the algorithms that services' tokens are measured with.
func serviceAlgs() []string { return []string{"ES256", "EdDSA", "RS256"} }

// serviceRealm is the file of a realm whose services get tokens of an algorithm.
func serviceRealm(alg string) string {
	return "realm: " + strings.ToLower(alg) + `
name: ` + alg + `
settings: {signing_alg: ` + alg + `, rate_limits: {client: 1000000, address: 1000000, page: 1000000}}
keys: {algorithms: [` + alg + `]}
applications:
  - client_id: ` + serviceID + `
    name: Service
    secrets: [` + secret + `]
    grant_types: [client_credentials]
    scopes: [read]
    audiences: [https://api.bench.example]
`
}

// basic is the Authorization header of an application. All have the same secret.
func basic(id string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func (t *target) serviceURL(alg, path string) string {
	return t.url("/realms/" + strings.ToLower(alg) + path)
}

// serviceToken gets an access token by client credentials.
func (t *target) serviceToken(ctx context.Context, alg string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
	r, err := t.expect(ctx, http.StatusOK, http.MethodPost, t.serviceURL(alg, "/token"), form.Encode(), "Authorization", basic(serviceID))
	if err != nil {
		return "", err
	}
	var got tokens
	if err := json.Unmarshal(r.body, &got); err != nil {
		return "", err
	}
	if got.Access == "" {
		return "", errors.New("no access token came back")
	}
	return got.Access, nil
}

func clientCredentials(alg string) func(context.Context, *target, int, budget) (window, error) {
	return plain(func(t *target, ctx context.Context, _ int) error {
		_, err := t.serviceToken(ctx, alg)
		return err
	})
}

func (t *target) introspect(ctx context.Context, access string) error {
	form := url.Values{"token": {access}}
	r, err := t.expect(ctx, http.StatusOK, http.MethodPost, t.issuer("/introspect"), form.Encode(), "Authorization", basic(clientID))
	if err != nil {
		return err
	}
	var got struct{ Active bool }
	if err := json.Unmarshal(r.body, &got); err != nil {
		return err
	}
	if !got.Active {
		return errors.New("a live token is said to be inactive")
	}
	return nil
}

// prepareIntrospection gives every worker a token of a person, which it asks about again and again.
func prepareIntrospection(ctx context.Context, t *target, workers int, _ budget) (window, error) {
	list, err := authorizations(ctx, t, workers)
	if err != nil {
		return nil, err
	}
	return driven(workers, func(ctx context.Context, worker int) error { return t.introspect(ctx, list[worker].Access) }), nil
}

// prepareRevocation gets the access tokens that the workers revoke, each once. Getting one costs less than revoking it,
// so that they last.
func prepareRevocation(ctx context.Context, t *target, workers int, b budget) (window, error) {
	list := make([][]string, workers)
	alg := serviceAlgs()[0]
	got := drive(ctx, workers, b, func(ctx context.Context, worker int) error {
		access, err := t.serviceToken(ctx, alg)
		list[worker] = append(list[worker], access)
		return err
	})
	if got.Errors > 0 {
		return nil, fmt.Errorf("get tokens to revoke: %s", got.Failure)
	}
	return driven(workers, func(ctx context.Context, worker int) error {
		mine := list[worker]
		if len(mine) == 0 {
			return errUsedUp
		}
		list[worker] = mine[1:]
		form := url.Values{"token": {mine[0]}}
		_, err := t.expect(ctx, http.StatusOK, http.MethodPost, t.serviceURL(alg, "/revoke"), form.Encode(), "Authorization", basic(serviceID))
		return err
	}), nil
}
