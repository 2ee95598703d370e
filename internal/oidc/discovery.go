package oidc

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Discovery serves the metadata of the request's realm (OpenID Connect Discovery §4, RFC 8414 §3).
func (p *Provider) Discovery(c *echo.Context) error {
	body, etag, err := p.documents.Of(web.Realm(c))
	if err != nil {
		return err
	}
	return publish(c, echo.MIMEApplicationJSON, body, etag)
}

// jwks serves the realm's public keys (RFC 7517 §5).
func (p *Provider) jwks(c *echo.Context) error {
	ring, err := p.Keys.Ring(c.Request().Context(), web.Realm(c))
	if err != nil {
		return err
	}
	body, etag := ring.JWKS()
	return publish(c, "application/jwk-set+json", body, etag)
}

// publish serves a public document that anybody may read and keep for five minutes.
func publish(c *echo.Context, contentType string, body []byte, etag string) error {
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "public, max-age=300")
	h.Set("Etag", etag)
	h.Set(echo.HeaderAccessControlAllowOrigin, "*")
	if c.Request().Header.Get("If-None-Match") == etag {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, contentType, body)
}
