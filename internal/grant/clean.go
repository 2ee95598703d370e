package grant

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// kept is how long rows outlive their end, so that what comes late is still told from what never was.
const kept = 24 * time.Hour

// Clean deletes at most that many authorizations that have ended, and says how many there were. The caller's
// transaction records it.
func Clean(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	n, err := db.New().DeleteEnded(ctx, tx, db.DeleteEndedParams{Before: now.Add(-kept), Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete ended authorizations: %w", err)
	}
	return n, nil
}

// CleanTokens deletes at most that many revocations of tokens that have ended by themselves. The caller's
// transaction records it.
func CleanTokens(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	n, err := db.New().DeleteExpiredTokens(ctx, tx, db.DeleteExpiredTokensParams{Before: now.Add(-kept), Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete expired revocations: %w", err)
	}
	return n, nil
}
