package web

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// TokenField is the name of the form field that holds the form token.
const TokenField = "csrf"

// nonceSize is the length of the random head of a token. It makes each rendering differ, so that a compressing proxy
// gives nothing away about the rest.
const nonceSize = 16

// ErrOldForm says that a form came from our own page, as the browser vouches, but belongs to what is not any more: the
// cookie of before the person signed in in another tab. Nothing may come of it; its page can be shown again.
var ErrOldForm = errors.New("the form is of another time")

// FormToken makes the token of one form, for Page.Token. The binding is what the form belongs to: the browser's
// cookie, the flow, and what the form does. CheckForm must be given the same.
func (w *Web) FormToken(r realm.Realm, binding ...string) (string, error) {
	token := make([]byte, nonceSize, nonceSize+32)
	if _, err := io.ReadFull(w.o.Random, token); err != nil {
		return "", fmt.Errorf("draw a form token: %w", err)
	}
	sum, err := r.CSRF().Sum(tokenParts(token, binding)...)
	if err != nil {
		return "", fmt.Errorf("make a form token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(token, sum...)), nil
}

// CheckForm refuses a form that did not come from our own page (WB-01): the browser says that it came from another
// site, or its token is not one that FormToken made for this binding (ErrOldForm, where the browser says that it is ours).
// It reads the form.
func CheckForm(c *echo.Context, r realm.Realm, binding ...string) error {
	if err := checkOrigin(c, r); err != nil {
		return problem.New(problem.CrossSite).Because(err)
	}
	form, err := Form(c)
	if err != nil {
		return err
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(form.Get(TokenField))
	if err != nil || len(token) <= nonceSize {
		return problem.New(problem.CrossSite).Because(errors.New("no form token"))
	}
	if !r.CSRF().Verify(token[nonceSize:], tokenParts(token[:nonceSize], binding)...) {
		cause := errors.New("the form token was made for another browser or form")
		if c.Request().Header.Get(echo.HeaderSecFetchSite) == "same-origin" {
			cause = ErrOldForm
		}
		return problem.New(problem.CrossSite).Because(cause)
	}
	return nil
}

func tokenParts(nonce []byte, binding []string) [][]byte {
	parts := [][]byte{[]byte("form"), nonce}
	for _, b := range binding {
		parts = append(parts, []byte(b))
	}
	return parts
}

// checkOrigin asks the browser where a form came from, as http.CrossOriginProtection does, but against the realm's
// issuer instead of the Host header.
//
// Our pages send no referrer, and then browsers write "null" as the origin of their forms. Where Sec-Fetch-Site is
// missing (an old browser, or http on a host that is not loopback) that says nothing, and the token decides alone.
func checkOrigin(c *echo.Context, r realm.Realm) error {
	h := c.Request().Header
	switch site := h.Get(echo.HeaderSecFetchSite); site {
	case "same-origin", "none":
		return nil
	case "":
	default:
		return errors.New("the browser says the form came from another site")
	}
	origin := h.Get(echo.HeaderOrigin)
	if origin == "" || origin == "null" {
		return nil
	}
	issuer, err := url.Parse(r.Issuer)
	if err != nil {
		return fmt.Errorf("parse the issuer: %w", err)
	}
	if !strings.EqualFold(origin, issuer.Scheme+"://"+issuer.Host) {
		return errors.New("the form came from another origin")
	}
	return nil
}
