// Package interaction shows the pages of a flow's steps and hands in what people post.
//
// It knows no step: it loads the flow's state, adds language, form token and layout to the step's page, and sends
// the browser back to /authorize, the dispatcher, whenever a step is done or is not the one that is due. Flows that no
// application asked for, those that begin with a link in a mail above all, it dispatches itself.
package interaction

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Surface serves the steps of an engine.
type Surface struct {
	Engine *flow.Engine
	Web    *web.Web
}

// Mount adds each step's path to pages, a group below a realm's issuer. There is nothing for programs.
func (s *Surface) Mount(pages, _, _ *echo.Group) {
	for _, step := range s.Engine.Steps() {
		pages.GET("/"+step.Name(), s.show(step))
		pages.POST("/"+step.Name(), s.submit(step))
		if linked, ok := step.(flow.Linked); ok {
			pages.GET("/"+step.Name()+"/:token", s.look(linked))
			pages.POST("/"+step.Name()+"/:token", s.follow(linked))
		}
	}
	pages.GET("/"+continuePath, s.proceed)
}

func (s *Surface) show(step flow.Step) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
		if c.QueryParam("tx") == "" {
			return s.enter(c, r, step)
		}
		state, due, err := s.load(c, r, step)
		if err != nil || !due {
			return s.elsewhere(c, r, state, err)
		}
		page, err := step.Page(c.Request().Context(), r, state)
		if err != nil {
			return err
		}
		return s.page(c, r, step, state, flow.Outcome{Page: page})
	}
}

// enter starts a flow for somebody who came to the page of a step without an application, where the step can do
// without.
func (s *Surface) enter(c *echo.Context, r realm.Realm, step flow.Step) error {
	if alternative, ok := step.(flow.Alternative); !ok || !alternative.InsteadOf("") {
		return s.elsewhere(c, r, nil, flow.ErrGone)
	}
	if web.Peeks(c) {
		return c.NoContent(http.StatusSeeOther)
	}
	browser, err := s.browser(c, r)
	if err != nil {
		return err
	}
	tx, err := s.Engine.StartMailed(c.Request().Context(), r, browser)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, flow.URL(r, step.Name(), tx, c.QueryParam("ui_locales")))
}

func (s *Surface) token(c *echo.Context, r realm.Realm) session.Token {
	return session.Token(s.Web.Cookie(c, r))
}

// browser is the value of the realm's cookie; one is set when there is none.
func (s *Surface) browser(c *echo.Context, r realm.Realm) (session.Token, error) {
	if browser := s.token(c, r); browser != "" {
		return browser, nil
	}
	browser, err := session.NewToken(s.Engine.Random)
	if err != nil {
		return "", err
	}
	s.Web.SetCookie(c, r, string(browser), 0)
	return browser, nil
}

func (s *Surface) submit(step flow.Step) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
		state, due, err := s.load(c, r, step)
		if err != nil || !due {
			return s.elsewhere(c, r, state, err)
		}
		if err := web.CheckForm(c, r, binding(state, step)...); err != nil {
			return s.again(c, r, step, state, err)
		}
		in, err := s.input(c, r, state)
		if err != nil {
			return err
		}
		outcome, err := step.Submit(c.Request().Context(), r, state, in)
		switch {
		case errors.Is(err, flow.ErrGone):
			return problem.New(problem.FlowUnknown).Because(err)
		case err != nil:
			return err
		case !outcome.Done():
			return s.page(c, r, step, state, outcome)
		}
		if outcome.Cookie != "" {
			persistent := state.Session != nil && state.Session.Persistent
			s.Web.SetCookie(c, r, string(outcome.Cookie), session.CookieLife(r, persistent))
		}
		return c.Redirect(http.StatusSeeOther, dispatcher(c, r, state))
	}
}

// again shows the page of an old form anew, with why.
func (s *Surface) again(c *echo.Context, r realm.Realm, step flow.Step, state *flow.State, err error) error {
	if !errors.Is(err, web.ErrOldForm) {
		return err
	}
	page, err := step.Page(c.Request().Context(), r, state)
	if err != nil {
		return err
	}
	return s.page(c, r, step, state, flow.Outcome{Problem: &flow.Message{Key: "form.old"}, Page: page})
}

