package testdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
	"github.com/gatehouse-id/gatehouse/sql"
)

const (
	// serverVariable names the server that the tests use. Its role may create databases and roles.
	serverVariable = "GATEHOUSE_TEST_DATABASE_URL"

	templatePrefix = "gatehouse_template_"
	clonePrefix    = "gatehouse_test_"
	// A test binary runs for less; an older clone was left behind by one that was killed.
	abandonedAfter = 2 * time.Hour
	// makingTemplate is the advisory lock under which templates are made and removed.
	makingTemplate = 0x6761746568 // "gateh"
	// superuserStandIn is the role that the tests run as when the server's URL is a superuser's.
	superuserStandIn = "gatehouse_test"
)

// server finds the tests' server at the first call.
var server = sync.OnceValues(findServer) //nolint:gochecknoglobals // one server per test binary, whatever tests it runs

// found is a server that lives as long as this process.
type found struct {
	// maintenance is the connection string of a database that is not used for anything else.
	maintenance string
	// started is nil when the server was given. It is kept because its lock would be collected with it, and the
	// server then be taken for an abandoned one.
	started *devpg.Server
}

func findServer() (found, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if given := os.Getenv(serverVariable); given != "" {
		ordinary, err := ordinaryRole(ctx, given)
		if err != nil {
			return found{}, fmt.Errorf("use the server of %s: %w", serverVariable, err)
		}
		return found{maintenance: ordinary}, nil
	}
	started, err := devpg.Start(ctx, devpg.Options{Ephemeral: true})
	if err != nil {
		return found{}, fmt.Errorf("start a PostgreSQL for the tests (or name one in %s): %w", serverVariable, err)
	}
	return found{started.URL(devpg.Database), started}, nil
}

// NewURL makes a database with the migrated schema and nothing else and returns its connection string.
func NewURL(t testing.TB) string {
	t.Helper()
	return create(t, clone)
}

// NewEmptyURL makes a database without anything in it, for tests of the migrations themselves.
func NewEmptyURL(t testing.TB) string {
	t.Helper()
	return create(t, func(ctx context.Context, maintenance, name string) error {
		return run(ctx, maintenance, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	})
}

func create(t testing.TB, fill func(ctx context.Context, maintenance, name string) error) string {
	t.Helper()
	s, err := server()
	require.NoError(t, err)
	maintenance := s.maintenance
	// The time is the real one, not the test's: other binaries judge by it whether the clone was left behind.
	name := clonePrefix + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text()[:12]) //nolint:forbidigo // see above
	require.NoError(t, fill(t.Context(), maintenance, name))
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		require.NoError(t, drop(ctx, maintenance, name))
	})
	made, err := onDatabase(maintenance, name)
	require.NoError(t, err)
	return made
}

// clone copies the template, making that first when there is none. A binary with other migrations may remove the
// template in between: then it is made again.
func clone(ctx context.Context, maintenance, name string) error {
	migrations, err := fs.Sub(sql.Migrations, "migrations")
	if err != nil {
		return err
	}
	template, err := templateName(maintenance, migrations)
	if err != nil {
		return err
	}
	statement := `CREATE DATABASE ` + pgx.Identifier{name}.Sanitize() + ` TEMPLATE ` + pgx.Identifier{template}.Sanitize()
	for range 5 {
		if err = run(ctx, maintenance, statement); !isCode(err, "3D000") { // no such database
			break
		}
		if err := makeTemplate(ctx, maintenance, template, migrations); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("clone %s: %w", template, err)
	}
	return nil
}

