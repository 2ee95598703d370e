package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func TestTwoRunners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var (
		mu     sync.Mutex
		worked = map[uuid.UUID]int{}
	)
	kind := jobs.Kind{Handle: func(_ context.Context, w jobs.Work) error {
		mu.Lock()
		defer mu.Unlock()
		worked[w.Row]++
		return nil
	}}
	b.handle(t, kind)
	b.handle(t, kind)
	want := map[uuid.UUID]int{}
	for range 60 {
		want[b.insert(t)] = 1
	}
	b.eventually(t, map[string]int{"completed": 60})
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, want, worked, "each by one of them")
}

func TestFailure(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("no connection")

	t.Run("is tried again, and given up in the end, for everybody to see", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		attempts := make(chan jobs.Work, 2)
		r := b.handle(t, jobs.Kind{MaxAttempts: 2, Handle: func(_ context.Context, w jobs.Work) error {
			attempts <- w
			return jobs.RetryAfter(0, errBroken)
		}})
		row := b.insert(t)
		require.Equal(t, jobs.Work{Realm: b.acme.ID, Row: row, Attempt: 1, MaxAttempts: 2}, next(t, attempts))
		require.Equal(t, jobs.Work{Realm: b.acme.ID, Row: row, Attempt: 2, MaxAttempts: 2}, next(t, attempts))
		b.eventually(t, map[string]int{"cancelled": 1})

		stats, err := r.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, []jobs.Stats{{Queue: "mail", Discarded: 1}}, stats)
		require.Contains(t, r.logs.String(), `"level":"ERROR","msg":"job given up after its last attempt","kind":"work"`)
		require.Contains(t, r.logs.String(), `"realm_id":"`+b.acme.ID.String()+`"`)
		require.NotContains(t, r.logs.String(), row.String())
	})
	for name, c := range map[string]struct {
		err         error
		least, most string
	}{
		"waits ten seconds when nothing else is said": {errBroken, "10 s", "20 s"},
		"waits for as long as it says":                {jobs.RetryAfter(time.Hour, errBroken), "1 h", "61 min"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.handle(t, jobs.Kind{Handle: func(context.Context, jobs.Work) error { return c.err }})
			b.insert(t)
			b.eventually(t, map[string]int{"retryable": 1})
			var waits bool
			require.NoError(t, b.queue.QueryRow(t.Context(), `SELECT scheduled_at - attempted_at BETWEEN $1::text::interval AND $2::text::interval FROM river_job`, c.least, c.most).Scan(&waits))
			require.True(t, waits)
			stats, err := r.Stats(t.Context())
			require.NoError(t, err)
			require.Equal(t, []jobs.Stats{{Queue: "mail", Retryable: 1}}, stats)
		})
	}
	t.Run("that no attempt would mend is given up at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.handle(t, jobs.Kind{Handle: func(context.Context, jobs.Work) error { return jobs.Discard(errBroken) }})
		b.insert(t)
		b.eventually(t, map[string]int{"cancelled": 1})
	})
	t.Run("leaves nothing of its text in the queue", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.handle(t, jobs.Kind{Handle: func(context.Context, jobs.Work) error { return jobs.Discard(errors.New("ana@example.test is unknown")) }})
		b.insert(t)
		b.eventually(t, map[string]int{"cancelled": 1})
		var kept string
		require.NoError(t, b.queue.QueryRow(t.Context(), `SELECT river_job::text FROM river_job`).Scan(&kept))
		require.NotContains(t, kept, "example.test")
	})
	t.Run("by a panic ends the attempt, not the runner", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		attempts := make(chan int, 3)
		r := b.handle(t, jobs.Kind{Handle: func(_ context.Context, w jobs.Work) error {
			attempts <- w.Attempt
			panic("ana@example.test")
		}})
		b.insert(t)
		b.insert(t)
		require.Equal(t, []int{1, 1}, []int{next(t, attempts), next(t, attempts)})
		b.eventually(t, map[string]int{"retryable": 2})
		require.Contains(t, r.logs.String(), "panic with a string")
		require.NotContains(t, r.logs.String(), "example.test")
	})
	t.Run("of an attempt that takes too long", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.handle(t, jobs.Kind{Timeout: 1, Handle: func(ctx context.Context, _ jobs.Work) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		b.insert(t)
		b.eventually(t, map[string]int{"retryable": 1})
	})
}

func TestStopping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun := make(chan int, 1)
	first := b.handle(t, jobs.Kind{Handle: func(ctx context.Context, w jobs.Work) error {
		begun <- w.Attempt
		<-ctx.Done()
		return ctx.Err()
	}})
	b.insert(t)
	require.Equal(t, 1, next(t, begun))
	first.stop()
	require.Equal(t, map[string]int{"available": 1}, b.states(t), "put back")

	b.handle(t, jobs.Kind{Handle: func(_ context.Context, w jobs.Work) error {
		begun <- w.Attempt
		return nil
	}})
	require.Equal(t, 1, next(t, begun), "what was cut off does not count")
	b.eventually(t, map[string]int{"completed": 1})
}

