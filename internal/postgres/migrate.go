package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migration is one migration and whether the database has it.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

// ErrSchema is returned by CheckSchema when program and database do not fit.
var ErrSchema = errors.New("the database schema does not fit this program")

// Migrate applies the migrations that the database lacks and returns them. Two processes may call it at once:
// an advisory lock lets one work and the other find everything done. The roles must exist (EnsureRoles).
func Migrate(ctx context.Context, url string, migrations fs.FS) ([]Migration, error) {
	var applied []Migration
	err := withProvider(ctx, url, migrations, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			applied = append(applied, Migration{r.Source.Version, r.Source.Path, true})
		}
		return err
	})
	if err != nil {
		return applied, fmt.Errorf("migrate the database: %w", err)
	}
	conn, err := connect(ctx, url)
	if err != nil {
		return applied, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Without the lock, a grant of another process at this moment would make this one fail.
		if _, err := tx.Exec(ctx, `LOCK TABLE goose_db_version IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `GRANT SELECT ON goose_db_version TO `+GlobalRole)
		return err
	})
	if err != nil {
		return applied, fmt.Errorf("let %s read the schema version: %w", GlobalRole, err)
	}
	return applied, nil
}

// Migrations lists what the program knows and what the database has of it.
func Migrations(ctx context.Context, url string, migrations fs.FS) ([]Migration, error) {
	var list []Migration
	err := withProvider(ctx, url, migrations, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, s := range status {
			list = append(list, Migration{s.Source.Version, s.Source.Path, s.State == goose.StateApplied})
		}
		return err
	})
	return list, err
}

func withProvider(ctx context.Context, url string, migrations fs.FS, fn func(*goose.Provider) error) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("parse the database URL: %w", redactURL(err))
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { _ = db.Close() }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	return fn(p)
}

// CheckSchema compares the newest migration that the database has with the newest that the program knows:
// ErrSchema when they differ.
func (db *DB) CheckSchema(ctx context.Context, migrations fs.FS) error {
	want, err := newest(migrations)
	if err != nil {
		return err
	}
	var have int64
	err = db.GlobalTx(ctx, func(tx *GlobalTx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	})
	switch {
	case isCode(err, "42P01") || isCode(err, "42501"):
		return fmt.Errorf("%w: it has never been migrated; run: gatehouse migrate up", ErrSchema)
	case err != nil:
		return fmt.Errorf("read the schema version: %w", err)
	case have < want:
		return fmt.Errorf("%w: the database is at migration %d, the program needs %d; run: gatehouse migrate up", ErrSchema, have, want)
	case have > want:
		return fmt.Errorf("%w: the database is at migration %d, newer than the %d that the program knows; run a newer gatehouse", ErrSchema, have, want)
	}
	return nil
}

func newest(migrations fs.FS) (int64, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, errors.Join(errors.New("no migrations found"), err)
	}
	return goose.NumericComponent(names[len(names)-1])
}

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
