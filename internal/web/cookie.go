package web

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

const (
	// maxCookieValue bounds what is looked up for a cookie; ours are far shorter.
	maxCookieValue = 128
	// maxCookies is how many realms' cookies one host may leave in a browser. Browsers cap cookies per host and
	// would throw out somebody else's.
	maxCookies = 20
)

var ourCookie = regexp.MustCompile(`^(__Host-)?gh-[0-9a-f]{8}$`)

// SetCookie gives the browser the realm's one cookie. It ends with the browser's session when persistentFor is zero.
// When the browser already carries the cookies of too many realms, the oldest others are expired.
func (w *Web) SetCookie(c *echo.Context, r realm.Realm, value string, persistentFor time.Duration) {
	cookie := bareCookie(r.Cookie(), r.Secure()) //nolint:gosec // G124: HttpOnly and SameSite are fixed there, Secure follows the issuer
	cookie.Value = value
	if persistentFor > 0 {
		cookie.MaxAge = int(persistentFor / time.Second)
		cookie.Expires = w.o.Now().Add(persistentFor)
	}
	replaceCookie(c, cookie)
	expireSurplus(c, r.Cookie())
}

// Cookie is the value of the realm's cookie, "" when the browser sent none or one that cannot be ours.
func (w *Web) Cookie(c *echo.Context, r realm.Realm) string {
	cookie, err := c.Request().Cookie(r.Cookie())
	if err != nil || len(cookie.Value) > maxCookieValue {
		return ""
	}
	return cookie.Value
}

// ClearCookie deletes the realm's cookie and nothing else in the browser (WB-10).
func (w *Web) ClearCookie(c *echo.Context, r realm.Realm) {
	cookie := bareCookie(r.Cookie(), r.Secure()) //nolint:gosec // G124: HttpOnly and SameSite are fixed there, Secure follows the issuer
	cookie.MaxAge = -1
	replaceCookie(c, cookie)
}

// bareCookie has the attributes of all our cookies (SS-02).
func bareCookie(name string, secure bool) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // G124: Secure is false for http on loopback alone
		Name: name, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

// replaceCookie sets a cookie in the response; a second one of the name takes the first one's place, since browsers
// differ in which of two they keep.
func replaceCookie(c *echo.Context, cookie *http.Cookie) {
	h := c.Response().Header()
	others := slices.DeleteFunc(slices.Clone(h[echo.HeaderSetCookie]), func(line string) bool {
		return strings.HasPrefix(line, cookie.Name+"=")
	})
	h[echo.HeaderSetCookie] = append(others, cookie.String())
}

// expireSurplus expires the oldest cookies of other realms until there is room for the one just set. Browsers send
// cookies of one path oldest first (RFC 6265 §5.4).
func expireSurplus(c *echo.Context, keep string) {
	var others []string
	for _, cookie := range c.Request().Cookies() {
		if cookie.Name != keep && ourCookie.MatchString(cookie.Name) && !slices.Contains(others, cookie.Name) {
			others = append(others, cookie.Name)
		}
	}
	for len(others) >= maxCookies {
		gone := bareCookie(others[0], strings.HasPrefix(others[0], "__Host-")) //nolint:gosec // G124: as the cookie was set
		gone.MaxAge = -1
		replaceCookie(c, gone)
		others = others[1:]
	}
}
