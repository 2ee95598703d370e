// Command bench measures what each operation of the server costs, beside the physical floor of the same machine in
// the same run: `make bench`. It is no part of the product.
//
// The program runs itself a second time as the server under measurement, with the settings of `gatehouse serve`, on
// an embedded PostgreSQL that flushes to disk and is thrown away. The first process is the load: it prepares what an
// operation consumes (codes, refresh tokens) outside of the measured window, then keeps a number of workers busy for
// it, each on a connection of its own. Costs are differences of two readings: the processor time of the server's
// process, that of all processes of PostgreSQL, the statements that the server counted, and the transactions that
// PostgreSQL gave an id, which are those that write. Each cell is the cheapest of several rounds, because a busy
// machine can only add to what work costs.
//
// The floors are what no implementation avoids. floor_http is an empty echo handler behind the server's own listener.
// The others are plain loops inside the server's process, by as many goroutines as there are workers and without HTTP,
// so that floors can be added: floor_es256 and floor_rs256 (3072 bits) are one signature, floor_read is one row by its
// primary key, floor_commit one inserted row, both by pgx without realm, role or policy.
//
// The table goes to standard output, the same figures to latest.json in the output folder. With -profile one operation
// is run alone and the server's CPU profile kept and summed up instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func start(ctx context.Context, args []string) error {
	if database := os.Getenv(childVariable); database != "" {
		return serve(ctx, database, os.Stdin, os.Stdout, os.Stderr)
	}
	s, err := parse(args)
	if err != nil {
		return err
	}
	return run(ctx, s, os.Stdout)
}

// settings of a run.
type settings struct {
	// Workers are the numbers of workers that each operation is measured with.
	Workers []int
	Ops     []string
	// Rounds of which the cheapest counts, each Window long after Warm.
	Rounds       int
	Window, Warm time.Duration
	// Requests ends a window early, after so many of each worker; 0 does not.
	Requests int
	// Profile names the one operation to be profiled instead.
	Profile string
	// Out is the folder of what is written.
	Out string
	// Ephemeral lets PostgreSQL skip flushing, for tests of this program.
	Ephemeral bool
}

func parse(args []string) (settings, error) {
	s := settings{Warm: 150 * time.Millisecond}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	workers := f.String("workers", "16,64", "numbers of workers, separated by commas")
	ops := f.String("ops", "", "operations to measure, separated by commas; all when empty")
	f.IntVar(&s.Rounds, "rounds", 3, "rounds per figure; the cheapest counts")
	f.DurationVar(&s.Window, "window", 800*time.Millisecond, "length of a round")
	f.StringVar(&s.Profile, "profile", "", "profile the server in this operation instead")
	f.StringVar(&s.Out, "out", ".bench", "folder of latest.json and the profiles")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	for _, w := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 || n > 1000 {
			return s, fmt.Errorf("-workers %q: numbers from 1 to 1000", *workers)
		}
		s.Workers = append(s.Workers, n)
	}
	if *ops != "" {
		s.Ops = strings.Split(*ops, ",")
	}
	if s.Rounds < 1 || s.Window <= 0 {
		return s, errors.New("-rounds and -window must be positive")
	}
	return s, nil
}

// run measures and writes the table to out, or the profile when one is asked for.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	list, err := choose(s.Ops)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Out, 0o750); err != nil {
		return fmt.Errorf("make the output folder: %w", err)
	}
	t, err := startTarget(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop(context.WithoutCancel(ctx))) }()
	if err := t.signIn(ctx); err != nil {
		return err
	}
	if s.Profile != "" {
		return profile(ctx, t, s, out)
	}
	before := load()
	var rows []row
	for _, workers := range s.Workers {
		for _, op := range list {
			r, err := measure(ctx, t, s, op, workers)
			if err != nil {
				return fmt.Errorf("measure %s with %d workers: %w", op.name, workers, err)
			}
			rows = append(rows, r)
		}
	}
	if err := writeJSON(filepath.Join(s.Out, "latest.json"), rows); err != nil {
		return err
	}
	return report{t: t, s: s, rows: rows, loadBefore: before, loadAfter: load()}.write(out)
}
