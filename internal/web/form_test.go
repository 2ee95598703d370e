package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

func TestWB01_Forms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := realmAt(t, secureOrigin, realm.New{Slug: "demo", Name: "Demo"})
	other := realmAt(t, secureOrigin, realm.New{Slug: "other", Name: "Other"})
	b.echo.POST("/login", func(c *echo.Context) error {
		if err := web.CheckForm(c, r, "cookie", "tx", "login"); err != nil {
			return err
		}
		return ok(c)
	}, b.Pages)

	token := func(t *testing.T, r realm.Realm, binding ...string) url.Values {
		t.Helper()
		token, err := b.FormToken(r, binding...)
		require.NoError(t, err)
		return url.Values{web.TokenField: {token}}
	}
	good := func(t *testing.T) url.Values { t.Helper(); return token(t, r, "cookie", "tx", "login") }

	t.Run("accepts_our_own_page", func(t *testing.T) {
		t.Parallel()
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "same-origin", "Origin", "null"}, // a page that sends no referrer
			{"Sec-Fetch-Site", "none"},
			{"Origin", secureOrigin},
			{"Origin", "null"},
			{},
		} {
			require.Equal(t, http.StatusOK, b.post(t, "/login", good(t), headers...).StatusCode, headers)
		}
	})
	t.Run("refuses_what_another_site_sends", func(t *testing.T) {
		t.Parallel()
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "cross-site", "Origin", secureOrigin},
			{"Origin", "https://evil.example.test"},
			{"Origin", "http://id.example.test"},
			{"Origin", "https://id.example.test:444"},
		} {
			res := b.post(t, "/login", good(t), headers...)
			require.Equal(t, http.StatusForbidden, res.StatusCode, headers)
			require.Contains(t, res.body, "cross_site")
		}
	})
	t.Run("refuses_a_token_for_anything_else", func(t *testing.T) {
		t.Parallel()
		rows := map[string]url.Values{
			"none":            {},
			"empty":           {web.TokenField: {""}},
			"no_base64":       {web.TokenField: {"%%%"}},
			"short":           {web.TokenField: {"AAAAAAAAAAAAAAAAAAAAAA"}},
			"other_cookie":    token(t, r, "cookie2", "tx", "login"),
			"other_flow":      token(t, r, "cookie", "tx2", "login"),
			"other_form":      token(t, r, "cookie", "tx", "logout"),
			"moved_boundary":  token(t, r, "cookiet", "x", "login"),
			"shorter_binding": token(t, r, "cookie", "tx"),
			"other_realm":     token(t, other, "cookie", "tx", "login"),
		}
		tampered := good(t)
		first := "A"
		if strings.HasPrefix(tampered.Get(web.TokenField), first) {
			first = "B"
		}
		tampered.Set(web.TokenField, first+tampered.Get(web.TokenField)[1:])
		rows["tampered"] = tampered
		for name, form := range rows {
			require.Equal(t, http.StatusForbidden, b.post(t, "/login", form, "Sec-Fetch-Site", "same-origin").StatusCode, name)
		}
	})
	t.Run("offers_to_start_again_on_the_same_page", func(t *testing.T) {
		t.Parallel()
		res := b.post(t, "/login?tx=abc&x=y", url.Values{})
		require.Contains(t, res.body, `href="/login?tx=abc"`)
		require.Contains(t, res.body, "Start again")
	})
	t.Run("makes_each_token_differ", func(t *testing.T) {
		t.Parallel()
		first, second := good(t), good(t)
		require.NotEqual(t, first, second)
	})
	t.Run("makes_no_token_without_a_key", func(t *testing.T) {
		t.Parallel()
		_, err := b.FormToken(realm.Realm{Facts: &realm.Facts{}}, "x")
		require.Error(t, err)
	})
}

func TestOP03_Forms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.echo.POST("/form", func(c *echo.Context) error {
		form, err := web.Form(c)
		if err != nil {
			return err
		}
		again, err := web.Form(c)
		if err != nil {
			return err
		}
		return c.String(http.StatusOK, form.Get("a")+"|"+again.Get("a")+"|"+c.Request().PostForm.Get("a")+"|"+c.Request().Form.Get("q"))
	})
	const form = "application/x-www-form-urlencoded"
	rows := map[string]struct {
		body, contentType string
		status            int
	}{
		"plain":           {"a=%C3%A4+b", form, 200},
		"charset":         {"a=%C3%A4+b", form + "; charset=UTF-8", 200},
		"empty":           {"", form, 200},
		"sixty_four_keys": {strings.Repeat("k=v&", 63) + "k=v", form, 200},
		"too_many_keys":   {strings.Repeat("k=v&", 64) + "k=v", form, 400},
		"too_large":       {"a=" + strings.Repeat("x", web.MaxForm-1), form, 413},
		"as_large_as_may": {"b=" + strings.Repeat("x", web.MaxForm-2), form, 200},
		"json":            {`{"a":1}`, "application/json", 415},
		"text":            {"a=b", "text/plain", 415},
		"multipart":       {"a=b", "multipart/form-data; boundary=x", 415},
		"no_type":         {"a=b", "", 415},
		"latin_1":         {"a=%E4", form + "; charset=iso-8859-1", 415},
		"no_utf8":         {"a=%E4", form, 400},
		"nul":             {"a=%00", form, 400},
		"nul_in_a_key":    {"a%00=1", form, 400},
		"broken_escape":   {"a=%zz", form, 400},
		"semicolon":       {"a=1;b=2", form, 400},
	}
	for name, row := range rows {
		res := b.send(t, http.MethodPost, "/form?q=query&a=query", row.body, "Content-Type", row.contentType)
		require.Equal(t, row.status, res.StatusCode, name)
		if row.body == "a=%C3%A4+b" {
			require.Equal(t, "ä b|ä b|ä b|query", res.body, name)
		}
	}
	require.NotContains(t, b.log.String(), "%zz", "a cause repeats what was typed")
}

func TestOP03_Sizes(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *web.Options) { o.Dev = true })
	b.echo.GET("/authorize", ok, web.LimitURL(web.MaxAuthorizeURL), b.Pages)
	b.echo.POST("/token", func(c *echo.Context) error {
		if _, err := web.Form(c); err != nil {
			return err
		}
		return ok(c)
	}, b.API, web.LimitBody(10))

	t.Run("an_address_that_is_too_long_is_an_invalid_request_that_names_PAR", func(t *testing.T) {
		t.Parallel()
		fits := "/authorize?x=" + strings.Repeat("a", web.MaxAuthorizeURL-len("/authorize?x="))
		require.Equal(t, http.StatusOK, b.get(t, fits).StatusCode)
		res := b.get(t, fits+"a", "Accept", "text/html")
		require.Equal(t, http.StatusBadRequest, res.StatusCode)
		require.Contains(t, res.body, "invalid_request")
		require.Contains(t, res.body, "PAR")
	})
	t.Run("a_body_that_is_too_large_is_refused_announced_or_not", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, http.StatusOK, b.post(t, "/token", url.Values{"a": {"12345678"}}).StatusCode)
		require.Equal(t, http.StatusRequestEntityTooLarge, b.post(t, "/token", url.Values{"a": {"123456789"}}).StatusCode)

		unannounced := struct{ *strings.Reader }{strings.NewReader("a=123456789")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+"/token", unannounced)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := b.server.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	})
}
