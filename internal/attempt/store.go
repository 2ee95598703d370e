package attempt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/attempt/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// read is what is known of a try's counters.
func read(ctx context.Context, r postgres.Reader, names [kinds]string) (states [kinds]state, err error) {
	rows, err := db.New().FindCounters(ctx, r, names[:])
	if err != nil {
		return states, fmt.Errorf("read counters: %w", err)
	}
	for _, row := range rows {
		states[slices.Index(names[:], row.Counter)] = state{
			failures: row.Failures, since: row.Since, until: row.WaitUntil, forget: row.ForgetAt, trusted: row.TrustedUntil,
		}
	}
	return states, nil
}

// change lets do change what is known of a try's counters, which nobody else does meanwhile. It stores them where do
// says so.
func change(ctx context.Context, r realm.Realm, names [kinds]string, do func(s *[kinds]state) bool) error {
	return r.InTx(ctx, func(tx realm.Tx) error {
		q := db.New()
		ordered := slices.Clone(names[:])
		slices.Sort(ordered) // so that no two wait for each other
		if err := q.LockCounters(ctx, tx, ordered); err != nil {
			return fmt.Errorf("lock counters: %w", err)
		}
		states, err := read(ctx, tx, names)
		if err != nil {
			return err
		}
		if !do(&states) {
			return nil
		}
		var p db.PutCountersParams
		for k, s := range states {
			p.Counters = append(p.Counters, names[k])
			p.Failures = append(p.Failures, s.failures)
			p.Since, p.WaitUntil, p.ForgetAt = append(p.Since, s.since), append(p.WaitUntil, s.until), append(p.ForgetAt, s.forget)
			p.TrustedUntil, p.EndsAt = append(p.TrustedUntil, s.trusted), append(p.EndsAt, s.ends())
		}
		if err := q.PutCounters(ctx, tx, p); err != nil {
			return fmt.Errorf("store counters: %w", err)
		}
		return nil
	})
}

// Clean deletes at most that many counters of which nothing matters any more, and says how many there were.
func Clean(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	n, err := db.New().DeleteEnded(ctx, tx, db.DeleteEndedParams{Now: now, Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete counters of tries: %w", err)
	}
	return n, nil
}
