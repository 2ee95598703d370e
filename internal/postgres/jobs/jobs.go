// Package jobs owns the queue of background work: River on the same PostgreSQL. Nothing else sees River.
//
// A job is a reference: the ids of a realm and of a row in it, never data. Insert leaves one in the transaction of the
// change it follows from, so that a change rolled back leaves none, and a Runner works them: any number of processes may
// run one, each job is worked by one of them at a time, and at least once. A process that is killed in the middle leaves
// its job to another within two minutes of the attempt's own limit, so a handler must bear that its work was done before.
// What fails is tried again after 10 s, 30 s, 2 min, 10 min, 30 min, 2 h, 6 h and then daily, spread a little, until the
// kind's attempts are used up. Periodic work is put into the queue by one process, the leader, and worked by any; the
// next of the same name begins after it has ended.
//
// Nobody needs to see the queue, so nobody does. Inside a realm, AppRole may insert jobs of that realm and neither read
// nor change any. A Runner's own connections act as JobsRole, which sees River's tables and no other; what handlers do
// to rows they do in their realm, as AppRole (package worker finds it). Outside of those two roles River's clock is
// nobody's concern: it is the database's, and Options.Now must be a clock that goes.
//
// River's maintenance, run by the leader, deletes what has ended: done work after a day, and what was given up, by
// Discard or because no attempt was left, after seven. Its reindexer is off: JobsRole owns no index. The schema is River's
// own (sql/migrations); a new release of River with another one fails this package's test and needs a migration first.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// Job is a reference to a row of a realm that something must be done about: never data.
type Job struct {
	// Kind names the handler, Queue the queue that it waits in. A kind may wait in several queues.
	Kind, Queue string
	Row         uuid.UUID
	// NotBefore is when to begin at the earliest, to about five seconds; zero: at once.
	NotBefore time.Time
}

// Insert leaves a job of tx's realm, in tx. A statement that is a whole change calls insert_job itself
// (sql/migrations/0013_jobs.sql), as it does record_event.
func Insert(ctx context.Context, tx postgres.Writer, j Job) error {
	var notBefore *time.Time
	if !j.NotBefore.IsZero() {
		notBefore = &j.NotBefore
	}
	if _, err := tx.Exec(ctx, `SELECT insert_job($1, $2, $3, $4)`, j.Kind, j.Queue, j.Row, notBefore); err != nil {
		return fmt.Errorf("insert a job of kind %s: %w", j.Kind, err)
	}
	return nil
}

// Work is one attempt at a job.
type Work struct {
	Realm, Row uuid.UUID
	// Attempt counts from 1; with MaxAttempts it is the last.
	Attempt, MaxAttempts int
}

// Handler does the work of a job; nil says that it is done. Its error is logged, so it must not quote data of people.
// The context ends with the attempt's time or when the process has stopped long enough; an attempt that returns the
// context's error because of the latter does not count.
type Handler func(ctx context.Context, w Work) error

// RetryAfter is an error after which the next attempt comes d from now, as when a provider said so.
func RetryAfter(d time.Duration, err error) error { return &retryError{max(d, 0), err} }

// Discard is an error that no further attempt would mend: the job is given up.
func Discard(err error) error { return &discardError{err} }

type retryError struct {
	after time.Duration
	err   error
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

type discardError struct{ err error }

func (e *discardError) Error() string { return e.err.Error() }
func (e *discardError) Unwrap() error { return e.err }

// Kind is how jobs of a kind are worked.
type Kind struct {
	Handle Handler
	// MaxAttempts is how often it is tried; 0 takes 10, which is within three days. At most 25.
	MaxAttempts int
	// Timeout is how long an attempt may take; 0 takes a minute.
	Timeout time.Duration
}

const (
	defaultAttempts = 10
	mostAttempts    = 25 // insert_job leaves River's own limit at this
	defaultTimeout  = time.Minute
)

func (k Kind) withDefaults() (Kind, error) {
	if k.MaxAttempts == 0 {
		k.MaxAttempts = defaultAttempts
	}
	if k.Timeout == 0 {
		k.Timeout = defaultTimeout
	}
	if k.Handle == nil || k.MaxAttempts < 0 || k.MaxAttempts > mostAttempts || k.Timeout < 0 {
		return k, errors.New("a kind has a handler, at most 25 attempts and a timeout")
	}
	return k, nil
}

// Periodic is work that comes again and again, in one process at a time.
type Periodic struct {
	// Name is its kind, behind "periodic.".
	Name  string
	Every time.Duration
	// AtStart begins it as soon as there is a leader, and again with every new one.
	AtStart bool
	// Run has ten minutes. When it fails it is tried again, up to five times.
	Run func(ctx context.Context) error
}

const (
	periodicQueue    = "periodic"
	periodicPrefix   = "periodic."
	periodicTimeout  = 10 * time.Minute
	periodicAttempts = 5
)

func (p Periodic) kind() Kind {
	return Kind{Handle: func(ctx context.Context, _ Work) error { return p.Run(ctx) }, MaxAttempts: periodicAttempts, Timeout: periodicTimeout}
}
