package worker_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
	"github.com/gatehouse-id/gatehouse/internal/worker"
)

func TestHousekeeping(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "one")
	h := worker.Housekeeping{Realms: b.Directory, Keys: keyset.NewStore(b.Clock.Now, rand.Reader), Now: b.Clock.Now}
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
		ann, err := user.NewStore(b.Clock.Now, rand.Reader).Create(t.Context(), tx, user.New{Status: user.Active})
		if err != nil {
			return err
		}
		token, err := session.NewToken(rand.Reader)
		if err != nil {
			return err
		}
		_, err = session.Start(t.Context(), tx, session.New{Token: token, UserID: ann.ID, AuthTime: b.Clock.Now(), AMR: []string{"pwd"}}, b.Clock.Now())
		return err
	}))
	for range 700 { // more than one batch
		_, err := r.Write().Exec(t.Context(), `INSERT INTO flows (tx_hash, kind, client_id, request, created_at, expires_at, ends_at)
			VALUES ($1, 'authorize', 'web', '', $2, $2, $2)`, uuid.New().String(), b.Clock.Now())
		require.NoError(t, err)
	}

	b.Clock.Advance(time.Hour)
	require.NoError(t, h.Clean(t.Context()))
	require.Equal(t, 0, count(t, r, "flows"))
	require.Equal(t, 1, count(t, r, "sessions"), "it has not ended")

	for _, until := range []time.Duration{-time.Second, time.Minute} {
		first, err := client.UseAssertion(t.Context(), r, "service", until.String(), b.Clock.Now().Add(until))
		require.NoError(t, err)
		require.True(t, first)
	}
	require.NoError(t, h.Clean(t.Context()))
	require.Equal(t, 1, count(t, r, "used_assertions"), "one could still come again")

	b.Clock.Advance(60 * 24 * time.Hour)
	require.NoError(t, h.Clean(t.Context()))
	require.Equal(t, 0, count(t, r, "sessions"))
	require.Equal(t, 1, count(t, r, "events WHERE type = 'system.cleaned' AND data->>'table' = 'sessions'"))
}

// working runs a runner of jobs until the test ends or it is stopped.
func working(t *testing.T, b *testdb.Bundle, o jobs.Options) (stop func()) {
	t.Helper()
	o.DB, o.Log, o.Now, o.StopAfter = b.DB, slog.New(slog.DiscardHandler), time.Now, time.Second
	runner, err := jobs.New(t.Context(), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		runner.Close()
	})
	t.Cleanup(stop)
	return stop
}

func TestHousekeepingInTwoProcesses(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "one")
	h := worker.Housekeeping{Realms: b.Directory, Keys: keyset.NewStore(b.Clock.Now, rand.Reader), Now: b.Clock.Now}
	ended := func() {
		first, err := client.UseAssertion(t.Context(), r, "service", uuid.New().String(), b.Clock.Now().Add(-time.Second))
		require.NoError(t, err)
		require.True(t, first)
	}
	cleaned := func() bool { return count(t, r, "used_assertions") == 0 }

	ended()
	stop := working(t, b, jobs.Options{Periodic: h.Periodic()})
	require.Eventually(t, cleaned, time.Minute, 10*time.Millisecond, "it begins at once")
	working(t, b, jobs.Options{Periodic: h.Periodic()})
	ended()
	stop()
	require.Eventually(t, cleaned, time.Minute, 10*time.Millisecond, "the other takes over")
}

func TestAJobIsHandledInItsRealm(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one, two := b.Realm(t, "one"), b.Realm(t, "two")
	handled := make(chan realm.Realm, 2)
	handle := worker.In(b.Directory, func(ctx context.Context, r realm.Realm, w jobs.Work) error {
		var id uuid.UUID
		if err := r.QueryRow(ctx, `SELECT current_realm()`).Scan(&id); err != nil || id != w.Realm {
			return fmt.Errorf("in %s: %w", id, err)
		}
		handled <- r
		return nil
	})
	working(t, b, jobs.Options{Kinds: map[string]jobs.Kind{"work": {Handle: handle}}, Queues: map[string]int{"mail": 1}})
	for _, r := range []realm.Realm{one, two} {
		require.NoError(t, jobs.Insert(t.Context(), r.Write(), jobs.Job{Kind: "work", Queue: "mail", Row: uuid.New()}))
		select {
		case got := <-handled:
			require.Equal(t, r.Slug, got.Slug)
		case <-time.After(time.Minute):
			t.Fatal("nothing was handled")
		}
	}

	t.Run("of a realm that is no more there is nothing to do", func(t *testing.T) {
		require.ErrorIs(t, handle(t.Context(), jobs.Work{Realm: uuid.New()}), realm.ErrUnknown)
	})
}

func count(t testing.TB, r postgres.Reader, table string) (n int) {
	t.Helper()
	require.NoError(t, r.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}
