package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// row is the cost of one operation with a number of workers, per operation: a line of the table and of latest.json.
type row struct {
	Op         string  `json:"op"`
	Workers    int     `json:"workers"`
	CPU        float64 `json:"cpu_us"`
	DBCPU      float64 `json:"db_cpu_us"`
	Statements float64 `json:"statements"`
	Commits    float64 `json:"commits"`
	Rate       float64 `json:"rps"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Errors     int     `json:"errors"`

	failure string
}

// total is what server and database spend together.
func (r row) total() float64 { return r.CPU + r.DBCPU }

// budget ends a window: when it is over, or after so many requests of each worker unless that is 0.
type budget struct {
	Window   time.Duration
	Requests int
}

// outcome of a window.
type outcome struct {
	Count    int // successes
	Errors   int
	Failure  string // the first error
	Elapsed  time.Duration
	P50, P99 time.Duration
}

// step runs an operation once, as one of the workers. errUsedUp ends that worker.
type step func(ctx context.Context, worker int) error

var errUsedUp = errors.New("nothing is left to run the operation with")

// now is the clock of the measurements.
func now() time.Time { return time.Now() } //nolint:forbidigo // measuring is what this program does

// drive keeps workers busy with a step until the budget is spent.
func drive(ctx context.Context, workers int, b budget, do step) outcome {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		o     outcome
		times []time.Duration
		begun = now()
	)
	for w := range workers {
		wg.Go(func() {
			mine, errs, failure := work(ctx, w, begun, b, do)
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			o.Errors += errs
			if o.Failure == "" {
				o.Failure = failure
			}
		})
	}
	wg.Wait()
	o.Elapsed, o.Count = now().Sub(begun), len(times)
	slices.Sort(times)
	if n := len(times); n > 0 {
		o.P50, o.P99 = times[n/2], times[n*99/100]
	}
	return o
}

func work(ctx context.Context, worker int, begun time.Time, b budget, do step) (times []time.Duration, errs int, failure string) {
	times = make([]time.Duration, 0, 4096)
	for at := now(); at.Sub(begun) < b.Window && (b.Requests == 0 || len(times)+errs < b.Requests); {
		err := do(ctx, worker)
		end := now()
		if errors.Is(err, errUsedUp) {
			return times, errs, failure
		}
		if err != nil {
			errs++
			failure = err.Error()
			if ctx.Err() != nil {
				return times, errs, failure
			}
		} else {
			times = append(times, end.Sub(at))
		}
		at = end
	}
	return times, errs, failure
}

// measure is the cheapest of the rounds; errors of all rounds count.
func measure(ctx context.Context, t *target, s settings, op operation, workers int) (row, error) {
	var best row
	errs, failure := 0, ""
	for round := range s.Rounds {
		r, err := measureRound(ctx, t, s, op, workers)
		if err != nil {
			return row{}, err
		}
		errs += r.Errors
		if failure == "" {
			failure = r.failure
		}
		if round == 0 || r.total() < best.total() {
			best = r
		}
	}
	best.Errors, best.failure = errs, failure
	return best, nil
}

func measureRound(ctx context.Context, t *target, s settings, op operation, workers int) (row, error) {
	do, err := op.prepare(ctx, t, workers, budget{2 * (s.Window + s.Warm), 2 * s.Requests})
	if err != nil {
		return row{}, err
	}
	warm, err := do(ctx, budget{s.Warm, s.Requests})
	if err != nil {
		return row{}, err
	}
	before, err := t.read(ctx)
	if err != nil {
		return row{}, err
	}
	o, err := do(ctx, budget{s.Window, s.Requests})
	if err != nil {
		return row{}, err
	}
	after, err := t.read(ctx)
	if err != nil {
		return row{}, err
	}
	if o.Count+o.Errors == 0 {
		return row{}, errors.New("the operation was never run in the window")
	}
	o.Errors += warm.Errors
	if warm.Failure != "" {
		o.Failure = warm.Failure
	}
	return after.since(before, op, workers, o), nil
}

// reading of the counters.
type reading struct {
	server, database    time.Duration
	statements, commits int64
}

func (r reading) since(before reading, op operation, workers int, o outcome) row {
	n := float64(max(o.Count, 1)) // what failed was spent in vain, so that failing never looks cheap
	micros := func(d time.Duration) float64 { return d.Seconds() * 1e6 / n }
	return row{
		Op: op.name, Workers: workers, CPU: micros(r.server - before.server), DBCPU: micros(r.database - before.database),
		Statements: float64(r.statements-before.statements)/n + float64(op.statements),
		Commits:    float64(r.commits-before.commits) / n, Rate: float64(o.Count) / o.Elapsed.Seconds(),
		P50: o.P50.Seconds() * 1e3, P99: o.P99.Seconds() * 1e3, Errors: o.Errors, failure: o.Failure,
	}
}
