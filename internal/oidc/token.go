package oidc

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/ory/fosite"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/oidc/accesstoken"
	"github.com/gatehouse-id/gatehouse/internal/oidc/admission"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// token is the token endpoint (RFC 6749 §3.2).
func (p *Provider) token(c *echo.Context) error {
	ctx := c.Request().Context()
	form, cl, err := p.clientRequest(c, readGrantCredentials)
	var resp accesstoken.Response
	if err == nil {
		resp, err = p.grantTokens(ctx, web.Realm(c), c.Request(), form, cl)
	}
	if err != nil {
		p.Metrics.ObserveToken(form.Get("grant_type"), asProtocolError(err).outcome())
		return p.refuseToken(c, cl, err)
	}
	p.Metrics.ObserveToken(form.Get("grant_type"), "issued")
	web.Note(c, slog.String("client_id", cl.ClientID), slog.String("grant_type", form.Get("grant_type")))
	return c.JSONBlob(http.StatusOK, resp.JSON())
}

// clientRequest reads the form of an endpoint that clients call and authenticates the client by what read finds.
func (p *Provider) clientRequest(c *echo.Context, read func(*http.Request, url.Values) (credentials, *protocolError)) (url.Values, *client.Client, error) {
	req := c.Request()
	form, err := web.Form(c)
	if err != nil {
		return nil, nil, refuse(codeInvalidRequest, "The body is not a form (application/x-www-form-urlencoded), or too large.").because(err)
	}
	if req.URL.RawQuery != "" {
		return nil, nil, refuse(codeInvalidRequest, "Parameters belong into the body, not into the address.")
	}
	if name := repeated(form); name != "" {
		return nil, nil, refuse(codeInvalidRequest, "The parameter "+printable(name)+" is given more than once.")
	}
	cred, refusal := read(req, form)
	if refusal != nil {
		return nil, nil, refusal
	}
	cl, err := p.admitClient(c, web.Realm(c), cred)
	if err != nil {
		p.origins.AllowClaimed(c, cred.id)
		if cred.isGrant {
			err = asProtocolError(err).ofGrant()
		}
		return form, cl, err
	}
	p.origins.Allow(c, cl)
	return form, cl, nil
}

// grantTokens reads, lets fosite decide and signs without holding a connection, then commits by one conditional
// statement.
func (p *Provider) grantTokens(ctx context.Context, r realm.Realm, req *http.Request, form url.Values, cl *client.Client) (accesstoken.Response, error) {
	grantType := form.Get("grant_type")
	if refusal := checkGrant(grantType, form, cl); refusal != nil {
		return accesstoken.Response{}, refusal
	}
	ctx, u := p.begin(event.By(ctx, event.Client, cl.ClientID), r, cl)
	if cl.ClaimsInIDToken { // one read more, for these clients only
		u.Claims = func(ctx context.Context, g grant.Grant) (grant.Person, error) {
			return p.live.Person(ctx, r, g.ID, "", u.Now)
		}
	}
	if err := p.chooseKeys(ctx, u, cl); err != nil {
		return accesstoken.Response{}, err
	}
	u.GrantType = grantType
	ar, err := p.fosite.NewAccessRequest(ctx, req, &store.Session{})
	if err == nil {
		err = grantScopes(u, ar, form, cl)
	}
	if err != nil {
		return accesstoken.Response{}, p.proofFailed(ctx, u, cl, grantType, err)
	}
	resp, err := p.fosite.NewAccessResponse(ctx, ar)
	if err != nil {
		return accesstoken.Response{}, p.proofFailed(ctx, u, cl, grantType, err)
	}
	refresh, _ := resp.GetExtra("refresh_token").(string)
	if err := p.commit(ctx, u, refresh != ""); err != nil {
		return accesstoken.Response{}, p.proofFailed(ctx, u, cl, grantType, err)
	}
	idToken, _ := resp.GetExtra("id_token").(string)
	return accesstoken.Response{
		AccessToken: resp.GetAccessToken(), TokenType: "Bearer", ExpiresIn: int64(accessEnds(u).Sub(u.Now) / time.Second),
		Scope: strings.Join(ar.GetGrantedScopes(), " "), IDToken: idToken, RefreshToken: refresh,
	}, nil
}

