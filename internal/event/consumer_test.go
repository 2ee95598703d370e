package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// notebook is a consumer that writes down what it was handed: "realm:colour".
type notebook struct {
	name string
	mu   sync.Mutex
	seen []string
	// before is called with each batch first; its error is the consumer's.
	before func(batch []event.Stored) error
	// ctx is what the last batch was handed with.
	ctx context.Context //nolint:containedctx // a test looks at it
}

func (n *notebook) Name() string { return n.name }

func (n *notebook) Handle(ctx context.Context, r realm.Realm, batch []event.Stored) error {
	n.ctx = ctx
	if n.before != nil {
		if err := n.before(batch); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range batch {
		if e.Type == "wall.painted" {
			var wall painted
			if err := json.Unmarshal(e.Data, &wall); err != nil {
				return err
			}
			n.seen = append(n.seen, r.Slug+":"+wall.Colour)
		}
	}
	return nil
}

func (n *notebook) read() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.seen...)
}

func reader(b *testdb.Bundle, c event.Consumer) event.Reader {
	return event.Reader{DB: b.DB, Realms: b.Directory, Consumer: c, Now: b.Clock.Now, Log: slog.New(slog.DiscardHandler), Every: time.Millisecond}
}

// until steps until the consumer saw n events. Transactions of other tests on the same server hold the log back,
// because transaction ids belong to the server: so it is asked again until they are over.
func until(t *testing.T, r event.Reader, c *notebook, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := r.Step(t.Context())
		return err == nil && len(c.read()) >= n
	}, 20*time.Second, time.Millisecond)
}

