package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// logout is a checked logout request (RP-Initiated Logout §2).
type logout struct {
	client    *client.Client
	hint      *idClaims
	redirect  string // validated, "" when none was asked for
	state     string
	uiLocales string
	form      url.Values
	// tx is the flow that keeps the request; "" when the request stands in the address.
	tx string
}

// logoutParameters are what is kept of a request.
var logoutParameters = []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"} //nolint:gochecknoglobals // a constant list

// endSession is the end session endpoint. A logout that the session's own ID token asks for happens at once;
// everything else is confirmed by the person first, so that no other site can sign people out.
func (p *Provider) endSession(c *echo.Context) error {
	r, ctx := web.Realm(c), c.Request().Context()
	form, confirmed := c.QueryParams(), c.Request().Method == http.MethodPost
	if confirmed {
		var err error
		if form, err = web.Form(c); err != nil {
			return err
		}
		if !form.Has(web.TokenField) {
			return p.keepLogout(ctx, c, r, form)
		}
	}
	tx := c.QueryParam("tx")
	if tx != "" && !web.Peeks(c) {
		var err error
		if form, err = p.keptLogout(ctx, c, r, tx); err != nil {
			return err
		}
	}
	q, err := p.checkLogout(ctx, r, form)
	if err != nil {
		return err
	}
	q.tx = tx
	browser := p.browser(c, r)
	s, err := p.sessionOf(ctx, r, browser)
	switch {
	case errors.Is(err, realm.ErrUnknown):
		return p.loggedOut(c, r, q)
	case err != nil:
		return err
	case confirmed:
		err := web.CheckForm(c, r, string(browser), "logout")
		switch {
		case errors.Is(err, web.ErrOldForm):
			return p.confirmLogout(c, r, q, browser, &web.Message{Key: "form.old"})
		case err != nil:
			return err
		}
	case web.Peeks(c) || q.hint == nil || q.hint.SessionID != s.ID.String():
		return p.confirmLogout(c, r, q, browser, nil)
	}
	if err := p.end(ctx, r, s); err != nil {
		return err
	}
	return p.loggedOut(c, r, q)
}

// keepLogout takes a request that another site's form posted. Such a POST brings no Lax cookie, so it is kept and
// the browser sent to fetch the answer, without the ID token in the address.
func (p *Provider) keepLogout(ctx context.Context, c *echo.Context, r realm.Realm, form url.Values) error {
	if _, err := p.checkLogout(ctx, r, form); err != nil {
		return err
	}
	tx, err := p.Engine.KeepLogout(ctx, r, only(form, logoutParameters))
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, flow.URL(r, "end_session", tx, ""))
}

// keptLogout returns the request that was posted. When it is not this browser's, or was answered before, the person
// is asked as if nobody had sent them.
func (p *Provider) keptLogout(ctx context.Context, c *echo.Context, r realm.Realm, tx string) (url.Values, error) {
	browser, err := p.ensureBrowser(c, r)
	if err != nil {
		return nil, err
	}
	form, err := p.Engine.Logout(ctx, r, tx, browser)
	if errors.Is(err, flow.ErrGone) {
		return url.Values{}, nil
	}
	return form, err
}

func (p *Provider) sessionOf(ctx context.Context, r realm.Realm, browser session.Token) (session.Session, error) {
	if browser == "" {
		return session.Session{}, realm.ErrUnknown
	}
	return session.ByToken(ctx, r, browser, p.Now())
}

// end ends the session and what was authorized in it, in one transaction.
func (p *Provider) end(ctx context.Context, r realm.Realm, s session.Session) error {
	now := p.Now()
	ctx = event.By(ctx, event.User, s.UserID.String())
	return r.InTx(ctx, func(tx realm.Tx) error { return flow.SignOut(ctx, tx, s.ID, s.UserID, now) })
}

func only(form url.Values, names []string) url.Values {
	kept := url.Values{}
	for _, name := range names {
		if form.Has(name) {
			kept.Set(name, form.Get(name))
		}
	}
	return kept
}

