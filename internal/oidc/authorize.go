package oidc

import (
	"context"
	"errors"
	"net/http"
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
		return p.authorizePosted(ctx, c, r)
	}
	if tx := c.QueryParam("tx"); tx != "" {
		return p.resume(ctx, c, r, tx)
	}
	form := c.QueryParams()
	q, err := p.checkRequest(ctx, r, form)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	if web.Peeks(c) {
		return c.NoContent(http.StatusSeeOther)
	}
	s, err := p.Engine.Begin(ctx, r, p.browser(c, r), q.client, form, q.hintSubject)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	return p.dispatch(ctx, c, r, q, s)
}

// authorizePosted takes a request that another site's form posted. Such a POST brings no Lax cookie, so it is kept
// and the browser sent to fetch the answer.
func (p *Provider) authorizePosted(ctx context.Context, c *echo.Context, r realm.Realm) error {
	form, err := web.Form(c)
	if err != nil {
		return err
	}
	q, err := p.checkRequest(ctx, r, form)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	s, err := p.Engine.Begin(ctx, r, "", q.client, form, q.hintSubject)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	tx, err := p.Engine.Start(ctx, r, s)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	return c.Redirect(http.StatusSeeOther, flow.URL(r, "authorize", tx, ""))
}

// resume goes on with a flow. The stored request is checked anew, so that a client or address that was switched off
// meanwhile stops the flow here too.
func (p *Provider) resume(ctx context.Context, c *echo.Context, r realm.Realm, tx string) error {
	s, err := p.Engine.Load(ctx, r, tx, p.browser(c, r))
	if errors.Is(err, flow.ErrGone) && !web.Peeks(c) {
		s, err = p.bind(ctx, c, r, tx)
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
	switch {
	case web.Peeks(c):
		return c.NoContent(http.StatusSeeOther)
	case s.Lapsed:
		if err := p.Engine.Restart(ctx, r, tx, s.Browser); err != nil {
			return err
		}
	case s.Completed:
		s = s.Anew() // the page was loaded again: the same request once more
	}
	return p.dispatch(ctx, c, r, q, s)
}

// bind gives a posted request to the browser that came for its answer.
func (p *Provider) bind(ctx context.Context, c *echo.Context, r realm.Realm, tx string) (*flow.State, error) {
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

// dispatch sends the browser to the first pending step, or answers the client when there is none.
func (p *Provider) dispatch(ctx context.Context, c *echo.Context, r realm.Realm, q *authorization, s *flow.State) error {
	step := p.Engine.Next(s)
	if step != nil && slices.Contains(q.prompt, "none") {
		return p.refuseAuthorization(c, r, q, refuse(string(step.Unmet()), "The request cannot be completed without interaction."))
	}
	if p.Engine.Authenticated(s) {
		switch {
		case s.Unexpected():
			return p.turnAway(ctx, c, r, q, s, refuse(codeLoginRequired, "Somebody else signed in than the id_token_hint says."))
		case s.Denied():
			return p.turnAway(ctx, c, r, q, s, refuse(codeAccessDenied, "The person does not allow what was asked for."))
		case step == nil:
			return p.issue(ctx, c, r, q, s)
		}
		var err error
		if s, err = p.signIn(ctx, c, r, s); err != nil {
			return p.refuseAuthorization(c, r, q, err)
		}
	}
	if s.Tx == "" {
		var err error
		if s.Browser, err = p.ensureBrowser(c, r); err != nil {
			return err
		}
		if s.Tx, err = p.Engine.Start(ctx, r, s); err != nil {
			return p.refuseAuthorization(c, r, q, err)
		}
	}
	return c.Redirect(http.StatusSeeOther, flow.URL(r, step.Name(), s.Tx, chosenLocale(c)))
}

// chosenLocale is the language that the person chose on a page of the flow; "" when they did not.
func chosenLocale(c *echo.Context) string {
	if c.QueryParam("tx") == "" {
		return "" // it is the application's wish, and stands in the request
	}
	return c.QueryParam("ui_locales")
}

// turnAway answers the client with an error that a person brought about. Who they are was settled before, so a fresh
// proof still becomes their session.
func (p *Provider) turnAway(ctx context.Context, c *echo.Context, r realm.Realm, q *authorization, s *flow.State, refusal *protocolError) error {
	if _, err := p.signIn(ctx, c, r, s); err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	return p.refuseAuthorization(c, r, q, refusal)
}

// signIn makes a session of a fresh proof while the request still waits for something else.
func (p *Provider) signIn(ctx context.Context, c *echo.Context, r realm.Realm, s *flow.State) (*flow.State, error) {
	if !s.Authenticated.Fresh {
		return s, nil
	}
	cookie, err := session.NewToken(p.Random)
	if err != nil {
		return nil, err
	}
	ctx, after := event.By(ctx, event.User, s.User.ID.String()), s
	err = r.InTx(ctx, func(tx realm.Tx) (err error) {
		after, err = flow.SignIn(ctx, tx, s, cookie, p.Now())
		return err
	})
	if err != nil {
		return nil, lostFlow(err)
	}
	p.Web.SetCookie(c, r, string(cookie), session.CookieLife(r, s.Authenticated.Persistent))
	return after, nil
}

// lostFlow tells the person when the same page was loaded twice at once: the other answer brought the new cookie. The
// application is told when the person was signed out of everything in that moment.
func lostFlow(err error) error {
	switch {
	case errors.Is(err, flow.ErrGone):
		return problem.New(problem.FlowUnknown).Because(err)
	case errors.Is(err, grant.ErrLost), errors.Is(err, session.ErrStale):
		return refuse(codeLoginRequired, "The session has ended.")
	}
	return err
}

// issue makes the code and, when somebody just proved who they are, the session, in one transaction.
func (p *Provider) issue(ctx context.Context, c *echo.Context, r realm.Realm, q *authorization, s *flow.State) error {
	ctx = event.By(ctx, event.User, s.User.ID.String())
	if s.Decision != nil {
		q.narrow(s.Decision.Scopes)
	}
	g, code, err := p.decide(ctx, r, q, s)
	if err != nil {
		return p.refuseAuthorization(c, r, q, err)
	}
	if s.Tx == "" {
		g.SessionID = s.Session.ID
		if err := grant.Issue(ctx, r.Write(), g, code); err != nil {
			return p.refuseAuthorization(c, r, q, lostFlow(err))
		}
		return p.answer(c, r, q, code)
	}
	cookie, err := session.NewToken(p.Random)
	if err != nil {
		return err
	}
	if err := p.complete(ctx, r, s, g, code, cookie); err != nil {
		return p.refuseAuthorization(c, r, q, lostFlow(err))
	}
	if s.Authenticated.Fresh {
		p.Web.SetCookie(c, r, string(cookie), session.CookieLife(r, s.Authenticated.Persistent))
	}
	return p.answer(c, r, q, code)
}

// complete ends a flow with a code, in one transaction.
func (p *Provider) complete(ctx context.Context, r realm.Realm, s *flow.State, g grant.Grant, code grant.Code, cookie session.Token) error {
	return r.InTx(ctx, func(tx realm.Tx) error {
		after := s
		if s.Authenticated.Fresh {
			var err error
			if after, err = flow.SignIn(ctx, tx, s, cookie, g.CreatedAt); err != nil {
				return err
			}
		}
		if err := flow.Complete(ctx, tx, after, g.CreatedAt); err != nil {
			return err
		}
		g.SessionID = after.Session.ID
		return grant.Issue(ctx, tx, g, code)
	})
}

// decide lets fosite validate the request and make the code, and describes the authorization that it stands for.
func (p *Provider) decide(ctx context.Context, r realm.Realm, q *authorization, s *flow.State) (grant.Grant, grant.Code, error) {
	ctx, u := p.begin(ctx, r, q.client)
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
	life := q.client.Lifetimes.Within(r.Settings.Lifetimes)
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
