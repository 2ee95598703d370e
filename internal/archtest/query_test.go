package archtest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// token kinds of SQL, as far as the rules need them.
const (
	word   = 'w' // an identifier or key word, lower case; quoted ones as they are
	text   = 's' // a string, without its content
	param  = 'p' // @name or $1
	symbol = 'o' // one character of anything else
)

type sqlToken struct {
	kind rune
	text string
}

// tokenize splits SQL and drops comments and what strings hold.
func tokenize(sql string) []sqlToken {
	var list []sqlToken
	in := []rune(sql)
	rest := func(i int, s string) bool { return strings.HasPrefix(string(in[i:min(len(in), i+len(s))]), s) }
	for i := 0; i < len(in); {
		start := i
		switch c := in[i]; {
		case unicode.IsSpace(c):
			i++
		case rest(i, "--"):
			for i < len(in) && in[i] != '\n' {
				i++
			}
		case rest(i, "/*"):
			for depth := 0; i < len(in); i++ { // PostgreSQL's comments nest
				if rest(i, "/*") {
					depth++
					i++
				} else if rest(i, "*/") {
					depth--
					i++
					if depth == 0 {
						i++
						break
					}
				}
			}
		case c == '\'':
			escapes := i > 0 && (in[i-1] == 'e' || in[i-1] == 'E')
			for i++; i < len(in) && (in[i] != '\'' || i+1 < len(in) && in[i+1] == '\''); i++ {
				if in[i] == '\'' || escapes && in[i] == '\\' {
					i++
				}
			}
			i++
			list = append(list, sqlToken{text, ""})
		case c == '$' && dollarTag(in[i:]) != "":
			tag := dollarTag(in[i:])
			end := strings.Index(string(in[i+len([]rune(tag)):]), tag)
			if end < 0 {
				return list
			}
			i += len([]rune(tag)) + len([]rune(string(in[i+len([]rune(tag)):])[:end])) + len([]rune(tag))
			list = append(list, sqlToken{text, ""})
		case c == '"':
			for i++; i < len(in) && in[i] != '"'; i++ {
			}
			list = append(list, sqlToken{word, string(in[start+1 : min(i, len(in))])})
			i++
		case c == '@' && i+1 < len(in) && wordRune(in[i+1]), c == '$':
			for i++; i < len(in) && wordRune(in[i]); i++ {
			}
			list = append(list, sqlToken{param, string(in[start:i])})
		case wordRune(c):
			for i < len(in) && (wordRune(in[i]) || in[i] == '$') {
				i++
			}
			list = append(list, sqlToken{word, strings.ToLower(string(in[start:i]))})
		default:
			i++
			list = append(list, sqlToken{symbol, string(c)})
		}
	}
	return list
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// dollarTag is the opening of a dollar-quoted string ($$ or $tag$), "" when it is a parameter.
func dollarTag(in []rune) string {
	for i := 1; i < len(in); i++ {
		if in[i] == '$' {
			return string(in[:i+1])
		}
		if !wordRune(in[i]) || i == 1 && unicode.IsDigit(in[i]) {
			return ""
		}
	}
	return ""
}

// statement is one query of a file, read as far as the rules need it.
type statement struct {
	tokens []sqlToken
	tables map[string]bool   // every table that is named
	alias  map[string]string // alias → table
	writes []string          // tables that are changed or locked
	wrong  []string
}

// Key words that end an item of a FROM list, so that they are not read as an alias.
var notAlias = strings.Fields(`as on using where group order limit offset returning set select values union except intersect for join left
	right full inner outer cross natural lateral with window having fetch when then default do only from into`)

// read walks over a statement once and collects tables, aliases and writes.
func read(tokens []sqlToken) *statement {
	s := &statement{tokens: tokens, tables: map[string]bool{}, alias: map[string]string{}}
	ctes := s.commonTables()
	from := map[int]bool{} // by depth of parentheses: inside a FROM list
	depth := 0
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t.text == "(" && t.kind == symbol:
			depth++
			from[depth] = false
		case t.text == ")" && t.kind == symbol:
			from[depth] = false
			depth--
		case t.text == "," && t.kind == symbol && from[depth]:
			s.reference(i+1, ctes)
		case t.kind != word:
		case t.text == "from" && s.word(i-1) != "distinct" || t.text == "join" || t.text == "using" && s.startsWith("delete", "merge"):
			from[depth] = true
			if t.text != "from" || s.word(i-1) != "delete" {
				s.reference(i+1, ctes)
			}
		case slices.Contains([]string{"where", "set", "returning", "group", "order", "limit", "select", "values", "union"}, t.text):
			from[depth] = false
		}
		s.write(i, ctes)
	}
	return s
}

