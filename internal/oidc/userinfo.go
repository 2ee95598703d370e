package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// personClaims are the standard claims (OpenID Connect Core §5.1), those that the granted scopes ask for.
type personClaims struct {
	user.Claims
	PreferredUsername string `json:"preferred_username,omitempty"`
	Email             string `json:"email,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
	UpdatedAt         int64  `json:"updated_at,omitempty"`
}

// userinfoClaims are the answer of the UserInfo endpoint; iss and aud stand in signed ones only (§5.3.2).
type userinfoClaims struct {
	Subject  string   `json:"sub"`
	Issuer   string   `json:"iss,omitempty"`
	Audience audience `json:"aud,omitempty"`
	*personClaims
}

// userinfo is the UserInfo endpoint (OpenID Connect Core §5.3).
func (p *Provider) userinfo(c *echo.Context) error {
	r, ctx := web.Realm(c), c.Request().Context()
	token, refusal := bearerToken(c)
	if refusal != nil {
		return p.refuseBearer(c, refusal)
	}
	claims, err := p.verifyAccessToken(ctx, r, token)
	if errors.Is(err, keyset.ErrInvalid) {
		return p.refuseBearer(c, refuse(codeInvalidToken, "The access token is not valid, or expired."))
	}
	if err != nil {
		return p.refuseBearer(c, err)
	}
	cl, err := p.Clients.ByClientID(ctx, r, claims.ClientID)
	switch {
	case errors.Is(err, realm.ErrUnknown), err == nil && !cl.Enabled:
		return p.refuseBearer(c, refuse(codeInvalidToken, "The client of the access token is gone or switched off."))
	case err != nil:
		return p.refuseBearer(c, err)
	}
	p.origins.Allow(c, cl)
	if !slices.Contains(strings.Fields(claims.Scope), "openid") {
		return p.refuseBearer(c, refuse(codeInsufficientScope, "The access token lacks the scope openid."))
	}
	id, err := uuid.Parse(claims.Grant)
	if err != nil {
		return p.refuseBearer(c, refuse(codeInvalidToken, "The access token is nobody's."))
	}
	person, err := p.live.Person(ctx, r, id, claims.ID, p.Now())
	if errors.Is(err, realm.ErrUnknown) {
		return p.refuseBearer(c, refuse(codeInvalidToken, "The access token is revoked."))
	}
	if err != nil {
		return p.refuseBearer(c, err)
	}
	answer := userinfoClaims{Subject: person.Subject, personClaims: claimsFor(person, strings.Fields(claims.Scope))}
	if cl.UserinfoSignedResponseAlg == "" {
		return c.JSON(http.StatusOK, answer)
	}
	answer.Issuer, answer.Audience = r.Issuer, audience{cl.ClientID}
	return p.signedUserinfo(c, r, cl, answer)
}

// signedUserinfo answers with a JWT, for clients that are registered so (OpenID Connect Core §5.3.2).
func (p *Provider) signedUserinfo(c *echo.Context, r realm.Realm, cl *client.Client, answer userinfoClaims) error {
	key, err := p.Keys.Signer(c.Request().Context(), r, cl.UserinfoSignedResponseAlg)
	if err != nil {
		return p.refuseBearer(c, err)
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return p.refuseBearer(c, err)
	}
	jwt, err := key.SignIDToken(body)
	if err != nil {
		return p.refuseBearer(c, err)
	}
	return c.Blob(http.StatusOK, "application/jwt", []byte(jwt))
}

// claimsFor are the claims of a person that scopes give access to (OpenID Connect Core §5.4).
func claimsFor(p grant.Person, scopes []string) *personClaims {
	out := &personClaims{}
	if slices.Contains(scopes, "profile") {
		out.Claims = p.Claims
		out.Address, out.PhoneNumber, out.PhoneNumberVerified = nil, "", nil
		out.PreferredUsername, out.UpdatedAt = p.Username, p.UpdatedAt.Unix()
	}
	if slices.Contains(scopes, "address") {
		out.Address = p.Claims.Address
	}
	if slices.Contains(scopes, "phone") && p.Claims.PhoneNumber != "" {
		verified := p.Claims.PhoneNumberVerified != nil && *p.Claims.PhoneNumberVerified
		out.PhoneNumber, out.PhoneNumberVerified = p.Claims.PhoneNumber, &verified
	}
	if slices.Contains(scopes, "email") && p.Email != "" {
		out.Email, out.EmailVerified = p.Email, &p.EmailVerified
	}
	return out
}

// bearerToken reads the access token from the header or the form (RFC 6750 §2.1, §2.2), never from the address,
// where it would end up in logs.
func bearerToken(c *echo.Context) (string, *protocolError) {
	req := c.Request()
	header := req.Header.Get(echo.HeaderAuthorization)
	fromForm := ""
	if req.Method == http.MethodPost && strings.HasPrefix(req.Header.Get(echo.HeaderContentType), echo.MIMEApplicationForm) {
		form, err := web.Form(c)
		if err != nil {
			return "", refuse(codeInvalidRequest, "The body is not a form.").because(err)
		}
		if name := repeated(form); name != "" {
			return "", refuse(codeInvalidRequest, "The parameter "+printable(name)+" is given more than once.")
		}
		fromForm = form.Get("access_token")
	}
	switch {
	case header != "" && fromForm != "":
		return "", refuse(codeInvalidRequest, "The access token is sent in two ways.")
	case fromForm != "":
		return fromForm, nil
	case header == "":
		return "", refuse(codeInvalidToken, "")
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", refuse(codeInvalidRequest, "The Authorization header is not a Bearer one.")
	}
	return strings.TrimSpace(token), nil
}

// refuseBearer writes an error of RFC 6750 §3: in the WWW-Authenticate header, and for people in the body. A request
// without any token gets no error code, as §3.1 has it.
func (p *Provider) refuseBearer(c *echo.Context, err error) error {
	e := asProtocolError(err)
	if e.ours() {
		p.Log.ErrorContext(c.Request().Context(), "userinfo failed", "error_code", e.Code, "err", e)
	}
	p.origins.AllowError(c)
	if e.Code == codeUnavailable {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
	}
	challenge := `Bearer realm="` + web.Realm(c).Issuer + `"`
	if e.Description == "" {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge)
		return c.NoContent(http.StatusUnauthorized)
	}
	if !e.ours() {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge+`, error="`+e.Code+`", error_description="`+e.Description+`"`)
	}
	return c.JSON(e.Status(), map[string]string{"error": e.Code, "error_description": e.Description})
}
