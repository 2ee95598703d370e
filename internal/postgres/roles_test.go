package postgres_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

func TestOP06_ConnectionsActAsTheApplicationRole(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)

	t.Run("also after DISCARD ALL", func(t *testing.T) {
		conn, err := b.DB.Pool().Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		_, err = conn.Exec(t.Context(), `DISCARD ALL`)
		require.NoError(t, err)
		var role string
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_user`).Scan(&role))
		require.Equal(t, postgres.AppRole, role)
		// It discarded pgx's prepared statements too, so nobody else may get this connection.
		require.NoError(t, conn.Conn().Close(t.Context()))
	})
	t.Run("with timeouts, in UTC", func(t *testing.T) {
		for setting, want := range map[string]string{
			"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "15s", "TimeZone": "UTC",
		} {
			var have string
			require.NoError(t, b.DB.Pool().QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&have))
			require.Equal(t, want, have, setting)
		}
	})
	t.Run("which owns nothing and cannot change the schema", func(t *testing.T) {
		for _, statement := range []string{
			`CREATE TABLE x (id int)`, `DROP TABLE flows`, `ALTER TABLE users DISABLE ROW LEVEL SECURITY`, `ALTER TABLE users DISABLE TRIGGER recorded`,
			`TRUNCATE users`, `DROP POLICY realm ON users`,
		} {
			_, err := b.DB.Pool().Exec(t.Context(), statement)
			require.Equal(t, "42501", code(err), "%s: %v", statement, err)
		}
	})
	t.Run("and work for nobody when they do not", func(t *testing.T) {
		db, err := postgres.Open(t.Context(), postgres.Options{URL: b.URL(), MaxConns: 1, MinConns: 1, AllowSuperuser: true})
		require.NoError(t, err)
		defer db.Close()
		r := db.Rows(b.Realm(t, "one").ID)
		require.NoError(t, db.Pool().AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
			_, err := c.Exec(t.Context(), `SET ROLE NONE`)
			return err
		}))
		require.ErrorContains(t, r.QueryRow(t.Context(), `SELECT 1`).Scan(new(int)), "no realm in this transaction")
		_, err = r.Write().Exec(t.Context(), `DELETE FROM flows`)
		require.ErrorContains(t, err, "no realm in this transaction")
		require.ErrorContains(t, r.InTx(t.Context(), func(tx *postgres.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM flows`)
			return err
		}), "no realm in this transaction")
	})
}

func TestGlobalTx(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	owner, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Close(t.Context())) }()
	rows, err := owner.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, tables, "users")

	t.Run("sees four tables, the schema's version, and nothing else", func(t *testing.T) {
		var seen []string
		for _, table := range tables {
			err := b.DB.GlobalTx(t.Context(), func(tx *postgres.GlobalTx) error {
				var n int
				return tx.QueryRow(t.Context(), `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()).Scan(&n)
			})
			if err == nil {
				seen = append(seen, table)
				continue
			}
			require.Equal(t, "42501", code(err), "%s: %v", table, err)
		}
		require.Equal(t, []string{"consumer_cursors", "events", "goose_db_version", "realm_hosts", "realms"}, seen)
	})
	t.Run("writes none but the cursors", func(t *testing.T) {
		for _, table := range tables {
			if table == "consumer_cursors" {
				continue
			}
			for _, statement := range []string{`DELETE FROM `, `TRUNCATE `} {
				err := b.DB.GlobalTx(t.Context(), func(tx *postgres.GlobalTx) error {
					_, err := tx.Exec(t.Context(), statement+pgx.Identifier{table}.Sanitize())
					return err
				})
				require.Equal(t, "42501", code(err), "%s%s: %v", statement, table, err)
			}
		}
	})
	t.Run("sees all realms", func(t *testing.T) {
		b.Realm(t, "one")
		b.Realm(t, "two")
		slugs, err := b.Directory.Slugs(t.Context())
		require.NoError(t, err)
		require.True(t, slices.Equal([]string{"one", "system", "two"}, slugs), "%v", slugs)
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("does not repeat the password of a URL it cannot read", func(t *testing.T) {
		t.Parallel()
		for _, url := range []string{"postgres://u:hunter2@h:port/d", "postgres://u:hunter2@h/d?sslmode=maybe", "host=h password=hunter2 port=x"} {
			_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
		}
	})
}
