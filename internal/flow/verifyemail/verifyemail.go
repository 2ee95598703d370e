// Package verifyemail is the step in which somebody proves their e-mail address: of the account that they ask for
// (package signup), or of theirs where the realm lets nobody in without.
//
// The code is for the window that asked for it, the link for any browser. Where the link is followed elsewhere, the
// window that asked goes on by itself.
package verifyemail

import (
	"context"
	"errors"
	"io"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step mails a code and a link, and waits for either.
type Step struct {
	flow.Codes
	Users  *user.Store
	Random io.Reader
}

var _ flow.Linked = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "verify-email" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.InteractionRequired }

// Pending implements flow.Step.
func (Step) Pending(s *flow.State) bool {
	if awaits(s) && (registers(s) || s.Kind == flow.KindMailed) {
		return true
	}
	return s.Redeemed == nil && s.User != nil && s.User.Active && flow.On(s.Realm.Flags.RequireEmailVerification) && !s.User.EmailVerified
}

// registers tells whether whoever waits for a code is nobody yet: they asked for an account. That somebody is signed in
// in this browser, who wanted another account, is no answer to that.
func registers(s *flow.State) bool { return s.User == nil || s.Another || !s.ProvedHere() }

func awaits(s *flow.State) bool {
	return s.Redeemed == nil && s.Awaited != nil && s.Awaited.Purpose == challenge.Verify
}

// Fields are what the page shows before a mail was asked for.
type Fields struct {
	// Email is filled in.
	Email string
}

// Page implements flow.Step.
func (step Step) Page(_ context.Context, _ realm.Realm, s *flow.State) (flow.Page, error) {
	if awaits(s) {
		return step.codePage(s), nil
	}
	return page(s.User.Email), nil
}

func page(address string) flow.Page {
	return flow.Page{Title: flow.Message{Key: "verify.title"}, Fields: Fields{Email: address}}
}

func (step Step) codePage(s *flow.State) flow.Page {
	f := flow.CodeFields{CheckURL: s.URL(dispatcher(s))}
	if registers(s) && s.Kind == flow.KindAuthorize && !flow.On(s.Realm.Flags.RequireEmailVerification) {
		f.SkipURL = s.URL("login")
	}
	return step.Codes.Page(s, f)
}

func dispatcher(s *flow.State) string {
	if s.Kind == flow.KindMailed {
		return "continue"
	}
	return "authorize"
}

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	if !awaits(s) {
		return step.send(ctx, r, s, in)
	}
	cookie, err := session.NewToken(step.Random)
	if err != nil {
		return flow.Outcome{}, err
	}
	again, signedIn := step.codePage(s), false
	out, err := step.Codes.Submit(ctx, r, s, in, again, func(tx realm.Tx, c challenge.Challenge) error {
		proved, err := lifecycle.Prove(event.By(ctx, event.User, c.User.String()), tx, step.Users, c, step.Now())
		if err != nil {
			return err
		}
		if s.Kind == flow.KindMailed {
			return flow.Hold(ctx, tx, s, "verify.done")
		}
		if proved.Registered.IsZero() || (s.User != nil && s.User.ID == proved.User) {
			return nil
		}
		// The password of the new account was typed in this flow.
		signedIn = true
		return flow.Authenticate(ctx, tx, s, flow.Proof{User: proved.User, AMR: []string{"pwd"}, At: proved.Registered, Cookie: cookie}, s.Now)
	})
	if errors.Is(err, user.ErrTaken) {
		return flow.Outcome{Problem: &flow.Message{Key: "verify.taken"}, Page: again}, nil
	}
	if signedIn && err == nil {
		out.Cookie = cookie
	}
	return out, err
}

// send mails to the person's address, or to another one that they give instead. Their own stays until the other one is
// proved (ID-05).
func (step Step) send(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	typed := in.Value("email")
	again := page(typed)
	name, err := user.Canonical(typed)
	if err != nil || name.Kind != user.KindEmail {
		return flow.Outcome{Fields: map[string]flow.Message{"email": {Key: "login.email_invalid"}}, Page: again}, nil //nolint:nilerr // an outcome
	}
	owner, err := user.FindContact(ctx, r, name.Canonical)
	if err != nil {
		return flow.Outcome{}, err
	}
	if wait, ok := step.Mailer.Allow(ctx, r, string(challenge.Verify), flow.Account(owner.Counter, typed), in.Address); !ok {
		return flow.TooManyMails(again, wait), nil
	}
	n := challenge.New{Purpose: challenge.Verify, User: s.User.ID, Address: name.Display, Shown: name.Display, Tx: s.Tx}
	letter := challenge.Letter{Locale: in.Locale, App: s.Client.Name}
	if owner.ID != uuid.Nil && owner.ID != s.User.ID {
		// Somebody else's: they are told, and this page looks as ever.
		n.User, n.Address, n.Decoy, letter.Template = owner.ID, owner.Email, true, notify.AlreadyRegistered
	}
	return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error {
		if err := flow.Hold(ctx, tx, s, ""); err != nil {
			return err
		}
		_, err := step.Mailer.Send(ctx, tx, n, letter, step.Now())
		return err
	})
}

// Link implements flow.Linked.
func (step Step) Link(ctx context.Context, r realm.Realm, token string) (flow.Page, error) {
	c, err := challenge.Look(ctx, r, challenge.Verify, token, step.Now())
	if err != nil {
		return flow.Page{}, err
	}
	p := flow.LinkPage("verify.link")
	p.Fields = flow.LinkFields{Lead: "verify.link.lead", Submit: "verify.link.submit", Address: user.Mask(c.Address)}
	return p, nil
}

// Follow implements flow.Linked.
func (step Step) Follow(ctx context.Context, r realm.Realm, f flow.Following) (to flow.Followed, err error) {
	now := step.Now()
	err = r.InTx(ctx, func(tx realm.Tx) error {
		c, err := flow.Spend(ctx, tx, challenge.Verify, f.Token, now)
		if err != nil {
			return err
		}
		proved, err := lifecycle.Prove(event.By(ctx, event.User, c.User.String()), tx, step.Users, c, now)
		if err != nil {
			return err
		}
		if !proved.Registered.IsZero() && c.Tx != "" {
			if err := flow.ProvedElsewhere(ctx, tx, c.Tx, proved.User, proved.Registered, now); err != nil {
				return err
			}
		}
		to, err = flow.Home(ctx, tx, f.Browser, c, now)
		return err
	})
	if errors.Is(err, user.ErrTaken) {
		return flow.Followed{Page: flow.DonePage("verify.taken_page")}, nil
	}
	// Not on by itself: a form may not lead to another site than the one that its page named.
	to.Page = flow.DonePage("verify.done")
	return to, err
}
