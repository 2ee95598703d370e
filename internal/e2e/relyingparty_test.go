package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// relyingParty is an application built on libraries that nobody here wrote.
type relyingParty struct {
	provider *oidc.Provider
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
}

func newRelyingParty(t testing.TB, i *instance, id, secret string, style oauth2.AuthStyle) relyingParty {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), i.Issuer("one"))
	require.NoError(t, err)
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = style
	return relyingParty{provider, oauth2.Config{
		ClientID: id, ClientSecret: secret, Endpoint: endpoint, RedirectURL: callback, Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}, provider.VerifierContext(t.Context(), &oidc.Config{ClientID: id, Now: i.Clock.Now})}
}

func TestRelyingParty_signs_in(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	for name, c := range map[string]struct {
		id, secret string
		style      oauth2.AuthStyle
	}{
		"finding out how to authenticate":           {"web", webSecret, oauth2.AuthStyleAutoDetect},
		"finding out the other way":                 {"other", otherSecret, oauth2.AuthStyleAutoDetect},
		"with Basic as the client is registered":    {"web", webSecret, oauth2.AuthStyleInHeader},
		"with the form as the client is registered": {"other", otherSecret, oauth2.AuthStyleInParams},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rp := newRelyingParty(t, i, c.id, c.secret, c.style)
			proof := oauth2.GenerateVerifier()
			b := newBrowser(t)
			page := b.follow(i, b.get(rp.config.AuthCodeURL("the-state", oidc.Nonce("the-nonce"), oauth2.S256ChallengeOption(proof))))
			back := b.follow(i, b.try(page, "ana", anaPassword))
			require.Equal(t, "the-state", back.Location().Query().Get("state"))

			got, err := rp.config.Exchange(t.Context(), requireCode(t, back), oauth2.VerifierOption(proof))
			require.NoError(t, err)
			require.Equal(t, "Bearer", got.Type())
			require.InDelta(t, 300, got.ExpiresIn, 1)
			raw, ok := got.Extra("id_token").(string)
			require.True(t, ok)
			id, err := rp.verifier.Verify(t.Context(), raw)
			require.NoError(t, err)
			require.Equal(t, "the-nonce", id.Nonce)
			require.Equal(t, []string{c.id}, id.Audience)
			require.NoError(t, id.VerifyAccessToken(got.AccessToken), "at_hash")

			info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(got))
			require.NoError(t, err)
			require.Equal(t, id.Subject, info.Subject)
			require.Equal(t, "Ana@Example.test", info.Email)
			require.True(t, info.EmailVerified)
			var more struct {
				Name string `json:"name"`
			}
			require.NoError(t, info.Claims(&more))
			require.Equal(t, "Ana Silva", more.Name)

			_, err = rp.config.Exchange(t.Context(), back.Location().Query().Get("code"), oauth2.VerifierOption(proof))
			var refused *oauth2.RetrieveError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "invalid_grant", refused.ErrorCode)
		})
	}
}

func TestRelyingParty_believes_nobody_else(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	rp := newRelyingParty(t, i, "web", webSecret, oauth2.AuthStyleInHeader)
	signed := func(slug string) string { return token(t, i, slug, exchange(newBrowser(t).code(i, slug))).IDToken }
	own := signed("one")
	_, err := rp.verifier.Verify(t.Context(), own)
	require.NoError(t, err)

	_, err = rp.verifier.Verify(t.Context(), signed("two"))
	require.ErrorContains(t, err, "signature", "another realm's token is signed by another key")
	strangers := oidc.NewVerifier(i.Issuer("two"), oidc.NewRemoteKeySet(t.Context(), i.Issuer("one")+"/jwks"), &oidc.Config{
		ClientID: "web", Now: i.Clock.Now, SupportedSigningAlgs: []string{oidc.ES256},
	})
	_, err = strangers.Verify(t.Context(), own)
	require.ErrorContains(t, err, "different provider")
	_, err = rp.provider.Verifier(&oidc.Config{ClientID: "other", Now: i.Clock.Now}).Verify(t.Context(), own)
	require.ErrorContains(t, err, "audience")
	head, rest, _ := strings.Cut(own, ".")
	_, err = rp.verifier.Verify(t.Context(), head+"."+rest[:len(rest)-4]+"AAAA")
	require.Error(t, err)
	i.Clock.Advance(11 * time.Minute)
	_, err = rp.verifier.Verify(t.Context(), own)
	var expired *oidc.TokenExpiredError
	require.ErrorAs(t, err, &expired)
}

func TestRelyingParty_finds_only_the_issuer_it_asked_for(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	_, err := oidc.NewProvider(t.Context(), i.Issuer("one")+"/")
	require.Error(t, err, "an issuer is compared to the letter")
	_, err = oidc.NewProvider(t.Context(), i.Issuer("none"))
	require.Error(t, err)
}
