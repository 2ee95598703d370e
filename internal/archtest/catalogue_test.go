package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// The tables that are not a realm's, each with the reason.
var globalTables = map[string]string{
	"realms":           "what realms are; bound by its id instead of realm_id",
	"consumer_cursors": "a consumer reads all realms; only the global role sees it",
	"goose_db_version": "the migrations' own; the application may not touch it, the global role reads the version",
}

// Tables of the job queue hold ids of realms and rows, never their content; its prefix is the library's. What may be done
// with them says TestTheJobQueueIsApart.
const jobTables = "river_"

// What the global role may do outside of realms. Everything else is closed to it.
var globalPrivileges = map[string]string{
	"realms": "SELECT", "realm_hosts": "SELECT", "events": "SELECT", "consumer_cursors": "INSERT SELECT UPDATE", "goose_db_version": "SELECT",
}

// What the application role may do with tables of which it may not change and delete everything.
var appPrivileges = map[string]string{
	"realms":           "INSERT SELECT UPDATE",
	"realm_hosts":      "DELETE INSERT SELECT",
	"events":           "INSERT SELECT",        // append-only (AU-02)
	"event_personal":   "DELETE INSERT SELECT", // erased, never changed
	"client_secrets":   "DELETE INSERT SELECT",
	"keys":             "INSERT SELECT UPDATE", // revoked, never deleted
	"former_subjects":  "INSERT SELECT",        // never given again (ID-03)
	"revoked_tokens":   "DELETE INSERT SELECT", // a revocation is never taken back, only cleaned away when it means nothing any more
	"password_history": "DELETE INSERT SELECT", // a replaced hash does not change
	"used_assertions":  "DELETE INSERT SELECT", // an id once used is never free again, only cleaned away when its assertion has ended
	"consumer_cursors": "",
	"goose_db_version": "",
}

// Indexes that do not lead by realm_id, each with the reason.
var globalIndexes = map[string]string{
	"realms_pkey": "the realm itself", "realms_slug_key": "found before a realm is known", "realm_hosts_pkey": "found before a realm is known",
	"consumer_cursors_pkey": "no realm", "goose_db_version_pkey": "no realm", "events_commit_order": "consumers read all realms in commit order",
}

// Audited tables of which not every change is an event, each with the reason.
var narrowed = map[string]string{
	"sessions": "seen_at is written in batches and means nothing to an auditor",
	"grants":   "issuing a code is a metric and a log line; its use and its end are events",
}

// catalogue is a connection of the schema's owner.
type catalogue struct{ *pgx.Conn }

func openCatalogue(t *testing.T) catalogue {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testdb.NewURL(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return catalogue{conn}
}

// rows returns each row as text.
func (c catalogue) rows(t *testing.T, query string, args ...any) [][]string {
	t.Helper()
	rows, err := c.Query(t.Context(), query, args...)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		values, err := row.Values()
		line := make([]string, len(values))
		for i, v := range values {
			line[i] = fmt.Sprint(v)
		}
		return line, err
	})
	require.NoError(t, err)
	return list
}

const inPublic = ` c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '` + jobTables + `%' `

// tables lists every table but the job queue's.
func (c catalogue) tables(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, row := range c.rows(t, `SELECT c.relname::text FROM pg_class c WHERE`+inPublic+`AND c.relkind IN ('r', 'p') ORDER BY 1`) {
		names = append(names, row[0])
	}
	require.Contains(t, names, "users")
	return names
}

// realmTables are those that belong to realms.
func (c catalogue) realmTables(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(c.tables(t), func(name string) bool { return globalTables[name] != "" })
}

