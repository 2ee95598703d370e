package oidc

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// preflight answers a browser that asks whether an application's script may call the endpoint (Fetch §4.8). The
// request does not name its client yet, so any client of the realm that lists the origin will do; the response to
// the call itself is readable for that client's origins only. Credentials are never allowed: no endpoint that
// programs call reads a cookie.
func (p *Provider) preflight(c *echo.Context) error {
	h, origin := c.Response().Header(), c.Request().Header.Get(echo.HeaderOrigin)
	h.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin == "" {
		return c.NoContent(http.StatusNoContent)
	}
	known, err := p.Clients.OriginKnown(c.Request().Context(), web.Realm(c), origin)
	if err != nil {
		return err
	}
	if known {
		h.Set(echo.HeaderAccessControlAllowOrigin, origin)
		h.Set(echo.HeaderAccessControlAllowMethods, "GET, POST")
		h.Set(echo.HeaderAccessControlAllowHeaders, "Authorization, Content-Type")
		h.Set(echo.HeaderAccessControlMaxAge, "600")
	}
	return c.NoContent(http.StatusNoContent)
}

// allowOrigin lets a browser application read the response when its origin is on the client's list, to the letter.
func (*Provider) allowOrigin(c *echo.Context, cl client.Client) {
	h := c.Response().Header()
	h.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin := c.Request().Header.Get(echo.HeaderOrigin); origin != "" && slices.Contains(cl.Origins, origin) {
		h.Set(echo.HeaderAccessControlAllowOrigin, origin)
	}
}
