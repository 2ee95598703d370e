package postgres_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/sql"
)

// startServer starts a server for one test alone: roles belong to the whole server, and stopping one is nothing to
// do to others.
func startServer(t *testing.T, dir string) *devpg.Server {
	t.Helper()
	s, err := devpg.Start(t.Context(), devpg.Options{Dir: dir, Ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func migrations(t *testing.T) fs.FS {
	t.Helper()
	all, err := fs.Sub(sql.Migrations, "migrations")
	require.NoError(t, err)
	return all
}

// firstOf is what a program knew that had only the first n migrations.
func firstOf(t *testing.T, n int) fs.FS {
	t.Helper()
	all := migrations(t)
	names, err := fs.Glob(all, "*.sql")
	require.NoError(t, err)
	require.Greater(t, len(names), n)
	some := fstest.MapFS{}
	for _, name := range names[:n] {
		text, err := fs.ReadFile(all, name)
		require.NoError(t, err)
		some[name] = &fstest.MapFile{Data: text}
	}
	return some
}

func open(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url, MaxConns: 4, MinConns: 1})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func TestOP06_StartIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	url := s.URL(devpg.Database)
	super, err := pgx.Connect(t.Context(), s.SuperuserURL(devpg.Database))
	require.NoError(t, err)
	defer func() { _ = super.Close(context.WithoutCancel(t.Context())) }()
	exec := func(t *testing.T, statement string) {
		t.Helper()
		_, err := super.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	opens := func(url string, allow bool) error {
		db, err := postgres.Open(t.Context(), postgres.Options{URL: url, AllowSuperuser: allow, MaxConns: 1, MinConns: 1})
		if err == nil {
			db.Close()
		}
		return err
	}

	t.Run("on a database that was never prepared", func(t *testing.T) {
		require.ErrorContains(t, opens(url, false), "gatehouse migrate up")
	})
	require.NoError(t, postgres.EnsureRoles(t.Context(), url, url))
	require.NoError(t, opens(url, false))

	t.Run("of a superuser, unless that is allowed", func(t *testing.T) {
		require.ErrorContains(t, opens(s.SuperuserURL(devpg.Database), false), "superuser")
		require.NoError(t, opens(s.SuperuserURL(devpg.Database), true))
	})
	exec(t, `CREATE ROLE stranger NOLOGIN`)
	for _, c := range []struct{ name, spoil, mend, says string }{
		{"when the application role bypasses row-level security", `ALTER ROLE gatehouse_app BYPASSRLS`, `ALTER ROLE gatehouse_app NOBYPASSRLS`, "NOBYPASSRLS"},
		{"when the application role is a superuser", `ALTER ROLE gatehouse_app SUPERUSER`, `ALTER ROLE gatehouse_app NOSUPERUSER`, "NOSUPERUSER"},
		{"when the application role can log in", `ALTER ROLE gatehouse_app LOGIN`, `ALTER ROLE gatehouse_app NOLOGIN`, "NOLOGIN"},
		{"when the application role is member of another", `GRANT stranger TO gatehouse_app`, `REVOKE stranger FROM gatehouse_app`, "member"},
		{"when the application role is member of the global one", `GRANT gatehouse_global TO gatehouse_app`, `REVOKE gatehouse_global FROM gatehouse_app`, "member"},
		{"when the application role owns a table", `CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO gatehouse_app`, `DROP TABLE mine`, "owns"},
		{"when the role of the job queue bypasses row-level security", `ALTER ROLE gatehouse_jobs BYPASSRLS`, `ALTER ROLE gatehouse_jobs NOBYPASSRLS`, "gatehouse_jobs"},
		{"when the role of the job queue is member of another", `GRANT gatehouse_app TO gatehouse_jobs`, `REVOKE gatehouse_app FROM gatehouse_jobs`, "gatehouse_jobs is member"},
		{"when the global role can log in", `ALTER ROLE gatehouse_global LOGIN`, `ALTER ROLE gatehouse_global NOLOGIN`, "gatehouse_global"},
		{"when the login role may not act as that of the job queue", `REVOKE gatehouse_jobs FROM gatehouse`, `GRANT gatehouse_jobs TO gatehouse`, "gatehouse_jobs"},
		{"when the login role may not act as the application role", `REVOKE gatehouse_app FROM gatehouse`, `GRANT gatehouse_app TO gatehouse`, "gatehouse_app"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exec(t, c.spoil)
			for _, u := range []string{url, s.SuperuserURL(devpg.Database)} {
				if strings.HasPrefix(c.spoil, "REVOKE") && u != url {
					continue // a superuser needs no membership
				}
				require.ErrorContains(t, opens(u, true), c.says)
			}
			exec(t, c.mend)
			require.NoError(t, opens(url, false), "mended")
		})
	}
}

func TestEnsureRoles(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	url := s.URL(devpg.Database)
	t.Run("at once from many processes", func(t *testing.T) {
		var g errgroup.Group
		for range 12 {
			g.Go(func() error { return postgres.EnsureRoles(t.Context(), url, url) })
		}
		require.NoError(t, g.Wait())
	})
	t.Run("again", func(t *testing.T) {
		require.NoError(t, postgres.EnsureRoles(t.Context(), url, url))
	})
	open(t, url)
	t.Run("explains what a role needs that may not create roles", func(t *testing.T) {
		super, err := pgx.Connect(t.Context(), s.SuperuserURL(devpg.Database))
		require.NoError(t, err)
		_, err = super.Exec(t.Context(), `REVOKE gatehouse_app, gatehouse_global, gatehouse_jobs FROM gatehouse; DROP OWNED BY gatehouse_app, gatehouse_global, gatehouse_jobs;
			DROP ROLE gatehouse_app, gatehouse_global, gatehouse_jobs; ALTER ROLE gatehouse NOCREATEROLE`)
		require.NoError(t, err)
		require.NoError(t, super.Close(t.Context()))
		require.ErrorContains(t, postgres.EnsureRoles(t.Context(), url, url), "CREATE ROLE gatehouse_app NOLOGIN")
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	testdb.NewURL(t) // the roles, which belong to the server

	t.Run("at once from several processes applies each migration once", func(t *testing.T) {
		t.Parallel()
		url := testdb.NewEmptyURL(t)
		var g errgroup.Group
		applied := make([]int, 3)
		for i := range applied {
			g.Go(func() error {
				list, err := postgres.Migrate(t.Context(), url, migrations(t))
				applied[i] = len(list)
				return err
			})
		}
		require.NoError(t, g.Wait())
		names, err := fs.Glob(migrations(t), "*.sql")
		require.NoError(t, err)
		require.Equal(t, len(names), applied[0]+applied[1]+applied[2], "%v", applied)
	})
	t.Run("again does nothing", func(t *testing.T) {
		t.Parallel()
		list, err := postgres.Migrate(t.Context(), testdb.NewURL(t), migrations(t))
		require.NoError(t, err)
		require.Empty(t, list)
	})
	t.Run("says what is applied and what is not", func(t *testing.T) {
		t.Parallel()
		url := testdb.NewEmptyURL(t)
		first := firstOf(t, 2)
		_, err := postgres.Migrate(t.Context(), url, first)
		require.NoError(t, err)
		list, err := postgres.Migrations(t.Context(), url, migrations(t))
		require.NoError(t, err)
		for i, m := range list {
			require.Equal(t, i < 2, m.Applied, m.Name)
		}
	})
}

func TestCheckSchema(t *testing.T) {
	t.Parallel()
	testdb.NewURL(t) // the roles, which belong to the server

	t.Run("accepts what the program knows", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, testdb.New(t).DB.CheckSchema(t.Context(), migrations(t)))
	})
	t.Run("refuses a database that is older", func(t *testing.T) {
		t.Parallel()
		url := testdb.NewEmptyURL(t)
		_, err := postgres.Migrate(t.Context(), url, firstOf(t, 2))
		require.NoError(t, err)
		err = open(t, url).CheckSchema(t.Context(), migrations(t))
		require.ErrorIs(t, err, postgres.ErrSchema)
		require.ErrorContains(t, err, "run: gatehouse migrate up")
	})
	t.Run("refuses a database that is newer", func(t *testing.T) {
		t.Parallel()
		err := testdb.New(t).DB.CheckSchema(t.Context(), firstOf(t, 2))
		require.ErrorIs(t, err, postgres.ErrSchema)
		require.ErrorContains(t, err, "newer gatehouse")
	})
	t.Run("refuses a database that was never migrated", func(t *testing.T) {
		t.Parallel()
		err := open(t, testdb.NewEmptyURL(t)).CheckSchema(t.Context(), migrations(t))
		require.ErrorIs(t, err, postgres.ErrSchema)
		require.ErrorContains(t, err, "never been migrated")
	})
}

func TestServerRestart(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "gatehouse-restart-") //nolint:usetesting // for root t.TempDir is closed to the account that runs PostgreSQL
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	first := startServer(t, dir)
	url := first.URL(devpg.Database)
	require.NoError(t, postgres.EnsureRoles(t.Context(), url, url))
	_, err = postgres.Migrate(t.Context(), url, migrations(t))
	require.NoError(t, err)
	db := open(t, url)
	var system string
	require.NoError(t, db.GlobalTx(t.Context(), func(tx *postgres.GlobalTx) error {
		return tx.QueryRow(t.Context(), `SELECT id::text FROM realms`).Scan(&system)
	}))
	rows := db.Rows(mustParse(t, system))
	read := func() error {
		var n int
		return rows.QueryRow(t.Context(), `SELECT count(*) FROM users`).Scan(&n)
	}
	require.NoError(t, read())

	t.Run("a transaction that the stop cut off reports the absence", func(t *testing.T) {
		err := rows.InTx(t.Context(), func(tx *postgres.Tx) error {
			if _, err := tx.Exec(t.Context(), recorded, "ann", event(t)); err != nil {
				return err
			}
			return first.Stop()
		})
		require.Error(t, err)
		require.True(t, postgres.Unavailable(err), "%v", err)
	})
	t.Run("while it is away everything reports the absence", func(t *testing.T) {
		err := read()
		require.True(t, postgres.Unavailable(err), "%v", err)
		_, err = rows.Write().Exec(t.Context(), recorded, "bob", event(t))
		require.True(t, postgres.Unavailable(err), "%v", err)
		err = rows.InTx(t.Context(), func(tx *postgres.Tx) error { _, err := tx.Exec(t.Context(), `SELECT 1`); return err })
		require.True(t, postgres.Unavailable(err), "%v", err)
		require.True(t, postgres.Unavailable(db.Ping(t.Context())))
		_, err = postgres.Open(t.Context(), postgres.Options{URL: url})
		require.True(t, postgres.Unavailable(err), "%v", err)
	})
	again := startServer(t, dir)
	require.Equal(t, url, again.URL(devpg.Database))
	t.Run("when it is back the next read works and nothing is half written", func(t *testing.T) {
		require.NoError(t, read())
		require.Empty(t, subjects(t, rows))
	})
	t.Run("a read survives a restart between two requests", func(t *testing.T) {
		require.NoError(t, again.Stop())
		startServer(t, dir)
		require.NoError(t, read())
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	b := setupRows(t)
	t.Run("a statement that took too long", func(t *testing.T) {
		err := b.one.InTx(t.Context(), func(tx *postgres.Tx) error {
			if _, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = '10ms'`); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), `SELECT pg_sleep(5)`)
			return err
		})
		require.Equal(t, "57014", code(err))
		require.True(t, postgres.Unavailable(err))
	})
	t.Run("a deadline that passed", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := b.one.Exec(ctx, `SELECT pg_sleep(5)`)
		require.True(t, postgres.Unavailable(err), "%v", err)
	})
	t.Run("the connection that was lost is not given to anybody else", func(t *testing.T) {
		require.Empty(t, subjects(t, b.one))
		// The pool ends it in the background.
		require.Eventually(t, func() bool { return b.DB.Pool().Stat().AcquiredConns() == 0 }, 5*time.Second, time.Millisecond)
	})
}
