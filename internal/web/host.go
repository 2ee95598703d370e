package web

import (
	"strings"

	"github.com/labstack/echo/v5"
)

// Host is the host, with its port if it has one, that the browser called: the Host header, or what a trusted proxy
// says it was in X-Forwarded-Host. It finds the realm; addresses that we send are built from configuration.
func (w *Web) Host(c *echo.Context) string {
	r := c.Request()
	host := r.Host
	if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" && w.trusted(parseAddress(r.RemoteAddr)) {
		host, _, _ = strings.Cut(forwarded, ",")
	}
	return strings.ToLower(strings.TrimSpace(host))
}
