package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/flow/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Clean deletes at most that many flows whose request is no longer kept, and says how many there were.
func Clean(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	n, err := db.New().DeleteLapsed(ctx, tx, db.DeleteLapsedParams{Now: now, Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete lapsed flows: %w", err)
	}
	return n, nil
}
