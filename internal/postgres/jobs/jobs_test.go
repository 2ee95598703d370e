package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// patience is for what would otherwise never come.
const patience = time.Minute

type bundle struct {
	*testdb.Bundle
	acme realm.Realm
	// queue is a connection that may do with the queue what a runner may.
	queue *pgx.Conn
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.acme = b.Realm(t, "acme")
	b.queue = b.as(t, "gatehouse_jobs")
	return b
}

// as is a connection that acts as a role.
func (b *bundle) as(t *testing.T, role string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	_, err = conn.Exec(t.Context(), `SET ROLE `+role)
	require.NoError(t, err)
	return conn
}

// insert leaves a job of kind "work" in queue "mail".
func (b *bundle) insert(t *testing.T) (row uuid.UUID) {
	t.Helper()
	row = uuid.New()
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
		return jobs.Insert(t.Context(), tx, jobs.Job{Kind: "work", Queue: "mail", Row: row})
	}))
	return row
}

// states counts the jobs by their state.
func (b *bundle) states(t *testing.T) map[string]int {
	t.Helper()
	rows, err := b.queue.Query(t.Context(), `SELECT state::text, count(*)::int FROM river_job WHERE queue = 'mail' GROUP BY 1`)
	require.NoError(t, err)
	states := map[string]int{}
	var (
		state string
		n     int
	)
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		states[state] = n
		return nil
	})
	require.NoError(t, err)
	return states
}

// eventually waits until all jobs of queue "mail" are in these states.
func (b *bundle) eventually(t *testing.T, want map[string]int) {
	t.Helper()
	require.Eventually(t, func() bool { return equal(b.states(t), want) }, patience, 20*time.Millisecond, "%v", want)
}

func equal(a, b map[string]int) bool {
	for state, n := range a {
		if b[state] != n {
			return false
		}
	}
	return len(a) == len(b)
}

// running is a runner at work.
type running struct {
	*jobs.Runner
	logs *logs
	stop func()
}

// run runs a runner until the test ends or it is stopped, and demands that it stops without an error.
func (b *bundle) run(t *testing.T, o jobs.Options) *running {
	t.Helper()
	r := &running{logs: &logs{}}
	o.DB, o.Log, o.Now = b.DB, slog.New(slog.NewJSONHandler(r.logs, nil)), time.Now
	var err error
	r.Runner, err = jobs.New(t.Context(), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		r.Close()
	})
	t.Cleanup(r.stop)
	return r
}

// handle runs a runner for kind "work" in queue "mail".
func (b *bundle) handle(t *testing.T, k jobs.Kind) *running {
	t.Helper()
	return b.run(t, jobs.Options{Kinds: map[string]jobs.Kind{"work": k}, Queues: map[string]int{"mail": 4}, StopAfter: 50 * time.Millisecond})
}

// next waits for what a handler says.
func next[T any](t *testing.T, from <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(patience):
		t.Fatal("nothing was worked")
	}
	return got
}

// logs keeps what a runner logs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestInsert(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := jobs.Job{Kind: "work", Queue: "mail", Row: uuid.New()}

	t.Run("a rolled back change leaves no job", func(t *testing.T) {
		err := errors.New("no")
		require.ErrorIs(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
			require.NoError(t, jobs.Insert(t.Context(), tx, job))
			return err
		}), err)
		require.Empty(t, b.states(t))
	})
	t.Run("a change that is one statement leaves one too", func(t *testing.T) {
		require.NoError(t, jobs.Insert(t.Context(), b.acme.Write(), job))
		require.Equal(t, map[string]int{"available": 1}, b.states(t))
	})
	t.Run("its commit wakes whoever works the queue", func(t *testing.T) {
		_, err := b.queue.Exec(t.Context(), `LISTEN "public.river_insert"`)
		require.NoError(t, err)
		require.NoError(t, jobs.Insert(t.Context(), b.acme.Write(), jobs.Job{Kind: "other", Queue: "other", Row: job.Row}))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		heard, err := b.queue.WaitForNotification(ctx)
		require.NoError(t, err)
		require.JSONEq(t, `{"queue": "other"}`, heard.Payload)
	})
	t.Run("it may be for later", func(t *testing.T) {
		later := job
		for _, at := range []time.Time{time.Now().Add(-time.Hour), time.Now().Add(time.Hour)} {
			later.NotBefore = at
			require.NoError(t, jobs.Insert(t.Context(), b.acme.Write(), later))
		}
		require.Equal(t, map[string]int{"available": 2, "scheduled": 1}, b.states(t))
	})
	t.Run("it holds two ids and nothing else", func(t *testing.T) {
		var args string
		require.NoError(t, b.queue.QueryRow(t.Context(), `SELECT args::text FROM river_job WHERE queue = 'mail' LIMIT 1`).Scan(&args))
		require.JSONEq(t, `{"realm": "`+b.acme.ID.String()+`", "row": "`+job.Row.String()+`"}`, args)
	})
	t.Run("reading does not insert", func(t *testing.T) {
		_, err := b.acme.Exec(t.Context(), `SELECT insert_job('work', 'mail', $1)`, job.Row)
		require.ErrorContains(t, err, "read-only")
	})
	t.Run("a realm sees no job, and inserts none for another", func(t *testing.T) {
		for _, statement := range []string{
			`SELECT FROM river_job`, `DELETE FROM river_job`, `UPDATE river_job SET queue = 'x'`, `SELECT FROM river_leader`, `SELECT FROM river_queue`,
			`INSERT INTO river_job (kind, queue, args) VALUES ('work', 'mail', '{"realm": "` + uuid.New().String() + `"}')`,
			`INSERT INTO river_job (kind, queue, args) VALUES ('periodic.x', 'mail', '{}')`,
		} {
			_, err := b.acme.Write().Exec(t.Context(), statement)
			require.ErrorContains(t, err, "42501", statement)
		}
	})
	t.Run("whoever works sees no rows", func(t *testing.T) {
		for _, statement := range []string{
			`SELECT FROM users`, `SELECT FROM realms`, `SELECT FROM events`, `SELECT FROM keys`, `SELECT FROM consumer_cursors`, `CREATE TABLE x (id int)`,
			`TRUNCATE river_job`, `REINDEX INDEX river_job_kind`,
		} {
			_, err := b.queue.Exec(t.Context(), statement)
			require.ErrorContains(t, err, "42501", statement)
		}
	})
}
