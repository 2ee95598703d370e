// Package recovery is the way back for somebody who forgot their password: a code or a link that is mailed to them, and
// then package newpassword.
//
// It answers known and unknown names alike, in words and in cost; the difference is in the mail. What was mailed lets
// its owner choose a password and nothing else: it signs nobody in.
package recovery

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step mails a code and a link, and waits for either.
type Step struct{ flow.Codes }

var (
	_ flow.Alternative = Step{}
	_ flow.Linked      = Step{}
)

// Name implements flow.Step.
func (Step) Name() string { return "recover" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.LoginRequired }

// InsteadOf implements flow.Alternative.
func (Step) InsteadOf(due string) bool { return due == "login" || due == "" }

// Pending implements flow.Step.
func (Step) Pending(s *flow.State) bool {
	return s.Redeemed == nil && s.Awaited != nil && s.Awaited.Purpose == challenge.Reset
}

// Fields are what the page shows before a mail was asked for.
type Fields struct {
	Identifier string
	// BackURL leads to where the person came from; "" when from nowhere.
	BackURL string
}

// Page implements flow.Step.
func (step Step) Page(_ context.Context, _ realm.Realm, s *flow.State) (flow.Page, error) {
	if step.Pending(s) {
		return step.Codes.Page(s, flow.CodeFields{}), nil
	}
	return page(s, s.Request.LoginHint), nil
}

func page(s *flow.State, typed string) flow.Page {
	f := Fields{Identifier: typed}
	if s.Kind == flow.KindAuthorize {
		f.BackURL = s.URL("login")
	}
	return flow.Page{Title: flow.Message{Key: "recover.title"}, Fields: f}
}

const maxIdentifier = 320

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	if step.Pending(s) {
		return step.Codes.Submit(ctx, r, s, in, step.Codes.Page(s, flow.CodeFields{}), func(tx realm.Tx, c challenge.Challenge) error {
			return flow.Redeem(ctx, tx, s, c)
		})
	}
	typed := in.Value("username")
	again := page(s, typed)
	if typed == "" {
		return flow.Outcome{Fields: map[string]flow.Message{"username": {Key: "login.identifier_required"}}, Page: again}, nil
	}
	name, err := user.Canonical(typed)
	if err != nil || len(typed) > maxIdentifier {
		// It cannot be anybody's, and saying so gives nothing away.
		return flow.Outcome{Fields: map[string]flow.Message{"username": {Key: "recover.impossible"}}, Page: again}, nil //nolint:nilerr // an outcome
	}
	who, err := user.FindContact(ctx, r, name.Canonical)
	if err != nil {
		return flow.Outcome{}, err
	}
	if wait, ok := step.Mailer.Allow(ctx, r, string(challenge.Reset), flow.Account(who.Counter, typed), in.Address); !ok {
		return flow.TooManyMails(again, wait), nil
	}
	n := challenge.New{Purpose: challenge.Reset, User: who.ID, Address: who.Email, Shown: name.Display, Tx: s.Tx}
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

// Link implements flow.Linked.
func (step Step) Link(ctx context.Context, r realm.Realm, token string) (flow.Page, error) {
	if _, err := challenge.Look(ctx, r, challenge.Reset, token, step.Now()); err != nil {
		return flow.Page{}, err
	}
	return flow.LinkPage("recover.link"), nil
}

// Follow implements flow.Linked.
func (step Step) Follow(ctx context.Context, r realm.Realm, f flow.Following) (to flow.Followed, err error) {
	now := step.Now()
	err = r.InTx(ctx, func(tx realm.Tx) error {
		c, err := flow.Spend(ctx, tx, challenge.Reset, f.Token, now)
		if err != nil {
			return err
		}
		to, err = flow.Land(ctx, tx, step.Mailer.Random, f.Browser, c, now)
		return err
	})
	return to, err
}
