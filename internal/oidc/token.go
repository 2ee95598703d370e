package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// tokenResponse is RFC 6749 §5.1 and OpenID Connect Core §3.1.3.3.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope,omitempty"`
	IDToken     string `json:"id_token,omitempty"`
}

// token is the token endpoint (RFC 6749 §3.2).
func (p *Provider) token(c *echo.Context) error {
	r, req := web.Realm(c), c.Request()
	form, err := web.Form(c)
	if err != nil {
		return p.refuseToken(c, client.Client{}, refuse(codeInvalidRequest, "The body is not a form (application/x-www-form-urlencoded), or too large.").because(err))
	}
	if req.URL.RawQuery != "" {
		return p.refuseToken(c, client.Client{}, refuse(codeInvalidRequest, "Parameters belong into the body, not into the address."))
	}
	if name := repeated(form); name != "" {
		return p.refuseToken(c, client.Client{}, refuse(codeInvalidRequest, "The parameter "+printable(name)+" is given more than once."))
	}
	cl, err := p.authenticateClient(req.Context(), r, req, form)
	if err != nil {
		return p.refuseToken(c, client.Client{}, err)
	}
	p.allowOrigin(c, cl)
	resp, err := p.grantTokens(req.Context(), r, req, form, cl)
	if err != nil {
		return p.refuseToken(c, cl, err)
	}
	p.Log.InfoContext(req.Context(), "tokens issued", "client_id", cl.ClientID, "grant_type", form.Get("grant_type"))
	return c.JSON(http.StatusOK, resp)
}

// grantTokens reads, lets fosite decide and signs without holding a connection, then commits by one conditional
// statement.
func (p *Provider) grantTokens(ctx context.Context, r realm.Realm, req *http.Request, form url.Values, cl client.Client) (*tokenResponse, error) {
	grantType := form.Get("grant_type")
	switch {
	case grantType == "":
		return nil, refuse(codeInvalidRequest, "The parameter grant_type is missing.")
	case grantType != "authorization_code":
		return nil, refuse(codeUnsupportedGrant, describe(codeUnsupportedGrant))
	case !slices.Contains(cl.GrantTypes, grantType):
		return nil, refuse(codeUnauthorizedClient, describe(codeUnauthorizedClient))
	case form.Get("code") == "":
		return nil, refuse(codeInvalidRequest, "The parameter code is missing.")
	}
	ctx, u := p.begin(event.By(ctx, event.Client, cl.ClientID), r)
	var err error
	if u.Ring, err = p.Keys.Ring(ctx, r); err != nil {
		return nil, err
	}
	ctx = withClient(withGrantType(ctx, grantType), cl)
	ar, err := p.fosite.NewAccessRequest(ctx, req, &store.Session{})
	if err != nil {
		return nil, p.codeRefused(ctx, u, cl, err)
	}
	resp, err := p.fosite.NewAccessResponse(ctx, ar)
	if err != nil {
		return nil, p.codeRefused(ctx, u, cl, err)
	}
	if err := grant.Exchange(ctx, r, *u.Grant, u.Now); err != nil {
		if errors.Is(err, grant.ErrLost) {
			u.Reused = true
			err = refuse(codeInvalidGrant, describe(codeInvalidGrant)).because(err)
		}
		return nil, p.codeRefused(ctx, u, cl, err)
	}
	idToken, _ := resp.GetExtra("id_token").(string)
	return &tokenResponse{
		AccessToken: resp.GetAccessToken(), TokenType: "Bearer",
		ExpiresIn: int64(time.Duration(r.Settings.Lifetimes.AccessToken) / time.Second),
		Scope:     strings.Join(ar.GetGrantedScopes(), " "), IDToken: idToken,
	}, nil
}

// codeRefused does what a failed exchange demands, and returns the error to answer with. A second use by the client
// that the code was given to ends everything that came of it; so after a race the authorization is dead (RFC 6749
// §4.1.2). Any other failed proof burns the code, so that it cannot be tried again. Another client's second use
// touches nothing. What is this server's own fault burns nothing either.
func (p *Provider) codeRefused(ctx context.Context, u *store.Unit, cl client.Client, err error) error {
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
		werr = grant.Revoke(ctx, u.Realm, *u.Grant, "code_reuse", u.Now)
	case !u.Reused:
		werr = grant.Burn(ctx, u.Realm, *u.Grant, e.Code, u.Now)
	}
	if werr != nil {
		return asProtocolError(werr)
	}
	return e
}

// refuseToken writes an error of RFC 6749 §5.2.
func (p *Provider) refuseToken(c *echo.Context, cl client.Client, err error) error {
	e := asProtocolError(err)
	ctx := c.Request().Context()
	if e.ours() {
		p.Log.ErrorContext(ctx, "token request failed", "client_id", cl.ClientID, "error_code", e.Code, "err", e)
	} else {
		p.Log.InfoContext(ctx, "token request refused", "client_id", cl.ClientID, "error_code", e.Code, "err", e)
	}
	h := c.Response().Header()
	switch e.Code {
	case codeInvalidClient:
		h.Set(echo.HeaderWWWAuthenticate, `Basic realm="`+web.Realm(c).Issuer+`"`)
	case codeUnavailable:
		h.Set("Retry-After", "1")
	}
	return c.JSON(e.Status(), map[string]string{"error": e.Code, "error_description": e.Description})
}
