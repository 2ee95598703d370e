package archtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// Conditions that compare a column with what coalesce yields after all, each with the reason.
var comparesCoalesced = map[string]string{
	"c.client_id = coalesce": "flow State finds a person's few consents by the person alone",
}

// unindexable says where a condition compares something with what coalesce yields. Under row-level security such a
// condition reaches no index, since PostgreSQL does not know coalesce to be leakproof: the statement reads every row of
// the realm. A parameter, a column or CASE does reach one.
func (s *statement) unindexable() []string {
	const conditions, others = "where on having", "select set values returning order group limit from join"
	var wrong, outer []string
	clause := ""
	opened := map[int]bool{} // parentheses of a coalesce that begins a comparison, by depth
	for i, t := range s.tokens {
		switch {
		case t.kind == word && slices.Contains(strings.Fields(conditions+" "+others), t.text):
			clause = t.text
		case t.kind == symbol && t.text == "(":
			outer = append(outer, clause)
			opened[len(outer)] = s.word(i-1) == "coalesce"
		case t.kind == symbol && t.text == ")" && len(outer) > 0:
			was := opened[len(outer)]
			clause, outer = outer[len(outer)-1], outer[:len(outer)-1]
			if was && slices.Contains(strings.Fields(conditions), clause) && s.is(i+1, "=") {
				wrong = append(wrong, "coalesce(…) =")
			}
		case t.kind == symbol && t.text == "=" && s.word(i+1) == "coalesce" && slices.Contains(strings.Fields(conditions), clause):
			wrong = append(wrong, s.word(i-3)+"."+s.word(i-1)+" = coalesce")
		}
	}
	return slices.DeleteFunc(wrong, func(w string) bool { return comparesCoalesced[w] != "" })
}

// hot are the statements of sign-ins and tokens. Each finds its rows by keys, however many there are: it is planned
// and run on a realm with many of everything.
var hot = []struct{ domain, name string }{
	{"flow", "State"},
	{"session", "SessionByToken"},
	{"password", "Candidate"},
	{"user", "UserIDByIdentifier"},
	{"user", "Contact"},
	{"grant", "ByCode"},
	{"grant", "ByID"},
	{"grant", "Exchange"},
	{"grant", "Rotate"},
	{"grant", "TokenStates"},
	{"grant", "People"},
	{"grant", "RevokeBySession"},
	{"session", "Reauthenticate"},
	{"session", "Rotate"},
	{"session", "EndSession"},
	{"client", "ClientByClientID"},
	{"flow", "Authenticated"},
	{"flow", "Hold"},
	{"challenge", "ByToken"},
	{"challenge", "SpendToken"},
	{"attempt", "FindCounters"},
	{"attempt", "DeleteEnded"},
}

// values of the statements' parameters, of the nth of everything; the number in an id is the table's.
func values(n int) map[string]string {
	id := func(kind int) string { return fmt.Sprintf("'00000000-0000-4000-8%03d-%012d'::uuid", kind, n) }
	hash := fmt.Sprintf("decode(md5('%d'), 'hex')", n)
	return map[string]string{
		"now": "timestamptz '2026-01-01'", "proved_at": "timestamptz '2026-01-01'", "auth_time": "timestamptz '2026-01-01'",
		"ends_at": "timestamptz '2027-01-01'", "idle_at": "timestamptz '2027-01-01'", "never": "timestamptz '9999-01-01'",
		"expires_at": "timestamptz '2027-01-01'", "with_names": "true", "with_email": "true", "tx_hash": hash, "browser_hash": hash,
		"token_hash": hash, "code_hash": hash, "tx": fmt.Sprintf("'%d'", n), "client_id": fmt.Sprintf("'client%d'", n), "canonical": fmt.Sprintf("'user%d'", n),
		"grant_id": id(4), "grant_ids": "ARRAY[" + id(4) + "]", "jtis": "'{none}'::text[]", "session_id": id(3), "user_id": id(1), "jti": "'none'", "generation": "1", "seen": "1", "used_from": "NULL",
		"event": "NULL", "amr": "'{pwd}'", "acr": "'1'", "persistent": "false", "idle_seconds": "60", "notice": "''", "purpose": "'verify'", "another": "false",
		"counters": fmt.Sprintf("'{a%d,b%d,c%d}'::text[]", n, n, n), "most": "1",
	}
}

const many = 3000

