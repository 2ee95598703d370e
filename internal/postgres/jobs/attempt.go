package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// args are what River keeps of a job. Those of periodic work are empty.
type args struct {
	Realm uuid.UUID `json:"realm,omitzero"`
	Row   uuid.UUID `json:"row,omitzero"`

	kind string
	next time.Time // of the next attempt, set by the one that failed
}

// Kind implements river.JobArgs.
func (a args) Kind() string { return a.kind }

// What River keeps of an attempt that failed. What went wrong is in the log; it may quote what is sealed in its row.
var (
	errFailed  = errors.New("failed; the log says why")
	errGivenUp = errors.New("given up; the log says why")
)

// worker works the jobs of one kind.
type worker struct {
	river.WorkerDefaults[args]
	name string
	kind Kind
	log  *slog.Logger
	now  func() time.Time
}

var _ river.Worker[args] = (*worker)(nil)

// rescueMargin is how long after an attempt should have ended it counts as abandoned by a process that died.
const rescueMargin = time.Minute

// Timeout is what River waits for an attempt before it lets another process try: longer than the attempt may take.
func (w *worker) Timeout(*river.Job[args]) time.Duration { return w.kind.Timeout + rescueMargin }

// NextRetry implements river.Worker.
func (w *worker) NextRetry(job *river.Job[args]) time.Time { return job.Args.next }

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
	limited, cancel := context.WithTimeout(ctx, w.kind.Timeout)
	defer cancel()
	err := w.attempt(limited, Work{Realm: job.Args.Realm, Row: job.Args.Row, Attempt: job.Attempt, MaxAttempts: w.kind.MaxAttempts})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return context.Canceled // the process stops: River puts the job back and does not count the attempt
	}
	log := w.log.With("kind", w.name, "job_id", job.ID, "attempt", job.Attempt, "max_attempts", w.kind.MaxAttempts, "err", err)
	if job.Args.Realm != uuid.Nil {
		log = log.With("realm_id", job.Args.Realm.String())
	}
	var (
		discard *discardError
		retry   *retryError
	)
	switch {
	case errors.As(err, &discard):
		log.WarnContext(ctx, "job given up")
		return river.JobCancel(errGivenUp)
	case job.Attempt >= w.kind.MaxAttempts:
		log.ErrorContext(ctx, "job given up after its last attempt")
		return river.JobCancel(errGivenUp)
	}
	after := backoff(job.Attempt, job.ID)
	if errors.As(err, &retry) {
		after = retry.after
	}
	job.Args.next = w.now().Add(after)
	log.WarnContext(ctx, "job failed, will be tried again", "after", after.String())
	return errFailed
}

// attempt calls the handler and takes a panic for its error.
func (w *worker) attempt(ctx context.Context, work Work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.log.ErrorContext(ctx, "job panicked", "kind", w.name, "stack", string(debug.Stack()))
			err = panicError(p)
		}
	}()
	return w.kind.Handle(ctx, work)
}

// panicError says what panicked, without the value unless it is the runtime's: it may be anything.
func panicError(p any) error {
	if of, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", of)
	}
	return fmt.Errorf("panic with a %T", p)
}

// backoff is how long to wait after the attempt of that number. The job's id spreads what failed together over a fifth
// of it.
func backoff(attempt int, id int64) time.Duration {
	delays := [...]time.Duration{
		10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour,
	}
	d := delays[min(max(attempt, 1), len(delays))-1]
	const parts = 97 // a prime, so that neighbours differ at every attempt
	return d + d/5*time.Duration((id*31+int64(attempt)*17)%parts)/parts
}

// retryPolicy is for attempts that no worker ended: their process died.
type retryPolicy struct{ now func() time.Time }

// NextRetry implements river.ClientRetryPolicy.
func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return p.now().Add(backoff(job.Attempt, job.ID))
}
