// Package interaction shows the pages of a flow's steps and hands in what people post.
//
// It knows no step: it loads the flow's state, adds language, form token and layout to the step's page, and sends
// the browser back to /authorize, the dispatcher, whenever a step is done or is not the one that is due.
package interaction

import (
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
	}
}

func (s *Surface) show(step flow.Step) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
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

func (s *Surface) submit(step flow.Step) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
		state, due, err := s.load(c, r, step)
		if err != nil || !due {
			return s.elsewhere(c, r, state, err)
		}
		if err := web.CheckForm(c, r, binding(state, step)...); err != nil {
			return err
		}
		form, err := web.Form(c)
		if err != nil {
			return err
		}
		in := flow.NewInput(form.Get, s.Web.ClientAddress(c).String(), c.Request().UserAgent())
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

// load reads the flow and tells whether the step is the one that is due. A client that was switched off stops the
// flow here too.
func (s *Surface) load(c *echo.Context, r realm.Realm, step flow.Step) (*flow.State, bool, error) {
	tx := c.QueryParam("tx")
	if tx == "" {
		return nil, false, flow.ErrGone
	}
	state, err := s.Engine.Load(c.Request().Context(), r, tx, session.Token(s.Web.Cookie(c, r)))
	if err != nil {
		return nil, false, err
	}
	if !state.Client.Enabled {
		return nil, false, problem.New(problem.ClientUnknown)
	}
	web.SetApplication(c, state.Client.Name)
	next := s.Engine.Next(state)
	return state, !state.Lapsed && !state.Completed && next != nil && next.Name() == step.Name(), nil
}

// elsewhere answers when the step is not due: the dispatcher knows where to go, a lapsed flow starts again, and
// without a flow the person is told how to begin.
func (s *Surface) elsewhere(c *echo.Context, r realm.Realm, state *flow.State, err error) error {
	switch {
	case errors.Is(err, flow.ErrGone):
		return problem.New(problem.FlowUnknown).Because(err)
	case err != nil:
		return err
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
		Template: step.Name(), Title: web.Message(o.Page.Title), Data: o.Page.Fields, Token: token, RetryAfter: o.RetryAfter,
		FormAction: web.FormAction(state.Form.Get("redirect_uri")), Languages: []string{state.Request.UILocales},
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
	return flow.URL(r, "authorize", state.Tx, c.QueryParam("ui_locales"))
}