// fill makes many of everything in the realm of the session; %[1]d is how many.
const fill = `
INSERT INTO users (id, subject, created_at, updated_at)
SELECT ('00000000-0000-4000-8001-' || lpad(n::text, 12, '0'))::uuid, 'subject' || n, '2026-01-01', '2026-01-01' FROM generate_series(1, %[1]d) n;
INSERT INTO identifiers (id, user_id, kind, canonical, display, created_at)
SELECT ('00000000-0000-4000-8002-' || lpad(n::text, 12, '0'))::uuid, ('00000000-0000-4000-8001-' || lpad(n::text, 12, '0'))::uuid,
  'username', 'user' || n, 'user' || n, '2026-01-01' FROM generate_series(1, %[1]d) n;
INSERT INTO passwords (user_id, hash, changed_at) SELECT u.id, 'x', '2026-01-01' FROM users u;
INSERT INTO sessions (id, token_hash, user_id, auth_time, amr, acr, persistent, created_at, seen_at, idle_seconds, ends_at)
SELECT ('00000000-0000-4000-8003-' || lpad(n::text, 12, '0'))::uuid, decode(md5(n::text), 'hex'), ('00000000-0000-4000-8001-' || lpad(n::text, 12, '0'))::uuid,
  '2026-01-01', '{pwd}', '1', false, '2026-01-01', '2026-01-01', 3600, '2027-01-01' FROM generate_series(1, %[1]d) n;
INSERT INTO grants (id, client_id, user_id, session_id, scopes, audience, request, auth_time, amr, acr, created_at, code_hash, code_expires_at, generation, idle_at, ends_at, offline)
SELECT ('00000000-0000-4000-8004-' || lpad(n::text, 12, '0'))::uuid, 'client' || n, ('00000000-0000-4000-8001-' || lpad(n::text, 12, '0'))::uuid,
  ('00000000-0000-4000-8003-' || lpad(n::text, 12, '0'))::uuid, '{openid}', '{}', '{}', '2026-01-01', '{pwd}', '1', '2026-01-01', decode(md5(n::text), 'hex'),
  '2025-12-31', 1, '2027-01-01', '2027-01-01', false FROM generate_series(1, %[1]d) n;
INSERT INTO flows (tx_hash, kind, client_id, browser_hash, request, created_at, expires_at, ends_at)
SELECT decode(md5(n::text), 'hex'), 'authorize', 'client' || n, decode(md5(n::text), 'hex'), '', '2026-01-01', '2026-01-02', '2026-01-02' FROM generate_series(1, %[1]d) n;
INSERT INTO challenges (id, purpose, user_id, address, template, token_hash, tx, created_at, code_expires_at, expires_at)
SELECT ('00000000-0000-4000-8005-' || lpad(n::text, 12, '0'))::uuid, 'verify', ('00000000-0000-4000-8001-' || lpad(n::text, 12, '0'))::uuid, '', 'x',
  decode(md5(n::text), 'hex'), n::text, '2026-01-01', '2026-01-02', '2026-01-02' FROM generate_series(1, %[1]d) n;
INSERT INTO consents (user_id, client_id, scopes, granted_at, updated_at) SELECT u.id, 'client' || c, '{openid}', '2026-01-01', '2026-01-01'
FROM users u, generate_series(1, 3) c;
INSERT INTO clients (id, client_id, name, application_type, token_endpoint_auth_method, grant_types, response_types, scopes, created_at, updated_at)
SELECT ('00000000-0000-4000-8006-' || lpad(n::text, 12, '0'))::uuid, 'client' || n, 'x', 'web', 'client_secret_basic', '{}', '{}', '{}', '2026-01-01', '2026-01-01'
FROM generate_series(1, %[1]d) n;
INSERT INTO client_secrets (id, client, hash, created_at) SELECT gen_random_uuid(), c.id, decode(md5(c.client_id), 'hex'), '2026-01-01' FROM clients c;
INSERT INTO attempts (counter, failures, since, wait_until, forget_at, trusted_until, ends_at)
SELECT k || n, 1, '2026-01-01', '2026-01-01', '2026-01-02', '2026-01-01', '2026-01-02' FROM generate_series(1, %[1]d) n, unnest('{a,b,c}'::text[]) k;
INSERT INTO revoked_tokens (jti, expires_at) SELECT 'jti' || n, '2026-01-02' FROM generate_series(1, %[1]d) n;
INSERT INTO used_assertions (client_id, jti, expires_at) SELECT 'client' || n, 'jti' || n, '2026-01-02' FROM generate_series(1, %[1]d) n;
SELECT set_config('app.recorded', 'yes', true);
`