// templateName names the template after what is in it and whose it is: only its owner may clone it.
func templateName(maintenance string, migrations fs.FS) (string, error) {
	owner, err := pgx.ParseConfig(maintenance)
	if err != nil {
		return "", errors.New("the tests' server has no usable URL")
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n", owner.User) // a hash takes everything
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return templatePrefix + hex.EncodeToString(h.Sum(nil))[:16], nil
}

// makeTemplate migrates a database under another name first: one that has the template's name is complete.
func makeTemplate(ctx context.Context, maintenance, template string, migrations fs.FS) error {
	conn, err := pgx.Connect(ctx, maintenance)
	if err != nil {
		return fmt.Errorf("connect to the tests' server: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // and with it the lock
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, makingTemplate); err != nil {
		return fmt.Errorf("wait for another test binary: %w", err)
	}
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, template).Scan(&exists); err != nil || exists {
		return err
	}
	if err := sweep(ctx, conn); err != nil {
		return err
	}
	unfinished := template + "_unfinished"
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{unfinished}.Sanitize()); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	into, err := onDatabase(maintenance, unfinished)
	if err != nil {
		return err
	}
	if err := postgres.EnsureRoles(ctx, into, into); err != nil {
		return err
	}
	if _, err := postgres.Migrate(ctx, into, migrations); err != nil {
		return err
	}
	rename := `ALTER DATABASE ` + pgx.Identifier{unfinished}.Sanitize() + ` RENAME TO ` + pgx.Identifier{template}.Sanitize()
	if _, err := conn.Exec(ctx, rename); err != nil {
		return fmt.Errorf("finish the template: %w", err)
	}
	return nil
}

// sweep removes templates of other migrations, unfinished ones, and clones of binaries that were killed.
func sweep(ctx context.Context, conn *pgx.Conn) error {
	const mine = `SELECT datname FROM pg_database WHERE starts_with(datname, $1) AND datdba = current_user::regrole`
	for _, prefix := range []string{templatePrefix, clonePrefix} {
		rows, err := conn.Query(ctx, mine, prefix)
		if err != nil {
			return fmt.Errorf("list databases: %w", err)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("list databases: %w", err)
		}
		for _, name := range names {
			if prefix == clonePrefix && !abandoned(name, time.Now()) { //nolint:forbidigo // the names hold real time
				continue
			}
			if _, err := conn.Exec(ctx, dropStatement(name)); err != nil {
				return fmt.Errorf("remove what another test binary left: %w", err)
			}
		}
	}
	return nil
}

func abandoned(clone string, now time.Time) bool {
	made, _, _ := strings.Cut(strings.TrimPrefix(clone, clonePrefix), "_")
	seconds, err := strconv.ParseInt(made, 10, 64)
	return err == nil && now.Sub(time.Unix(seconds, 0)) > abandonedAfter
}

func dropStatement(name string) string {
	return `DROP DATABASE IF EXISTS ` + pgx.Identifier{name}.Sanitize() + ` WITH (FORCE)`
}

// drop removes a database. A vacuum in it belongs to nobody, so that only a superuser could end it: then it is waited
// for.
func drop(ctx context.Context, maintenance, name string) error {
	for {
		err := run(ctx, maintenance, dropStatement(name))
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// run executes one statement on a connection of its own.
func run(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the tests' server: %w", err)
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// ordinaryRole returns the URL itself, or, when it is a superuser's, that of a role the tests may run as: row-level
// security does not bind superusers, and postgres.Open refuses them. The role's password follows from the URL, so
// that all binaries that were given the URL agree on it.
func ordinaryRole(ctx context.Context, given string) (string, error) {
	conn, err := pgx.Connect(ctx, given)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var super, exists bool
	const state = `SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`
	if err := conn.QueryRow(ctx, state, superuserStandIn).Scan(&super, &exists); err != nil || !super {
		return given, err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, makingTemplate); err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte("testdb " + given))
	password := hex.EncodeToString(digest[:])
	// Asked again under the lock: another binary may have made it meanwhile.
	if err := conn.QueryRow(ctx, state, superuserStandIn).Scan(&super, &exists); err != nil {
		return "", err
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	// The password is hexadecimal: nothing in it needs quoting.
	if _, err := conn.Exec(ctx, verb+` ROLE `+superuserStandIn+` LOGIN CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD '`+password+`'`); err != nil {
		return "", err
	}
	// The two roles may exist already, made by another role that alone could grant them.
	if err := postgres.EnsureRoles(ctx, given, given); err != nil {
		return "", err
	}
	if _, err := conn.Exec(ctx, `GRANT `+postgres.AppRole+`, `+postgres.GlobalRole+` TO `+superuserStandIn); err != nil {
		return "", err
	}
	u, err := url.Parse(given)
	if err != nil {
		return "", errors.New("not a URL")
	}
	u.User = url.UserPassword(superuserStandIn, password)
	return u.String(), nil
}

// onDatabase is the same server's connection string for another database.
func onDatabase(server, database string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", errors.New("the tests' server is not named by a URL")
	}
	u.Path = "/" + database
	return u.String(), nil
}

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
