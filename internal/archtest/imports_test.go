package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// order is the total order of DESIGN: a package imports only what stands before it. "x/..." are all packages below
// x that have no place of their own; they do not know each other. A package need not exist yet.
var order = strings.Fields(`
	sql templates api pkg/...
	internal/problem internal/config internal/telemetry internal/i18n internal/envelope internal/limit internal/limit/redis internal/safehttp
	internal/mail internal/mail/... internal/sms internal/sms/...
	internal/postgres internal/postgres/devpg internal/postgres/jobs
	internal/realm internal/event internal/web
	internal/attempt internal/user internal/password/format internal/password internal/password/policy internal/idp internal/idp/... internal/mfa internal/mfa/... internal/role internal/client
	internal/consent internal/keyset internal/session internal/grant internal/audit internal/webhook internal/notify internal/challenge internal/lifecycle
	internal/flow internal/flow/...
	internal/oidc/admission internal/oidc/store internal/oidc/assertion internal/oidc/metadata internal/oidc/accesstoken internal/oidc/crossorigin internal/oidc/granttype internal/oidc internal/interaction internal/account internal/admin internal/realmfile
	internal/demo internal/outbox internal/server internal/worker internal/app
	internal/testdb internal/e2e internal/archtest internal/bench
	cmd/gatehouse`)

// place is where a package stands in the order, -1 when nowhere. Generated queries stand with their domain; a suite
// that all plugins of a kind run (idp/idptest) stands right behind the kind.
func place(pkg string) int {
	pkg = strings.TrimSuffix(pkg, "/internal/db")
	if isSuite(pkg) {
		if kind := place(path.Dir(pkg)); kind >= 0 {
			return kind + 1
		}
	}
	if at := slices.Index(order, pkg); at >= 0 {
		return 2 * at
	}
	for parent := path.Dir(pkg); parent != "."; parent = path.Dir(parent) {
		if at := slices.Index(order, parent+"/..."); at >= 0 {
			return 2 * at
		}
	}
	return -1
}

// mayImport tells whether a file of package from may import package to, both below the module's root.
func mayImport(from, to string, test, external bool) bool {
	at, dep := place(from), place(to)
	switch {
	case dep >= 0 && dep < at:
		return true
	case from == to || strings.TrimSuffix(to, "/internal/db") == from:
		return true // an external test its package; a domain its queries
	case test && to == "internal/testdb":
		return true
	case test && isSuite(to) && path.Dir(to) == from:
		return true // the kind's own test runs its suite
	case external && strings.HasPrefix(to, from+"/"):
		return true // a test of the whole may use the parts
	case external && dep >= 0 && dep <= place("internal/event"):
		return true // what testdb hands out: a realm that a test changes records events
	}
	return false
}

func TestImportsFollowTheOrder(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if place(s.pkg) < 0 {
			t.Errorf("%s: package %s has no place in the order", s.name, s.pkg)
			continue
		}
		for _, i := range s.imports() {
			to, ours := strings.CutPrefix(i, module)
			if !ours || strings.HasPrefix(to, "internal/third_party/") {
				continue
			}
			if strings.HasPrefix(s.pkg, "pkg/") && strings.HasPrefix(to, "internal/") {
				t.Errorf("%s: what others import stands on its own; not %s", s.name, to)
			}
			if !mayImport(s.pkg, to, s.test, s.external) {
				t.Errorf("%s: %s may not import %s, which does not stand before it", s.name, s.pkg, to)
			}
		}
	}
}

