package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"
)

// policies are the headers of each kind of route. A route that is of no kind here fails the test.
var policies = map[string]map[string]string{
	"page": {
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"X-Robots-Tag": "noindex", "Access-Control-Allow-Origin": "", "Cross-Origin-Opener-Policy": "",
	},
	"api": {
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
	},
	"document": {
		"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*",
		"Access-Control-Allow-Credentials": "",
	},
	"asset": {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": ""},
}

func kindOfRoute(path string) string {
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case strings.Contains(path, "/assets/"):
		return "asset"
	case strings.Contains(path, "/.well-known/"), last == "jwks":
		return "document"
	case last == "token", last == "userinfo", last == "introspect", last == "revoke":
		return "api"
	case last == "authorize", last == "end_session", last == "continue", last == ":token":
		return "page"
	case last == "login", last == "consent", last == "select-account", last == "signup", last == "recover", last == "email-code",
		last == "verify-email", last == "password", last == "profile", last == "invitation":
		return "page"
	}
	return "unknown"
}

func TestHeaderPolicyOfEveryRoute(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	e, ok := i.Handler.(*echo.Echo)
	require.True(t, ok)
	seen := map[string]bool{}
	for _, route := range e.Router().Routes() {
		if !strings.Contains(route.Path, ":realm") || route.Method == http.MethodOptions {
			continue // the same handlers are mounted below hosts of realms; preflight has tests of its own
		}
		path := strings.NewReplacer(":realm", "one", ":file", "gatehouse.css").Replace(route.Path)
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			kind := kindOfRoute(route.Path)
			seen[kind] = true
			require.Contains(t, policies, kind, "a new route has to be given its kind here")
			req, err := http.NewRequestWithContext(t.Context(), route.Method, i.URL+path, strings.NewReader(url.Values{"x": {"y"}}.Encode()))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r := newBrowser(t).do(req)
			for name, want := range policies[kind] {
				require.Equal(t, want, r.Header.Get(name), "%s of %s", name, r.Status)
			}
			require.NotEmpty(t, r.Header.Get("Content-Security-Policy"))
			if kind == "page" {
				require.Contains(t, r.Header.Get("Content-Security-Policy"), "script-src 'self'; style-src 'self'")
				require.Contains(t, r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
			}
		})
	}
	require.Len(t, seen, len(policies), "every kind was met")
}
