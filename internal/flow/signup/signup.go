// Package signup is the page on which somebody makes an account of their own.
//
// The account is made when its address is proved (package verifyemail), or right after the answer where the realm does
// not demand that; until then it waits, sealed, in the challenge that was mailed. An address that has an account is
// answered alike, in words and in cost: its owner gets a mail that says so (LG-08).
package signup

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step asks for what a new account needs.
type Step struct {
	flow.Chooser
	Mailer challenge.Mailer
	Now    func() time.Time
}

var _ flow.Alternative = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "signup" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.InteractionRequired }

// InsteadOf implements flow.Alternative.
func (Step) InsteadOf(due string) bool { return due == "login" || due == "" }

// Pending implements flow.Step: the application wants a new account made (Initiating User Registration via OpenID
// Connect 1.0 §4).
func (Step) Pending(s *flow.State) bool {
	return s.Request.Asks("create") && open(s) && !s.Elsewhere() && !s.ProvedHere() && !s.Another
}

func open(s *flow.State) bool { return flow.On(s.Realm.Flags.AllowAutoRegistration) }

// Fields are what the page shows.
type Fields struct {
	flow.PasswordFields
	Email  string
	Inputs []flow.ProfileInput
	// SignInURL leads to somebody's account; "" when from nowhere.
	SignInURL string
	// Closed tells that nobody may make an account here; Contact is whom to ask, "" when nobody is named.
	Closed  bool
	Contact string
}

// Page implements flow.Step.
func (step Step) Page(_ context.Context, r realm.Realm, s *flow.State) (flow.Page, error) {
	hint := ""
	if name, err := user.Canonical(s.Request.LoginHint); err == nil && name.Kind == user.KindEmail {
		hint = name.Display
	}
	return page(step.fields(r, s, hint)), nil
}

func (step Step) fields(r realm.Realm, s *flow.State, email string) Fields {
	f := Fields{PasswordFields: step.Fields(r), Email: email, Inputs: flow.ProfileInputs(s.Realm, user.Claims{}, false)}
	if s.Kind == flow.KindAuthorize {
		f.SignInURL = s.URL("login")
	}
	if !open(s) {
		f.Closed, f.Contact = true, r.Settings.Registration.Contact
	}
	return f
}

func page(f Fields) flow.Page {
	title := flow.Message{Key: "signup.title"}
	if f.Closed {
		title.Key = "signup.closed"
	}
	return flow.Page{Title: title, Fields: f}
}

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	if !open(s) {
		return flow.Outcome{}, problem.New(problem.Forbidden) // LG-12
	}
	email, wrong := step.email(r, in.Value("email"))
	inputs := flow.ProfileInputs(s.Realm, user.Claims{}, false)
	claims, wrongClaims := flow.ReadProfile(inputs, user.Claims{Locale: in.Locale}, in)
	maps.Copy(wrong, wrongClaims)
	fault, err := step.Check(ctx, r, in.Value("new-password"), email.Display, claims.Name, claims.GivenName, claims.FamilyName)
	if err != nil {
		return flow.Outcome{}, err
	}
	if fault != nil {
		wrong["new-password"] = *fault
	}
	again := step.again(r, s, in)
	if len(wrong) > 0 {
		return flow.Outcome{Fields: wrong, Page: again}, nil
	}
	return step.ask(ctx, r, s, in, email, claims, again)
}

// again is the page as the person left it, without the password.
func (step Step) again(r realm.Realm, s *flow.State, in flow.Input) flow.Page {
	f := step.fields(r, s, in.Value("email"))
	for i := range f.Inputs {
		f.Inputs[i].Value = in.Value(f.Inputs[i].Claim)
	}
	return page(f)
}

// email reads the address and says what is wrong with it.
func (Step) email(r realm.Realm, typed string) (user.Identifier, map[string]flow.Message) {
	wrong := map[string]flow.Message{}
	name, err := user.Canonical(typed)
	switch {
	case typed == "":
		wrong["email"] = flow.Message{Key: "login.email_required"}
	case err != nil || name.Kind != user.KindEmail:
		wrong["email"] = flow.Message{Key: "login.email_invalid"}
	case !r.Settings.Registration.Admits(name.Canonical[strings.LastIndexByte(name.Canonical, '@')+1:]):
		wrong["email"] = flow.Message{Key: "signup.domain"}
	}
	return name, wrong
}

// ask mails a challenge that carries the registration or, where the address has an account, a note to its owner. Both
// cost the same statements.
func (step Step) ask(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input, email user.Identifier, claims user.Claims, again flow.Page) (flow.Outcome, error) {
	owner, err := user.FindContact(ctx, r, email.Canonical)
	if err != nil {
		return flow.Outcome{}, err
	}
	if wait, ok := step.Mailer.Allow(ctx, r, challenge.Registration, flow.Account(owner.Counter, email.Display), in.Address); !ok {
		return flow.TooManyMails(again, wait), nil
	}
	hash, err := step.Hash(ctx, in.Value("new-password")) // for known addresses as well: it takes the longest
	if err != nil {
		return flow.Outcome{}, err
	}
	n := challenge.New{Purpose: challenge.Verify, Address: email.Display, Shown: email.Display, Tx: s.Tx, Registers: true}
	if n.Payload, err = (lifecycle.Registration{Hash: hash, Claims: claims}).Payload(); err != nil {
		return flow.Outcome{}, err
	}
	letter := challenge.Letter{Locale: in.Locale, App: s.Client.Name}
	if owner.ID != uuid.Nil {
		n.User, n.Address, n.Payload, n.Decoy, letter.Template = owner.ID, owner.Email, nil, true, notify.AlreadyRegistered
	}
	return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error {
		if err := flow.Hold(ctx, tx, s, ""); err != nil {
			return err
		}
		_, err := step.Mailer.Send(ctx, tx, n, letter, step.Now())
		return err
	})
}
