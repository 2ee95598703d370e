package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

const (
	// silent changes an audited table and records nothing.
	silent = `INSERT INTO users (id, subject, created_at, updated_at) VALUES (gen_random_uuid(), $1, '2026-01-01', '2026-01-01') RETURNING id`
	// recorded is the same with its event.
	recorded = `WITH made AS (` + silent + `) SELECT record_event($2) FROM made`
	// refused is what the deferred trigger answers at COMMIT.
	refused = "GH001"
)

type rowsBundle struct {
	*testdb.Bundle
	one, other postgres.Rows
}

func setupRows(t *testing.T) rowsBundle {
	t.Helper()
	b := testdb.New(t)
	return rowsBundle{b, b.Realm(t, "one").Rows, b.Realm(t, "other").Rows}
}

func (b rowsBundle) add(t *testing.T, rows postgres.Rows, subject string) {
	t.Helper()
	_, err := rows.Write().Exec(t.Context(), recorded, subject, event(t))
	require.NoError(t, err)
}

func event(t *testing.T) []byte {
	t.Helper()
	e, err := json.Marshal(map[string]string{
		"id": uuid.NewString(), "type": "user.created", "at": "2026-01-01T00:00:00Z", "actor_kind": "system",
	})
	require.NoError(t, err)
	return e
}

func subjects(t *testing.T, q postgres.DBTX) []string {
	t.Helper()
	rows, err := q.Query(t.Context(), `SELECT subject FROM users ORDER BY subject`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	b.add(t, b.one, "ann")
	b.add(t, b.other, "bob")

	t.Run("each realm sees its own rows", func(t *testing.T) {
		require.Equal(t, []string{"ann"}, subjects(t, b.one))
		require.Equal(t, []string{"bob"}, subjects(t, b.other))
		require.NoError(t, b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
			require.Equal(t, []string{"ann"}, subjects(t, tx))
			return nil
		}))
	})
	t.Run("naming another realm finds nothing and changes nothing", func(t *testing.T) {
		var n int
		err := b.one.QueryRow(t.Context(), `SELECT count(*) FROM users WHERE realm_id = $1`, b.other.RealmID()).Scan(&n)
		require.NoError(t, err)
		require.Zero(t, n)
		tag, err := b.one.Write().Exec(t.Context(), `UPDATE users SET status = 'locked' WHERE realm_id = $1`, b.other.RealmID())
		require.NoError(t, err)
		require.Zero(t, tag.RowsAffected())
		tag, err = b.one.Write().Exec(t.Context(), `DELETE FROM users WHERE realm_id = $1`, b.other.RealmID())
		require.NoError(t, err)
		require.Zero(t, tag.RowsAffected())
	})
	t.Run("a row cannot be written into another realm", func(t *testing.T) {
		_, err := b.one.Write().Exec(t.Context(), `INSERT INTO users (realm_id, id, subject, created_at, updated_at)
			VALUES ($1, gen_random_uuid(), 'eve', '2026-01-01', '2026-01-01')`, b.other.RealmID())
		require.Equal(t, "42501", code(err), "%v", err)
		_, err = b.one.Write().Exec(t.Context(), `UPDATE users SET realm_id = $1`, b.other.RealmID())
		require.Equal(t, "42501", code(err), "%v", err)
	})
	t.Run("without a realm every query fails, on every connection that had one", func(t *testing.T) {
		for range 20 {
			require.Equal(t, []string{"ann"}, subjects(t, b.one))
			var n int
			err := b.DB.Pool().QueryRow(t.Context(), `SELECT count(*) FROM users`).Scan(&n)
			require.Equal(t, "GH000", code(err), "%v", err)
			_, err = b.DB.Pool().Exec(t.Context(), `INSERT INTO users (id, subject, created_at, updated_at) VALUES (gen_random_uuid(), 'x', '2026-01-01', '2026-01-01')`)
			require.Equal(t, "GH000", code(err), "%v", err)
		}
	})
}