func (s *statement) word(i int) string {
	if i < 0 || i >= len(s.tokens) || s.tokens[i].kind != word {
		return ""
	}
	return s.tokens[i].text
}

func (s *statement) is(i int, text string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].text == text && s.tokens[i].kind != param
}

// startsWith tells whether one of the words occurs at all: enough to tell USING of a join from USING of a write.
func (s *statement) startsWith(words ...string) bool {
	return slices.ContainsFunc(s.tokens, func(t sqlToken) bool { return t.kind == word && slices.Contains(words, t.text) })
}

// commonTables are the names of WITH.
func (s *statement) commonTables() map[string]bool {
	names := map[string]bool{}
	for i := range s.tokens {
		if s.word(i) == "" || !s.is(i+1, "as") {
			continue
		}
		next := i + 2
		for s.is(next, "not") || s.is(next, "materialized") {
			next++
		}
		if s.is(next, "(") && slices.Contains([]string{"select", "insert", "update", "delete", "merge", "with", "values"}, s.word(next+1)) {
			names[s.word(i)] = true
		}
	}
	return names
}

// reference notes the table at i and its alias. A function, a subquery and a common table are none.
func (s *statement) reference(i int, ctes map[string]bool) {
	for s.is(i, "only") || s.is(i, "lateral") {
		i++
	}
	name := s.word(i)
	if s.is(i+1, ".") {
		i += 2
		name = s.word(i)
	}
	if name == "" || s.is(i+1, "(") || name == "select" || name == "sqlc" {
		return
	}
	if ctes[name] {
		return
	}
	s.tables[name], s.alias[name] = true, name
	if s.is(i+1, "as") {
		i++
	}
	if a := s.word(i + 1); a != "" && !slices.Contains(notAlias, a) {
		s.alias[a] = name
	}
}

// write notes what the token at i changes or locks.
func (s *statement) write(i int, ctes map[string]bool) {
	target := -1
	switch s.word(i) {
	case "insert", "merge":
		if s.is(i+1, "into") {
			target = i + 2
		}
	case "delete":
		if s.is(i+1, "from") {
			target = i + 2
		}
	case "update":
		before := s.word(i - 1)
		if before == "for" || before == "key" { // FOR UPDATE, FOR NO KEY UPDATE
			s.lock(i + 1)
		} else if before != "do" && !s.is(i+1, "set") { // ON CONFLICT DO UPDATE, WHEN MATCHED THEN UPDATE SET
			target = i + 1
		}
	case "share":
		if before := s.word(i - 1); before == "for" || before == "key" {
			s.lock(i + 1)
		}
	case "truncate", "copy", "lock":
		if i == 0 {
			s.wrong = append(s.wrong, strings.ToUpper(s.word(i))+" is not for queries")
		}
	}
	if target < 0 {
		return
	}
	if s.is(target, "only") {
		target++
	}
	s.reference(target, ctes)
	if s.is(target+1, ".") {
		target += 2
	}
	s.writes = append(s.writes, s.word(target))
}

// lock notes FOR UPDATE [OF a, b]: without OF every table of the statement is locked.
func (s *statement) lock(i int) {
	if !s.is(i, "of") {
		for table := range s.tables {
			s.writes = append(s.writes, table)
		}
		return
	}
	for i++; s.word(i) != ""; i += 2 {
		name := s.word(i)
		if table := s.alias[name]; table != "" {
			name = table
		}
		s.writes = append(s.writes, name)
		if !s.is(i+1, ",") {
			return
		}
	}
}

