package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// guard is a resource server, which proves itself by a secret or by a key.
type guard struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Key    string `json:"key"`
}

// keyed is a resource server of the library's that proves itself by assertions that end after a minute. The library's
// own end after an hour, which is more than a server has to remember them for (SECURITY.md TK-09).
type keyed struct {
	rs.ResourceServer
	id, issuer string
	signer     jose.Signer
}

// AuthFn implements rs.ResourceServer.
func (k keyed) AuthFn() (any, error) {
	assertion, err := client.SignedJWTProfileAssertion(k.id, []string{k.issuer}, time.Minute, k.signer)
	return client.ClientAssertionFormAuthorization(assertion), err
}

// ask has resource servers ask about the tokens of a person who signed in.
func ask(ctx context.Context, t task, person signedIn, say func(string, ...any)) error {
	withSecret, err := rs.NewResourceServerClientCredentials(ctx, t.Issuer, t.Guard.ID, t.Guard.Secret)
	if err != nil {
		return fmt.Errorf("make a resource server with a secret: %w", err)
	}
	library, err := rs.NewResourceServerJWTProfile(ctx, t.Issuer, t.KeyGuard.ID, "keyguard", []byte(t.KeyGuard.Key))
	if err != nil {
		return fmt.Errorf("make a resource server with a key: %w", err)
	}
	signer, err := client.NewSignerFromPrivateKeyByte([]byte(t.KeyGuard.Key), "keyguard")
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	withKey := keyed{library, t.KeyGuard.ID, t.Issuer, signer}
	for name, server := range map[string]rs.ResourceServer{"a secret": withSecret, "a key": withKey} {
		if err := introspect(ctx, server, person); err != nil {
			return fmt.Errorf("with %s: %w", name, err)
		}
		say("checked introspection with %s", name)
	}
	stranger, err := rs.NewResourceServerClientCredentials(ctx, t.Issuer, t.Guard.ID, "not the secret")
	if err != nil {
		return err
	}
	if _, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, stranger, person.tokens.AccessToken); err == nil {
		return errors.New("anybody may introspect")
	}
	say("checked a wrong secret")
	_, err = rs.Introspect[*oidc.IntrospectionResponse](ctx, library, person.tokens.AccessToken)
	if err == nil || !strings.Contains(err.Error(), "more than 5m ahead") {
		return fmt.Errorf("an assertion of an hour is not refused for that: %w", err)
	}
	say("checked the library's own assertions, which are too long and are told so")
	return nil
}

func introspect(ctx context.Context, server rs.ResourceServer, person signedIn) error {
	got, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, server, person.tokens.AccessToken)
	if err != nil {
		return err
	}
	if !got.Active || got.Subject != person.info.Subject || got.TokenType == "" || got.ClientID == "" || got.Expiration.AsTime().Before(time.Now()) {
		return fmt.Errorf("a token that lives is %+v", got)
	}
	if got, err = rs.Introspect[*oidc.IntrospectionResponse](ctx, server, person.tokens.AccessToken+"x"); err != nil || got.Active {
		return fmt.Errorf("no token is %+v: %w", got, err)
	}
	return nil
}
