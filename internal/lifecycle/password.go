package lifecycle

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// NewPassword is a password to be set.
type NewPassword struct {
	User uuid.UUID
	// Hash is of password.Hasher.
	Hash string
	// Except is a session that stays; uuid.Nil when none does.
	Except uuid.UUID
	// KeepOthers leaves sessions and authorizations alone: the person is known, and does not suspect anybody.
	KeepOthers bool
	// First tells that there was none before, so that there is nothing to give notice of.
	First bool
	// Expires makes it a one-time password: it works until then, and must be changed at the first sign-in. Zero for one
	// that stays.
	Expires time.Time
}

// SetPassword stores a password, signs the person out of everything that the old one may have opened (RS-05), lets the
// links die that were mailed to set one, and gives notice. It signs nobody in.
func SetPassword(ctx context.Context, tx realm.Tx, n NewPassword, now time.Time) (done Result, err error) {
	if _, err := user.Hold(ctx, tx, n.User); err != nil {
		return Result{}, err
	}
	if n.Expires.IsZero() {
		err = password.Set(ctx, tx, n.User, n.Hash, now)
	} else {
		err = password.SetTemporary(ctx, tx, n.User, n.Hash, n.Expires, now)
	}
	if err != nil {
		return Result{}, err
	}
	if err := endLinks(ctx, tx, n.User, now); err != nil {
		return Result{}, err
	}
	if !n.KeepOthers {
		if done, err = signOut(ctx, tx, n.User, n.Except, "password_reset", now); err != nil {
			return Result{}, err
		}
	}
	done.Changed = true
	if n.First {
		return done, nil
	}
	told := notify.Message{Template: notify.PasswordChanged, User: n.User, Data: map[string]string{"recover": recoverURL(tx.In())}}
	return done, tell(ctx, tx, n.User, told, now)
}

// endLinks lets die what was mailed to set the person's password, followed or not.
func endLinks(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) error {
	return challenge.Void(ctx, tx, person, now, challenge.Reset, challenge.Invite)
}
