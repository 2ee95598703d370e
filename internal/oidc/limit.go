package oidc

import (
	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// codeSlowDown is the one registered error of the token endpoint that says "too often" (RFC 8628 §3.5). Here it comes
// with status 429 and Retry-After (RFC 6585 §4), which clients obey that do not know it.
const codeSlowDown = "slow_down"

const slowDownText = "Too many requests. Try again after the seconds in the Retry-After header."

// from is what counts as one client address.
func (p *Provider) from(c *echo.Context) string { return limit.Prefix(p.Web.ClientAddress(c)) }

// limited refuses, before anything is read, what comes too fast from one address.
func (p *Provider) limited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		err := p.Gate.Address(c.Request().Context(), web.Realm(c), p.from(c))
		if err == nil {
			return next(c)
		}
		return p.refuseToken(c, nil, err)
	}
}

// admitClient authenticates the client of a request, unless too many tries failed or too many succeeded before.
func (p *Provider) admitClient(c *echo.Context, r realm.Realm, cred credentials) (cl *client.Client, err error) {
	ctx, from := c.Request().Context(), p.from(c)
	err = p.Gate.Authenticate(ctx, r, from, cred.id, func() (err error) {
		cl, err = p.authenticateClient(ctx, r, cred)
		return err
	})
	if err != nil {
		return nil, err
	}
	return cl, p.Gate.Client(ctx, r, cl.ClientID, cl.Public(), from)
}