func TestTimesComeInUTC(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	b.add(t, b.one, "ann")
	var at time.Time
	var absent *time.Time
	require.NoError(t, b.one.QueryRow(t.Context(), `SELECT created_at, NULL::timestamptz FROM users`).Scan(&at, &absent))
	require.Equal(t, time.UTC, at.Location())
	require.Nil(t, absent)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	b.add(t, b.one, "ann")
	_, err := b.one.Exec(t.Context(), `UPDATE users SET status = 'locked'`)
	require.Equal(t, "25006", code(err), "%v", err)
	var ok bool
	err = b.one.QueryRow(t.Context(), recorded, "bob", event(t)).Scan(&ok)
	require.Equal(t, "25006", code(err), "%v", err)
	b.add(t, b.one, "cid") // and the connection writes again afterwards
	require.Equal(t, []string{"ann", "cid"}, subjects(t, b.one))
}

// The deferred trigger fails at the Sync, after the row was scanned: every method has to report it.
func TestCommitErrorReachesTheCaller(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	w := b.one.Write()

	t.Run("from Exec", func(t *testing.T) {
		_, err := w.Exec(t.Context(), silent, "a")
		require.Equal(t, refused, code(err), "%v", err)
	})
	t.Run("from QueryRow", func(t *testing.T) {
		var id uuid.UUID
		err := w.QueryRow(t.Context(), silent, "b").Scan(&id)
		require.Equal(t, refused, code(err), "%v", err)
		require.NotEqual(t, uuid.Nil, id, "the row had arrived")
	})
	t.Run("from Query", func(t *testing.T) {
		rows, err := w.Query(t.Context(), silent, "c")
		require.NoError(t, err)
		n := 0
		for rows.Next() {
			n++
		}
		require.Equal(t, 1, n)
		require.Equal(t, refused, code(rows.Err()), "%v", rows.Err())
	})
	t.Run("from InTx", func(t *testing.T) {
		err := b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
			var id uuid.UUID
			return tx.QueryRow(t.Context(), silent, "d").Scan(&id)
		})
		require.Equal(t, refused, code(err), "%v", err)
	})
	t.Run("even when the statement found no row", func(t *testing.T) {
		var id uuid.UUID
		err := w.QueryRow(t.Context(), `WITH made AS (`+silent+`) SELECT id FROM made WHERE false`, "e").Scan(&id)
		require.Equal(t, refused, code(err), "%v", err)
	})
	require.Empty(t, subjects(t, b.one))
	require.Zero(t, b.DB.Pool().Stat().AcquiredConns())
}

// PostgreSQL keeps the plan of a prepared statement until the table is analyzed, which for a fresh database is long after
// its tables have grown.
func TestPlansDoNotOutliveTheTablesTheyWereMadeFor(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	db, err := postgres.Open(t.Context(), postgres.Options{URL: b.URL(), MaxConns: 1, MinConns: 1, AllowSuperuser: true})
	require.NoError(t, err)
	defer db.Close()
	r := db.Rows(b.Realm(t, "one").ID)
	const byHash = `SELECT f.request FROM flows f WHERE f.tx_hash = $1 AND f.ends_at > '2026-01-01'`
	ask := func(times int) {
		for range times {
			require.ErrorIs(t, r.QueryRow(t.Context(), byHash, []byte("none")).Scan(new(string)), pgx.ErrNoRows)
		}
	}
	plan := func() (plan string) {
		var name string
		require.NoError(t, r.QueryRow(t.Context(), "SELECT name FROM pg_prepared_statements WHERE statement = $1", byHash).Scan(&name))
		rows, err := r.Query(t.Context(), "EXPLAIN EXECUTE "+name+"('none')")
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(lines, "\n")
	}
	ask(10)
	require.NotContains(t, plan(), "flows_pkey", "if this fails, PostgreSQL has become better at it, and replan may go")
	_, err = r.Write().Exec(t.Context(), `INSERT INTO flows (tx_hash, kind, client_id, request, created_at, expires_at, ends_at)
		SELECT decode(md5(n::text), 'hex'), 'authorize', 'web', '', '2026-01-02', '2026-01-02', '2026-01-02' FROM generate_series(1, 3000) n`)
	require.NoError(t, err)
	ask(128)
	require.Contains(t, plan(), "flows_pkey")
}