func (s *Surface) input(c *echo.Context, r realm.Realm, state *flow.State) (flow.Input, error) {
	form, err := web.Form(c)
	if err != nil {
		return flow.Input{}, err
	}
	return flow.Input{Form: form.Get, Address: s.Web.ClientAddress(c), Locale: s.Web.Language(c, r, state.Request.UILocales)}, nil
}

// load reads the flow and tells whether the step is the one that is due. A client that was switched off stops the
// flow here too.
func (s *Surface) load(c *echo.Context, r realm.Realm, step flow.Step) (*flow.State, bool, error) {
	tx := c.QueryParam("tx")
	if tx == "" {
		return nil, false, flow.ErrGone
	}
	state, err := s.Engine.Load(c.Request().Context(), r, tx, s.token(c, r))
	if err != nil {
		return nil, false, err
	}
	if state.Kind == flow.KindAuthorize && !state.Client.Enabled {
		return nil, false, problem.New(problem.ClientUnknown)
	}
	state.Language = c.QueryParam("ui_locales")
	web.SetApplication(c, state.App())
	return state, !state.Lapsed && !state.Completed && s.due(state, step), nil
}

// due tells whether the step is the one that is pending, or may be taken instead of it.
func (s *Surface) due(state *flow.State, step flow.Step) bool {
	name := ""
	if next := s.Engine.Next(state); next != nil {
		name = next.Name()
	} else if state.Kind != flow.KindMailed {
		return false
	}
	if name == step.Name() {
		return true
	}
	alternative, ok := step.(flow.Alternative)
	return ok && alternative.InsteadOf(name)
}

// elsewhere answers when the step is not due: the dispatcher knows where to go, a lapsed flow starts again, and
// without a flow the person is told how to begin.
func (s *Surface) elsewhere(c *echo.Context, r realm.Realm, state *flow.State, err error) error {
	switch {
	case errors.Is(err, flow.ErrGone):
		return problem.New(problem.FlowUnknown).Because(err)
	case err != nil:
		return err
	case state.Lapsed && state.Kind == flow.KindMailed:
		return problem.New(problem.Gone)
	case state.Lapsed:
		return s.Web.Page(c, r, web.Page{
			Template: "restart", Title: web.Message{Key: "restart.title"}, Data: web.Restart{URL: dispatcher(c, r, state)},
			Languages: []string{state.Request.UILocales},
		})
	}
	return c.Redirect(http.StatusSeeOther, dispatcher(c, r, state))
}

func (s *Surface) page(c *echo.Context, r realm.Realm, step flow.Step, state *flow.State, o flow.Outcome) error {
	token, err := s.Web.FormToken(r, binding(state, step)...)
	if err != nil {
		return err
	}
	p := web.Page{
		Template: cmp.Or(o.Page.Template, step.Name()), Title: web.Message(o.Page.Title), Data: o.Page.Fields, Token: token,
		RetryAfter: o.RetryAfter, Languages: []string{state.Request.UILocales},
	}
	if uri := state.Form.Get("redirect_uri"); uri != "" {
		p.FormAction = web.FormAction(uri)
	}
	if o.Done() {
		p.Notice = state.Notice
	}
	if o.Problem != nil {
		m := web.Message(*o.Problem)
		p.Problem = &m
	}
	if o.RetryAfter > 0 {
		p.Status = http.StatusTooManyRequests
	}
	for name, m := range o.Fields {
		if p.Fields == nil {
			p.Fields = map[string]web.Message{}
		}
		p.Fields[name] = web.Message(m)
	}
	return s.Web.Page(c, r, p)
}

// binding is what a step's form belongs to: the browser, the flow and the step.
func binding(state *flow.State, step flow.Step) []string {
	return []string{string(state.Browser), state.Tx, step.Name()}
}

// dispatcher is where a flow goes on, in the language that the person chose on the page.
func dispatcher(c *echo.Context, r realm.Realm, state *flow.State) string {
	return dispatch(r, state.Kind, state.Tx, c.QueryParam("ui_locales"))
}

func dispatch(r realm.Realm, kind, tx, uiLocales string) string {
	if kind == flow.KindMailed {
		return flow.URL(r, continuePath, tx, uiLocales)
	}
	return flow.URL(r, "authorize", tx, uiLocales)
}