func TestAProcessThatDied(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.insert(t)
	_, err := b.queue.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '3 minutes', attempted_by = '{dead}'`)
	require.NoError(t, err)
	b.handle(t, jobs.Kind{Handle: func(context.Context, jobs.Work) error { return nil }})
	b.eventually(t, map[string]int{"retryable": 1})
}

func TestLostConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun, finish := make(chan int, 2), make(chan struct{})
	b.handle(t, jobs.Kind{Handle: func(_ context.Context, w jobs.Work) error {
		begun <- w.Attempt
		<-finish
		return nil
	}})
	b.insert(t)
	require.Equal(t, 1, next(t, begun))
	var cut int
	require.NoError(t, b.as(t, "NONE").QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'gatehouse jobs'`).Scan(&cut))
	require.GreaterOrEqual(t, cut, 2, "one listens")
	b.insert(t)
	close(finish)
	b.eventually(t, map[string]int{"completed": 2})
	require.Equal(t, 1, next(t, begun))
	require.Empty(t, begun, "each once")
}

func TestKindsOfAnotherRelease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
		return jobs.Insert(t.Context(), tx, jobs.Job{Kind: "newer", Queue: "mail", Row: uuid.New()})
	}))
	b.insert(t)
	r := b.handle(t, jobs.Kind{Handle: func(context.Context, jobs.Work) error { return nil }})
	b.eventually(t, map[string]int{"completed": 1, "available": 1})
	stats, err := r.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, stats, 1)
	require.Positive(t, stats[0].Oldest)
}

func TestPeriodic(t *testing.T) {
	t.Parallel()
	t.Run("passes to another process when one stops", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		// start runs a runner that says when it did the periodic work.
		start := func(every time.Duration) (*running, <-chan struct{}) {
			done := make(chan struct{}, 1)
			r := b.run(t, jobs.Options{Periodic: []jobs.Periodic{{Name: "tick", Every: every, AtStart: true, Run: func(context.Context) error {
				select {
				case done <- struct{}{}:
				default:
				}
				return nil
			}}}})
			return r, done
		}
		first, doneFirst := start(time.Hour)
		next(t, doneFirst)
		second, doneSecond := start(time.Second)
		first.stop()
		next(t, doneSecond)
		next(t, doneSecond)
		_, doneThird := start(time.Second)
		second.stop()
		next(t, doneThird)
	})
	t.Run("never happens twice at once, however long it takes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		begun, finish := make(chan struct{}, 10), make(chan struct{})
		tick := jobs.Periodic{Name: "tick", Every: time.Second, AtStart: true, Run: func(ctx context.Context) error {
			begun <- struct{}{}
			select {
			case <-finish:
			case <-ctx.Done():
			}
			return ctx.Err()
		}}
		for range 2 {
			b.run(t, jobs.Options{Periodic: []jobs.Periodic{tick}, StopAfter: 50 * time.Millisecond})
		}
		next(t, begun)
		// Each attempt to insert another touches the one that is there.
		touched := func() (by string) {
			require.NoError(t, b.queue.QueryRow(t.Context(), `SELECT xmin::text FROM river_job`).Scan(&by))
			return by
		}
		for range 2 {
			before := touched()
			require.Eventually(t, func() bool { return touched() != before }, patience, 20*time.Millisecond)
		}
		var n int
		require.NoError(t, b.queue.QueryRow(t.Context(), `SELECT count(*) FROM river_job`).Scan(&n))
		require.Equal(t, 1, n)
		require.Empty(t, begun)
		close(finish)
		next(t, begun)
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handle := func(context.Context, jobs.Work) error { return nil }
	for name, o := range map[string]jobs.Options{
		"nothing to do":     {},
		"no handler":        {Kinds: map[string]jobs.Kind{"work": {}}, Queues: map[string]int{"mail": 1}},
		"too many attempts": {Kinds: map[string]jobs.Kind{"work": {Handle: handle, MaxAttempts: 26}}, Queues: map[string]int{"mail": 1}},
		"a kind twice":      {Kinds: map[string]jobs.Kind{"periodic.x": {Handle: handle}}, Periodic: []jobs.Periodic{{Name: "x", Every: time.Hour}}},
		"too often":         {Periodic: []jobs.Periodic{{Name: "tick", Every: time.Millisecond}}},
		"a bad name":        {Kinds: map[string]jobs.Kind{"two words": {Handle: handle}}, Queues: map[string]int{"mail": 1}},
		"no concurrency":    {Kinds: map[string]jobs.Kind{"work": {Handle: handle}}, Queues: map[string]int{"mail": 0}},
	} {
		o.DB, o.Log, o.Now = b.DB, slog.New(slog.DiscardHandler), time.Now
		_, err := jobs.New(t.Context(), o)
		require.Error(t, err, name)
	}
}