func TestTheOrderItself(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to       string
		test, external bool
		want           bool
	}{
		{from: "internal/event", to: "internal/realm", want: true},
		{from: "internal/realm", to: "internal/event", want: false},
		{from: "internal/idp/google", to: "internal/idp", want: true},
		{from: "internal/idp", to: "internal/idp/google", want: false},
		{from: "internal/idp/google", to: "internal/idp/oidc", want: false},
		{from: "internal/flow/firstfactor", to: "internal/flow/terms", want: false},
		{from: "internal/user", to: "internal/user/internal/db", want: true},
		{from: "internal/user/internal/db", to: "internal/realm", want: true},
		{from: "internal/session", to: "internal/testdb", want: false},
		{from: "internal/session", to: "internal/testdb", test: true, external: true, want: true},
		{from: "internal/session", to: "internal/grant", test: true, external: true, want: false},
		{from: "internal/postgres", to: "internal/postgres/devpg", test: true, external: true, want: true},
		{from: "internal/postgres", to: "internal/postgres/devpg", want: false},
		{from: "internal/realm", to: "internal/event", test: true, external: true, want: true},
		{from: "internal/realm", to: "internal/event", test: true, want: false},
		{from: "internal/idp/google", to: "internal/idp/idptest", test: true, want: true},
		{from: "internal/limit/limittest", to: "internal/limit", want: true},
		{from: "internal/limit", to: "internal/limit/limittest", want: false},
		{from: "internal/limit", to: "internal/limit/limittest", test: true, want: true},
		{from: "internal/app", to: "internal/testdb", want: false},
		{from: "internal/testdb", to: "internal/app", want: true},
		{from: "internal/nowhere", to: "internal/realm", want: false},
	} {
		require.Equal(t, c.want, mayImport(c.from, c.to, c.test, c.external), "%+v", c)
	}
}

// users says which packages, and no others, may import a library; "x/..." includes everything below x. internal/bench,
// which measures, compares with echo and pgx alone.
var users = []struct {
	library string
	by      []string
	tests   bool // also in tests of other packages
}{
	{library: "github.com/labstack/echo", by: []string{"internal/web", "internal/oidc/crossorigin", "internal/oidc", "internal/interaction", "internal/account", "internal/admin", "internal/server", "internal/bench"}, tests: true},
	{library: "github.com/ory/fosite", by: []string{"internal/oidc", "internal/oidc/granttype", "internal/oidc/store"}},
	{library: "github.com/jackc/pgx/v5/pgxpool", by: []string{"internal/postgres", "internal/postgres/jobs"}},
	{library: "github.com/riverqueue/river", by: []string{"internal/postgres/jobs"}},
	{library: "github.com/pressly/goose", by: []string{"internal/postgres"}},
	{library: "database/sql", by: []string{"internal/postgres"}},
	{library: "github.com/jackc/pgx", by: []string{"internal/postgres/...", "internal/testdb", "internal/bench"}, tests: true},
	{library: "github.com/redis/rueidis", by: []string{"internal/limit/...", "internal/app"}},
	{library: "github.com/stretchr/testify", by: []string{"internal/testdb", "internal/e2e"}, tests: true},
	{library: "github.com/chromedp", by: []string{"internal/e2e"}, tests: true},
	{library: "testing", by: []string{"internal/testdb", "internal/e2e"}, tests: true},
	{library: "math/rand", by: nil},
	{library: "log", by: nil},
	{library: "unsafe", by: nil},
}

func TestWhoMayImportWhat(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, u := range users {
			if s.test && u.tests || isSuite(s.pkg) && u.tests || covers(u.by, s.pkg) {
				continue
			}
			for _, i := range s.imports() {
				// "log" is not "log/slog", but echo is echo/v5 and echo/middleware.
				if i == u.library || strings.Contains(u.library, ".") && strings.HasPrefix(i, u.library+"/") || i == u.library+"/v2" {
					if strings.HasSuffix(s.pkg, "/internal/db") && u.library == "github.com/jackc/pgx" {
						continue // sqlc's output; nobody but its domain sees it
					}
					t.Errorf("%s: %s may not import %s; only %q may", s.name, s.pkg, i, u.by)
				}
			}
		}
	}
}

func isSuite(pkg string) bool { return path.Base(pkg) == path.Base(path.Dir(pkg))+"test" }

func covers(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		parent, below := strings.CutSuffix(p, "/...")
		return pkg == parent || below && strings.HasPrefix(pkg, parent+"/")
	})
}
