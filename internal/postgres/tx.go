package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// InTx runs fn in one READ COMMITTED transaction of the realm: committed when fn returns nil, rolled back when
// it returns an error or panics. BEGIN and the preamble travel with the first statement, so that a transaction
// of n statements takes n+1 round trips and one that runs none takes no connection. Transactions do not nest.
func (r Rows) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	tx := &Tx{transaction{db: r.db, preamble: setWrite, args: []any{r.text}}, r.id}
	return tx.run(ctx, func() error { return fn(tx) })
}

// Tx is a transaction inside a realm.
type Tx struct {
	transaction
	realm uuid.UUID
}

// RealmID implements Reader.
func (t *Tx) RealmID() uuid.UUID { return t.realm }

func (t *Tx) writes() {}

// GlobalTx runs fn in one transaction as GlobalRole, outside of any realm: it sees realms, realm_hosts, events
// and consumer_cursors, and nothing else.
func (db *DB) GlobalTx(ctx context.Context, fn func(tx *GlobalTx) error) error {
	tx := &GlobalTx{transaction{db: db, preamble: `SELECT set_config('role', '` + GlobalRole + `', true)`}}
	return tx.run(ctx, func() error { return fn(tx) })
}

// GlobalTx is a transaction outside of realms.
type GlobalTx struct{ transaction }

type transaction struct {
	db       *DB
	preamble string
	args     []any
	conn     *pgxpool.Conn
	tx       pgx.Tx
}

func (t *transaction) run(ctx context.Context, fn func() error) (err error) {
	committed := false
	defer func() {
		if t.conn == nil {
			return
		}
		if !committed {
			// The caller's context may be what ended the transaction; the rollback still has to happen.
			_ = t.tx.Rollback(context.WithoutCancel(ctx))
		}
		t.conn.Release() // a connection still in a transaction is destroyed by the pool
	}()
	if err := fn(); err != nil {
		return err
	}
	if t.tx == nil {
		return nil
	}
	err = t.tx.Commit(ctx)
	committed = err == nil
	return err
}

// first sends BEGIN, the preamble and the first statement together.
func (t *transaction) first(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	conn, err := t.db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	b := &pgx.Batch{}
	b.BeginTx(pgx.TxOptions{})
	b.Queue(t.preamble, t.args...)
	b.Queue(sql, args...)
	t.db.counters.statements.Add(1)
	t.db.counters.transactions.Add(1)
	br := conn.SendBatch(ctx, b)
	t.conn, t.tx = conn, br.Tx()
	for range 2 {
		if _, err := br.Exec(); err != nil {
			_ = br.Close()
			t.db.lost(ctx, err)
			return nil, err
		}
	}
	return br, nil
}

// Exec implements DBTX.
func (t *transaction) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if t.conn != nil {
		t.db.counters.statements.Add(1)
		return t.tx.Exec(ctx, sql, args...)
	}
	br, err := t.first(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := br.Exec()
	return tag, closeBatch(err, br)
}

// Query implements DBTX.
func (t *transaction) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if t.conn != nil {
		t.db.counters.statements.Add(1)
		return t.tx.Query(ctx, sql, args...)
	}
	br, err := t.first(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := br.Query()
	if err != nil {
		return nil, closeBatch(err, br)
	}
	return &batchRows{Rows: rows, br: br, release: func() {}}, nil
}

// QueryRow implements DBTX.
func (t *transaction) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if t.conn != nil {
		t.db.counters.statements.Add(1)
		return t.tx.QueryRow(ctx, sql, args...)
	}
	br, err := t.first(ctx, sql, args)
	if err != nil {
		return errRow{err}
	}
	return &batchRow{br: br, release: func() {}}
}