// forbidden words, each with the reason.
var forbidden = map[string]string{
	"realm_id": "row-level security scopes queries; they never mention the realm",
	"now":      "time is @now", "current_timestamp": "time is @now", "current_date": "time is @now", "current_time": "time is @now",
	"localtimestamp": "time is @now", "localtime": "time is @now", "clock_timestamp": "time is @now", "statement_timestamp": "time is @now",
	"transaction_timestamp": "time is @now",
	"like":                  "not leakproof, so no index under row-level security", "ilike": "not leakproof, so no index under row-level security",
	"similar": "not leakproof, so no index under row-level security", "lower": "store a canonical column", "upper": "store a canonical column",
	"set_config": "the realm and the role are set by package postgres", "nowait": "wait, or SKIP LOCKED",
}

// Where realm_id may stand after all: realms are found before there is one, and consumers read all realms.
var mentionsRealms = []string{"realm", "event"}

// check says what is wrong with a query of a domain.
func check(sql, domain string, owners map[string]string) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, tokens := range statements(tokenize(sql)) {
		s := read(tokens)
		for _, w := range s.wrong {
			say("%s", w)
		}
		for _, w := range s.unindexable() {
			say("%s: what coalesce yields reaches no index under row-level security; CASE does", w)
		}
		for table := range s.tables {
			if owners[table] == "" {
				say("table %s has no owner in sql/owners.txt", table)
			}
		}
		for _, table := range s.writes {
			if owners[table] != domain {
				say("changes or locks %s, which belongs to %s", table, owners[table])
			}
		}
		for i, t := range tokens {
			why := forbidden[t.text]
			if t.kind != word || why == "" || t.text == "realm_id" && slices.Contains(mentionsRealms, domain) {
				continue
			}
			// A column may be called now or lower, but is then quoted or behind a dot; functions are called.
			if (t.text == "now" || t.text == "lower" || t.text == "upper" || t.text == "set_config") && !s.is(i+1, "(") {
				continue
			}
			say("%s: %s", t.text, why)
		}
		for i, t := range tokens {
			if t.kind == symbol && t.text == "~" && (i == 0 || tokens[i-1].text != "<") {
				say("~: not leakproof, so no index under row-level security")
			}
		}
	}
	if strings.Contains(sql, ":copyfrom") {
		say(":copyfrom does not work under row-level security; INSERT … SELECT unnest(…)")
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

func statements(tokens []sqlToken) [][]sqlToken {
	var list [][]sqlToken
	for len(tokens) > 0 {
		end := slices.IndexFunc(tokens, func(t sqlToken) bool { return t.kind == symbol && t.text == ";" })
		if end < 0 {
			return append(list, tokens)
		}
		if end > 0 {
			list = append(list, tokens[:end])
		}
		tokens = tokens[end+1:]
	}
	return list
}

// listFile reads a file of "name  rest" lines.
func listFile(t *testing.T, name string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	list := map[string]string{}
	for _, line := range strings.Split(string(content), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, rest, _ := strings.Cut(line, " ")
		require.NotContains(t, list, key, name)
		require.NotEmpty(t, strings.TrimSpace(rest), "%s: %s", name, key)
		list[key] = strings.TrimSpace(rest)
	}
	return list
}

func TestQueriesStayInTheirDomain(t *testing.T) {
	t.Parallel()
	owners := listFile(t, "sql/owners.txt")
	files, err := filepath.Glob(filepath.Join(root, "sql", "*", "*.sql"))
	require.NoError(t, err)
	seen := 0
	for _, file := range files {
		domain := filepath.Base(filepath.Dir(file))
		if domain == "migrations" {
			continue
		}
		seen++
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, wrong := range check(string(content), domain, owners) {
			t.Errorf("sql/%s/%s: %s", domain, filepath.Base(file), wrong)
		}
	}
	require.NotZero(t, seen)
}

// TestEveryDomainIsGenerated: each folder of queries has its block in sqlc.yaml, and no queries lie elsewhere.
func TestEveryDomainIsGenerated(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "sql", "sqlc.yaml"))
	require.NoError(t, err)
	blocks := strings.Split(string(content), "\n  - engine: ")[1:]
	entries, err := os.ReadDir(filepath.Join(root, "sql"))
	require.NoError(t, err)
	var domains []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "migrations" {
			domains = append(domains, e.Name())
		}
	}
	queries := regexp.MustCompile(`(?m)^    queries: (\w+)$`)
	var generated []string
	for _, block := range blocks {
		m := queries.FindStringSubmatch(block)
		require.NotNil(t, m, block)
		domain := m[1]
		generated = append(generated, domain)
		require.Contains(t, block, "../internal/"+domain+"/internal/db", domain)
	}
	require.ElementsMatch(t, domains, generated)
	for _, owner := range listFile(t, "sql/owners.txt") {
		require.DirExists(t, filepath.Join(root, "internal", owner), "owner in sql/owners.txt")
	}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.pkg, "/internal/db") {
			require.True(t, s.generated, s.name)
			require.Contains(t, generated, path.Base(path.Dir(path.Dir(s.pkg))), s.name)
		}
	}
}