func checkGrant(grantType string, form url.Values, cl *client.Client) *protocolError {
	proof, known := "", true
	switch grantType {
	case grantCode:
		proof = "code"
	case grantRefresh:
		proof = "refresh_token"
	case grantAssertion:
		proof = "assertion"
	default:
		known = grantType == grantClient
	}
	switch {
	case grantType == "":
		return refuse(codeInvalidRequest, "The parameter grant_type is missing.")
	case !known:
		return refuse(codeUnsupportedGrant, describe(codeUnsupportedGrant))
	case !slices.Contains(cl.GrantTypes, grantType):
		return refuse(codeUnauthorizedClient, describe(codeUnauthorizedClient))
	case proof != "" && form.Get(proof) == "":
		return refuse(codeInvalidRequest, "The parameter "+proof+" is missing.")
	case (grantType == grantClient || grantType == grantAssertion) && slices.Contains(strings.Fields(form.Get("scope")), "openid"):
		return refuse(codeInvalidScope, "There is nobody to identify: a client that acts for itself gets no ID token.")
	}
	return nil
}

// chooseKeys finds the keys that sign the request's tokens.
func (p *Provider) chooseKeys(ctx context.Context, u *store.Unit, cl *client.Client) (err error) {
	r := u.Realm
	if u.AccessKey, err = p.Keys.Signer(ctx, r, r.Settings.SigningAlg); err != nil {
		return err
	}
	u.IDKey = u.AccessKey
	if alg := cl.IDTokenSignedResponseAlg; alg != "" && alg != u.AccessKey.Alg {
		u.IDKey, err = p.Keys.Signer(ctx, r, alg)
	}
	return err
}

// grantScopes grants what a token request may choose itself: a client acting for itself its scopes and audiences, a
// code or a refresh fewer audiences than were granted, a refresh fewer scopes too.
func grantScopes(u *store.Unit, ar fosite.AccessRequester, form url.Values, cl *client.Client) error {
	switch u.GrantType {
	case grantCode:
		return narrowAudience(u, form["resource"])
	case grantRefresh:
		if err := narrowAudience(u, form["resource"]); err != nil {
			return err
		}
		return narrow(ar, form.Get("scope"))
	case grantClient, grantAssertion:
		for _, scope := range ar.GetRequestedScopes() {
			ar.GrantScope(scope)
		}
		audiences := form["resource"]
		if len(audiences) == 0 {
			audiences = cl.Audiences
		}
		for _, a := range audiences {
			if !slices.Contains(cl.Audiences, a) {
				return refuse(codeInvalidTarget, "A requested resource is unknown or not allowed for this client.")
			}
			ar.GrantAudience(a)
		}
	}
	return nil
}

// narrowAudience lets the access token of this request be for some of the granted audiences only, and refuses more (RFC
// 8707 §2.2). The authorization keeps them all.
func narrowAudience(u *store.Unit, resources []string) error {
	for _, a := range resources {
		switch granted := u.Grant.Audience; {
		case a == "" || slices.Contains(u.Audience, a):
		case slices.Contains(granted, a), len(granted) == 0 && a == u.Realm.Issuer:
			u.Audience = append(u.Audience, a)
		default:
			return refuse(codeInvalidTarget, "A requested resource was not granted before.")
		}
	}
	return nil
}

// narrow grants fewer scopes than the authorization has, when fewer are asked for, and refuses more (RFC 6749 §6).
func narrow(ar fosite.AccessRequester, scope string) error {
	asked := strings.Fields(scope)
	if len(asked) == 0 {
		return nil
	}
	request, ok := ar.(*fosite.AccessRequest)
	if !ok {
		return errors.New("fosite made a request of another kind")
	}
	for _, s := range asked {
		if !request.GrantedScope.Has(s) {
			return refuse(codeInvalidScope, "A requested scope was not granted before.")
		}
	}
	request.GrantedScope = asked
	return nil
}

