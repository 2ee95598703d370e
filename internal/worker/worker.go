// Package worker is the work that nobody waits for: realm by realm it deletes what has ended, in small batches, and
// takes signing keys to their next state.
//
// Every process may run it: batches skip rows that another one holds. Deliveries will join it.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// Housekeeping deletes rows that have ended and rotates keys.
type Housekeeping struct {
	Realms *realm.Directory
	Keys   *keyset.Store
	Now    func() time.Time
	Log    *slog.Logger
}

const (
	every = 10 * time.Minute
	batch = 500
)

// kinds of rows that end, and whether they are audited (sql/unaudited.txt).
func kinds() []kind {
	return []kind{
		{"flows", flow.Clean, false},
		{"sessions", session.Clean, true},
		{"grants", grant.Clean, true},
		{"revoked_tokens", grant.CleanTokens, true},
		{"used_assertions", client.CleanAssertions, false},
		{"challenges", challenge.Clean, true},
	}
}

type kind struct {
	table   string
	clean   func(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error)
	audited bool
}

// Run does both at once and then every ten minutes until ctx ends.
func (h Housekeeping) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for { // at once as well: a process may never live for so long
		if err := h.Clean(ctx); err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "housekeeping failed, will be tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Clean deletes all that has ended and rotates the keys whose time has come, in every realm. A realm that fails does not
// keep the others from it.
func (h Housekeeping) Clean(ctx context.Context) error {
	slugs, err := h.Realms.Slugs(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, slug := range slugs {
		r, err := h.Realms.BySlug(ctx, slug)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		failed = append(failed, h.Keys.Advance(ctx, r))
		for _, k := range kinds() {
			failed = append(failed, h.cleanRealm(ctx, r, k))
		}
	}
	return errors.Join(failed...)
}

// cleanRealm deletes batch after batch, each in a transaction of its own with one event.
func (h Housekeeping) cleanRealm(ctx context.Context, r realm.Realm, k kind) error {
	for {
		var n int64
		err := r.InTx(ctx, func(tx realm.Tx) (err error) {
			now := h.Now()
			if n, err = k.clean(ctx, tx, now, batch); err != nil || n == 0 || !k.audited {
				return err
			}
			return event.Record(ctx, tx, Cleaned{Table: k.table, Rows: n}, now)
		})
		if err != nil || n < batch {
			return err
		}
	}
}

// Cleaned says that rows which had ended were deleted.
type Cleaned struct {
	event.Subject `json:"-"`
	Table         string `json:"table"`
	Rows          int64  `json:"rows"`
}

// Type implements event.Event.
func (Cleaned) Type() string { return "system.cleaned" }
