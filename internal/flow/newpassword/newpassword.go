// Package newpassword is the step in which somebody chooses a password: after recovering their account, for the first
// time, or because they must.
//
// Who recovers an account or is invited shows by a mailed secret that it is theirs; their password is stored and they
// then sign in. Who must change theirs proves the one they have, unless they did so a moment ago.
package newpassword

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step asks for a new password.
type Step struct {
	flow.Chooser
	// Guard counts wrong current passwords together with those at sign-in.
	Guard  flow.Guard
	Now    func() time.Time
	Random io.Reader
}

var _ flow.Step = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "password" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.InteractionRequired }

// Pending implements flow.Step.
func (Step) Pending(s *flow.State) bool { return reason(s) != "" }

// reason is why a password is to be chosen, as the message keys "newpassword.REASON" say it; "" when none is.
func reason(s *flow.State) string {
	switch {
	case s.Redeemed != nil && s.Redeemed.Purpose == challenge.Reset:
		return "reset"
	case s.Redeemed != nil && s.Redeemed.Purpose == challenge.Invite:
		return "invite"
	case s.Redeemed != nil || s.User == nil || !s.User.Active || s.User.PasswordChangedAt == nil:
		return ""
	case s.User.MustChange != "":
		return s.User.MustChange
	case policy.Of(realm.Realm{Facts: s.Realm}).Expired(*s.User.PasswordChangedAt, s.Now):
		return "expired"
	}
	return ""
}

// Fields are what the page shows.
type Fields struct {
	flow.PasswordFields
	// Reason is the message key of why; "" where the title says it.
	Reason string
	// Username is for password managers: whose password it is.
	Username string
	// Current asks for the password that there is, Others whether to sign out elsewhere.
	Current, Others bool
}

// Page implements flow.Step.
func (step Step) Page(_ context.Context, r realm.Realm, s *flow.State) (flow.Page, error) {
	return step.page(r, s), nil
}

func (step Step) page(r realm.Realm, s *flow.State) flow.Page {
	f := Fields{PasswordFields: step.Fields(r), Username: who(s).Handle()}
	if f.Username == "" {
		f.Username = who(s).Display()
	}
	why := reason(s)
	title := "newpassword.title"
	switch why {
	case "reset":
	case "invite":
		title = "newpassword.title_first"
	default:
		f.Reason, f.Others, f.Current = "newpassword."+why, true, !s.ProvedHere()
		title = "newpassword.title_forced"
	}
	return flow.Page{Title: flow.Message{Key: title}, Fields: f}
}

func who(s *flow.State) *flow.User {
	if s.Redeemed != nil {
		return &s.Redeemed.User
	}
	return s.User
}

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	again, whose := step.page(r, s), who(s)
	if s.Redeemed == nil && !s.ProvedHere() {
		out, err := step.prove(ctx, r, s, in, again)
		if err != nil || !out.Done() {
			return out, err
		}
	}
	plain := in.Value("new-password")
	names := append(slices.Clone(whose.Names), whose.Claims.Name, whose.Claims.GivenName, whose.Claims.FamilyName)
	if fault, err := step.Check(ctx, r, plain, names...); err != nil || fault != nil {
		return faulty(fault, again), err
	}
	if fault, err := step.Used(ctx, r, whose.ID, plain); err != nil || fault != nil {
		return faulty(fault, again), err
	}
	hash, err := step.Hash(ctx, plain)
	if err != nil {
		return flow.Outcome{}, err
	}
	ctx = event.By(ctx, event.User, whose.ID.String())
	if s.Redeemed != nil {
		if err := r.InTx(ctx, func(tx realm.Tx) error { return step.recover(ctx, tx, s, hash) }); err != nil {
			return flow.Outcome{}, err
		}
		return flow.Outcome{}, step.Guard.Recovered(ctx, r, whose.Counter, in.Address)
	}
	cookie, err := session.NewToken(step.Random)
	if err != nil {
		return flow.Outcome{}, err
	}
	err = r.InTx(ctx, func(tx realm.Tx) error { return step.change(ctx, tx, s, hash, cookie, !in.Checked("others")) })
	return flow.Outcome{Cookie: cookie}, err
}

