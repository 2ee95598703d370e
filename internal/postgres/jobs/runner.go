package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// Options of a Runner.
type Options struct {
	DB *postgres.DB
	// Kinds are the handlers by kind. Jobs of other kinds are left to processes that know them, as while one release
	// replaces another.
	Kinds map[string]Kind
	// Queues are the queues to work, each with how many of its jobs this process works at once.
	Queues   map[string]int
	Periodic []Periodic
	// StopAfter is how long jobs under way may take when Run is told to stop; then their contexts end. 0 takes 20 s.
	StopAfter time.Duration
	Log       *slog.Logger
	// Now is the machine's clock, by which River measures: one that a test holds still would mislead it.
	Now func() time.Time
}

// Runner works jobs.
type Runner struct {
	o      Options
	pool   *pgxpool.Pool
	config river.Config
}

const (
	// maxConns: fetching, reporting, leading and metrics take turns; listening has a connection of its own.
	maxConns = 4
	// pollEvery bounds how late a job is noticed that was not announced: one to be tried again within seconds.
	pollEvery = 2 * time.Second

	keepDone  = 24 * time.Hour
	keepGiven = 7 * 24 * time.Hour

	startRetryFirst = 100 * time.Millisecond
	startRetryMost  = 10 * time.Second
	stopMargin      = 10 * time.Second
)

// New makes a Runner, which connects when it is run or asked for Stats. Close it.
func New(ctx context.Context, o Options) (*Runner, error) {
	if o.StopAfter == 0 {
		o.StopAfter = 20 * time.Second
	}
	r := &Runner{o: o}
	if err := r.configure(); err != nil {
		return nil, err
	}
	var err error
	if r.pool, err = o.DB.JobPool(ctx, maxConns); err != nil {
		return nil, err
	}
	if _, err := r.client(); err != nil {
		r.pool.Close()
		return nil, err
	}
	return r, nil
}

// client makes a River client, which can be started once.
func (r *Runner) client() (*river.Client[pgx.Tx], error) {
	config := r.config
	client, err := river.NewClient(riverpgxv5.New(r.pool), &config)
	if err != nil {
		return nil, fmt.Errorf("make the runner of jobs: %w", err)
	}
	return client, nil
}

func (r *Runner) configure() error {
	r.config = river.Config{
		Workers: river.NewWorkers(), Queues: map[string]river.QueueConfig{}, FetchOnlyKnownKinds: true,
		FetchPollInterval: pollEvery, JobTimeout: defaultTimeout, RescueStuckJobsAfter: defaultTimeout + rescueMargin,
		RetryPolicy: retryPolicy{r.o.Now}, SoftStopTimeout: r.o.StopAfter, ReindexerSchedule: river.NeverSchedule(),
		CompletedJobRetentionPeriod: keepDone, CancelledJobRetentionPeriod: keepGiven, DiscardedJobRetentionPeriod: keepGiven,
		Logger: slog.New(quiet{r.o.Log.Handler()}),
	}
	for name, k := range r.o.Kinds {
		if err := r.add(name, k); err != nil {
			return err
		}
	}
	for name, n := range r.o.Queues {
		r.config.Queues[name] = river.QueueConfig{MaxWorkers: n}
	}
	if len(r.o.Periodic) > 0 {
		r.config.Queues[periodicQueue] = river.QueueConfig{MaxWorkers: len(r.o.Periodic)}
	}
	for _, p := range r.o.Periodic {
		if p.Every < time.Second {
			return fmt.Errorf("periodic work %s: every %s is less than a second", p.Name, p.Every)
		}
		if err := r.add(periodicPrefix+p.Name, p.kind()); err != nil {
			return err
		}
		r.config.PeriodicJobs = append(r.config.PeriodicJobs, periodicJob(p))
	}
	if len(r.config.Queues) == 0 {
		return errors.New("a runner without queues and periodic work has nothing to do")
	}
	return nil
}

func (r *Runner) add(name string, k Kind) (err error) {
	if k, err = k.withDefaults(); err != nil {
		return fmt.Errorf("jobs of kind %s: %w", name, err)
	}
	w := &worker{name: name, kind: k, log: r.o.Log, now: r.o.Now}
	defer func() {
		if p := recover(); p != nil { // River's way to say that a kind is there twice
			err = fmt.Errorf("jobs of kind %s: %v", name, p)
		}
	}()
	river.AddWorkerArgs(r.config.Workers, args{kind: name}, w)
	return nil
}

// periodicJob is unique until it has ended, so that two never run at once and none piles up while nobody works.
func periodicJob(p Periodic) *river.PeriodicJob {
	unfinished := []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}
	opts := &river.InsertOpts{Queue: periodicQueue, UniqueOpts: river.UniqueOpts{ByState: unfinished}}
	make := func() (river.JobArgs, *river.InsertOpts) { return args{kind: periodicPrefix + p.Name}, opts }
	return river.NewPeriodicJob(river.PeriodicInterval(p.Every), make, &river.PeriodicJobOpts{ID: p.Name, RunOnStart: p.AtStart})
}

// Run works jobs until ctx ends, then lets those under way finish for StopAfter. While the database is away it waits.
func (r *Runner) Run(ctx context.Context) error {
	for wait := startRetryFirst; ctx.Err() == nil; wait = min(2*wait, startRetryMost) {
		client, err := r.client()
		if err != nil {
			return err
		}
		if err = client.Start(ctx); err == nil {
			return r.wait(ctx, client)
		}
		if ctx.Err() != nil {
			return nil
		}
		r.o.Log.WarnContext(ctx, "jobs cannot be worked yet, will be tried again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// wait waits until the client has stopped, which a database that went away could delay for long.
func (r *Runner) wait(ctx context.Context, client *river.Client[pgx.Tx]) error {
	stopped := client.Stopped()
	<-ctx.Done()
	select {
	case <-stopped:
		return nil
	case <-time.After(r.o.StopAfter + stopMargin):
		return errors.New("jobs under way did not end in time; others will take them up")
	}
}

// Close closes the runner's connections, after Run has returned.
func (r *Runner) Close() { r.pool.Close() }

// quiet lets through what River says of trouble. What it says of jobs at lower levels is said better here.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
