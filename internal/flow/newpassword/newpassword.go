// Package newpassword is the step in which somebody chooses a password: after recovering their account, for the first
// time, or because they must.
//
// Who recovers an account or is invited shows by a mailed secret that it is theirs; their password is stored and they
// then sign in. Who must change theirs proves the one they have, unless they did so a moment ago.
package newpassword

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step asks for a new password.
type Step struct {
	flow.Chooser
	Users *user.Store
	// Failures counts wrong current passwords together with those at sign-in.
	Failures *limit.Failures
	Now      func() time.Time
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
	case flow.On(s.Realm.Flags.ForcePasswordRotation) && tooOld(s):
		return "expired"
	}
	return ""
}

// rotation is how long a password lasts where people must change it from time to time.
const rotation = 90 * 24 * time.Hour

func tooOld(s *flow.State) bool { return s.Now.Sub(*s.User.PasswordChangedAt) >= rotation }

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
	f := Fields{PasswordFields: step.Chooser.Fields(r), Username: who(s).Handle()}
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
	if fault, err := step.same(ctx, r, s, plain); err != nil || fault != nil {
		return faulty(fault, again), err
	}
	about := flow.Words(append(whose.Names, whose.Claims.Name, whose.Claims.GivenName, whose.Claims.FamilyName)...)
	if fault, err := step.Check(ctx, r, plain, about); err != nil || fault != nil {
		return faulty(fault, again), err
	}
	hash, err := step.Hash(ctx, plain)
	if err != nil {
		return flow.Outcome{}, err
	}
	ctx = event.By(ctx, event.User, whose.ID.String())
	return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error { return step.store(ctx, tx, s, hash, in) })
}

func faulty(fault *flow.Message, again flow.Page) flow.Outcome {
	if fault == nil {
		return flow.Outcome{}
	}
	return flow.Outcome{Fields: map[string]flow.Message{"new-password": *fault}, Page: again}
}

// store keeps the password and ends what the old one opened. A recovery ends everything, always (RS-05).
func (step Step) store(ctx context.Context, tx realm.Tx, s *flow.State, hash string, in flow.Input) error {
	now := step.Now()
	if s.Redeemed == nil {
		n := lifecycle.NewPassword{User: s.User.ID, Hash: hash, KeepOthers: !in.Checked("others")}
		if s.Session != nil && s.Session.UserID == s.User.ID {
			n.Except = s.Session.ID
		}
		return lifecycle.SetPassword(ctx, tx, step.Users, n, now)
	}
	notice := "newpassword.done_reset"
	if s.Redeemed.Purpose == challenge.Invite {
		notice = "newpassword.done_first"
	}
	if err := flow.Used(ctx, tx, s, notice); err != nil {
		return err
	}
	return lifecycle.SetPassword(ctx, tx, step.Users, lifecycle.NewPassword{
		User: s.Redeemed.User.ID, Hash: hash, First: s.Redeemed.User.PasswordChangedAt == nil,
	}, now)
}

// prove compares what was typed with the password that there is (PW-07).
func (step Step) prove(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input, again flow.Page) (flow.Outcome, error) {
	plain := in.Value("password")
	if plain == "" {
		return flow.Outcome{Fields: map[string]flow.Message{"password": {Key: "login.password_required"}}, Page: again}, nil
	}
	account, from := s.User.ID.String(), limit.Prefix(in.Address)
	attempt, wait, ok := step.Failures.Await(ctx, limit.Account(r.LimitKey("password", "account", account)),
		limit.Address(r.LimitKey("password", "address", from)), limit.Pair(r.LimitKey("password", "pair", account, from)))
	if !ok {
		return flow.TryLater(again, wait), nil
	}
	right, err := step.matches(ctx, r, s.User.ID, plain)
	switch {
	case err != nil:
		attempt.Withdraw(ctx)
		return flow.Outcome{}, err
	case right:
		attempt.Succeeded(ctx)
		return flow.Outcome{}, nil
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

// same refuses the password that there is where it must be changed.
func (step Step) same(ctx context.Context, r realm.Realm, s *flow.State, plain string) (*flow.Message, error) {
	if plain == "" || s.Redeemed != nil {
		return nil, nil //nolint:nilnil // no fault of this kind
	}
	right, err := step.matches(ctx, r, s.User.ID, plain)
	if err != nil || !right {
		return nil, err
	}
	return &flow.Message{Key: "newpassword.same"}, nil
}
