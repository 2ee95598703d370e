package demo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// home shows who is signed in, or the button that begins to.
func (p *RelyingParty) home(w http.ResponseWriter, r *http.Request) {
	if s, ok := p.sessions.get(cookie(r, sessionCookie)); ok {
		p.show(w, http.StatusOK, "signed-in", s.result)
		return
	}
	_, left := p.goodbyes.take(r.URL.Query().Get("state"))
	p.show(w, http.StatusOK, "welcome", map[string]any{"Issuer": p.o.Issuer, "User": Username, "Outbox": p.o.Outbox, "SignedOut": left})
}

// login begins a sign-in: it keeps what the callback has to compare and sends the browser to the issuer.
func (p *RelyingParty) login(w http.ResponseWriter, r *http.Request) {
	issuer, err := p.discover(r.Context())
	if err != nil {
		p.fail(w, unreachable(p.o.Issuer, err))
		return
	}
	a := attempt{browser: cookie(r, browserCookie)}
	var state, fresh string
	if err := p.tokens(&state, &a.nonce, &a.verifier, &fresh); err != nil {
		p.fail(w, broken(err))
		return
	}
	if a.browser == "" {
		a.browser = fresh
		setCookie(w, browserCookie, fresh, 0)
	}
	p.attempts.put(state, a)
	http.Redirect(w, r, issuer.oauth.AuthCodeURL(state, oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)), http.StatusSeeOther)
}

// callback takes the issuer's answer. What proves that it is an answer to this browser's question comes first: state,
// then issuer, then whether it is an error, and only then the code.
func (p *RelyingParty) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a, known := p.attempts.take(q.Get("state"))
	if !known || a.browser != cookie(r, browserCookie) {
		p.fail(w, wrongState())
		return
	}
	issuer, err := p.discover(r.Context())
	if err != nil {
		p.fail(w, unreachable(p.o.Issuer, err))
		return
	}
	if iss := q.Get("iss"); iss != p.o.Issuer && (iss != "" || issuer.metadata.SendsIss) { // RFC 9207 §2.4
		p.fail(w, wrongIssuer(p.o.Issuer, iss))
		return
	}
	if code := q.Get("error"); code != "" {
		p.fail(w, refused(code, q.Get("error_description")))
		return
	}
	found, problem := p.redeem(r.Context(), issuer, a, q.Get("code"))
	if problem != nil {
		p.fail(w, *problem)
		return
	}
	id, err := p.token()
	if err != nil {
		p.fail(w, broken(err))
		return
	}
	p.sessions.drop(cookie(r, sessionCookie))
	p.sessions.put(id, session{found})
	setCookie(w, sessionCookie, id, int(sessionLife/time.Second))
	// The address that holds the code leaves the address bar.
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// redeem exchanges the code and believes nothing that it has not verified.
func (p *RelyingParty) redeem(ctx context.Context, issuer *provider, a attempt, code string) (result, *failure) {
	ctx = p.client(ctx)
	token, err := issuer.oauth.Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		var answered *oauth2.RetrieveError
		if errors.As(err, &answered) {
			return result{}, notExchanged(answered)
		}
		return result{}, ptr(unreachable(p.o.Issuer, err))
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return result{}, ptr(badToken(errors.New("the token response has no id_token")))
	}
	idToken, err := issuer.verifier.Verify(ctx, raw)
	if err != nil {
		return result{}, ptr(badToken(err))
	}
	if idToken.Nonce != a.nonce {
		return result{}, ptr(wrongNonce())
	}
	if idToken.AccessTokenHash != "" {
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return result{}, ptr(badToken(err))
		}
	}
	info, err := issuer.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return result{}, ptr(noUserinfo(err))
	}
	if info.Subject != idToken.Subject { // OpenID Connect Core §5.3.2
		return result{}, ptr(noUserinfo(errors.New("it is about another person than the ID token")))
	}
	found, err := describe(p.o, token, raw, info)
	if err != nil {
		return result{}, ptr(badToken(err))
	}
	return found, nil
}

// logout ends the session here and asks the issuer to end its own (RP-Initiated Logout §2).
func (p *RelyingParty) logout(w http.ResponseWriter, r *http.Request) {
	s, ok := p.sessions.take(cookie(r, sessionCookie))
	setCookie(w, sessionCookie, "", -1)
	issuer, err := p.discover(r.Context())
	if err != nil {
		p.fail(w, unreachable(p.o.Issuer, err))
		return
	}
	if !ok || issuer.metadata.EndSession == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	state, err := p.token()
	if err != nil {
		p.fail(w, broken(err))
		return
	}
	end, err := url.Parse(issuer.metadata.EndSession)
	if err != nil {
		p.fail(w, broken(err))
		return
	}
	p.goodbyes.put(state, struct{}{})
	q := end.Query()
	q.Set("id_token_hint", s.result.IDToken.Raw)
	q.Set("client_id", p.o.ClientID)
	q.Set("post_logout_redirect_uri", p.o.BaseURL+"/")
	q.Set("state", state)
	end.RawQuery = q.Encode()
	http.Redirect(w, r, end.String(), http.StatusSeeOther)
}
