package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// UnknownUserError says that a name means nobody in the realm.
type UnknownUserError struct{ Realm, Name string }

// Error implements error.
func (e *UnknownUserError) Error() string {
	return fmt.Sprintf("nobody in realm %s is called %q", e.Realm, e.Name)
}

// UserList returns a page of a realm's people.
func UserList(ctx context.Context, p Process, slug string, q user.Query) (page user.Page, err error) {
	err = withRealm(ctx, p, slug, func(ctx context.Context, _ *System, r realm.Realm) error {
		page, err = user.List(ctx, r, q)
		return err
	})
	return page, err
}

// UserDetails is a person as an administrator sees them.
type UserDetails struct {
	user.User
	// Password is nil when the person has none.
	Password *password.Kept
	// SignedInAt is when they last signed in, zero when never. Refused is how many sign-ins were refused since, at most
	// MostRefused.
	SignedInAt   time.Time
	Refused      int64
	Sessions     []session.Live
	Applications []grant.Access
}

// MostRefused bounds what UserShow counts.
const MostRefused = 1000

// UserShow returns the person whom a name means.
func UserShow(ctx context.Context, p Process, slug, name string) (d UserDetails, err error) {
	err = withUser(ctx, p, slug, name, func(ctx context.Context, s *System, r realm.Realm, u user.User) error {
		d.User = u
		if d.Password, err = s.Hasher.Kept(ctx, r, u.ID); err != nil {
			return err
		}
		signedIn, err := event.Latest(ctx, r, u.ID, session.Started{}.Type(), session.Renewed{}.Type())
		if err != nil {
			return err
		}
		d.SignedInAt = signedIn.At
		if d.Refused, err = event.CountAfter(ctx, r, u.ID, password.Refused{}.Type(), signedIn, MostRefused); err != nil {
			return err
		}
		if d.Sessions, err = session.ByUser(ctx, r, u.ID, s.now()); err != nil {
			return err
		}
		d.Applications, err = grant.ByUser(ctx, r, u.ID, s.now())
		return err
	})
	return d, err
}

// UserAct is what an administrator does to an account.
type UserAct string

// The acts.
const (
	DisableUser UserAct = "disable"
	EnableUser  UserAct = "enable"
	LockUser    UserAct = "lock"
	UnlockUser  UserAct = "unlock"
	DeleteUser  UserAct = "delete"
	SignOutUser UserAct = "sign out"
	// UnthrottleUser has failed attempts forgotten.
	UnthrottleUser UserAct = "unthrottle"
	// DemandPassword takes a password.Reason as its reason.
	DemandPassword UserAct = "demand another password"
)

// UserDo acts on the person whom a name means. reason is for the log; enabling, unlocking, signing out and unthrottling take none.
func UserDo(ctx context.Context, p Process, slug, name string, act UserAct, reason string) (done lifecycle.Result, err error) {
	err = withUser(ctx, p, slug, name, func(ctx context.Context, s *System, r realm.Realm, u user.User) error {
		return r.InTx(ctx, func(tx realm.Tx) error {
			done, err = s.act(ctx, tx, u.ID, act, reason)
			return err
		})
	})
	return done, err
}

func (s *System) act(ctx context.Context, tx realm.Tx, person uuid.UUID, act UserAct, reason string) (lifecycle.Result, error) {
	now := s.now()
	switch act {
	case DisableUser:
		return lifecycle.Disable(ctx, tx, person, reason, now)
	case EnableUser:
		return lifecycle.Enable(ctx, tx, person, now)
	case LockUser:
		return lifecycle.Lock(ctx, tx, person, reason, now)
	case UnlockUser:
		return lifecycle.Unlock(ctx, tx, person, now)
	case DeleteUser:
		return lifecycle.Delete(ctx, tx, person, reason, now)
	case SignOutUser:
		return lifecycle.EndSessions(ctx, tx, person, uuid.Nil, now)
	case UnthrottleUser:
		return lifecycle.Unthrottle(ctx, tx, person, now)
	case DemandPassword:
		return lifecycle.DemandPasswordChange(ctx, tx, person, password.Reason(reason), now)
	}
	return lifecycle.Result{}, fmt.Errorf("there is no act %q", act)
}

// withUser does something about the person whom a name means: what they sign in with, in any spelling, or their subject.
func withUser(ctx context.Context, p Process, slug, name string, do func(context.Context, *System, realm.Realm, user.User) error) error {
	return withRealm(ctx, p, slug, func(ctx context.Context, s *System, r realm.Realm) error {
		u, err := user.Find(ctx, r, name)
		if err == nil {
			err = do(ctx, s, r, u)
		}
		if errors.Is(err, realm.ErrUnknown) { // never there, or deleted in between
			return &UnknownUserError{Realm: slug, Name: name}
		}
		return err
	})
}
