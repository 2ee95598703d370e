// Package lifecycle holds what must act on several domains in one transaction. Nothing else writes across domains.
//
// What happens to an account happens at once: the person is held first (user.Hold), then their sessions end, then what
// they authorized, and only then what it is about. Whoever is signing them in or issuing a code meanwhile either comes
// before and is seen, or waits and is refused. Acting twice changes nothing and records nothing.
//
// Everything here takes the transaction of its caller, so that a surface or a step can put more into it.
package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Result is what an act came to.
type Result struct {
	// Changed is false when the account was so before: nothing was done then.
	Changed bool
	// Sessions and Grants are how many of them ended.
	Sessions, Grants int64
}

// Disable ends everything that the person is signed in to, and what was mailed to let them in, and lets them sign in no
// more until Enable. reason is the
// administrator's own, for the log; "" when there is none. It is realm.ErrUnknown when there is no such person, as in
// all of these.
func Disable(ctx context.Context, tx realm.Tx, person uuid.UUID, reason string, now time.Time) (Result, error) {
	status, err := user.Hold(ctx, tx, person)
	if err != nil || status == user.Disabled {
		return Result{}, err
	}
	return shut(ctx, tx, person, user.Disabled, Disabled{Subject: event.Subject{User: person}, Reason: reason}, now)
}

// Enable lets a disabled person sign in again. What had ended stays ended. A locked account stays locked.
func Enable(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (Result, error) {
	return reopen(ctx, tx, person, user.Disabled, Enabled{Subject: event.Subject{User: person}}, now)
}

// Lock is Disable by the account's owner or on evidence of abuse. A disabled account stays disabled.
func Lock(ctx context.Context, tx realm.Tx, person uuid.UUID, reason string, now time.Time) (Result, error) {
	status, err := user.Hold(ctx, tx, person)
	if err != nil || status != user.Active {
		return Result{}, err
	}
	return shut(ctx, tx, person, user.Locked, Locked{Subject: event.Subject{User: person}, Reason: reason}, now)
}

// Unlock lets a locked person sign in again. A disabled account stays disabled.
func Unlock(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (Result, error) {
	return reopen(ctx, tx, person, user.Locked, Unlocked{Subject: event.Subject{User: person}}, now)
}

func shut(ctx context.Context, tx realm.Tx, person uuid.UUID, status string, e event.Event, now time.Time) (Result, error) {
	if err := user.SetStatus(ctx, tx, person, status); err != nil {
		return Result{}, err
	}
	done, err := signOut(ctx, tx, person, uuid.Nil, status, now)
	if err != nil {
		return Result{}, err
	}
	if err := challenge.Void(ctx, tx, person, now, challenge.Reset, challenge.Invite, challenge.SignIn); err != nil {
		return Result{}, err
	}
	done.Changed = true
	told := notify.Message{Template: notify.AccountDisabled, User: person}
	if status == user.Locked {
		told.Template = notify.AccountLocked
	}
	if err := tell(ctx, tx, person, told, now); err != nil {
		return Result{}, err
	}
	return done, event.Record(ctx, tx, e, now)
}

// tell mails a notice to the person, if they have an address.
func tell(ctx context.Context, tx realm.Tx, person uuid.UUID, m notify.Message, now time.Time) error {
	address, err := user.EmailOf(ctx, tx, person)
	if err != nil || address == "" {
		return err
	}
	m.To = address
	_, err = notify.Send(ctx, tx, m, now)
	return err
}

// DemandPasswordChange has the person choose another password at the next sign-in, and wherever they are signed in when
// an application asks next. Result.Changed is false for whoever has no password.
func DemandPasswordChange(ctx context.Context, tx realm.Tx, person uuid.UUID, reason password.Reason, now time.Time) (Result, error) {
	if _, err := user.Hold(ctx, tx, person); err != nil {
		return Result{}, err
	}
	changed, err := password.MustChange(ctx, tx, person, reason, now)
	return Result{Changed: changed}, err
}

func reopen(ctx context.Context, tx realm.Tx, person uuid.UUID, from string, e event.Event, now time.Time) (Result, error) {
	status, err := user.Hold(ctx, tx, person)
	if err != nil || status != from {
		return Result{}, err
	}
	if err := user.SetStatus(ctx, tx, person, user.Active); err != nil {
		return Result{}, err
	}
	return Result{Changed: true}, event.Record(ctx, tx, e, now)
}

// Unthrottle has the failed attempts of a person forgotten, and the mails that were sent to them, wherever they are
// counted. Whoever guesses begins anew as well, and no address is known as one that the person signs in from until they
// do. Result.Changed is always true.
func Unthrottle(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (Result, error) {
	if err := user.Forgive(ctx, tx, person); err != nil {
		return Result{}, err
	}
	return Result{Changed: true}, event.Record(ctx, tx, Unthrottled{Subject: event.Subject{User: person}}, now)
}

// EndSessions signs the person out of everything but one session (uuid.Nil: none stays), what they authorized for
// offline access included. Result.Changed tells whether anything ended.
func EndSessions(ctx context.Context, tx realm.Tx, person, except uuid.UUID, now time.Time) (Result, error) {
	if _, err := user.Hold(ctx, tx, person); err != nil {
		return Result{}, err
	}
	done, err := signOut(ctx, tx, person, except, "revoked", now)
	if err != nil {
		return Result{}, err
	}
	done.Changed = done.Sessions+done.Grants > 0
	return done, event.Record(ctx, tx, SignedOut{Subject: event.Subject{User: person}}, now)
}

// Delete ends everything of the person and deletes them with all that is theirs, in the log too; events keep the id
// alone. Their subject is never given again. Deleting somebody who is gone changes nothing.
func Delete(ctx context.Context, tx realm.Tx, person uuid.UUID, reason string, now time.Time) (Result, error) {
	if _, err := user.Hold(ctx, tx, person); err != nil {
		return Result{}, err
	}
	done, err := signOut(ctx, tx, person, uuid.Nil, "deleted", now)
	if err != nil {
		return Result{}, err
	}
	if err := challenge.Forget(ctx, tx, person); err != nil {
		return Result{}, err
	}
	if err := notify.Forget(ctx, tx, person); err != nil {
		return Result{}, err
	}
	// Of nobody: what is written to a person is deleted with them.
	if err := tell(ctx, tx, person, notify.Message{Template: notify.AccountDeleted}, now); err != nil {
		return Result{}, err
	}
	if err := user.Delete(ctx, tx, person); err != nil {
		return Result{}, err
	}
	if err := event.Record(ctx, tx, Deleted{Subject: event.Subject{User: person}, Reason: reason}, now); err != nil {
		return Result{}, err
	}
	done.Changed = true
	// Last, because every event of this transaction is about the person.
	return done, event.Erase(ctx, tx, person)
}

// signOut ends everything that a person who is held is signed in to, but one session. Sessions come first: see
// grant.RevokeByUser.
func signOut(ctx context.Context, tx realm.Tx, person, except uuid.UUID, reason string, now time.Time) (done Result, err error) {
	if err := user.SignOut(ctx, tx, person, now); err != nil {
		return Result{}, err
	}
	if done.Sessions, err = session.EndAll(ctx, tx, person, except, reason, now); err != nil {
		return Result{}, err
	}
	if done.Grants, err = grant.RevokeByUser(ctx, tx, person, now); err != nil {
		return Result{}, fmt.Errorf("end what a person authorized: %w", err)
	}
	return done, nil
}
