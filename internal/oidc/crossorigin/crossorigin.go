// Package crossorigin decides which answers of the protocol's endpoints the script of a browser application may read
// (CORS, Fetch §3.2): those to its own client, errors like any other answer. Which origins a client has is package
// client's. Credentials are never allowed: no endpoint that programs call reads a cookie.
package crossorigin

import (
	"log/slog"
	"net/http"
	"slices"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Policy marks answers with the origin that may read them.
type Policy struct {
	Clients *client.Store
	Log     *slog.Logger
}

// Preflight answers a browser that asks whether an application's script may call the endpoint (Fetch §4.8). The
// request does not name its client yet, so any client of the realm that lists the origin will do; the response to
// the call itself is readable for that client's origins only.
func (p Policy) Preflight(c *echo.Context) error {
	known, err := p.known(c)
	if err != nil {
		return err
	}
	if h := c.Response().Header(); known {
		h.Set(echo.HeaderAccessControlAllowMethods, "GET, POST")
		h.Set(echo.HeaderAccessControlAllowHeaders, "Authorization, Content-Type")
		h.Set(echo.HeaderAccessControlMaxAge, "600")
	}
	return c.NoContent(http.StatusNoContent)
}

// known allows the origin of the request when any client of the realm lists it, and tells whether one does.
func (p Policy) known(c *echo.Context) (bool, error) {
	h, origin := c.Response().Header(), c.Request().Header.Get(echo.HeaderOrigin)
	h.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin == "" {
		return false, nil
	}
	known, err := p.Clients.OriginKnown(c.Request().Context(), web.Realm(c), origin)
	if known {
		h.Set(echo.HeaderAccessControlAllowOrigin, origin)
	}
	return known, err
}

// Allow lets a browser application read the response when its origin is on the client's list, to the letter.
func (Policy) Allow(c *echo.Context, cl *client.Client) {
	h := c.Response().Header()
	h.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin := c.Request().Header.Get(echo.HeaderOrigin); origin != "" && slices.Contains(cl.Origins, origin) {
		h.Set(echo.HeaderAccessControlAllowOrigin, origin)
	}
}

// AllowClaimed is Allow for the client that a refused request names. It has not proved to be that client, but whoever
// runs at its origin may be told so.
func (p Policy) AllowClaimed(c *echo.Context, clientID string) {
	if c.Request().Header.Get(echo.HeaderOrigin) == "" {
		return
	}
	if cl, err := p.Clients.ByClientID(c.Request().Context(), web.Realm(c), clientID); err == nil {
		p.Allow(c, cl)
	}
}

// AllowError lets an application read an error that no client is known for: as a preflight request would be answered.
func (p Policy) AllowError(c *echo.Context) {
	decided := slices.Contains(c.Response().Header().Values(echo.HeaderVary), echo.HeaderOrigin)
	if decided || web.Realm(c).Facts == nil {
		return
	}
	if _, err := p.known(c); err != nil { // as when the database is away: the browser shows less
		p.Log.DebugContext(c.Request().Context(), "the origin of a request is not known", "err", err)
	}
}
