package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func mountCookies(b *bundle, r realm.Realm) {
	b.echo.GET("/session", func(c *echo.Context) error {
		b.SetCookie(c, r, "v1", 0)
		return c.NoContent(http.StatusNoContent)
	})
	b.echo.GET("/keep", func(c *echo.Context) error {
		b.SetCookie(c, r, "old", 0)
		b.SetCookie(c, r, "v2", 30*24*time.Hour)
		return c.NoContent(http.StatusNoContent)
	})
	b.echo.GET("/clear", func(c *echo.Context) error {
		b.ClearCookie(c, r)
		return c.NoContent(http.StatusNoContent)
	})
	b.echo.GET("/read", func(c *echo.Context) error { return c.String(http.StatusOK, "["+b.Cookie(c, r)+"]") })
}

func TestSS02_CookieAttributes(t *testing.T) {
	t.Parallel()

	t.Run("over_https", func(t *testing.T) {
		t.Parallel()
		b, r := setup(t), realmAt(t, secureOrigin, realm.New{Slug: "demo", Name: "Demo"})
		mountCookies(b, r)
		require.Regexp(t, `^__Host-gh-[0-9a-f]{8}$`, r.Cookie())
		require.Equal(t, r.Cookie()+"=v1; Path=/; HttpOnly; Secure; SameSite=Lax", b.get(t, "/session").Header.Get("Set-Cookie"))
	})
	t.Run("over_http_on_loopback_only_the_prefix_and_secure_go", func(t *testing.T) {
		t.Parallel()
		b, r := setup(t), realmAt(t, plainOrigin, realm.New{Slug: "demo", Name: "Demo"})
		mountCookies(b, r)
		require.Regexp(t, `^gh-[0-9a-f]{8}$`, r.Cookie())
		require.Equal(t, r.Cookie()+"=v1; Path=/; HttpOnly; SameSite=Lax", b.get(t, "/session").Header.Get("Set-Cookie"))
	})
}

func TestCookie(t *testing.T) {
	t.Parallel()
	b, r := setup(t), realmAt(t, secureOrigin, realm.New{Slug: "demo", Name: "Demo"})
	mountCookies(b, r)

	t.Run("lasts_as_long_as_asked_and_is_set_once", func(t *testing.T) {
		t.Parallel()
		lines := b.get(t, "/keep").Header.Values("Set-Cookie")
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], "=v2;")
		require.Contains(t, lines[0], "Max-Age=2592000")
		require.Contains(t, lines[0], "Expires=Tue, 31 Mar 2026 12:30:00 GMT")
	})
	t.Run("WB10_is_deleted_by_name_alone", func(t *testing.T) {
		t.Parallel()
		h := b.get(t, "/clear").Header
		require.Equal(t, []string{r.Cookie() + "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"}, h.Values("Set-Cookie"))
		require.Empty(t, h.Get("Clear-Site-Data"))
	})
	t.Run("is_absent_when_too_long", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "["+strings.Repeat("a", 128)+"]", b.get(t, "/read", "Cookie", r.Cookie()+"="+strings.Repeat("a", 128)).body)
		require.Equal(t, "[]", b.get(t, "/read", "Cookie", r.Cookie()+"="+strings.Repeat("a", 129)).body)
		require.Equal(t, "[]", b.get(t, "/read").body)
	})
	t.Run("pushes_out_the_oldest_of_other_realms_beyond_twenty", func(t *testing.T) {
		t.Parallel()
		var sent []string
		for i := range 21 {
			sent = append(sent, fmt.Sprintf("__Host-gh-%08x=x", i))
		}
		sent = append(sent, "theme=dark", r.Cookie()+"=mine")
		lines := b.get(t, "/session", "Cookie", strings.Join(sent, "; ")).Header.Values("Set-Cookie")
		require.Len(t, lines, 3)
		require.True(t, strings.HasPrefix(lines[0], r.Cookie()+"=v1"))
		require.Equal(t, "__Host-gh-00000000=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax", lines[1])
		require.Contains(t, lines[2], "__Host-gh-00000001=;")
	})
}