// crowded is a connection as the application's role, in one of two realms that have many of everything, with statistics
// of the tables or, as in the first minute of an installation, without.
func crowded(t *testing.T, analyzed bool) *pgx.Conn {
	t.Helper()
	b := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	run := func(sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for _, slug := range []string{"other", "one"} {
		run("SET ROLE gatehouse_app; SELECT set_config('app.realm', '" + b.Realm(t, slug).ID.String() + "', false)")
		run("BEGIN;" + fmt.Sprintf(fill, many) + "COMMIT")
	}
	if analyzed {
		run("RESET ROLE; ANALYZE; SET ROLE gatehouse_app")
	}
	return conn
}

var (
	parameter = regexp.MustCompile(`sqlc\.n?arg\((\w+)\)|@(\w+)`)
	embed     = regexp.MustCompile(`sqlc\.embed\((\w+)\)`)
)

// prepared is a query of a file as PostgreSQL takes it, with the values of its parameters in order.
func prepared(t *testing.T, domain, name string) (sql string, args []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "sql", domain, "*.sql"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		_, after, found := strings.Cut(string(content), "-- name: "+name+" :")
		if !found {
			continue
		}
		_, after, _ = strings.Cut(after, "\n")
		sql, _, _ = strings.Cut(after, "-- name: ")
		all := values(2077)
		all["id"] = map[string]string{"session": all["session_id"], "grant": all["grant_id"]}[domain]
		var names []string
		sql = parameter.ReplaceAllStringFunc(embed.ReplaceAllString(sql, "$1.*"), func(found string) string {
			m := parameter.FindStringSubmatch(found)
			p := m[1] + m[2]
			if !slices.Contains(names, p) {
				require.NotEmpty(t, all[p], "%s %s: a value for @%s is missing in this test", domain, name, p)
				names, args = append(names, p), append(args, all[p])
			}
			return fmt.Sprintf("$%d", slices.Index(names, p)+1)
		})
		return strings.TrimSuffix(strings.TrimSpace(sql), ";"), args
	}
	require.Fail(t, "no such query", "%s %s", domain, name)
	return "", nil
}

// node is a step of a plan that was run.
type node struct {
	Type     string  `json:"Node Type"`
	Table    string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Checked  float64 `json:"Rows Removed by Index Recheck"`
	Plans    []node
}

// walk calls do for the node and all below it.
func (n node) walk(do func(node)) {
	do(n)
	for _, below := range n.Plans {
		below.walk(do)
	}
}

func TestHotStatementsReachTheirIndexes(t *testing.T) {
	t.Parallel()
	for name, analyzed := range map[string]bool{"with statistics": true, "before there are statistics": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := crowded(t, analyzed)
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				for _, q := range hot {
					t.Run(mode+" "+q.domain+" "+q.name, func(t *testing.T) { reachIndexes(t, conn, mode, q.domain, q.name) })
				}
			}
		})
	}
}

// reachIndexes requires that a query finds its rows by keys.
func reachIndexes(t *testing.T, conn *pgx.Conn, mode, domain, query string) {
	t.Helper()
	sql, args := prepared(t, domain, query)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	name := "plan_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	_, err = tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = "+mode+"; PREPARE "+name+" AS "+sql)
	require.NoError(t, err, sql)
	var text []byte
	execute := "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE " + name
	if len(args) > 0 {
		execute += " (" + strings.Join(args, ", ") + ")"
	}
	require.NoError(t, tx.QueryRow(t.Context(), execute).Scan(&text), sql)
	var plans []struct{ Plan node }
	require.NoError(t, json.Unmarshal(text, &plans))
	tables := 0
	plans[0].Plan.walk(func(n node) {
		if n.Table == "" || n.Type == "ModifyTable" {
			return
		}
		tables++
		require.NotEqual(t, "Seq Scan", n.Type, "reads all of %s", n.Table)
		require.LessOrEqual(t, (n.Rows+n.Filtered+n.Checked)*n.Loops, 5.0, "reads too much of %s by a %s", n.Table, n.Type)
	})
	require.Positive(t, tables, "it reads nothing")
}