func TestInTx(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	errStop := errors.New("stop")

	t.Run("commits what it returns nil for", func(t *testing.T) {
		require.NoError(t, b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
			for _, s := range []string{"ann", "bob"} {
				if _, err := tx.Exec(t.Context(), recorded, s, event(t)); err != nil {
					return err
				}
			}
			return nil
		}))
		require.Equal(t, []string{"ann", "bob"}, subjects(t, b.one))
	})
	t.Run("rolls back on an error and returns it", func(t *testing.T) {
		err := b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
			_, err := tx.Exec(t.Context(), recorded, "cid", event(t))
			require.NoError(t, err)
			return errStop
		})
		require.ErrorIs(t, err, errStop)
	})
	t.Run("rolls back on a panic and lets it pass", func(t *testing.T) {
		require.PanicsWithValue(t, "oops", func() {
			_ = b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
				_, err := tx.Exec(t.Context(), recorded, "dan", event(t))
				require.NoError(t, err)
				panic("oops")
			})
		})
	})
	t.Run("rolls back when its context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := b.one.InTx(ctx, func(tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, recorded, "eve", event(t))
			cancel()
			return err
		})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("does not pretend to commit after a swallowed error", func(t *testing.T) {
		for _, before := range []int{0, 1} {
			err := b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
				for range before {
					if _, err := tx.Exec(t.Context(), recorded, "fay", event(t)); err != nil {
						return err
					}
				}
				_, _ = tx.Exec(t.Context(), `SELECT 1/0`)
				return nil
			})
			require.Error(t, err, "failed statement number %d", before+1)
		}
	})
	t.Run("that runs nothing takes no connection", func(t *testing.T) {
		before := b.DB.Stats()
		require.NoError(t, b.one.InTx(t.Context(), func(*postgres.Tx) error {
			require.Zero(t, b.DB.Pool().Stat().AcquiredConns())
			return nil
		}))
		require.Zero(t, b.DB.Stats().Sub(before))
	})
	require.Equal(t, []string{"ann", "bob"}, subjects(t, b.one))
	require.Zero(t, b.DB.Pool().Stat().AcquiredConns())
}

func TestStats(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	read := func() { require.Empty(t, subjects(t, b.one)) }
	twice := func() {
		require.NoError(t, b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
			subjects(t, tx)
			subjects(t, tx)
			return nil
		}))
	}
	measure := func(work func()) postgres.Stats {
		work() // the first use of a statement on a connection also prepares it
		before := b.DB.Stats()
		work()
		return b.DB.Stats().Sub(before)
	}
	require.Equal(t, postgres.Stats{Statements: 1, Transactions: 1, RoundTrips: 1}, measure(read))
	require.Equal(t, postgres.Stats{Statements: 2, Transactions: 1, RoundTrips: 3}, measure(twice))
}

func TestErrors(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	b.add(t, b.one, "ann")

	t.Run("no rows", func(t *testing.T) {
		var id uuid.UUID
		err := b.one.QueryRow(t.Context(), `SELECT id FROM users WHERE subject = 'nobody'`).Scan(&id)
		require.True(t, postgres.NoRows(err))
		require.False(t, postgres.Unavailable(err))
	})
	t.Run("a duplicate, and the connection is good afterwards", func(t *testing.T) {
		for range 20 {
			_, err := b.one.Write().Exec(t.Context(), recorded, "ann", event(t))
			require.True(t, postgres.UniqueViolation(err, "users_realm_id_subject_key"), "%v", err)
			require.True(t, postgres.UniqueViolation(err, ""))
			require.False(t, postgres.UniqueViolation(err, "users_pkey"))
			require.False(t, postgres.Unavailable(err))
			require.Equal(t, []string{"ann"}, subjects(t, b.one))
		}
	})
	t.Run("a statement that cannot be parsed", func(t *testing.T) {
		var n int
		err := b.one.QueryRow(t.Context(), `SELECT nonsense FROM users`).Scan(&n)
		require.Equal(t, "42703", code(err))
		require.Equal(t, []string{"ann"}, subjects(t, b.one))
	})
	t.Run("nil is neither", func(t *testing.T) {
		require.False(t, postgres.Unavailable(nil))
		require.False(t, postgres.NoRows(nil))
		require.False(t, postgres.UniqueViolation(nil, ""))
	})
	require.Zero(t, b.DB.Pool().Stat().AcquiredConns())
}

func mustParse(t *testing.T, id string) uuid.UUID {
	t.Helper()
	parsed, err := uuid.Parse(id)
	require.NoError(t, err)
	return parsed
}
