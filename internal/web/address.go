package web

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v5"
)

// ClientAddress is the address that the request came from: the peer's, unless the peer is a trusted proxy, then the
// right-most address in X-Forwarded-For that is not one. X-Real-IP and Forwarded are never read (LG-09). It is
// invalid when the peer has no IP address.
func (w *Web) ClientAddress(c *echo.Context) netip.Addr {
	if found := of(c).address; found.IsValid() {
		return found
	}
	return w.address(c.Request())
}

// extractAddress is echo's IPExtractor, for Context.RealIP.
func (w *Web) extractAddress(r *http.Request) string {
	if addr := w.address(r); addr.IsValid() {
		return addr.String()
	}
	return ""
}

func (w *Web) address(r *http.Request) netip.Addr {
	client := parseAddress(r.RemoteAddr)
	forwarded := r.Header.Values(echo.HeaderXForwardedFor)
	if len(forwarded) == 0 || !w.trusted(client) {
		return client
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := parseAddress(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break // whatever stands further left was written by somebody we cannot name
		}
		client = hop
		if !w.trusted(hop) {
			break
		}
	}
	return client
}

func (w *Web) trusted(addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, prefix := range w.o.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port. IPv4 inside IPv6 becomes IPv4 and a zone is dropped, so that
// one client has one address.
func parseAddress(s string) netip.Addr {
	if with, err := netip.ParseAddrPort(s); err == nil {
		return with.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// scheme is echo's SchemeExtractor. Which scheme the world sees is configuration, never a header.
func (w *Web) scheme(*http.Request) string {
	if w.hsts != "" {
		return "https"
	}
	return "http"
}
