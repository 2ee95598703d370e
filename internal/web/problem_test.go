package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// fail mounts a page and an API route that fail with err.
func fail(b *bundle, err error) {
	b.echo.GET("/page", func(*echo.Context) error { return err }, b.Pages)
	b.echo.GET("/api", func(*echo.Context) error { return err }, b.API)
}

func TestError(t *testing.T) {
	t.Parallel()

	t.Run("is_a_page_for_browsers", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fail(b, problem.New(problem.ClientUnknown))
		res := b.browse(t, "/page")
		require.Equal(t, http.StatusBadRequest, res.StatusCode)
		require.Equal(t, "text/html; charset=UTF-8", res.Header.Get("Content-Type"))
		require.Contains(t, res.body, "<title>Error: This application is not known</title>")
		require.Contains(t, res.body, "What can I do?")
		require.Contains(t, res.body, res.Header.Get("X-Request-Id"))
		require.Contains(t, res.body, "2026-03-01 12:30:00 UTC")
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	})
	t.Run("is_a_document_in_the_api_group_and_for_who_prefers_json", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fail(b, problem.New(problem.Conflict).WithField("email", "field.invalid", nil).WithRetryAfter(1500*time.Millisecond))
		for _, res := range []response{b.browse(t, "/api"), b.get(t, "/page", "Accept", "application/json, text/html;q=0.5")} {
			require.Equal(t, http.StatusConflict, res.StatusCode)
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
			require.Equal(t, "2", res.Header.Get("Retry-After"))
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			var document map[string]any
			require.NoError(t, json.Unmarshal([]byte(res.body), &document))
			require.Equal(t, map[string]any{
				"type": secureOrigin + "/docs/errors/conflict", "title": "This is already taken", "status": 409.0,
				"detail": "What you entered exists already or is used elsewhere.", "code": "conflict",
				"request_id": res.Header.Get("X-Request-Id"),
				"errors":     []any{map[string]any{"pointer": "/email", "code": "field.invalid", "detail": "Check this field: it cannot be read as it is."}},
			}, document)
		}
	})
	t.Run("follows_the_accept_header", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fail(b, problem.New(problem.Gone))
		rows := []struct {
			path, accept string
			page         bool
		}{
			{"/page", "", true},
			{"/page", "*/*", true},
			{"/page", "application/json", false},
			{"/page", "application/problem+json", false},
			{"/page", "text/html;q=0.2, application/json;q=0.1", true},
			{"/api", "text/html", false},
			{"/nowhere", "text/html", true},
			{"/nowhere", "*/*", false},
			{"/nowhere", "", false},
		}
		for _, row := range rows {
			res := b.get(t, row.path, "Accept", row.accept)
			require.Equal(t, row.page, strings.HasPrefix(res.Header.Get("Content-Type"), "text/html"), "%s %q", row.path, row.accept)
		}
	})
	t.Run("never_shows_the_cause_and_always_logs_it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fail(b, fmt.Errorf("load client: %w", errors.New("relation clients does not exist")))
		for _, res := range []response{b.browse(t, "/page"), b.get(t, "/api")} {
			require.Equal(t, http.StatusInternalServerError, res.StatusCode)
			require.NotContains(t, res.body, "relation")
			require.NotContains(t, res.body, "load client")
			require.Contains(t, res.body, "internal")
			line := logLine(t, b, "request failed", res.Header.Get("X-Request-Id"))
			require.Equal(t, "ERROR", line["level"])
			require.Contains(t, fmt.Sprint(line["err"]), "relation clients does not exist")
		}
	})
	t.Run("logs_a_refusal_with_the_request_and_not_as_an_error", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fail(b, problem.New(problem.RedirectDenied).Because(errors.New("no such address")))
		res := b.browse(t, "/page")
		require.NotContains(t, b.log.String(), `"ERROR"`)
		line := logLine(t, b, "request", res.Header.Get("X-Request-Id"))
		require.Contains(t, fmt.Sprint(line["refused"]), "no such address")
	})
	t.Run("shows_the_hint_in_development_only", func(t *testing.T) {
		t.Parallel()
		for _, dev := range []bool{true, false} {
			b := setup(t, func(o *web.Options) { o.Dev = dev })
			fail(b, problem.New(problem.RedirectDenied).WithHint("add it with: gatehouse app update"))
			require.Equal(t, dev, strings.Contains(b.browse(t, "/page").body, "gatehouse app update"))
			require.Equal(t, dev, strings.Contains(b.get(t, "/api").body, "gatehouse app update"))
		}
	})
	t.Run("of_the_database_means_unavailable", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fail(b, fmt.Errorf("read a session: %w", context.DeadlineExceeded))
		res := b.browse(t, "/page")
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.Equal(t, "5", res.Header.Get("Retry-After"))
		require.Contains(t, res.body, "Try again in 5 seconds.")
		require.Contains(t, res.body, `<a class="primary" href="/page">Try again</a>`)
	})
	t.Run("leaves_a_response_that_has_begun_alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.echo.GET("/begun", func(c *echo.Context) error {
			if err := c.String(http.StatusOK, "begun"); err != nil {
				return err
			}
			return errors.New("too late")
		}, b.Pages)
		res := b.browse(t, "/begun")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "begun", res.body)
		require.Contains(t, b.log.String(), "too late")
	})
	t.Run("answers_HEAD_without_a_body", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.echo.GET("/page", func(*echo.Context) error { return problem.New(problem.Gone) }, b.Pages)
		res := b.send(t, http.MethodHead, "/page", "")
		require.Equal(t, http.StatusGone, res.StatusCode)
		require.Empty(t, res.body)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	})
	t.Run("drops_headers_of_the_answer_that_failed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.echo.GET("/page", func(c *echo.Context) error {
			h := c.Response().Header()
			h.Set("ETag", `"1"`)
			h.Set("Cache-Control", "public, max-age=300")
			h.Set("Location", "/x")
			return problem.New(problem.NotFound)
		})
		h := b.browse(t, "/page").Header
		require.Empty(t, h.Get("ETag"))
		require.Empty(t, h.Get("Location"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
	})
}

