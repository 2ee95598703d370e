package lifecycle

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// NewPassword is a password that a person chose.
type NewPassword struct {
	User uuid.UUID
	Hash string
	// Except is a session that stays; uuid.Nil when none does.
	Except uuid.UUID
	// KeepOthers leaves sessions and authorizations alone: the person is known, and does not suspect anybody.
	KeepOthers bool
	// First tells that there was none before, so that there is nothing to give notice of.
	First bool
}

// SetPassword stores a password that a person chose, ends what the old one opened (RS-05), lets links die that were
// mailed to recover the account, and gives notice. It signs nobody in.
func SetPassword(ctx context.Context, tx realm.Tx, users *user.Store, n NewPassword, now time.Time) error {
	u, err := users.ByID(ctx, tx, n.User)
	if err != nil {
		return err
	}
	if err := password.Set(ctx, tx, u.ID, n.Hash, now); err != nil {
		return err
	}
	if err := challenge.EndOf(ctx, tx, u.ID, challenge.Reset, now); err != nil {
		return err
	}
	if !n.KeepOthers {
		if _, err := session.EndAll(ctx, tx, u.ID, n.Except, "password", now); err != nil {
			return err
		}
		if _, err := grant.RevokeByUser(ctx, tx, u.ID, now); err != nil {
			return err
		}
	}
	email := u.Email()
	if n.First || email == nil {
		return nil
	}
	_, err = notify.Send(ctx, tx, notify.Message{
		Template: notify.PasswordChanged, User: u.ID, To: email.Display, Data: map[string]string{"recover": recoverURL(tx.In())},
	}, now)
	return err
}
