package web_test

import (
	"io/fs"
	"net/http"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/templates"
)

func TestAssets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mountPages(t, b, realm.Realm{})
	b.echo.GET("/assets/:file", b.Asset)
	page := b.browse(t, "/login").body
	css := regexp.MustCompile(`/assets/gatehouse\.[0-9a-f]{16}\.css`).FindString(page)
	require.NotEmpty(t, css)

	t.Run("may_be_kept_for_ever_under_their_digest", func(t *testing.T) {
		t.Parallel()
		res := b.get(t, css)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "text/css; charset=utf-8", res.Header.Get("Content-Type"))
		require.Equal(t, "public, max-age=31536000, immutable", res.Header.Get("Cache-Control"))
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	})
	t.Run("answer_HEAD", func(t *testing.T) {
		t.Parallel()
		res := b.send(t, http.MethodHead, css, "")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Empty(t, res.body)
	})
	t.Run("of_another_release_are_not_kept", func(t *testing.T) {
		t.Parallel()
		res := b.get(t, "/assets/gatehouse.0000000000000000.css")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "no-cache", res.Header.Get("Cache-Control"))
	})
	t.Run("OP10_are_no_directory", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/assets/", "/assets", "/assets/nothing.0.css", "/assets/..%2fpages%2flogin.html", "/assets/embed.go"} {
			require.Equal(t, http.StatusNotFound, b.get(t, path).StatusCode, path)
		}
	})
}

func TestModuleIsSmall(t *testing.T) {
	t.Parallel()
	module, err := fs.ReadFile(templates.FS, "assets/gatehouse.js")
	require.NoError(t, err)
	require.LessOrEqual(t, len(module), 10<<10)
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	rows := map[string]fstest.MapFS{
		"no_layout":     {},
		"a_broken_page": {"pages/layout.html": {Data: []byte(`{{define "layout"}}{{end}}`)}, "pages/x.html": {Data: []byte(`{{`)}},
		"an_odd_asset":  {"pages/layout.html": {Data: []byte(`{{define "layout"}}{{end}}`)}, "assets/x.exe": {}},
	}
	for name, files := range rows {
		_, err := web.New(options(t, func(o *web.Options) { o.Files = files }))
		require.Error(t, err, name)
	}
	_, err := web.New(web.Options{})
	require.Error(t, err)
}
