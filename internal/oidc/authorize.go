package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/oidc/store"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// authorize is the authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2) and the dispatcher of the
// login flow: with a request it begins, with ?tx= it goes on.
func (p *Provider) authorize(c *echo.Context) error {
	r, ctx := web.Realm(c), c.Request().Context()
	if c.Request().Method == http.MethodPost {
		return p.authorizePosted(c, ctx, r)
	}
	if tx := c.QueryParam("tx"); tx != "" {
		return p.resume(c, ctx, r, tx)
	}
	form := c.QueryParams()
	q, err := p.checkRequest(ctx, r, form)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	s, err := p.Engine.Load(ctx, r, "", p.browser(c, r))
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	s.Client, s.Form, s.Request = q.client, form, flow.ParseRequest(form)
	return p.dispatch(c, ctx, r, q, s)
}

// authorizePosted takes a request that another site's form posted. Such a POST brings no Lax cookie, so it is kept
// and the browser sent to fetch the answer.
func (p *Provider) authorizePosted(c *echo.Context, ctx context.Context, r realm.Realm) error {
	form, err := web.Form(c)
	if err != nil {
		return err
	}
	q, err := p.checkRequest(ctx, r, form)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	tx, err := p.Engine.Start(ctx, r, q.client.ClientID, form, "")
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	return c.Redirect(http.StatusSeeOther, flowURL(r, "authorize", tx))
}

// flowURL is the path of a step, or of the dispatcher, for a flow.
func flowURL(r realm.Realm, name, tx string) string {
	return r.Path() + "/" + name + "?tx=" + url.QueryEscape(tx)
}

// resume goes on with a flow. The stored request is checked anew, so that a client or address that was switched off
// meanwhile stops the flow here too.
func (p *Provider) resume(c *echo.Context, ctx context.Context, r realm.Realm, tx string) error {
	s, err := p.Engine.Load(ctx, r, tx, p.browser(c, r))
	if errors.Is(err, flow.ErrGone) {
		s, err = p.bind(c, ctx, r, tx)
	}
	if errors.Is(err, flow.ErrGone) {
		return problem.New(problem.FlowUnknown).Because(err)
	}
	if err != nil {
		return err
	}
	q, err := p.checkRequest(ctx, r, s.Form)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	if s.Lapsed {
		if err := p.Engine.Restart(ctx, r, tx, s.Browser); err != nil {
			return err
		}
	}
	return p.dispatch(c, ctx, r, q, s)
}

// bind gives a posted request to the browser that came for its answer.
func (p *Provider) bind(c *echo.Context, ctx context.Context, r realm.Realm, tx string) (*flow.State, error) {
	browser, err := p.ensureBrowser(c, r)
	if err != nil {
		return nil, err
	}
	if err := p.Engine.Bind(ctx, r, tx, browser); err != nil {
		return nil, err
	}
	return p.Engine.Load(ctx, r, tx, browser)
}

// ensureBrowser returns the value of the realm's cookie and sets one when the browser has none.
func (p *Provider) ensureBrowser(c *echo.Context, r realm.Realm) (session.Token, error) {
	if browser := p.browser(c, r); browser != "" {
		return browser, nil
	}
	browser, err := session.NewToken(p.Random)
	if err != nil {
		return "", err
	}
	p.Web.SetCookie(c, r, string(browser), 0)
	return browser, nil
}

