package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// TestOriginAtOnce is for the race detector: whoever has a request's ctx may record an event, also beside its handler.
func TestOriginAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *web.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	e := b.Echo()
	e.GET("/", func(c *echo.Context) error {
		var beside errgroup.Group
		for range 4 {
			beside.Go(func() error {
				o := event.From(c.Request().Context())
				if o.Address != "203.0.113.9" || o.UserAgent != "Browser/1" || o.RequestID == "" || o.Kind != event.Anonymous {
					return fmt.Errorf("the origin is %+v", o)
				}
				return nil
			})
		}
		require.Equal(t, "203.0.113.9", b.ClientAddress(c).String())
		return beside.Wait()
	})
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	req.RemoteAddr = "10.0.0.1:4000"
	req.Header = http.Header{"X-Forwarded-For": {"203.0.113.9"}, "User-Agent": {"Browser/1"}}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, req)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
}

func TestLG09_ClientAddress(t *testing.T) {
	t.Parallel()
	const forwarded, realIP, rfc7239 = "X-Forwarded-For", "X-Real-IP", "Forwarded"
	rows := map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"the_peer":                          {"192.0.2.1:4000", nil, "192.0.2.1"},
		"a_stranger_forges_everything":      {"192.0.2.1:4000", []string{forwarded, "203.0.113.9", realIP, "203.0.113.9", rfc7239, "for=203.0.113.9", "True-Client-IP", "203.0.113.9"}, "192.0.2.1"},
		"loopback_is_not_trusted_by_itself": {"127.0.0.1:4000", []string{forwarded, "203.0.113.9"}, "127.0.0.1"},
		"a_private_peer_neither":            {"192.168.1.1:4000", []string{forwarded, "203.0.113.9"}, "192.168.1.1"},
		"a_trusted_proxy_speaks":            {"10.0.0.1:4000", []string{forwarded, "203.0.113.9"}, "203.0.113.9"},
		"only_by_that_header":               {"10.0.0.1:4000", []string{realIP, "203.0.113.9", rfc7239, "for=203.0.113.9"}, "10.0.0.1"},
		"the_client_put_one_before":         {"10.0.0.1:4000", []string{forwarded, "198.51.100.7, 203.0.113.9"}, "203.0.113.9"},
		"in_a_header_of_its_own":            {"10.0.0.1:4000", []string{forwarded, "198.51.100.7", forwarded, "203.0.113.9"}, "203.0.113.9"},
		"two_trusted_proxies":               {"10.0.0.1:4000", []string{forwarded, "198.51.100.7, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"all_trusted":                       {"10.0.0.1:4000", []string{forwarded, "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"rubbish":                           {"10.0.0.1:4000", []string{forwarded, "203.0.113.9, unknown"}, "10.0.0.1"},
		"rubbish_further_left":              {"10.0.0.1:4000", []string{forwarded, "<script>, 203.0.113.9"}, "203.0.113.9"},
		"with_a_port":                       {"10.0.0.1:4000", []string{forwarded, "203.0.113.9:5555"}, "203.0.113.9"},
		"ipv6":                              {"[2001:db8:1::1]:4000", []string{forwarded, "[2001:db8::7]:5555"}, "2001:db8::7"},
		"ipv6_without_port":                 {"[2001:db8:1::1]:4000", []string{forwarded, "2001:db8::7"}, "2001:db8::7"},
		"ipv4_in_ipv6":                      {"[::ffff:10.0.0.1]:4000", []string{forwarded, "::ffff:203.0.113.9"}, "203.0.113.9"},
		"a_zone":                            {"[fe80::1%eth0]:4000", nil, "fe80::1"},
		"no_address_at_all":                 {"@", []string{forwarded, "203.0.113.9"}, "invalid IP"},
	}
	b := setup(t, func(o *web.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	})
	for name, row := range rows {
		var got, echoed string
		e := b.Echo()
		e.GET("/", func(c *echo.Context) error {
			got, echoed = b.ClientAddress(c).String(), c.RealIP()
			return nil
		})
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		req.RemoteAddr = row.peer
		for i := 0; i < len(row.headers); i += 2 {
			req.Header.Add(row.headers[i], row.headers[i+1])
		}
		e.ServeHTTP(httptest.NewRecorder(), req)
		require.Equal(t, row.want, got, name)
		if row.want == "invalid IP" {
			row.want = ""
		}
		require.Equal(t, row.want, echoed, name)
	}
}