func TestEveryTableIsIsolated(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)

	t.Run("it carries its realm", func(t *testing.T) {
		for _, table := range c.realmTables(t) {
			got := c.rows(t, `SELECT format_type(a.atttypid, a.atttypmod), a.attnotnull::text, coalesce(pg_get_expr(d.adbin, d.adrelid), '')
				FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
				WHERE a.attrelid = $1::text::regclass AND a.attname = 'realm_id'`, table)
			require.Equal(t, [][]string{{"uuid", "true", "current_realm()"}}, got, table)
		}
	})
	t.Run("row-level security is enabled and forced", func(t *testing.T) {
		for _, row := range c.rows(t, `SELECT c.relname::text, c.relrowsecurity::text, c.relforcerowsecurity::text FROM pg_class c WHERE`+inPublic+`AND c.relkind IN ('r', 'p')`) {
			if row[0] == "goose_db_version" {
				continue
			}
			require.Equal(t, []string{"true", "true"}, row[1:], row[0])
		}
	})
	t.Run("and no policy lets anybody else in", func(t *testing.T) {
		const query = `SELECT c.relname::text, p.polname::text, p.polcmd::text, p.polpermissive::text,
			(SELECT string_agg(pg_get_userbyid(r), ',') FROM unnest(p.polroles) r),
			coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
			FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE` + inPublic
		seen := map[string][]string{}
		for _, p := range c.rows(t, query) {
			table, name, rest := p[0], p[1], p[2:]
			seen[table] = append(seen[table], name)
			own := "(realm_id = current_realm())"
			if table == "realms" {
				own = "(id = current_realm())"
			}
			switch {
			case name == "realm":
				require.Equal(t, []string{"*", "true", postgres.AppRole, own, own}, rest, table)
			case name == "global" && table == "consumer_cursors":
				require.Equal(t, []string{"*", "true", postgres.GlobalRole, "true", "true"}, rest, table)
			case name == "global" && globalPrivileges[table] == "SELECT":
				require.Equal(t, []string{"r", "true", postgres.GlobalRole, "true", ""}, rest, table)
			default:
				t.Errorf("%s: policy %s is not among those that may exist", table, name)
			}
		}
		for _, table := range c.tables(t) {
			want := []string{"realm"}
			switch {
			case table == "goose_db_version":
				want = nil
			case table == "consumer_cursors":
				want = []string{"global"}
			case globalPrivileges[table] != "":
				want = []string{"realm", "global"}
			}
			require.ElementsMatch(t, want, seen[table], table)
		}
	})
	t.Run("and nothing else reads it with its owner's rights", func(t *testing.T) {
		require.Empty(t, c.rows(t, `SELECT c.relname::text FROM pg_class c WHERE`+inPublic+`AND c.relkind IN ('v', 'm', 'f')`), "views")
		require.Empty(t, c.rows(t, `SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef`), "SECURITY DEFINER")
	})
}

func TestPrivilegesAreWhatIsMeant(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	const query = `SELECT c.relname::text, pg_get_userbyid(a.grantee), string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type), bool_or(a.is_grantable)::text
		FROM pg_class c, aclexplode(c.relacl) a WHERE` + inPublic + `AND a.grantee <> c.relowner GROUP BY 1, 2`
	have := map[string]map[string]string{postgres.AppRole: {}, postgres.GlobalRole: {}}
	for _, row := range c.rows(t, query) {
		require.Contains(t, have, row[1], "%s is open to %s", row[0], row[1])
		require.Equal(t, "false", row[3], row[0])
		have[row[1]][row[0]] = row[2]
	}
	for _, table := range c.tables(t) {
		app := have[postgres.AppRole][table]
		if want, special := appPrivileges[table]; special {
			require.Equal(t, want, app, table)
		} else {
			require.Equal(t, "DELETE INSERT SELECT UPDATE", app, "%s: say in appPrivileges what is meant", table)
		}
		require.Equal(t, globalPrivileges[table], have[postgres.GlobalRole][table], table)
	}
	require.Empty(t, c.rows(t, `SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE`+inPublic+`AND a.attacl IS NOT NULL`),
		"privileges on single columns")
}

// TestTheJobQueueIsApart: inside a realm work may be left for it, whoever works sees the queue and no row of anybody, and
// nobody else does either.
func TestTheJobQueueIsApart(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	all := "DELETE INSERT SELECT UPDATE"
	require.Equal(t, [][]string{
		{"river_job", postgres.AppRole, "INSERT"},
		{"river_job", postgres.JobsRole, all},
		{"river_job_id_seq", postgres.AppRole, "USAGE"},
		{"river_job_id_seq", postgres.JobsRole, "USAGE"},
		{"river_leader", postgres.JobsRole, all},
		{"river_queue", postgres.JobsRole, all},
	}, c.rows(t, `SELECT c.relname::text, pg_get_userbyid(a.grantee)::text, string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type)
		FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'river_%' AND a.grantee <> c.relowner
		GROUP BY 1, 2 ORDER BY 1, 2`))
	require.Equal(t, [][]string{
		{"jobs", "*", postgres.JobsRole, "true", "true"},
		{"realm", "a", postgres.AppRole, "", "(((args ->> 'realm'::text))::uuid = current_realm())"},
	}, c.rows(t, `SELECT p.polname::text, p.polcmd::text, (SELECT string_agg(pg_get_userbyid(r), ',') FROM unnest(p.polroles) r),
		coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
		FROM pg_policy p WHERE p.polrelid = 'river_job'::regclass ORDER BY 1`))
	require.Equal(t, [][]string{{"true", "true"}},
		c.rows(t, `SELECT relrowsecurity::text, relforcerowsecurity::text FROM pg_class WHERE oid = 'river_job'::regclass`))
}

func TestEveryIndexLeadsByRealm(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	const query = `SELECT i.relname::text, coalesce(a.attname::text, 'an expression') FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
		LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] AND x.indkey[0] <> 0 WHERE` + inPublic
	exist := map[string]bool{}
	for _, row := range c.rows(t, query) {
		exist[row[0]] = true
		if globalIndexes[row[0]] == "" {
			require.Equal(t, "realm_id", row[1], "index %s", row[0])
		}
	}
	for name := range globalIndexes {
		require.True(t, exist[name], "%s is on the list and does not exist", name)
	}
	t.Run("and every table has a primary key", func(t *testing.T) {
		require.Empty(t, c.rows(t, `SELECT c.relname::text FROM pg_class c WHERE`+inPublic+`AND c.relkind IN ('r', 'p')
			AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')`))
	})
}

