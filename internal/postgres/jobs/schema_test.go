package jobs_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// TestTheSchemaIsRivers compares our migration with what River's own would make: a new release of River that wants
// another schema fails here.
func TestTheSchemaIsRivers(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), testdb.NewURL(t))
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), `CREATE SCHEMA river`)
	require.NoError(t, err)
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: "river", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)

	for what, query := range map[string]string{
		"columns": `SELECT c.relname, a.attname, replace(format_type(a.atttypid, a.atttypmod), 'river.', ''), a.attnotnull,
			replace(coalesce(pg_get_expr(d.adbin, d.adrelid), ''), 'river.', '')
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
			WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'river%' AND c.relname <> 'river_migration' ORDER BY 1, a.attnum`,
		"tables": `SELECT c.relname, c.relpersistence::text FROM pg_class c
			WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'S') AND c.relname LIKE 'river%' AND c.relname NOT LIKE 'river_migration%' ORDER BY 1`,
		"indexes": `SELECT indexname, replace(replace(indexdef, 'river.', ''), 'public.', '') FROM pg_indexes
			WHERE schemaname = $1 AND tablename LIKE 'river%' AND tablename <> 'river_migration' ORDER BY 1`,
		"constraints": `SELECT c.relname, k.conname, replace(pg_get_constraintdef(k.oid), 'river.', '') FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
			WHERE c.relnamespace = $1::text::regnamespace AND c.relname LIKE 'river%' AND c.relname <> 'river_migration' ORDER BY 1, 2`,
		"functions": `SELECT proname, provolatile::text, regexp_replace(replace(prosrc, 'river.', ''), '\s+', ' ', 'g') FROM pg_proc
			WHERE pronamespace = $1::text::regnamespace AND proname LIKE 'river%' ORDER BY 1`,
		"triggers": `SELECT g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
			WHERE c.relnamespace = $1::text::regnamespace AND c.relname LIKE 'river%' AND NOT g.tgisinternal`,
		"types": `SELECT t.typname, e.enumlabel FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = $1::text::regnamespace ORDER BY 1, e.enumsortorder`,
	} {
		want := list(t.Context(), t, pool, query, "river")
		require.Equal(t, want, list(t.Context(), t, pool, query, "public"), what)
		require.Equal(t, what == "triggers", len(want) == 0, what)
	}
}

func list(ctx context.Context, t *testing.T, pool *pgxpool.Pool, query, schema string) [][]any {
	t.Helper()
	rows, err := pool.Query(ctx, query, schema)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	require.NoError(t, err)
	return all
}
