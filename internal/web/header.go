package web

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/labstack/echo/v5"
)

// group tells which armour a response wears.
type group int

const (
	none group = iota // an address without a route
	pages
	api
	public
	static
)

const (
	// A page loads what is ours and nothing else. What its forms may reach is decided per response.
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	apiPolicy   = "default-src 'none'; frame-ancestors 'none'"
	permissions = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
)

// Pages is the armour of what browsers show: a strict policy, no frames, no cache, no referrer, no index. There is no
// Cross-Origin-Opener-Policy, because sign-in in a pop-up needs its opener (WB-04). Errors are pages.
func (w *Web) Pages(next echo.HandlerFunc) echo.HandlerFunc { return w.armour(pages, next) }

// API is the armour of what programs read. Errors are problem documents.
func (w *Web) API(next echo.HandlerFunc) echo.HandlerFunc { return w.armour(api, next) }

// Document is the armour of public documents that programs keep: as for an API, but for the cache. Serving one leaves no
// log line; verifiers ask for key sets all the time.
func (w *Web) Document(next echo.HandlerFunc) echo.HandlerFunc { return w.armour(public, next) }

// Static is the armour of assets, which say themselves how long they may be kept.
func (w *Web) Static(next echo.HandlerFunc) echo.HandlerFunc { return w.armour(static, next) }

func (w *Web) armour(g group, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		of(c).group = g
		w.setHeaders(c.Response().Header(), g)
		return next(c)
	}
}

// setHeaders copies what was made once: responses share the values, which nobody changes in place.
func (w *Web) setHeaders(h http.Header, g group) { maps.Copy(h, w.headers[g]) }

func (w *Web) makeArmour() map[group]http.Header {
	all := map[group]http.Header{}
	for _, g := range []group{none, pages, api, public, static} {
		all[g] = w.makeHeaders(g)
	}
	return all
}

func (w *Web) makeHeaders(g group) http.Header {
	h := http.Header{}
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	if w.hsts != "" {
		h.Set(echo.HeaderStrictTransportSecurity, w.hsts)
	}
	if g == static {
		h.Set(echo.HeaderContentSecurityPolicy, apiPolicy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		return h
	}
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	if g == api || g == public {
		h.Set(echo.HeaderContentSecurityPolicy, apiPolicy)
		return h
	}
	h.Set(echo.HeaderContentSecurityPolicy, pagePolicy)
	h.Set(echo.HeaderXFrameOptions, "DENY")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Permissions-Policy", permissions)
	return h
}

var (
	privateScheme = regexp.MustCompile(`^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+$`)
	policyHost    = regexp.MustCompile(`^[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*(:[0-9]{1,5})?$`)
)

// FormAction returns what a page inside an authorization transaction adds to form-action, for Page.FormAction.
// Browsers apply the directive to every redirect that follows a form, so the page must admit the validated
// redirect address and, because the application redirects further, any https origin.
//
// A loopback address is admitted exactly, a private-use scheme (RFC 8252 §7.1) as the scheme. CSP cannot name an IPv6
// address, so that one admits http.
func FormAction(redirectURI string) []string {
	sources := []string{"https:"}
	u, err := url.Parse(redirectURI)
	if err != nil {
		return sources
	}
	switch scheme := strings.ToLower(u.Scheme); {
	case scheme == "http" && policyHost.MatchString(u.Host):
		return append(sources, "http://"+u.Host)
	case scheme == "http" && u.Host != "":
		return append(sources, "http:")
	case privateScheme.MatchString(scheme):
		return append(sources, scheme+":")
	}
	return sources
}
