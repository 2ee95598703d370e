package user

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user/internal/db"
)

// Hold returns the person's status and keeps sessions and authorizations of theirs from beginning until the transaction
// ends; realm.ErrUnknown when there is no such person. Whoever ends everything of somebody holds them first.
func Hold(ctx context.Context, tx realm.Tx, id uuid.UUID) (status string, err error) {
	if status, err = db.New().HoldStatus(ctx, tx, id); err != nil {
		return "", unknown(err, "hold a user")
	}
	return status, nil
}

// SetStatus writes the status of a person who is held. The caller's transaction records why.
func SetStatus(ctx context.Context, tx realm.Tx, id uuid.UUID, status string) error {
	if err := db.New().SetStatus(ctx, tx, db.SetStatusParams{ID: id, Status: status}); err != nil {
		return fmt.Errorf("set a user's status: %w", err)
	}
	return nil
}

// Forgive has the failed attempts and the mails of a person counted anew, in every process at once; realm.ErrUnknown when
// there is no such person. The caller's transaction records it.
func Forgive(ctx context.Context, tx realm.Tx, id uuid.UUID) error {
	n, err := db.New().Forgive(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("forget a user's attempts: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("user: %w", realm.ErrUnknown)
	}
	return nil
}

// SignOut makes proofs of identity from before now count no more, those too that no session was made of yet. The
// caller's transaction records why.
func SignOut(ctx context.Context, tx realm.Tx, id uuid.UUID, now time.Time) error {
	if err := db.New().SignOut(ctx, tx, db.SignOutParams{ID: id, Now: &now}); err != nil {
		return fmt.Errorf("sign a user out: %w", err)
	}
	return nil
}

// MaySignIn tells whether a proof of identity of that moment may become a session. It waits for whoever holds the person,
// and whoever holds them next sees what comes of it.
func MaySignIn(ctx context.Context, tx realm.Tx, id uuid.UUID, provedAt time.Time) (bool, error) {
	may, err := db.New().MaySignIn(ctx, tx, db.MaySignInParams{ID: id, ProvedAt: &provedAt})
	if postgres.NoRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether a user may sign in: %w", err)
	}
	return may, nil
}

// Delete deletes a person with all that is theirs in tables of this realm. Their subject is never given again. The
// caller's transaction records it.
func Delete(ctx context.Context, tx realm.Tx, id uuid.UUID) error {
	if err := db.New().DeleteUser(ctx, tx, id); err != nil {
		return fmt.Errorf("delete a user: %w", err)
	}
	return nil
}