// checkLogout checks a logout request. What does not hold is answered on a page of ours: an address that is not
// registered is never followed (RP-Initiated Logout §3).
func (p *Provider) checkLogout(ctx context.Context, r realm.Realm, form url.Values) (*logout, error) {
	if err := checkLogoutRepeats(form); err != nil {
		return nil, err
	}
	q := &logout{state: form.Get("state"), uiLocales: form.Get("ui_locales"), form: form}
	clientID := form.Get("client_id")
	if hint := form.Get("id_token_hint"); hint != "" {
		claims, err := p.verifyHint(ctx, r, hint)
		if err != nil {
			return nil, pageError(err)
		}
		if clientID != "" && !slices.Contains(claims.Audience, clientID) {
			return nil, problem.New(problem.InvalidRequest).WithHint("The id_token_hint was issued to another application than client_id.")
		}
		q.hint, clientID = &claims, claims.Audience[0]
	}
	if clientID != "" {
		c, err := p.clientOf(ctx, r, clientID)
		if err != nil {
			return nil, err
		}
		q.client = c
	}
	if uri := form.Get("post_logout_redirect_uri"); uri != "" {
		if q.client == nil || !q.client.AllowsPostLogoutRedirect(uri) {
			return nil, problem.New(problem.RedirectDenied).WithHint("%s", client.ExplainLogoutRedirect(q.client, uri))
		}
		q.redirect = uri
	}
	return q, nil
}

func checkLogoutRepeats(form url.Values) error {
	if name := repeated(form); name != "" {
		return problem.New(problem.InvalidRequest).WithHint("The parameter %s is given more than once.", name)
	}
	return nil
}

// pageError makes a page of a protocol error.
func pageError(err error) error {
	var e *protocolError
	if errors.As(err, &e) && !e.ours() {
		return problem.New(problem.InvalidRequest).WithHint("%s", e.Description).Because(err)
	}
	return err
}

func (p *Provider) confirmLogout(c *echo.Context, r realm.Realm, q *logout, browser session.Token, wrong *web.Message) error {
	token, err := p.Web.FormToken(r, string(browser), "logout")
	if err != nil {
		return err
	}
	page := web.Page{
		Template: "logout", Title: web.Message{Key: "logout.title_plain"}, Token: token, Problem: wrong, Languages: []string{q.uiLocales},
	}
	data := web.Logout{StayURL: r.Settings.StartURL}
	if q.client != nil {
		page.Title = web.Message{Key: "logout.title", Params: map[string]any{"app": q.client.Name}}
		data.StayURL = q.client.StartURL
	}
	for _, name := range logoutParameters {
		if v := q.form.Get(name); v != "" && q.tx == "" {
			data.Hidden = append(data.Hidden, web.Hidden{Name: name, Value: v})
		}
	}
	page.Data = data
	if q.redirect != "" {
		page.FormAction = web.FormAction(q.redirect)
	}
	return p.Web.Page(c, r, page)
}

// loggedOut takes the cookie away and sends the person back to the application, or says that they are signed out.
func (p *Provider) loggedOut(c *echo.Context, r realm.Realm, q *logout) error {
	p.Web.ClearCookie(c, r)
	c.Response().Header().Set("Clear-Site-Data", `"cache"`)
	if q.redirect != "" {
		params := url.Values{}
		if q.state != "" {
			params.Set("state", q.state)
			return c.Redirect(http.StatusSeeOther, withQuery(q.redirect, params))
		}
		return c.Redirect(http.StatusSeeOther, q.redirect)
	}
	data := web.SignedOut{URL: r.Settings.StartURL}
	if q.client != nil {
		data = web.SignedOut{App: q.client.Name, URL: q.client.StartURL}
	}
	return p.Web.Page(c, r, web.Page{
		Template: "signed-out", Title: web.Message{Key: "signedout.title"}, Data: data, Languages: []string{q.uiLocales},
	})
}
