package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/notify/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

const (
	// keep is how long deliveries can be looked at.
	keep = 30 * 24 * time.Hour
	// abandoned is how long after its time a message is left to the worker that has it.
	abandoned = 10 * time.Minute
)

// Clean deletes at most that many deliveries of more than thirty days ago and says how many there were. It also ends as
// many whose time ran out while no worker took them, so that no code or link outlives its message.
func Clean(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	expired, err := db.New().ExpireDeliveries(ctx, tx, db.ExpireDeliveriesParams{Now: now, Before: now.Add(-abandoned), Most: most})
	if err != nil {
		return 0, fmt.Errorf("end expired deliveries: %w", err)
	}
	for _, e := range expired {
		if err := event.Record(ctx, tx, givenUp(e.ID, e.UserID, Template(e.Template), e.Failure, e.Attempts), now); err != nil {
			return 0, err
		}
	}
	deleted, err := db.New().DeleteDeliveries(ctx, tx, db.DeleteDeliveriesParams{Before: now.Add(-keep), Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete old deliveries: %w", err)
	}
	return max(deleted, int64(len(expired))), nil
}

func givenUp(id uuid.UUID, user *uuid.UUID, t Template, reason string, attempts int32) GivenUp {
	e := GivenUp{Subject: event.Subject{Object: id.String()}, Template: string(t), Reason: reason, Attempts: attempts}
	if user != nil {
		e.User = *user
	}
	if e.Reason == "" {
		e.Reason = Expired
	}
	return e
}
