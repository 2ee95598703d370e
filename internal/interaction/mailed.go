package interaction

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// continuePath is the dispatcher of mailed flows.
const continuePath = "continue"

// look shows what a mailed link does. It changes nothing: programs open every link of a mail (RS-04).
func (s *Surface) look(step flow.Linked) echo.HandlerFunc {
	return func(c *echo.Context) error { return s.linkPage(c, web.Realm(c), step, nil) }
}

func (s *Surface) linkPage(c *echo.Context, r realm.Realm, step flow.Linked, wrong *web.Message) error {
	page, err := step.Link(c.Request().Context(), r, c.Param("token"))
	if err != nil {
		return s.spent(c, r, step, err)
	}
	browser, err := s.browser(c, r)
	if err != nil {
		return err
	}
	token, err := s.Web.FormToken(r, string(browser), "link", step.Name(), c.Param("token"))
	if err != nil {
		return err
	}
	return s.Web.Page(c, r, web.Page{Template: page.Template, Title: web.Message(page.Title), Data: page.Fields, Token: token, Problem: wrong})
}

// follow spends a mailed link.
func (s *Surface) follow(step flow.Linked) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
		browser, err := s.browser(c, r)
		if err != nil {
			return err
		}
		err = web.CheckForm(c, r, string(browser), "link", step.Name(), c.Param("token"))
		switch {
		case errors.Is(err, web.ErrOldForm):
			return s.linkPage(c, r, step, &web.Message{Key: "form.old"})
		case err != nil:
			return err
		}
		in, err := s.input(c, r, &flow.State{})
		if err != nil {
			return err
		}
		ctx := c.Request().Context()
		load := func(tx string) (*flow.State, error) { return s.Engine.Load(ctx, r, tx, browser) }
		to, err := step.Follow(ctx, r, flow.Following{Token: c.Param("token"), Browser: browser, Input: in, Load: load})
		if err != nil {
			return s.spent(c, r, step, err)
		}
		if to.Cookie != "" {
			s.Web.SetCookie(c, r, string(to.Cookie), 0)
		}
		onward := ""
		if to.Tx != "" {
			onward = dispatch(r, to.Kind, to.Tx, c.QueryParam("ui_locales"))
		}
		if to.Page.Template == "" {
			return c.Redirect(http.StatusSeeOther, onward)
		}
		return s.done(c, r, to.Page, r.Name, cmp.Or(onward, r.Settings.StartURL))
	}
}

// spent says of a link that it was used, replaced or is too old, and where to get another one; whoever never had one
// learns nothing else.
func (s *Surface) spent(c *echo.Context, r realm.Realm, step flow.Linked, err error) error {
	if !errors.Is(err, realm.ErrUnknown) {
		return err
	}
	f := flow.DoneFields{Lead: "link.gone_lead", Label: "proceed.title", App: r.Name, URL: r.Settings.StartURL}
	if entry, ok := step.(flow.Alternative); ok && entry.InsteadOf("") {
		f.Lead, f.Label, f.URL = "link.expired", "link.again", r.Path()+"/"+step.Name()
	}
	return s.gone(c, r, f)
}

func (s *Surface) gone(c *echo.Context, r realm.Realm, f flow.DoneFields) error {
	return s.Web.Page(c, r, web.Page{Status: http.StatusGone, Template: "done", Title: web.Message{Key: "link.gone"}, Data: f})
}

// proceed sends the browser to the step of a mailed flow that is due, or says that all is done.
func (s *Surface) proceed(c *echo.Context) error {
	r := web.Realm(c)
	state, err := s.Engine.Load(c.Request().Context(), r, c.QueryParam("tx"), s.token(c, r))
	switch {
	case errors.Is(err, flow.ErrGone):
		return problem.New(problem.FlowUnknown).Because(err)
	case err != nil:
		return err
	case state.Kind != flow.KindMailed:
		return c.Redirect(http.StatusSeeOther, dispatcher(c, r, state))
	case state.Lapsed:
		return problem.New(problem.Gone)
	}
	if next := s.Engine.Next(state); next != nil {
		return c.Redirect(http.StatusSeeOther, flow.URL(r, next.Name(), state.Tx, c.QueryParam("ui_locales")))
	}
	onward := cmp.Or(state.Client.StartURL, r.Settings.StartURL)
	if state.Over {
		return s.gone(c, r, flow.DoneFields{Lead: "link.gone_lead", Label: "proceed.title", App: state.App(), URL: onward})
	}
	key := state.Notice
	if key == "" {
		key = "continue.done"
	}
	return s.done(c, r, flow.DonePage(key), state.App(), onward)
}

// done shows a page that ends a way, with where people go from there.
func (s *Surface) done(c *echo.Context, r realm.Realm, page flow.Page, app, onward string) error {
	if f, ok := page.Fields.(flow.DoneFields); ok {
		f.App, f.URL, f.Label = app, onward, "proceed.title"
		page.Fields = f
	}
	return s.Web.Page(c, r, web.Page{Template: page.Template, Title: web.Message(page.Title), Data: page.Fields})
}
