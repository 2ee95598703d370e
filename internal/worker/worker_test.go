package worker_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
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
	h := worker.Housekeeping{Realms: b.Directory, Keys: keyset.NewStore(b.Clock.Now, rand.Reader), Now: b.Clock.Now, Log: slog.New(slog.DiscardHandler)}
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

func TestHousekeepingBeginsAtOnce(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "one")
	first, err := client.UseAssertion(t.Context(), r, "service", "old", b.Clock.Now().Add(-time.Second))
	require.NoError(t, err)
	require.True(t, first)
	h := worker.Housekeeping{Realms: b.Directory, Keys: keyset.NewStore(b.Clock.Now, rand.Reader), Now: b.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	require.Eventually(t, func() bool { return count(t, r, "used_assertions") == 0 }, time.Minute, 10*time.Millisecond)
	stop()
	<-done
}

func count(t testing.TB, r postgres.Reader, table string) (n int) {
	t.Helper()
	require.NoError(t, r.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}
