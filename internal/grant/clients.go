package grant

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// RevokeByClient ends everything that a person authorized a client to do, and returns how many authorizations that
// were. The caller's transaction records why.
func RevokeByClient(ctx context.Context, tx realm.Tx, user uuid.UUID, clientID string, now time.Time) (int64, error) {
	n, err := db.New().RevokeByUserAndClient(ctx, tx, db.RevokeByUserAndClientParams{UserID: user, ClientID: clientID, Now: &now})
	if err != nil {
		return 0, fmt.Errorf("revoke the authorizations of a client: %w", err)
	}
	return n, nil
}
