// Package selectaccount is the step that asks somebody who is signed in whether to go on with that account.
//
// A browser holds one session, so there are three answers: this account, another one, which package firstfactor then
// asks for, or out of this one first, for those who share the browser.
package selectaccount

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step asks for the account.
type Step struct{ Now func() time.Time }

var _ flow.Step = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "select-account" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.AccountSelection }

// Pending implements flow.Step: somebody is signed in since before this flow, and the application wants them to
// choose, or names somebody else by login_hint. Where a password is asked for anyway, the hint goes there.
func (Step) Pending(s *flow.State) bool {
	if s.Session == nil || s.User == nil || !s.User.Active || s.ProvedHere() || s.Chosen || s.Another {
		return false
	}
	if s.Request.Asks("select_account") {
		return true
	}
	return hintsAtAnother(s) && !s.Request.Asks("login") && !s.Request.Asks("create") && !s.Unexpected()
}

// hintsAtAnother tells whether login_hint is a name that somebody else could have. What nobody can have is no hint.
func hintsAtAnother(s *flow.State) bool {
	if s.Request.LoginHint == "" || s.User.Is(s.Request.LoginHint) {
		return false
	}
	_, err := user.Canonical(s.Request.LoginHint)
	return err == nil
}

// Fields are what the page shows.
type Fields struct {
	// Name is who is signed in, Handle what tells them apart from others of the name; Handle may be "".
	Name, Handle string
	// Hint is whom the application expects; "" when it does not say, or expects the same person.
	Hint string
}

// Page implements flow.Step.
func (Step) Page(_ context.Context, _ realm.Realm, s *flow.State) (flow.Page, error) {
	return page(s), nil
}

func page(s *flow.State) flow.Page {
	f := Fields{Name: s.User.Display(), Handle: s.User.Handle()}
	if hintsAtAnother(s) {
		f.Hint = s.Request.LoginHint
	}
	return flow.Page{Title: flow.Message{Key: "select.title", Params: map[string]any{"app": s.Client.Name}}, Fields: f}
}

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	switch in.Value("account") {
	case "this":
		return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error { return flow.ChooseSession(ctx, tx, s) })
	case "another":
		return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error { return flow.ChooseAnother(ctx, tx, s) })
	case "out":
		ctx = event.By(ctx, event.User, s.User.ID.String())
		return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error { return flow.SignOut(ctx, tx, s.Session.ID, s.Session.UserID, step.Now()) })
	}
	return flow.Outcome{Problem: &flow.Message{Key: "select.none"}, Page: page(s)}, nil
}
