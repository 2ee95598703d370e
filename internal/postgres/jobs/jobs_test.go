package jobs_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func TestFirst(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	acme := b.Realm(t, "acme")
	got := make(chan jobs.Work, 1)
	r, err := jobs.New(t.Context(), jobs.Options{
		DB: b.DB, Kinds: map[string]jobs.Kind{"test": {Handle: func(ctx context.Context, w jobs.Work) error { got <- w; return nil }}},
		Queues: map[string]int{"mail": 2}, Log: slog.Default(), Now: time.Now,
	})
	require.NoError(t, err)
	defer r.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	id := uuid.New()
	require.NoError(t, acme.Rows.InTx(t.Context(), func(tx *postgres.Tx) error {
		return jobs.Insert(t.Context(), tx, jobs.Job{Kind: "test", Queue: "mail", Row: id})
	}))
	select {
	case w := <-got:
		require.Equal(t, jobs.Work{Realm: acme.ID, Row: id, Attempt: 1, MaxAttempts: 10}, w)
	case err := <-done:
		t.Fatal(err)
	}
	stop()
	require.NoError(t, <-done)
}
