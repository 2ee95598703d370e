// Package emailcode is another way to sign in: by a code, or by a link, that is mailed to the person.
//
// A realm switches it on (settings.sign_in.email_code). The code is for the window that asked for it, and the link for
// its browser: whoever has a link sent to somebody must not be let in by their following it.
package emailcode

import (
	"context"
	"errors"
	"io"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step mails a code and waits for it.
type Step struct {
	flow.Codes
	Users  *user.Store
	Random io.Reader
}

var (
	_ flow.Alternative = Step{}
	_ flow.Linked      = Step{}
)

// Name implements flow.Step.
func (Step) Name() string { return "email-code" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.LoginRequired }

// InsteadOf implements flow.Alternative.
func (Step) InsteadOf(due string) bool { return due == "login" }

// Pending implements flow.Step.
func (Step) Pending(s *flow.State) bool {
	return s.Redeemed == nil && s.Awaited != nil && s.Awaited.Purpose == challenge.SignIn
}

// Fields are what the page shows before a mail was asked for.
type Fields struct{ Identifier, BackURL string }

// Page implements flow.Step.
func (step Step) Page(_ context.Context, r realm.Realm, s *flow.State) (flow.Page, error) {
	if !r.Settings.SignIn.EmailCode {
		return flow.Page{}, problem.New(problem.NotFound)
	}
	if step.Pending(s) {
		return step.Codes.Page(s, flow.CodeFields{}), nil
	}
	return page(s, s.Request.LoginHint), nil
}

func page(s *flow.State, typed string) flow.Page {
	return flow.Page{Title: flow.Message{Key: "emailcode.title"}, Fields: Fields{typed, s.URL("login")}}
}

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	if !r.Settings.SignIn.EmailCode {
		return flow.Outcome{}, problem.New(problem.Forbidden) // LG-12
	}
	if !step.Pending(s) {
		return step.send(ctx, r, s, in)
	}
	cookie, err := session.NewToken(step.Random)
	if err != nil {
		return flow.Outcome{}, err
	}
	proved := false
	out, err := step.Codes.Submit(ctx, r, s, in, step.Codes.Page(s, flow.CodeFields{}), func(tx realm.Tx, c challenge.Challenge) error {
		proved = true
		return step.signIn(ctx, tx, s, c, cookie)
	})
	if proved && err == nil {
		out.Cookie = cookie
	}
	return out, err
}

// signIn notes the proof. What was mailed proves the address as well.
func (step Step) signIn(ctx context.Context, tx realm.Tx, s *flow.State, c challenge.Challenge, cookie session.Token) error {
	ctx = event.By(ctx, event.User, c.User.String())
	if _, err := step.Users.ConfirmEmail(ctx, tx, c.User, c.Address, step.Now()); err != nil {
		return err
	}
	return flow.Authenticate(ctx, tx, s, flow.Proof{User: c.User, AMR: []string{"otp"}, Cookie: cookie}, s.Now)
}

// Link implements flow.Linked.
func (step Step) Link(ctx context.Context, r realm.Realm, token string) (flow.Page, error) {
	if !r.Settings.SignIn.EmailCode {
		return flow.Page{}, realm.ErrUnknown
	}
	if _, err := challenge.Look(ctx, r, challenge.SignIn, token, step.Now()); err != nil {
		return flow.Page{}, err
	}
	return flow.LinkPage("emailcode.link"), nil
}

// Follow implements flow.Linked. In another browser than the one that asked, the link stays unspent.
func (step Step) Follow(ctx context.Context, r realm.Realm, f flow.Following) (flow.Followed, error) {
	if !r.Settings.SignIn.EmailCode {
		return flow.Followed{}, realm.ErrUnknown
	}
	c, err := challenge.Look(ctx, r, challenge.SignIn, f.Token, step.Now())
	if err != nil {
		return flow.Followed{}, err
	}
	s, err := f.Load(c.Tx)
	if errors.Is(err, flow.ErrGone) || (err == nil && !step.Pending(s)) {
		return flow.Followed{Page: flow.DonePage("emailcode.elsewhere")}, nil
	}
	if err != nil {
		return flow.Followed{}, err
	}
	cookie, err := session.NewToken(step.Random)
	if err != nil {
		return flow.Followed{}, err
	}
	err = r.InTx(ctx, func(tx realm.Tx) error {
		if err := flow.Hold(ctx, tx, s, ""); err != nil {
			return err
		}
		c, err := challenge.Redeem(ctx, tx, challenge.SignIn, f.Token, step.Now())
		if err != nil {
			return err
		}
		return step.signIn(ctx, tx, s, c, cookie)
	})
	if errors.Is(err, flow.ErrGone) { // the browser signed in in between, by the code
		return flow.Followed{Page: flow.DonePage("emailcode.elsewhere")}, nil
	}
	if err != nil {
		return flow.Followed{}, err
	}
	return flow.Followed{Tx: s.Tx, Kind: s.Kind, Page: flow.DonePage("emailcode.done"), Cookie: cookie}, nil
}

const maxIdentifier = 320

func (step Step) send(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	typed := in.Value("username")
	again := page(s, typed)
	name, err := user.Canonical(typed)
	if err != nil || len(typed) > maxIdentifier {
		return flow.Outcome{Fields: map[string]flow.Message{"username": {Key: "recover.impossible"}}, Page: again}, nil //nolint:nilerr // an outcome
	}
	who, err := user.FindContact(ctx, r, name.Canonical)
	if err != nil {
		return flow.Outcome{}, err
	}
	if wait, ok := step.Mailer.Allow(ctx, r, string(challenge.SignIn), flow.Account(who.Counter, typed), in.Address); !ok {
		return flow.TooManyMails(again, wait), nil
	}
	n := challenge.New{Purpose: challenge.SignIn, User: who.ID, Address: who.Email, Shown: name.Display, Tx: s.Tx}
	if !who.Reachable() {
		n.Address, n.Decoy = name.Display, true
	}
	return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error {
		if err := flow.Hold(ctx, tx, s, ""); err != nil {
			return err
		}
		_, err := step.Mailer.Send(ctx, tx, n, challenge.Letter{Locale: in.Locale, App: s.Client.Name}, step.Now())
		return err
	})
}
