package grant

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// RevokeByUser ends everything that a person authorized, what was given for offline access too, and returns how many
// authorizations that were. One event tells of all of them. Whoever ends the person's sessions as well does that first:
// an authorization that is being issued holds its session, so that this sees it.
func RevokeByUser(ctx context.Context, tx realm.Tx, user uuid.UUID, now time.Time) (int64, error) {
	clients, err := db.New().RevokeByUser(ctx, tx, db.RevokeByUserParams{UserID: user, Now: &now})
	if err != nil {
		return 0, fmt.Errorf("revoke the authorizations of a person: %w", err)
	}
	if len(clients) == 0 {
		return 0, nil
	}
	n := int64(len(clients))
	slices.Sort(clients)
	e := AllRevoked{Subject: event.Subject{User: user}, Grants: n, Clients: slices.Compact(clients)}
	return n, event.Record(ctx, tx, e, now)
}