// TestEveryForeignKeyStaysInItsRealm: foreign keys are checked past row-level security.
func TestEveryForeignKeyStaysInItsRealm(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	const query = `SELECT k.conname::text, f.relname::text, cardinality(k.conkey)::text,
		(SELECT attname::text FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = k.conkey[1]),
		(SELECT attname::text FROM pg_attribute WHERE attrelid = k.confrelid AND attnum = k.confkey[1])
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid WHERE k.contype = 'f' AND` + inPublic
	list := c.rows(t, query)
	require.NotEmpty(t, list)
	for _, k := range list {
		if k[1] == "realms" {
			require.Equal(t, []string{"1", "realm_id", "id"}, k[2:], k[0])
			continue
		}
		require.NotEqual(t, "1", k[2], k[0])
		require.Equal(t, []string{"realm_id", "realm_id"}, k[3:], k[0])
	}
}

func TestEveryTableIsAuditedOrArgued(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	unaudited := listFile(t, "sql/unaudited.txt")
	const query = `SELECT c.relname::text, (g.tgtype & 4 > 0 AND g.tgtype & 8 > 0 AND g.tgtype & 16 > 0 AND cardinality(g.tgattr::int2[]) = 0)::text,
		(g.tgdeferrable AND g.tginitdeferred AND g.tgenabled = 'O' AND g.tgtype & 1 > 0 AND g.tgqual IS NULL AND g.tgfoid = 'require_event'::regproc)::text
		FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE g.tgname = 'recorded' AND` + inPublic
	audited := map[string]bool{}
	for _, row := range c.rows(t, query) {
		audited[row[0]] = true
		require.Equal(t, "true", row[2], "%s: the trigger is made by audit()", row[0])
		require.Equal(t, narrowed[row[0]] == "", row[1] == "true", "%s: every change counts, or narrowed says why not", row[0])
	}
	for _, table := range append(c.realmTables(t), "realms") {
		if unaudited[table] != "" {
			require.False(t, audited[table], "%s is in sql/unaudited.txt and has the trigger", table)
			continue
		}
		require.True(t, audited[table], "%s has no trigger; CALL audit('%[1]s') or argue in sql/unaudited.txt", table)
	}
	for table := range unaudited {
		require.Contains(t, c.tables(t), table, "sql/unaudited.txt")
	}
}

func TestEveryTableHasAnOwner(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	var listed []string
	for table := range listFile(t, "sql/owners.txt") {
		listed = append(listed, table)
	}
	require.ElementsMatch(t, slices.DeleteFunc(c.tables(t), func(n string) bool { return n == "goose_db_version" }), listed, "sql/owners.txt")
}

// TestColumnTypes: operators of enums are not leakproof, and a time without zone is two times.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	require.Empty(t, c.rows(t, `SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd') AND typname NOT LIKE '`+jobTables+`%'`),
		"enums and domains; write text with CHECK")
	allowed := strings.Fields("uuid text text[] bytea boolean integer bigint jsonb xid8 timestamptz")
	for _, row := range c.rows(t, `SELECT c.relname::text || '.' || a.attname, replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE`+inPublic+`AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'goose_db_version'`) {
		require.Contains(t, allowed, row[1], row[0])
	}
	t.Run("and every status, state and kind is checked", func(t *testing.T) {
		require.Empty(t, c.rows(t, `SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE`+inPublic+`AND c.relkind IN ('r', 'p')
			AND a.attname IN ('status', 'state', 'kind') AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum])`))
	})
}

// TestTheCatalogueRulesThemselves: two realms, and a table that somebody forgot to isolate.
func TestTheCatalogueRulesThemselves(t *testing.T) {
	t.Parallel()
	c := openCatalogue(t)
	_, err := c.Exec(t.Context(), `CREATE TABLE forgotten (id uuid PRIMARY KEY, user_id uuid)`)
	require.NoError(t, err)
	require.Contains(t, c.realmTables(t), "forgotten")
	require.Equal(t, [][]string{{"forgotten", "false", "false"}},
		c.rows(t, `SELECT c.relname::text, c.relrowsecurity::text, c.relforcerowsecurity::text FROM pg_class c WHERE`+inPublic+`AND c.relname = 'forgotten'`))
}

// TestMigrationsAreNumbered: goose orders by number, so none may be missing or double.
func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "sql", "migrations", "*.sql"))
	require.NoError(t, err)
	for i, file := range files {
		require.Equal(t, fmt.Sprintf("%04d", i+1), strings.SplitN(filepath.Base(file), "_", 2)[0], filepath.Base(file))
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(content), "+goose Down", "%s: migrations go forward only", filepath.Base(file))
		require.True(t, strings.HasPrefix(string(content), "-- "), "%s begins by saying why", filepath.Base(file))
	}
}
