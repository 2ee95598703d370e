package event

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Stored is an event as consumers read it.
type Stored struct {
	ID      uuid.UUID
	Type    string
	At      time.Time
	User    *uuid.UUID
	Client  *string
	Session *uuid.UUID
	Object  string
	Data    json.RawMessage
}

// Consumer does something for every event, in commit order inside a realm, at least once: a crash between the
// work and the cursor repeats the batch, so what it writes must bear that.
type Consumer interface {
	// Name is the cursor's name and never changes.
	Name() string
	// Handle works on a batch of one realm. It is quick and calls nobody outside: what takes longer is left as a job
	// (package postgres/jobs). Until it returns the reader's transaction stays open, and while that runs no consumer
	// reads what was recorded since; ctx ends when the batch has taken too long (Reader.Within), and it is repeated.
	Handle(ctx context.Context, r realm.Realm, batch []Stored) error
}

// Realms finds the realm of an event.
type Realms interface {
	ByID(ctx context.Context, id uuid.UUID) (realm.Realm, error)
}

// Reader takes one consumer through the log.
type Reader struct {
	DB       *postgres.DB
	Realms   Realms
	Consumer Consumer
	Now      func() time.Time
	Log      *slog.Logger
	// Batch is how many events are read at once; 0 takes 500.
	Batch int32
	// Within bounds how long the consumer may work on what was read at once; 0 takes five seconds. The database ends
	// transactions that wait for three times as long.
	Within time.Duration
	// Every is how long to wait when there is nothing to read; 0 takes one second.
	Every time.Duration
}

const (
	standardBatch  = 500
	standardWithin = 5 * time.Second
)

// Run reads until ctx ends. Several processes may run the same consumer: one at a time works.
func (r Reader) Run(ctx context.Context) {
	every := r.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n, err := r.Step(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "event consumer failed", "consumer", r.Consumer.Name(), "error", err)
		}
		if err == nil && n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Step handles one batch and returns how many events it held; 0 also when another process is at work.
func (r Reader) Step(ctx context.Context) (int, error) {
	n, locked, err := r.step(ctx)
	if err != nil || locked {
		return n, err
	}
	// The cursor is made by a transaction of its own: made by the one that handles the batch, it would keep other
	// processes waiting for that.
	name := r.Consumer.Name()
	err = r.DB.GlobalTx(ctx, func(tx *postgres.GlobalTx) error {
		return db.New().EnsureCursor(ctx, tx, db.EnsureCursorParams{Consumer: name, Now: r.Now()})
	})
	if err != nil {
		return 0, fmt.Errorf("make the cursor of %s: %w", name, err)
	}
	n, _, err = r.step(ctx)
	return n, err
}

// step is Step; it also tells whether it could lock the cursor, which another process may hold or nobody have made.
func (r Reader) step(ctx context.Context) (n int, locked bool, err error) {
	q, name := db.New(), r.Consumer.Name()
	err = r.DB.GlobalTx(ctx, func(tx *postgres.GlobalTx) error {
		at, err := q.LockCursor(ctx, tx, name)
		if postgres.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock the cursor of %s: %w", name, err)
		}
		locked = true
		rows, err := q.Batch(ctx, tx, db.BatchParams{Xact: at.Xact, Seq: at.Seq, Most: cmp.Or(r.Batch, standardBatch)})
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := r.handle(ctx, rows); err != nil {
			return err
		}
		n = len(rows)
		last := rows[n-1]
		return q.MoveCursor(ctx, tx, db.MoveCursorParams{Consumer: name, Xact: last.Xact, Seq: last.Seq, Now: r.Now()})
	})
	return n, locked, err
}

// handle groups a batch by realm, the realms in the order of their first event.
func (r Reader) handle(ctx context.Context, rows []db.BatchRow) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Within, standardWithin))
	defer cancel()
	var order []uuid.UUID
	groups := map[uuid.UUID][]Stored{}
	for _, e := range rows {
		if !slices.Contains(order, e.RealmID) {
			order = append(order, e.RealmID)
		}
		groups[e.RealmID] = append(groups[e.RealmID], Stored{
			ID: e.ID, Type: e.Type, At: e.At, User: e.UserID, Client: e.ClientID, Session: e.SessionID, Object: e.Object, Data: e.Data,
		})
	}
	for _, id := range order {
		in, err := r.Realms.ByID(ctx, id)
		if errors.Is(err, realm.ErrUnknown) {
			continue // a deleted realm has nobody left to tell
		}
		if err != nil {
			return err
		}
		if err := r.Consumer.Handle(ctx, in, groups[id]); err != nil {
			return fmt.Errorf("%s: %w", r.Consumer.Name(), err)
		}
	}
	return nil
}

// Backlog is how many events the consumer has yet to read, counted up to 10,000.
func (r Reader) Backlog(ctx context.Context) (n int64, err error) {
	err = r.DB.GlobalTx(ctx, func(tx *postgres.GlobalTx) error {
		n, err = db.New().Backlog(ctx, tx, db.BacklogParams{Consumer: r.Consumer.Name(), Most: 10_000})
		return err
	})
	return n, err
}
