package postgres

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The preambles travel with the statement they precede. Connections act as AppRole from their start on; each preamble
// makes sure of that, so that nothing a pooled connection went through before can widen what the statement sees. Setting
// the role anew would cost a tenth of a small statement.
const (
	setRealm = `set_config('app.realm', CASE current_user WHEN '` + AppRole + `' THEN $1 ELSE no_realm() END, true)`
	setRead  = `SELECT ` + setRealm + `, set_config('transaction_read_only', 'on', true)`
	setWrite = `SELECT ` + setRealm
)

// Reader reads rows of one realm.
type Reader interface {
	DBTX
	// RealmID is the realm whose rows these are.
	RealmID() uuid.UUID
}

// Writer may also change them: a transaction, or Rows.Write.
type Writer interface {
	Reader
	writes()
}

var (
	_ Reader = Rows{}
	_ Writer = Writes{}
	_ Writer = (*Tx)(nil)
)

// Rows reads the rows of one realm by single statements, each a read-only transaction of one round trip.
type Rows struct{ single }

// Writes runs single statements that are each a whole change.
type Writes struct{ single }

func (Writes) writes() {}

// Rows are the rows of a realm.
func (db *DB) Rows(realm uuid.UUID) Rows {
	return Rows{single{db: db, id: realm, text: realm.String(), set: setRead}}
}

// Write is for one statement that is a whole change, event included (a CTE): it commits when it succeeds.
func (r Rows) Write() Writes { w := r.single; w.set = setWrite; return Writes{w} }

// single runs one statement per transaction: preamble and statement in one pipeline up to one Sync.
type single struct {
	db   *DB
	id   uuid.UUID
	text string
	set  string
}

// RealmID implements Reader.
func (s single) RealmID() uuid.UUID { return s.id }

func (s single) send(ctx context.Context, sql string, args []any) (*pgxpool.Conn, pgx.BatchResults, error) {
	conn, br, err := s.trySend(ctx, sql, args)
	if s.db.lost(ctx, err) && s.set == setRead {
		return s.trySend(ctx, sql, args) // a read may simply be asked again
	}
	return conn, br, err
}

// lost tells whether err says that the server had closed the connection. A restart or a failover closes all of them,
// so the pool starts anew: the next statement must not find the next dead one. What a caller ended says nothing.
func (db *DB) lost(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || !isConnectionLoss(err) {
		return false
	}
	db.pool.Reset()
	return true
}

func (s single) trySend(ctx context.Context, sql string, args []any) (*pgxpool.Conn, pgx.BatchResults, error) {
	conn, err := s.db.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	b := &pgx.Batch{}
	b.Queue(s.set, s.text)
	b.Queue(sql, args...)
	s.db.counters.statements.Add(1)
	s.db.counters.transactions.Add(1)
	br := conn.SendBatch(ctx, b)
	if _, err := br.Exec(); err != nil {
		_ = br.Close()
		conn.Release()
		return nil, nil, err
	}
	return conn, br, nil
}

// Exec implements DBTX.
func (s single) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	conn, br, err := s.send(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer conn.Release()
	tag, err := br.Exec()
	return tag, closeBatch(err, br)
}

// Query implements DBTX.
func (s single) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	conn, br, err := s.send(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := br.Query()
	if err != nil {
		err = closeBatch(err, br)
		conn.Release()
		return nil, err
	}
	return &batchRows{Rows: rows, br: br, release: conn.Release}, nil
}

// QueryRow implements DBTX.
func (s single) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	conn, br, err := s.send(ctx, sql, args)
	if err != nil {
		return errRow{err}
	}
	return &batchRow{br: br, release: conn.Release}
}

// closeBatch ends the batch and returns its first error. The commit happens at the Sync, so a deferred trigger
// fails here, after Scan has returned.
func closeBatch(err error, br pgx.BatchResults) error {
	cerr := br.Close()
	if err == nil || (errors.Is(err, pgx.ErrNoRows) && cerr != nil) {
		return cerr
	}
	return err
}

type errRow struct{ err error }

func (r errRow) Scan(...any) error { return r.err }

type batchRow struct {
	br      pgx.BatchResults
	release func()
}

func (r *batchRow) Scan(dest ...any) error {
	defer r.release()
	return closeBatch(r.br.QueryRow().Scan(dest...), r.br)
}

type batchRows struct {
	pgx.Rows
	br      pgx.BatchResults
	release func()
	done    bool
	err     error
}

func (r *batchRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *batchRows) Close() {
	if r.done {
		return
	}
	r.done = true
	r.Rows.Close()
	r.err = closeBatch(r.Rows.Err(), r.br)
	r.release()
}

func (r *batchRows) Err() error {
	if r.done {
		return r.err
	}
	return r.Rows.Err()
}

// isConnectionLoss tells errors of a connection that went away from errors that the server answered with.
func isConnectionLoss(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P") // shutting down, crashed, cannot connect now
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "connection reset")
}