// commit writes what was decided by one conditional statement. A lost race for a refresh token is decided by reading
// again, since the statement that lost cannot see who won: the winner's token is handed out here too, unless the grace
// is over or it was used already.
//
// A client that acts for itself writes nothing.
func (p *Provider) commit(ctx context.Context, u *store.Unit, refresh bool) error {
	if u.Grant == nil {
		return nil
	}
	r, g, idle := u.Realm, *u.Grant, time.Duration(0)
	if refresh {
		idle = time.Duration(u.Lifetimes.RefreshIdle)
	}
	if u.Presented.Generation == 0 {
		err := grant.Exchange(ctx, r, g, idle, u.Now)
		if errors.Is(err, grant.ErrLost) {
			u.Reused = true
			return refuse(codeInvalidGrant, describe(codeInvalidGrant)).because(err)
		}
		return err
	}
	if u.Standing == grant.Repeated {
		return nil
	}
	err := grant.Rotate(ctx, r, g, u.Presented, idle, u.Now)
	if !errors.Is(err, grant.ErrLost) {
		return err
	}
	again, rerr := grant.ByID(ctx, r, g.ID, u.Now)
	if rerr != nil {
		return rerr
	}
	if again.Standing(u.Presented, u.Now) == grant.Repeated {
		return nil
	}
	return refuse(codeInvalidGrant, describe(codeInvalidGrant)).because(err)
}

// proofFailed does what a failed exchange or refresh demands, and returns the error to answer with.
//
// A second use of a code by the client that it was given to ends everything that came of it, so that after a race the
// authorization is dead (RFC 6749 §4.1.2); so does an old refresh token (RFC 9700 §4.14.2). Any other failed proof
// burns the code, so that it cannot be tried again. Another client's use touches nothing else. What is this server's
// own fault burns nothing either.
func (p *Provider) proofFailed(ctx context.Context, u *store.Unit, cl *client.Client, grantType string, err error) error {
	e := asProtocolError(err)
	if e.ours() || u.Grant == nil {
		return e
	}
	// The write must happen even when the client hangs up, or hanging up would be a way to try again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var werr error
	switch {
	case u.Reused && u.Grant.ClientID == cl.ClientID:
		werr = grant.Revoke(ctx, u.Realm, *u.Grant, reuse(grantType), u.Now)
	case !u.Reused && grantType == grantCode:
		werr = grant.Burn(ctx, u.Realm, *u.Grant, e.Code, u.Now)
	}
	if werr != nil {
		return asProtocolError(werr)
	}
	return e
}

func reuse(grantType string) string {
	if grantType == grantRefresh {
		return "refresh_token_reuse"
	}
	return "code_reuse"
}

// refuseToken writes an error of RFC 6749 §5.2. The client is nil when the request did not prove whose it is.
func (p *Provider) refuseToken(c *echo.Context, cl *client.Client, err error) error {
	if cl == nil {
		cl = &client.Client{}
	}
	e := asProtocolError(err)
	ctx := c.Request().Context()
	if e.ours() {
		p.Log.ErrorContext(ctx, "token request failed", "client_id", cl.ClientID, "error_code", e.Code, "err", e)
	} else {
		web.Note(c, slog.String("client_id", cl.ClientID), slog.String("error_code", e.Code), slog.Any("err", e))
	}
	p.origins.AllowError(c)
	h := c.Response().Header()
	switch e.Code {
	case codeInvalidClient:
		h.Set(echo.HeaderWWWAuthenticate, `Basic realm="`+web.Realm(c).Issuer+`"`)
	case codeUnavailable:
		h.Set(echo.HeaderRetryAfter, "1")
	case codeSlowDown:
		var soon admission.TooSoon
		errors.As(err, &soon)
		h.Set(echo.HeaderRetryAfter, soon.Seconds())
	}
	return c.JSON(e.Status(), map[string]string{"error": e.Code, "error_description": e.Description})
}