func paint(t *testing.T, b *testdb.Bundle, r realm.Realm, colours ...string) {
	t.Helper()
	for _, c := range colours {
		require.NoError(t, record(t.Context(), r, painted{Colour: c}, b.Clock.Now()))
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one, two := b.Realm(t, "one"), b.Realm(t, "two")
	c := &notebook{name: "notebook"}
	r := reader(b, c)

	t.Run("hands over every realm's events, each with its realm", func(t *testing.T) {
		paint(t, b, one, "red", "blue")
		paint(t, b, two, "green")
		until(t, r, c, 3)
		require.ElementsMatch(t, []string{"one:red", "one:blue", "two:green"}, c.read())
		require.Less(t, index(c.read(), "one:red"), index(c.read(), "one:blue"), "in commit order")
	})
	t.Run("and none twice", func(t *testing.T) {
		n, err := r.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		left, err := r.Backlog(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
	})
	t.Run("and goes on where another process stopped", func(t *testing.T) {
		paint(t, b, two, "white")
		left, err := r.Backlog(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, left)
		until(t, reader(b, c), c, 4)
		require.Equal(t, "two:white", c.read()[3])
	})
	t.Run("and begins at the start for a new consumer", func(t *testing.T) {
		fresh := &notebook{name: "fresh"}
		small := reader(b, fresh)
		small.Batch = 2
		until(t, small, fresh, 4)
		require.Len(t, fresh.read(), 4)
	})
	t.Run("and leaves out what belongs to a realm that is gone", func(t *testing.T) {
		late := &notebook{name: "late"}
		without := reader(b, late)
		without.Realms = gone{b.Directory, one.ID}
		until(t, without, late, 2)
		require.ElementsMatch(t, []string{"two:green", "two:white"}, late.read())
	})
}

// gone is a directory in which one realm was deleted.
type gone struct {
	event.Realms
	id uuid.UUID
}

func (g gone) ByID(ctx context.Context, id uuid.UUID) (realm.Realm, error) {
	if id == g.id {
		return realm.Realm{}, fmt.Errorf("realm: %w", realm.ErrUnknown)
	}
	return g.Realms.ByID(ctx, id)
}

func index(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

// Transactions commit in another order than they began: what has the lower number may appear last.
func TestReaderWaitsForTransactionsThatCommitLate(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one, two := b.Realm(t, "one"), b.Realm(t, "two")
	c := &notebook{name: "notebook"}
	r := reader(b, c)

	recorded, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- one.InTx(t.Context(), func(tx realm.Tx) error {
			err := event.Record(t.Context(), tx, painted{Colour: "early"}, b.Clock.Now())
			close(recorded)
			<-release
			return err
		})
	}()
	<-recorded
	paint(t, b, two, "later") // a higher sequence, committed first
	for range 5 {
		_, err := r.Step(t.Context())
		require.NoError(t, err)
	}
	require.Empty(t, c.read(), "the later one would overtake the cursor")
	close(release)
	require.NoError(t, <-done)
	until(t, r, c, 2)
	// In no order: a batch is handled realm by realm, and what another test is doing may keep the event that made realm
	// two back until then.
	require.ElementsMatch(t, []string{"one:early", "two:later"}, c.read(), "nothing was skipped")

	t.Run("and what was rolled back never happened", func(t *testing.T) {
		errStop := errors.New("stop")
		require.ErrorIs(t, one.InTx(t.Context(), func(tx realm.Tx) error {
			require.NoError(t, event.Record(t.Context(), tx, painted{Colour: "never"}, b.Clock.Now()))
			return errStop
		}), errStop)
		paint(t, b, one, "after")
		until(t, r, c, 3)
		require.Equal(t, "one:after", c.read()[2])
	})
}

func TestReaderOfTwoProcesses(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one := b.Realm(t, "one")
	paint(t, b, one, "red")
	entered, release := make(chan struct{}, 1), make(chan struct{})
	slow := &notebook{name: "shared", before: func([]event.Stored) error {
		select {
		case entered <- struct{}{}:
		default: // told before
		}
		<-release
		return nil
	}}
	fast := &notebook{name: "shared"}
	done := make(chan error, 1)
	go func() {
		for len(slow.read()) == 0 {
			if _, err := reader(b, slow).Step(t.Context()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	<-entered
	n, err := reader(b, fast).Step(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "the other one holds the cursor")
	require.Empty(t, fast.read())
	close(release)
	require.NoError(t, <-done)
	require.Equal(t, []string{"one:red"}, slow.read())
	paint(t, b, one, "blue")
	until(t, reader(b, fast), fast, 1)
	require.Equal(t, []string{"one:blue"}, fast.read(), "what the other one did is done")
}

func TestReaderRepeatsABatchThatFailed(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one := b.Realm(t, "one")
	paint(t, b, one, "red", "blue")
	errCrash := errors.New("crash")
	failures := 0
	c := &notebook{name: "clumsy"}
	c.before = func(batch []event.Stored) error {
		if len(batch) == 0 || failures >= 2 || batch[len(batch)-1].Type != "wall.painted" {
			return nil
		}
		failures++
		return errCrash
	}
	r := reader(b, c)
	require.Eventually(t, func() bool { _, err := r.Step(t.Context()); return errors.Is(err, errCrash) }, 20*time.Second, time.Millisecond)
	require.Empty(t, c.read())
	until(t, r, c, 2)
	require.Equal(t, 2, failures)
	require.Equal(t, []string{"one:red", "one:blue"}, c.read())
}

// A transaction stays open while a consumer works, which holds all consumers back, so the work is bounded.
func TestReaderEndsABatchThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one := b.Realm(t, "one")
	paint(t, b, one, "red")
	c := &notebook{name: "slow"}
	r := reader(b, c)
	r.Within = 10 * time.Millisecond
	hang := true
	c.before = func([]event.Stored) error {
		if hang {
			<-c.ctx.Done()
		}
		return c.ctx.Err()
	}
	require.Eventually(t, func() bool { _, err := r.Step(t.Context()); return errors.Is(err, context.DeadlineExceeded) }, 20*time.Second, time.Millisecond)
	require.Empty(t, c.read())
	hang, r.Within = false, 0
	until(t, r, c, 1)
	require.Equal(t, []string{"one:red"}, c.read())
}

func TestRunAndCounter(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	one := b.Realm(t, "one")
	reg := prometheus.NewRegistry()
	counter, err := event.NewCounter(reg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		reader(b, counter).Run(ctx)
		close(stopped)
	}()
	paint(t, b, one, "red", "blue", "green")
	count := func() float64 {
		return counted(t, reg, "gatehouse_events_total", "wall.painted")
	}
	require.Eventually(t, func() bool { return count() == 3 }, 20*time.Second, time.Millisecond)
	cancel()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Fatal("Run did not end with its context")
	}
}

// counted is the value of a counter for one value of its label.
func counted(t *testing.T, reg prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestSignInsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	counter, err := event.NewCounter(reg)
	require.NoError(t, err)
	refused := func(reason string) event.Stored {
		return event.Stored{Type: "login.refused", Data: json.RawMessage(`{"reason":"` + reason + `"}`)}
	}
	require.NoError(t, counter.Handle(t.Context(), realm.Realm{}, []event.Stored{
		{Type: "session.started"},
		{Type: "session.renewed"},
		{Type: "session.ended"},
		refused("wrong"), refused("wrong"), refused("throttled"), refused("ana@example.test"),
		{Type: "login.refused", Data: json.RawMessage(`nonsense`)},
	}))
	for outcome, want := range map[string]float64{"succeeded": 2, "wrong": 2, "throttled": 1, "unknown": 0, "other": 2, "ana@example.test": 0} {
		require.InDelta(t, want, counted(t, reg, "gatehouse_logins_total", outcome), 0, outcome)
	}
}
