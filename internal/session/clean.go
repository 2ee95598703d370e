package session

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session/internal/db"
)

// kept is how long a session's row outlives its absolute end, for people who look at where they were signed in.
const kept = 30 * 24 * time.Hour

// Clean deletes at most that many sessions that ended a month ago, and says how many there were. The caller's
// transaction records it.
func Clean(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	n, err := db.New().DeleteEnded(ctx, tx, db.DeleteEndedParams{Before: now.Add(-kept), Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete ended sessions: %w", err)
	}
	return n, nil
}
