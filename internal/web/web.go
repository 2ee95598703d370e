// Package web is the glue between echo and everything that answers a request: the only writer of errors, cookies,
// form tokens, security headers and pages, the only reader of forms and of the client's address.
//
// It has no routes but the assets. Surfaces mount theirs on the echo instance that Web.Echo returns, in one of two
// groups with different armour: Web.Pages for what browsers show, Web.API for what programs read. Handlers return
// errors; Web.Error turns each into a page or a problem document, logs its cause, and is the one place that knows
// which HTTP status a problem has. Sentences come from package i18n, markup from the templates; this package adds
// what every page needs and knows no page's meaning.
package web

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

// Options of a Web. Catalogue, Files, Log and Now are required.
type Options struct {
	Catalogue *i18n.Catalogue
	// Files has pages/*.html and assets/*; templates.FS in production.
	Files fs.FS
	Log   *slog.Logger
	// Metrics may be nil.
	Metrics *telemetry.HTTPMetrics
	// Dev shows the hints of problems on pages and in problem documents.
	Dev bool
	// TrustedProxies may say in X-Forwarded-For whom they speak for; nobody else is believed.
	TrustedProxies []netip.Prefix
	// PublicURL is the process's origin, without a trailing slash.
	PublicURL string
	// HSTS is the value of Strict-Transport-Security; "" takes one year of this host alone. It is sent only when
	// PublicURL is https.
	HSTS string
	Now  func() time.Time
	// Random is crypto/rand outside tests; nil takes it.
	Random io.Reader
}

// Web writes responses. It is immutable but for a cache, and safe for concurrent use.
type Web struct {
	o      Options
	pages  map[string]*template.Template
	assets map[string]asset
	hsts   string
	// headers are the armour of each group.
	headers map[group]http.Header
	ids     *base32.Encoding // of requests

	wording sync.Map // id of a realm → wording
}

// New parses every template and fingerprints every asset, so that what is wrong with one stops the start.
func New(o Options) (*Web, error) {
	if o.Catalogue == nil || o.Files == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("web: catalogue, files, log and clock are required")
	}
	public, err := url.Parse(o.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("web: parse the public URL: %w", err)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	w := &Web{o: o, ids: base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)}
	if public.Scheme == "https" {
		w.hsts = o.HSTS
		if w.hsts == "" {
			w.hsts = "max-age=31536000"
		}
	}
	w.headers = w.makeArmour()
	if w.pages, err = parsePages(o.Files); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	if w.assets, err = readAssets(o.Files); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return w, nil
}

// Echo returns a new echo instance on which every request has an id, a log line, a client address that cannot be
// forged, and an answer even when its handler panics. Methods without a route are refused, OPTIONS among them
// (OP-10); a group that answers preflight requests routes OPTIONS itself. A route for GET answers HEAD too, by the same
// handler (RFC 9110 §9.3.2); one whose GET changes something asks Peeks first.
func (w *Web) Echo() *echo.Echo {
	e := echo.NewWithConfig(echo.Config{
		Logger:           w.o.Log,
		HTTPErrorHandler: w.Error,
		IPExtractor:      w.extractAddress,
		SchemeExtractor:  w.scheme,
		// What groups would answer for addresses without a route hides from the router that a method is wrong.
		NoGroupAutoRegister404Routes: true,
		Router: echo.NewRouter(echo.RouterConfig{
			MethodNotAllowedHandler: refuseMethod,
			OptionsMethodHandler:    refuseMethod,
			AutoHandleHEAD:          true,
		}),
	})
	e.Pre(w.entry)
	return e
}
