package grant_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// gated are rows whose statements begin when the gate lets them.
type gated struct {
	postgres.Reader
	gate       func(n int64)
	statements *atomic.Int64
}

// Query implements postgres.DBTX.
func (g gated) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	g.gate(g.statements.Add(1))
	return g.Reader.Query(ctx, sql, args...)
}

// crowd asks many questions while the first statement is held up.
type crowd struct {
	*bundle
	*grant.Live
	rows    gated
	open    func()
	answers sync.WaitGroup
}

// hold begins a statement, which waits for open as all that begin before do.
func hold(t *testing.T, b *bundle) *crowd {
	t.Helper()
	gate := make(chan struct{})
	c := &crowd{bundle: b, Live: grant.NewLive(), open: sync.OnceFunc(func() { close(gate) })}
	began := make(chan struct{}, 100)
	c.rows = gated{b.realm, func(int64) { began <- struct{}{}; <-gate }, new(atomic.Int64)}
	c.ask(t, uuid.Nil, "first", true)
	<-began
	return c
}

func (c *crowd) ask(t *testing.T, id uuid.UUID, jti string, want bool) {
	t.Helper()
	c.answers.Go(func() {
		live, err := c.Token(t.Context(), c.rows, id, jti, c.Clock.Now())
		if err != nil || live != want {
			t.Errorf("%s of %s: %v, %v", jti, id, live, err)
		}
	})
}

// waiting waits until that many wait.
func (c *crowd) waiting(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return c.Waiting(c.realm.ID) == n }, 10*time.Second, time.Millisecond)
}

func TestLive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	issued := func() grant.Grant {
		g, err := b.byCode(t, b.realm, b.issue(t))
		require.NoError(t, err)
		return g
	}
	revoke := func(jti string) {
		require.NoError(t, grant.RevokeToken(t.Context(), b.realm, grant.Token{JTI: jti, Client: "shop", Expires: b.Clock.Now().Add(time.Minute)}, b.Clock.Now()))
	}
	alive, over := issued().ID, issued()
	dead := over.ID
	require.NoError(t, grant.Revoke(t.Context(), b.realm, over, "client", b.Clock.Now()))

	t.Run("those who ask at once share a statement and get an answer each", func(t *testing.T) {
		t.Parallel()
		c := hold(t, b)
		revoke("revoked")
		for range 10 {
			c.ask(t, alive, "fine", true)
			c.ask(t, alive, "revoked", false)
			c.ask(t, dead, "of a revoked authorization", false)
			c.ask(t, uuid.New(), "of an authorization that never was", false)
			c.ask(t, uuid.Nil, "of a client", true)
			c.ask(t, uuid.Nil, "revoked", false)
		}
		c.waiting(t, 60)
		c.open()
		c.answers.Wait()
		require.EqualValues(t, 2, c.rows.statements.Load())
		require.Eventually(t, func() bool { return c.Realms() == 0 }, 10*time.Second, time.Millisecond, "nothing is remembered")
	})
	t.Run("an answer is from after its question", func(t *testing.T) {
		t.Parallel()
		c := hold(t, b)
		c.ask(t, alive, "soon revoked", false)
		c.waiting(t, 1)
		revoke("soon revoked")
		c.open()
		c.answers.Wait()
	})
	t.Run("a statement asks a hundred at most", func(t *testing.T) {
		t.Parallel()
		c := hold(t, b)
		for range 250 {
			c.ask(t, alive, "fine", true)
		}
		c.waiting(t, 250)
		c.open()
		c.answers.Wait()
		require.EqualValues(t, 4, c.rows.statements.Load())
	})
	t.Run("nobody waits for a statement that hangs", func(t *testing.T) {
		t.Parallel()
		c := hold(t, b)
		c.ask(t, alive, "fine", true)
		c.waiting(t, 1)
		c.rows.gate = func(int64) {}
		live, err := c.Token(t.Context(), c.rows, alive, "late", c.Clock.Now().Add(time.Second))
		require.NoError(t, err)
		require.True(t, live)
		c.waiting(t, 0)
		c.open()
		c.answers.Wait()
	})
	t.Run("whoever goes leaves the others to their answers", func(t *testing.T) {
		t.Parallel()
		c := hold(t, b)
		c.ask(t, alive, "fine", true)
		c.waiting(t, 1)
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		_, err := c.Token(gone, c.rows, alive, "gone", c.Clock.Now())
		require.ErrorIs(t, err, context.Canceled)
		c.open()
		c.answers.Wait()
	})
	t.Run("a panic is an error to those who share it, AU-06", func(t *testing.T) {
		t.Parallel()
		gate, failed := make(chan struct{}), atomic.Int64{}
		l, rows := grant.NewLive(), gated{b.realm, func(int64) { <-gate; panic("oops") }, new(atomic.Int64)}
		var answers sync.WaitGroup
		for range 5 {
			answers.Go(func() {
				if _, err := l.Token(t.Context(), rows, uuid.Nil, "x", b.Clock.Now()); err != nil {
					failed.Add(1)
				}
			})
		}
		require.Eventually(t, func() bool { return l.Waiting(b.realm.ID) == 4 }, 10*time.Second, time.Millisecond)
		close(gate)
		answers.Wait()
		require.EqualValues(t, 5, failed.Load())
		require.Eventually(t, func() bool { return l.Realms() == 0 }, 10*time.Second, time.Millisecond)
	})
	t.Run("each learns of the person they asked for", func(t *testing.T) {
		t.Parallel()
		l := grant.NewLive()
		var answers sync.WaitGroup
		for range 20 {
			answers.Go(func() {
				p, err := l.Person(t.Context(), b.realm, alive, "fine", b.Clock.Now())
				if err != nil || p.Subject != b.ann.Subject || p.Email != "Ann@example.org" || p.Claims.Name != "Ann" {
					t.Errorf("%+v, %v", p, err)
				}
			})
			answers.Go(func() {
				if p, err := l.Person(t.Context(), b.realm, dead, "fine", b.Clock.Now()); !errors.Is(err, realm.ErrUnknown) {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		answers.Wait()
	})
	t.Run("all who share a statement hear of its failure", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gate, failed := make(chan struct{}), atomic.Int64{}
		l, rows := grant.NewLive(), gated{b.realm, nil, new(atomic.Int64)}
		rows.gate = func(int64) { <-gate }
		var answers sync.WaitGroup
		for range 20 {
			answers.Go(func() {
				if live, err := l.Token(t.Context(), rows, uuid.Nil, "x", b.Clock.Now()); err != nil && !live {
					failed.Add(1)
				}
			})
		}
		require.Eventually(t, func() bool { return l.Waiting(b.realm.ID) == 19 }, 10*time.Second, time.Millisecond)
		b.DB.Close()
		close(gate)
		answers.Wait()
		require.EqualValues(t, 20, failed.Load())
	})
}
