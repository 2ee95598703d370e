package app

import (
	"context"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// registration is the kind of job that makes the account of a registration whose address is not proved, and its queue.
const registration = "registration"

// registerSoon leaves the job in the transaction of the registration. That it runs afterwards keeps the answer to a
// known address like that to an unknown one.
func registerSoon(ctx context.Context, tx realm.Tx, challenge uuid.UUID) error {
	return jobs.Insert(ctx, tx, jobs.Job{Kind: registration, Queue: registration, Row: challenge})
}

// makeAccount works such a job.
func (s *System) makeAccount(ctx context.Context, r realm.Realm, w jobs.Work) error {
	return r.InTx(ctx, func(tx realm.Tx) error {
		return lifecycle.RegisterUnproved(ctx, tx, s.Users, w.Row, s.now())
	})
}
