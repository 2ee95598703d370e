// Package worker is the work that nobody waits for: realm by realm it deletes what has ended, in small batches, and
// takes signing keys to their next state; and it brings jobs into their realm.
//
// When and where that happens is the matter of postgres/jobs: one process at a time. Should two do it after all, because
// one was taken for dead, they do no harm: batches skip rows that another one holds, and keys change state once.
package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/attempt"
	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

// Realms finds the realm of a job.
type Realms interface {
	ByID(ctx context.Context, id uuid.UUID) (realm.Realm, error)
}

// In makes a handler of jobs from one that works in the job's realm. A job of a realm that is no more is given up.
func In(realms Realms, handle func(ctx context.Context, r realm.Realm, w jobs.Work) error) jobs.Handler {
	return func(ctx context.Context, w jobs.Work) error {
		r, err := realms.ByID(ctx, w.Realm)
		if errors.Is(err, realm.ErrUnknown) {
			return jobs.Discard(err)
		}
		if err != nil {
			return fmt.Errorf("find the job's realm: %w", err)
		}
		return handle(telemetry.WithRealm(ctx, r.Slug), r, w)
	}
}

// Housekeeping deletes rows that have ended and rotates keys.
type Housekeeping struct {
	Realms *realm.Directory
	Keys   *keyset.Store
	Now    func() time.Time
}

const (
	every = 10 * time.Minute
	batch = 500
)

// Periodic is both, every ten minutes and at the start: a process may never live for so long.
func (h Housekeeping) Periodic() []jobs.Periodic {
	return []jobs.Periodic{
		{Name: "clean", Every: every, AtStart: true, Run: h.Clean},
		{Name: "keys", Every: every, AtStart: true, Run: h.RotateKeys},
	}
}

// kinds of rows that end, and whether they are audited (sql/unaudited.txt).
func kinds() []kind {
	return []kind{
		{"flows", flow.Clean, false},
		{"attempts", attempt.Clean, false},
		{"sessions", session.Clean, true},
		{"grants", grant.Clean, true},
		{"revoked_tokens", grant.CleanTokens, true},
		{"used_assertions", client.CleanAssertions, false},
		{"deliveries", notify.Clean, false},
		{"challenges", challenge.Clean, true},
	}
}

type kind struct {
	table   string
	clean   func(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error)
	audited bool
}

// Clean deletes all that has ended, in every realm.
func (h Housekeeping) Clean(ctx context.Context) error {
	return h.each(ctx, func(r realm.Realm) error {
		var failed []error
		for _, k := range kinds() {
			failed = append(failed, h.cleanRealm(ctx, r, k))
		}
		return errors.Join(failed...)
	})
}

// RotateKeys rotates the keys whose time has come, in every realm.
func (h Housekeeping) RotateKeys(ctx context.Context) error {
	return h.each(ctx, func(r realm.Realm) error { return h.Keys.Advance(ctx, r) })
}

// each calls do for every realm. A realm that fails does not keep the others from it.
func (h Housekeeping) each(ctx context.Context, do func(r realm.Realm) error) error {
	slugs, err := h.Realms.Slugs(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, slug := range slugs {
		r, err := h.Realms.BySlug(ctx, slug)
		if err == nil {
			err = do(r)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("realm %s: %w", slug, err))
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
		if err != nil {
			return fmt.Errorf("clean %s: %w", k.table, err)
		}
		if n < batch {
			return nil
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