// dispatch sends the browser to the first pending step, or issues when there is none.
func (p *Provider) dispatch(c *echo.Context, ctx context.Context, r realm.Realm, q *authorization, s *flow.State) error {
	step, silent := p.Engine.Next(s), slices.Contains(q.prompt, "none")
	switch {
	case silent && step != nil:
		return p.refuseAuthorization(c, r, q, refuse(string(step.Unmet()), "The request cannot be completed without interaction."))
	case silent && q.hintSubject != "" && q.hintSubject != s.User.Subject:
		return p.refuseAuthorization(c, r, q, refuse(codeLoginRequired, "Somebody else is signed in than the id_token_hint says."))
	case step == nil:
		return p.issue(c, ctx, r, q, s)
	}
	if s.Tx == "" {
		browser, err := p.ensureBrowser(c, r)
		if err != nil {
			return err
		}
		if s.Tx, err = p.Engine.Start(ctx, r, q.client.ClientID, s.Form, browser); err != nil {
			return p.refuseAuthorization(c, r, q, err)
		}
	}
	return c.Redirect(http.StatusSeeOther, flowURL(r, step.Name(), s.Tx))
}

// issue makes the code and, when somebody just proved who they are, the session, in one transaction.
func (p *Provider) issue(c *echo.Context, ctx context.Context, r realm.Realm, q *authorization, s *flow.State) error {
	ctx = event.By(ctx, event.User, s.User.ID.String())
	g, code, err := p.decide(ctx, r, q, s)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	if s.Tx == "" || s.Completed {
		g.SessionID = s.Session.ID
		if err := grant.Issue(ctx, r.Write(), g, code); err != nil {
			return p.refuseAuthorization(c, r, q, err)
		}
		return p.answer(c, r, q, code)
	}
	cookie, err := session.NewToken(p.Random)
	if err != nil {
		return err
	}
	err = r.InTx(ctx, func(tx realm.Tx) (err error) {
		if g.SessionID, err = flow.Complete(ctx, tx, s, cookie, g.CreatedAt); err != nil {
			return err
		}
		return grant.Issue(ctx, tx, g, code)
	})
	if errors.Is(err, flow.ErrGone) {
		// The same page was loaded twice at once; the other answer brought the new cookie.
		return problem.New(problem.FlowUnknown).Because(err)
	}
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	if s.Authenticated.Fresh {
		p.Web.SetCookie(c, r, string(cookie), session.CookieLife(r, s.Authenticated.Persistent))
	}
	return p.answer(c, r, q, code)
}

// decide lets fosite validate the request and make the code, and describes the authorization that it stands for.
func (p *Provider) decide(ctx context.Context, r realm.Realm, q *authorization, s *flow.State) (grant.Grant, grant.Code, error) {
	ctx, u := p.begin(ctx, r)
	ar, err := p.fosite.NewAuthorizeRequest(ctx, q.forFosite())
	if err != nil {
		return grant.Grant{}, grant.Code{}, err
	}
	for _, scope := range q.scopes {
		ar.GrantScope(scope)
	}
	for _, resource := range q.resources {
		ar.GrantAudience(resource)
	}
	if _, err := p.fosite.NewAuthorizeResponse(ctx, ar, &store.Session{Grant: grant.Grant{Subject: s.User.Subject}}); err != nil {
		return grant.Grant{}, grant.Code{}, err
	}
	if u.Code == nil {
		return grant.Grant{}, grant.Code{}, errors.New("fosite made no code")
	}
	return p.describe(r, q, s, u.Now), *u.Code, nil
}

// describe is the authorization that a code made now stands for.
func (p *Provider) describe(r realm.Realm, q *authorization, s *flow.State, now time.Time) grant.Grant {
	life := r.Settings.Lifetimes
	expires := now.Add(time.Duration(life.Code))
	g := grant.Grant{
		ClientID: q.client.ClientID, UserID: s.User.ID, Scopes: q.scopes, Audience: q.resources, Request: q.kept(),
		AuthTime: s.Authenticated.At, AMR: s.Authenticated.AMR, ACR: s.Authenticated.ACR, CreatedAt: now,
		CodeExpiresAt: expires, EndsAt: expires.Add(time.Duration(life.AccessToken)),
	}
	if slices.Contains(q.client.GrantTypes, grantRefresh) {
		g.EndsAt = now.Add(time.Duration(life.RefreshAbsolute))
		g.Offline = slices.Contains(q.scopes, "offline_access")
	}
	return g
}
