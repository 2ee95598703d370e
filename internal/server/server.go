// Package server puts the surfaces behind addresses: it finds the realm of a request by path or host, mounts every
// endpoint below each issuer, and serves the public and the private listener until it is told to stop.
package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Surface mounts endpoints below a realm's issuer: what browsers visit on pages, what programs call on api, and what
// anybody may fetch and keep on documents.
type Surface interface {
	Mount(pages, api, documents *echo.Group)
}

// Options of the public handler.
type Options struct {
	Web    *web.Web
	Realms *realm.Directory
	// PublicHost is the host, with its port if it has one, under which realms without a host of their own are served.
	PublicHost string
	// Home is where "/" leads; "" when nowhere.
	Home string
	// Discovery serves a realm's metadata, a second time at the place that RFC 8414 §3.1 gives it.
	Discovery echo.HandlerFunc
	// Refusals writes errors of what programs call, in the protocol's form.
	Refusals echo.MiddlewareFunc
	// PageLimit counts requests for pages by client address, against the realm's rate.
	PageLimit limit.Source
	Surfaces  []Surface
	// Outbox shows the mails of a development server; nil elsewhere.
	Outbox http.Handler
}

// requestTimeout bounds a request; everything that waits obeys it.
const requestTimeout = 15 * time.Second

// New makes the handler of the public listener.
func New(o Options) http.Handler {
	e := o.Web.Echo()
	s := &server{o}
	for _, base := range []string{"", "/realms/:realm"} {
		e.GET(base+"/assets/:file", o.Web.Asset, o.Web.Static)
	}
	if o.Home != "" {
		e.GET("/", func(c *echo.Context) error { return c.Redirect(http.StatusSeeOther, o.Home) })
	}
	if o.Outbox != nil {
		e.GET(outbox.Path, echo.WrapHandler(o.Outbox))
		e.GET(outbox.Path+"/*", echo.WrapHandler(o.Outbox))
	}
	s.mount(e, "/realms/:realm", s.byPath)
	s.mount(e, "", s.byHost)
	// RFC 8414 §3.1 puts the well-known part before the issuer's path.
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		e.GET("/.well-known/"+name+"/realms/:realm", o.Discovery, o.Web.Document, s.byPath)
	}
	return e
}

type server struct{ Options }

// mount puts every surface below a prefix whose realm find finds. The armour comes first, so that what find refuses is
// answered in the form that the endpoint's callers read.
func (s *server) mount(e *echo.Echo, prefix string, find echo.MiddlewareFunc) {
	pages := e.Group(prefix, s.Web.Pages, bounded, find, s.limitPages, web.LimitURL(web.MaxAuthorizeURL), web.LimitBody(web.MaxForm))
	api := e.Group(prefix, s.Web.API, s.Refusals, bounded, find, web.LimitBody(web.MaxForm))
	documents := e.Group(prefix, s.Web.Document, find)
	for _, surface := range s.Surfaces {
		surface.Mount(pages, api, documents)
	}
}

// byPath finds the realm of /realms/{slug}, on the public host only.
func (s *server) byPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if host := s.Web.Host(c); host != s.PublicHost {
			return s.wrongHost(host)
		}
		r, err := s.Realms.BySlug(c.Request().Context(), c.Param("realm"))
		if err == nil && len(r.Hosts) > 0 {
			// The realm's issuer is its own host; a second address for it would be a second issuer.
			return problem.New(problem.RealmUnknown).WithHint("The realm %s is served at %s only.", r.Slug, r.Issuer)
		}
		return s.inRealm(c, r, err, next)
	}
}

// byHost finds the realm that a host belongs to.
func (s *server) byHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		host := s.Web.Host(c)
		if host == s.PublicHost {
			return problem.New(problem.NotFound).WithHint("This is the host of realms at /realms/{slug}.")
		}
		name := host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
		r, err := s.Realms.ByHost(c.Request().Context(), name)
		if errors.Is(err, realm.ErrUnknown) {
			return s.wrongHost(host)
		}
		return s.inRealm(c, r, err, next)
	}
}

func (s *server) wrongHost(host string) error {
	return problem.New(problem.HostUnknown).WithHint(
		"You called the host %q; this server is configured for %q. Set GATEHOUSE_PUBLIC_URL to the address that browsers use, give the realm that host, or let the proxy pass the Host header on.",
		host, s.PublicHost)
}

func (s *server) inRealm(c *echo.Context, r realm.Realm, err error, next echo.HandlerFunc) error {
	switch {
	case errors.Is(err, realm.ErrUnknown):
		return problem.New(problem.RealmUnknown).WithHint("There is no realm %q. See them with: gatehouse realm list", c.Param("realm"))
	case err != nil:
		return err
	case !r.Enabled:
		return problem.New(problem.RealmDisabled)
	case r.DataKey.IsZero():
		return problem.New(problem.RealmUnknown)
	}
	web.SetRealm(c, r)
	return next(c)
}

// limitPages refuses what comes too fast from one address: each authorization request that begins anew makes a row.
func (s *server) limitPages(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
		key := r.LimitKey("page", limit.Prefix(s.Web.ClientAddress(c)))
		d := s.PageLimit.Spend(c.Request().Context(), key, limit.PerSecond(r.Settings.RateLimits.Page))
		if !d.OK {
			return problem.New(problem.TooManyRequests).WithRetryAfter(d.RetryAfter)
		}
		return next(c)
	}
}

// bounded gives the request requestTimeout.
func bounded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		d := &deadline{timeout: requestTimeout}
		defer d.stop()
		web.Extend(c, func(ctx context.Context) context.Context {
			d.Context = ctx
			return d
		})
		return next(c)
	}
}