func faulty(fault *flow.Message, again flow.Page) flow.Outcome {
	if fault == nil {
		return flow.Outcome{}
	}
	return flow.Outcome{Fields: map[string]flow.Message{"new-password": *fault}, Page: again}
}

// recover stores the password of somebody who showed a mailed secret back, and ends everything (RS-05). They sign in
// next.
func (step Step) recover(ctx context.Context, tx realm.Tx, s *flow.State, hash string) error {
	notice := "newpassword.done_reset"
	if s.Redeemed.Purpose == challenge.Invite {
		notice = "newpassword.done_first"
	}
	if err := hold(ctx, tx, s.Redeemed.User.ID); err != nil {
		return err
	}
	if err := flow.Used(ctx, tx, s, notice); err != nil {
		return err
	}
	_, err := lifecycle.SetPassword(ctx, tx, lifecycle.NewPassword{
		User: s.Redeemed.User.ID, Hash: hash, First: s.Redeemed.User.PasswordChangedAt == nil,
	}, step.Now())
	return err
}

// hold keeps the person as they are until the password is stored. Whoever was disabled or deleted since the flow was
// read chooses none (AZ-15).
func hold(ctx context.Context, tx realm.Tx, id uuid.UUID) error {
	status, err := user.Hold(ctx, tx, id)
	if errors.Is(err, realm.ErrUnknown) || (err == nil && status != user.Active) {
		return flow.ErrGone
	}
	return err
}

// change stores the password of somebody who is signed in or about to be. Knowing the one before, and having chosen
// this one, is a new proof: older ones may have been made with what was just replaced.
func (step Step) change(ctx context.Context, tx realm.Tx, s *flow.State, hash string, cookie session.Token, keepOthers bool) error {
	if err := hold(ctx, tx, s.User.ID); err != nil {
		return err
	}
	now := step.Now()
	n := lifecycle.NewPassword{User: s.User.ID, Hash: hash, KeepOthers: keepOthers}
	if s.Session != nil && s.Session.UserID == s.User.ID {
		n.Except = s.Session.ID
	}
	if _, err := lifecycle.SetPassword(ctx, tx, n, now); err != nil {
		return err
	}
	return flow.Authenticate(ctx, tx, s, flow.Proof{
		User: s.User.ID, AMR: s.Authenticated.AMR, Persistent: s.Authenticated.Persistent, Cookie: cookie,
	}, now)
}

// prove compares what was typed with the password that there is (PW-07).
func (step Step) prove(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input, again flow.Page) (flow.Outcome, error) {
	plain := in.Value("password")
	if plain == "" {
		return flow.Outcome{Fields: map[string]flow.Message{"password": {Key: "login.password_required"}}, Page: again}, nil
	}
	attempt, wait, err := step.Guard.Password(ctx, r, s.User.Counter, in.Address)
	if err != nil {
		return flow.Outcome{}, err
	}
	if wait > 0 {
		return flow.TryLater(again, wait), nil
	}
	right, err := step.matches(ctx, r, s.User.ID, plain)
	switch {
	case err != nil:
		return flow.Outcome{}, errors.Join(err, attempt.Withdraw(ctx))
	case right:
		return flow.Outcome{}, attempt.Succeeded(ctx)
	}
	attempt.Failed()
	err = r.InTx(ctx, func(tx realm.Tx) error {
		about := event.Subject{User: s.User.ID, Client: s.Client.ClientID}
		return event.Record(ctx, tx, password.Refused{Subject: about, Reason: "wrong"}, step.Now())
	})
	return flow.Outcome{Fields: map[string]flow.Message{"password": {Key: "newpassword.wrong_current"}}, Page: again}, err
}

func (step Step) matches(ctx context.Context, r realm.Realm, id uuid.UUID, plain string) (bool, error) {
	stored, err := password.Stored(ctx, r, id)
	if err != nil || stored == "" {
		return false, err
	}
	result, err := step.Hasher.Verify(ctx, stored, plain)
	if errors.Is(err, password.ErrTooLong) || errors.Is(err, password.ErrNotText) {
		return false, nil
	}
	return result.OK, flow.Busy(err, "verify a password")
}
