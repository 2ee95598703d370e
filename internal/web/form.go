package web

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/problem"
)

// The limits of what is read from strangers (OP-03).
const (
	// MaxForm is the size of a posted form in bytes.
	MaxForm = 64 << 10
	// MaxFormKeys is how many fields a form may have.
	MaxFormKeys = 64
	// MaxAuthorizeURL is the size of an authorization request's address in bytes.
	MaxAuthorizeURL = 8 << 10
)

// Form reads the posted form, once per request. It refuses another content type than
// application/x-www-form-urlencoded, more than MaxForm bytes, more than MaxFormKeys fields, and text that is not UTF-8 or
// has a NUL, which no field of ours may hold. Values of the query are not in it.
//
// Request.PostForm and Request.Form are filled too, for libraries that read them, and Request.MultipartForm is empty.
func Form(c *echo.Context) (url.Values, error) {
	state := of(c)
	if !state.formRead {
		state.formRead = true
		state.form, state.formErr = readForm(c.Request())
	}
	return state.form, state.formErr
}

func readForm(r *http.Request) (url.Values, error) {
	if err := checkFormType(r.Header.Get(echo.HeaderContentType)); err != nil {
		return nil, err
	}
	if r.ContentLength > MaxForm {
		return nil, problem.New(problem.PayloadTooLarge)
	}
	body, err := readBody(r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), err == nil && len(body) > MaxForm:
		return nil, problem.New(problem.PayloadTooLarge)
	case err != nil:
		return nil, problem.New(problem.InvalidRequest).Because(fmt.Errorf("read the form: %w", err))
	}
	form, err := parseForm(string(body))
	if err != nil {
		return nil, problem.New(problem.InvalidRequest).Because(fmt.Errorf("parse the form: %w", err))
	}
	r.PostForm, r.Form = form, form
	r.MultipartForm = &multipart.Form{} // there is none: who asks for it need not look
	if r.URL.RawQuery == "" {
		return form, nil
	}
	r.Form = maps.Clone(form)
	for key, values := range r.URL.Query() {
		r.Form[key] = append(r.Form[key][:len(r.Form[key]):len(r.Form[key])], values...)
	}
	return form, nil
}

// readBody reads up to one byte more than a form may have, in one piece where its size is announced.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(io.LimitReader(r.Body, MaxForm+1))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

func checkFormType(contentType string) error {
	if contentType == echo.MIMEApplicationForm {
		return nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != echo.MIMEApplicationForm {
		return problem.New(problem.UnsupportedMedia)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return problem.New(problem.UnsupportedMedia)
	}
	return nil
}

func parseForm(body string) (url.Values, error) {
	if fields := strings.Count(body, "&") + 1; fields > MaxFormKeys {
		return nil, fmt.Errorf("%d fields", fields)
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, errors.New("it is not encoded as a form") // the cause repeats what was typed
	}
	for key, values := range form {
		if !isText(key) || slices.ContainsFunc(values, func(v string) bool { return !isText(v) }) {
			return nil, errors.New("a field is not text")
		}
	}
	return form, nil
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// LimitBody refuses bodies of more than n bytes, before reading where their size is announced.
func LimitBody(n int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			r := c.Request()
			if r.ContentLength > n {
				return problem.New(problem.PayloadTooLarge)
			}
			r.Body = http.MaxBytesReader(c.Response(), r.Body, n)
			return next(c)
		}
	}
}

// LimitURL refuses a path and query of more than n bytes as an invalid request.
func LimitURL(n int) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if size := len(c.Request().RequestURI); size > n {
				return problem.New(problem.InvalidRequest).WithHint(
					"The address has %d bytes; %d are the most. Send the request by POST, or push it first (PAR, RFC 9126) and pass only its request_uri.", size, n)
			}
			return next(c)
		}
	}
}