// TestTheQueryRulesThemselves breaks the rules on purpose.
func TestTheQueryRulesThemselves(t *testing.T) {
	t.Parallel()
	owners := map[string]string{"users": "user", "identifiers": "user", "passwords": "password", "sessions": "session", "realms": "realm", "events": "event"}
	for name, c := range map[string]struct {
		sql  string
		want string // "" means allowed
	}{
		"own insert":                  {`INSERT INTO users (id, at) VALUES (@id, @now);`, ""},
		"foreign insert":              {`INSERT INTO sessions (id) VALUES (@id);`, "sessions"},
		"foreign insert by schema":    {`INSERT INTO public.sessions (id) VALUES (@id);`, "sessions"},
		"foreign insert quoted":       {`INSERT INTO "sessions" (id) VALUES (@id);`, "sessions"},
		"foreign insert in a CTE":     {`WITH a AS (INSERT INTO sessions DEFAULT VALUES RETURNING id) SELECT * FROM a;`, "sessions"},
		"foreign update":              {`UPDATE sessions s SET ended_at = @now FROM users u WHERE u.id = s.user_id`, "sessions"},
		"foreign update only":         {`UPDATE ONLY sessions SET ended_at = @now`, "sessions"},
		"own update from foreign":     {`UPDATE users u SET x = 1 FROM sessions s WHERE s.user_id = u.id`, ""},
		"foreign delete":              {`DELETE FROM sessions USING users WHERE sessions.user_id = users.id`, "sessions"},
		"own delete using foreign":    {`DELETE FROM users u USING sessions s WHERE s.user_id = u.id`, ""},
		"foreign merge":               {`MERGE INTO sessions s USING users u ON u.id = s.user_id WHEN MATCHED THEN DELETE`, "sessions"},
		"own merge":                   {`MERGE INTO users u USING sessions s ON u.id = s.user_id WHEN MATCHED THEN UPDATE SET x = 1`, ""},
		"foreign after comment":       {"INSERT /* into users */ INTO -- users\n sessions VALUES (1)", "sessions"},
		"foreign in a nested comment": {`/* /* */ INSERT INTO sessions VALUES (1) */ SELECT 1`, ""},
		"foreign in a string":         {`SELECT 'INSERT INTO sessions', E'it\'s; DELETE FROM sessions', $$UPDATE sessions SET x$$, $a$ DELETE FROM sessions $a$`, ""},
		"upsert":                      {`INSERT INTO users (id) VALUES (@id) ON CONFLICT (id) DO UPDATE SET x = excluded.x`, ""},
		"join for reading":            {`SELECT u.id FROM users AS u LEFT JOIN sessions s ON s.user_id = u.id, passwords p WHERE p.user_id = u.id`, ""},
		"lock of all joined":          {`SELECT u.id FROM users u JOIN sessions s ON s.user_id = u.id FOR UPDATE`, "sessions"},
		"lock of all in a list":       {`SELECT u.id FROM users u, sessions s FOR NO KEY UPDATE`, "sessions"},
		"lock of own only":            {`SELECT u.id FROM users u JOIN sessions s ON s.user_id = u.id FOR UPDATE OF u SKIP LOCKED`, ""},
		"lock of foreign by alias":    {`SELECT u.id FROM users u JOIN sessions s ON s.user_id = u.id FOR UPDATE OF u, s`, "sessions"},
		"share lock":                  {`SELECT s.id FROM sessions s FOR SHARE`, "sessions"},
		"key share lock":              {`SELECT s.id FROM sessions s FOR KEY SHARE`, "sessions"},
		"lock in a subquery":          {`SELECT id FROM users WHERE id IN (SELECT user_id FROM sessions FOR UPDATE)`, "sessions"},
		"truncate":                    {`TRUNCATE users`, "TRUNCATE"},
		"copy":                        {`COPY users FROM stdin`, "COPY"},
		"copyfrom":                    {"-- name: X :copyfrom\nINSERT INTO users (id) VALUES ($1)", ":copyfrom"},
		"unknown table":               {`SELECT * FROM nowhere`, "nowhere has no owner"},
		"unknown in a list":           {`SELECT * FROM users u, nowhere n`, "nowhere has no owner"},
		"function":                    {`SELECT h.x FROM unnest(@a::text[]) WITH ORDINALITY AS h (x, n)`, ""},
		"subquery":                    {`SELECT count(*) FROM (SELECT 1 FROM users LIMIT 1) AS b`, ""},
		"is distinct from":            {`SELECT id FROM users WHERE subject IS DISTINCT FROM @subject`, ""},
		"realm id":                    {`SELECT id FROM users WHERE realm_id = @r`, "realm_id"},
		"realm id in capitals":        {`SELECT id FROM users WHERE REALM_ID = @r`, "realm_id"},
		"realm id as a target":        {`INSERT INTO users (id) VALUES (1) ON CONFLICT (realm_id, id) DO NOTHING`, "realm_id"},
		"realm id in a comment":       {"-- realm_id is not mentioned\nSELECT id FROM users", ""},
		"now":                         {`SELECT id FROM users WHERE at < now()`, "@now"},
		"now as a parameter":          {`SELECT id FROM users WHERE at < @now AND x < sqlc.arg(now)`, ""},
		"current timestamp":           {`SELECT CURRENT_TIMESTAMP`, "@now"},
		"like":                        {`SELECT id FROM users WHERE subject LIKE 'a%'`, "leakproof"},
		"not ilike":                   {`SELECT id FROM users WHERE subject NOT ILIKE 'a%'`, "leakproof"},
		"regular expression":          {`SELECT id FROM users WHERE subject ~ 'a'`, "leakproof"},
		"lower":                       {`SELECT id FROM users WHERE lower(subject) = @s`, "canonical"},
		"compared with coalesce":      {`SELECT u.id FROM users u WHERE u.id = coalesce(@a, @b)`, "u.id = coalesce: what"},
		"joined by coalesce":          {`SELECT 1 FROM users u LEFT JOIN (SELECT 1 AS x FROM sessions s WHERE (s.user_id = coalesce(u.id, @b))) AS s ON true`, "s.user_id = coalesce"},
		"coalesce compared with":      {`SELECT u.id FROM users u JOIN sessions s ON (coalesce(s.user_id, (@a)) = u.id)`, "coalesce(…) ="},
		"coalesce as a value":         {`UPDATE users u SET x = coalesce(u.x, 1) WHERE u.id = @id AND coalesce(u.y, 0) > 1`, ""},
		"coalesce as a result":        {`SELECT coalesce(u.x = 1, true) = true FROM users u WHERE u.id = @id`, ""},
		"set_config":                  {`SELECT set_config('app.realm', 'x', true)`, "package postgres"},
		"record_event":                {`WITH a AS (UPDATE users SET x = 1 RETURNING id) SELECT record_event(@event) FROM a`, ""},
	} {
		wrong := strings.Join(check(c.sql, "user", owners), "; ")
		if c.want == "" {
			require.Empty(t, wrong, name)
			continue
		}
		require.Contains(t, wrong, c.want, name)
	}
}
