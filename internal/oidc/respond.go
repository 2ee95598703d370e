package oidc

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// answer sends the code to the client.
func (p *Provider) answer(c *echo.Context, r realm.Realm, q *authorization, code grant.Code) error {
	return p.respond(c, r, q, url.Values{"code": {code.Text()}})
}

// refuseAuthorization sends an error to the client, when its redirect address is trusted, and to the person
// otherwise. Errors of ours that leave the person with something to do (an expired flow) stay pages too.
func (p *Provider) refuseAuthorization(c *echo.Context, r realm.Realm, q *authorization, err error) error {
	var page *problem.E
	if q == nil || errors.As(err, &page) {
		return err
	}
	e := asProtocolError(err)
	if e.ours() {
		p.Log.ErrorContext(c.Request().Context(), "authorization failed", "client_id", q.client.ClientID, "err", e)
	} else {
		web.Note(c, slog.String("client_id", q.client.ClientID), slog.String("error_code", e.Code), slog.Any("err", e))
	}
	return p.respond(c, r, q, url.Values{"error": {e.Code}, "error_description": {e.Description}})
}

// respond delivers an authorization response by the request's mode. Every response, errors included, names its
// issuer (RFC 9207).
func (p *Provider) respond(c *echo.Context, r realm.Realm, q *authorization, params url.Values) error {
	if q.state != "" {
		params.Set("state", q.state)
	}
	params.Set("iss", r.Issuer)
	if q.mode == modeFormPost {
		return p.respondByForm(c, r, q, params)
	}
	return c.Redirect(http.StatusSeeOther, withQuery(q.redirectURI, params))
}

// withQuery adds parameters to an address and keeps what it has as it is written.
func withQuery(address string, params url.Values) string {
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
		if strings.HasSuffix(address, "?") || strings.HasSuffix(address, "&") {
			sep = ""
		}
	}
	return address + sep + params.Encode()
}

// respondByForm is OAuth 2.0 Form Post Response Mode: a page whose form an asset submits, with a button for
// browsers without scripts.
func (p *Provider) respondByForm(c *echo.Context, r realm.Realm, q *authorization, params url.Values) error {
	data := web.FormPost{URL: q.redirectURI}
	for _, name := range []string{"code", "error", "error_description", "state", "iss"} {
		if params.Has(name) {
			data.Hidden = append(data.Hidden, web.Hidden{Name: name, Value: params.Get(name)})
		}
	}
	return p.Web.Page(c, r, web.Page{
		Template: "formpost", Title: web.Message{Key: "formpost.title", Params: map[string]any{"app": q.client.Name}},
		Data: data, FormAction: web.FormAction(q.redirectURI), Languages: []string{q.form.Get("ui_locales")},
	})
}
