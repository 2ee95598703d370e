// Package postgres owns the connection pool and hands out the only ways to rows.
//
// Rows reads in one realm, by single statements; Rows.Write runs one statement that is a whole change, and
// Rows.InTx several in one transaction. GlobalTx works outside of realms, for the few tables that allow it. All
// four are what sqlc calls a DBTX, so generated code runs on them unmodified. The pool itself never leaves this
// package: code that could forget the realm cannot be written. The one exception is JobPool, for package jobs, whose
// connections act as a role that sees the queue of background work and nothing else.
//
// The package also makes the database roles (EnsureRoles), applies migrations (Migrate) and refuses to run as a
// role that row-level security would not bind (Open).
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The roles that queries run as. Neither logs in, owns anything or is member of anything.
const (
	AppRole    = "gatehouse_app"
	GlobalRole = "gatehouse_global"
	JobsRole   = "gatehouse_jobs"
)

// DBTX is what sqlc's generated code runs on.
type DBTX interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// DB is a pool of connections that act as AppRole.
type DB struct {
	pool     *pgxpool.Pool
	config   *pgxpool.Config // as it was before its connections were counted
	counters counters
}

// Options of a DB.
type Options struct {
	// URL is the connection string of the login role, a member of AppRole, GlobalRole and JobsRole.
	URL string
	// MaxConns and MinConns bound the pool; 0 takes 16 and 2.
	MaxConns, MinConns int32
	// AllowSuperuser admits a superuser as login role: for development and tests only, since a superuser can
	// leave AppRole and row-level security with it.
	AllowSuperuser bool
}

// Open connects and checks that queries will be bound by row-level security. It fails on a login role that is a
// superuser (unless allowed), and on an AppRole, GlobalRole or JobsRole that can log in, bypasses row-level security,
// owns a table or is a member of any role.
func Open(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", redactURL(err))
	}
	db := &DB{}
	cfg.MaxConns, cfg.MinConns = orDefault(o.MaxConns, 16), orDefault(o.MinConns, 2)
	cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	for k, v := range map[string]string{
		"role":              AppRole, // survives DISCARD ALL, which SET ROLE does not
		"timezone":          "UTC",
		"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "15s",
		"application_name": "gatehouse",
	} {
		cfg.ConnConfig.RuntimeParams[k] = v
	}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		// Without it pgx returns times in the machine's zone.
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		registerUUID(conn.TypeMap())
		return nil
	}
	cfg.PrepareConn = db.replan
	db.config = cfg.Copy()
	dial := cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countingConn{Conn: c, trips: &db.counters.roundTrips}, nil
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open the database pool: %w", err)
	}
	if err := db.verifyRoles(ctx, o.AllowSuperuser); err != nil {
		db.pool.Close()
		return nil, err
	}
	return db, nil
}

// used is how often a connection has been taken from the pool, by its key in the connection's own data.
const used = "gatehouse.used"

// replan has the server forget a connection's plans when the connection has been used 64 times, 128 times, and so on. A
// plan that was made while the tables were empty finds rows by whatever index, since all are as cheap, and PostgreSQL
// keeps it until it has analyzed the table, a minute later at best. So many rows may have come by then that every
// sign-in reads them all. This way no plan is older than half of what a connection has done.
func (db *DB) replan(ctx context.Context, conn *pgx.Conn) (bool, error) {
	data := conn.PgConn().CustomData()
	n, ok := data[used].(*int)
	if !ok {
		n = new(int)
		data[used] = n
	}
	*n++
	if *n < 64 || *n&(*n-1) != 0 {
		return true, nil
	}
	_, err := conn.PgConn().Exec(ctx, "DISCARD PLANS").ReadAll()
	db.counters.roundTrips.Add(-1) // it belongs to no operation
	return err == nil, nil         // a connection that is lost is replaced
}

func orDefault(v, d int32) int32 {
	if v == 0 {
		return d
	}
	return v
}

// redactURL drops pgx's message, which repeats the connection string, for its cause.
func redactURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		if cause := errors.Unwrap(parse); cause != nil {
			return cause
		}
		return errors.New("not a PostgreSQL connection string; expected postgres://user:password@host:port/database")
	}
	return err
}

// Close waits for the connections in use and closes the pool.
func (db *DB) Close() { db.pool.Close() }

// Ping answers whether a connection can be had and used.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// PoolStats describes the pool for metrics: connections in use, open and allowed, and how often a request waited.
func (db *DB) PoolStats() (inUse, open, limit int32, waits int64) {
	s := db.pool.Stat()
	return s.AcquiredConns(), s.TotalConns(), s.MaxConns(), s.EmptyAcquireCount()
}

// Unavailable tells errors of the database's absence (no connection, shutting down, too many clients, a
// statement that timed out) from errors of the statement.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "08", "53", "57", "58":
			return true
		}
		return pg.Code == "55P03" // lock_timeout
	}
	var connect *pgconn.ConnectError
	var netErr net.Error
	return errors.As(err, &connect) || errors.As(err, &netErr) || pgconn.Timeout(err) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || isConnectionLoss(err)
}

// UniqueViolation tells whether err is a duplicate in the named constraint or, with "", in any.
func UniqueViolation(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" && (constraint == "" || pg.ConstraintName == constraint)
}

// NoRows tells whether err says that a query for one row found none.
func NoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