func TestError_has_a_status_and_words_for_every_code(t *testing.T) {
	t.Parallel()
	for _, code := range problem.Codes() {
		b := setup(t)
		fail(b, problem.New(code))
		res := b.browse(t, "/page")
		if code != problem.Internal {
			require.NotEqual(t, http.StatusInternalServerError, res.StatusCode, code)
		}
		require.NotContains(t, res.body, "error."+string(code), "a key is shown")
	}
}

func TestError_offers_a_way_on(t *testing.T) {
	t.Parallel()
	r := realmAt(t, secureOrigin, realm.New{
		Slug: "demo", Name: "Demo", Settings: realm.Settings{StartURL: "https://start.example.test/"},
	})
	b := setup(t)
	b.echo.GET("/realm", func(*echo.Context) error { return problem.New(problem.FlowUnknown) }, in(r), b.Pages)
	b.echo.GET("/app", func(c *echo.Context) error {
		web.OfferReturn(c, web.Link{URL: "com.example.app:/start", App: "Notes"})
		web.SetApplication(c, "Notes")
		return problem.New(problem.FlowUnknown)
	}, in(r), b.Pages)
	b.echo.GET("/hostile", func(c *echo.Context) error {
		web.OfferReturn(c, web.Link{URL: "javascript:alert(1)", App: "Notes"})
		return problem.New(problem.FlowUnknown)
	}, in(r), b.Pages)
	b.echo.GET("/expired", func(*echo.Context) error { return problem.New(problem.FlowExpired) }, in(r), b.Pages)

	require.Contains(t, b.browse(t, "/realm").body, `href="https://start.example.test/">Return to the application</a>`)
	app := b.browse(t, "/app").body
	require.Contains(t, app, `href="com.example.app:/start">Return to Notes</a>`)
	require.Contains(t, app, "<bdi>Notes</bdi>")
	require.NotContains(t, b.browse(t, "/hostile").body, "javascript")
	require.Contains(t, b.browse(t, "/expired?tx=a%22b").body, `href="/expired?tx=a%22b">Start again</a>`)
}

func TestAU06_PanicIsAGeneric500(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.echo.GET("/panic", func(*echo.Context) error { panic("secret state") }, b.Pages)
	b.echo.GET("/fine", ok)
	res := b.browse(t, "/panic")
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	require.NotContains(t, res.body, "secret state")
	require.Contains(t, res.body, res.Header.Get("X-Request-Id"))
	line := logLine(t, b, "request failed", res.Header.Get("X-Request-Id"))
	require.Contains(t, line["stack"], "problem_test.go")
	require.Equal(t, http.StatusOK, b.get(t, "/fine").StatusCode)
}

func TestOP10_UnusedMethodsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.echo.GET("/login", ok, b.Pages)
	b.echo.POST("/login", ok, b.Pages)
	for _, method := range []string{"PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "GETX"} {
		res := b.send(t, method, "/login", "")
		require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, method)
		require.Equal(t, "GET, HEAD, POST", res.Header.Get("Allow"), method)
	}
	require.Equal(t, http.StatusNotFound, b.send(t, http.MethodTrace, "/nowhere", "").StatusCode)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.NewHTTPMetrics(registry)
	require.NoError(t, err)
	b := setup(t, func(o *web.Options) { o.Metrics = metrics })
	r := realmAt(t, secureOrigin, realm.New{Slug: "demo", Name: "Demo"})
	b.echo.GET("/things/:id", func(c *echo.Context) error { return c.String(http.StatusOK, web.RequestID(c)) }, in(r))

	t.Run("have_a_random_id_that_the_client_cannot_choose", func(t *testing.T) {
		first := b.get(t, "/things/1", "X-Request-Id", "forged")
		second := b.get(t, "/things/1")
		require.Regexp(t, `^[a-z2-7]{26}$`, first.body)
		require.Equal(t, first.body, first.Header.Get("X-Request-Id"))
		require.NotEqual(t, first.body, second.body)
	})
	t.Run("have_one_line_without_path_and_query", func(t *testing.T) {
		res := b.get(t, "/things/s3cret-path?code=s3cret-query")
		line := logLine(t, b, "request", res.body)
		require.Equal(t, "/things/:id", line["route"])
		require.Equal(t, "GET", line["method"])
		require.EqualValues(t, 200, line["status"])
		require.Equal(t, "demo", line["realm"])
		require.Contains(t, line, "duration_ms")
		require.NotContains(t, b.log.String(), "s3cret")
	})
	t.Run("are_counted_by_route", func(t *testing.T) {
		families, err := registry.Gather()
		require.NoError(t, err)
		require.Len(t, families, 1)
		require.Contains(t, families[0].String(), "/things/:id")
	})
}

// logLine finds the line of a request.
func logLine(t *testing.T, b *bundle, message, requestID string) map[string]any {
	t.Helper()
	require.NotEmpty(t, requestID)
	var found map[string]any
	// The client may have the answer before the server has written the line.
	require.Eventually(t, func() bool {
		for raw := range bytes.SplitSeq([]byte(b.log.String()), []byte("\n")) {
			line := map[string]any{}
			if json.Unmarshal(raw, &line) == nil && line["msg"] == message && line["request_id"] == requestID {
				found = line
				return true
			}
		}
		return false
	}, 5*time.Second, time.Millisecond)
	return found
}
