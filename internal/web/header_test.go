package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// ok answers with a small text, so that a header is the middleware's.
func ok(c *echo.Context) error { return c.String(http.StatusOK, "ok") }

func TestWB03_WB04_WB10_Headers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.echo.GET("/page", func(c *echo.Context) error {
		return b.Page(c, realm.Realm{}, web.Page{
			Template: "restart", Title: web.Message{Key: "restart.title"}, Data: web.Restart{URL: "/x"},
		})
	}, b.Pages)
	b.echo.GET("/api", ok, b.API)
	b.echo.GET("/static", ok, b.Static)

	const absent = ""
	rows := []struct{ header, page, api, static string }{
		{"X-Content-Type-Options", "nosniff", "nosniff", "nosniff"},
		{"Strict-Transport-Security", "max-age=31536000", "max-age=31536000", "max-age=31536000"},
		{"Cache-Control", "no-store", "no-store", absent},
		{"Referrer-Policy", "no-referrer", "no-referrer", absent},
		{"X-Frame-Options", "DENY", absent, absent},
		{"X-Robots-Tag", "noindex", absent, absent},
		{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()", absent, absent},
		{"Cross-Origin-Opener-Policy", absent, absent, absent},
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
			"font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; " +
			"form-action 'self'", "default-src 'none'; frame-ancestors 'none'", "default-src 'none'; frame-ancestors 'none'"},
	}
	page, api, static := b.browse(t, "/page"), b.get(t, "/api"), b.get(t, "/static")
	for _, row := range rows {
		require.Equal(t, row.page, page.Header.Get(row.header), "page: %s", row.header)
		require.Equal(t, row.api, api.Header.Get(row.header), "api: %s", row.header)
		require.Equal(t, row.static, static.Header.Get(row.header), "static: %s", row.header)
	}
}

func TestWB04_NoHSTSWithoutHTTPS(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *web.Options) { o.PublicURL = plainOrigin })
	b.echo.GET("/page", ok, b.Pages)
	require.Empty(t, b.get(t, "/page").Header.Get("Strict-Transport-Security"))
}

// What a page of markup holds matters as much as the policy: inline code would not run under it.
func TestWB03_NoPageHasInlineCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	for name := range samplePages() {
		body := b.browse(t, "/"+name).body
		require.NotContains(t, body, "style=", name)
		require.NotContains(t, body, "<style", name)
		require.NotContains(t, body, "data:", name)
		require.NotRegexp(t, `<script(?:[^>]*)>[^<]`, body, name)
		require.NotRegexp(t, `\son[a-z]+=`, body, name)
	}
}

func TestAZ16_PagesCannotBeFramed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	for name := range samplePages() {
		h := b.browse(t, "/"+name).Header
		require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", name)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), name)
	}
	h := b.browse(t, "/nowhere").Header
	require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.Equal(t, "DENY", h.Get("X-Frame-Options"))
}

func TestWB03_FormActionAdmitsExactlyTheRedirect(t *testing.T) {
	t.Parallel()
	rows := []struct {
		redirect string
		want     []string
	}{
		{"https://app.example.test/cb", []string{"https:"}},
		{"http://127.0.0.1:5000/cb", []string{"https:", "http://127.0.0.1:5000"}},
		{"http://localhost:3000/cb", []string{"https:", "http://localhost:3000"}},
		{"http://localhost/cb", []string{"https:", "http://localhost"}},
		{"http://[::1]:5000/cb", []string{"https:", "http:"}},
		{"com.example.app:/cb", []string{"https:", "com.example.app:"}},
		{"COM.Example.App:/cb", []string{"https:", "com.example.app:"}},
		{"javascript:alert(1)", []string{"https:"}},
		{"data:text/html,x", []string{"https:"}},
		{"myapp://cb", []string{"https:"}},
		{"http://a;script-src *:80/cb", []string{"https:"}},
		{"http://a'self':80/cb", []string{"https:", "http:"}},
		{"", []string{"https:"}},
		{"::", []string{"https:"}},
	}
	for _, row := range rows {
		require.Equal(t, row.want, web.FormAction(row.redirect), row.redirect)
	}
}

func TestWB03_FormActionIsPerResponse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.echo.GET("/login", func(c *echo.Context) error {
		return b.Page(c, realm.Realm{}, web.Page{
			Template: "login", Title: web.Message{Key: "login.title_plain"}, Data: web.Login{},
			FormAction: web.FormAction("http://127.0.0.1:5000/cb"),
		})
	}, b.Pages)
	policy := b.browse(t, "/login").Header.Get("Content-Security-Policy")
	require.True(t, strings.HasSuffix(policy, "form-action 'self' https: http://127.0.0.1:5000"), policy)
}
