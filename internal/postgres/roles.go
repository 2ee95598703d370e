package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// roles are all roles that the login role acts as.
func roles() []string { return []string{AppRole, GlobalRole, JobsRole} }

// EnsureRoles makes AppRole, GlobalRole and JobsRole and lets the login role of the application's connection string act
// as them. It is idempotent and runs before the migrations, with a role that may create roles: roles belong to
// the cluster, not to a database. adminURL is the migrating role's connection string, loginURL the
// application's; they may be the same.
func EnsureRoles(ctx context.Context, adminURL, loginURL string) error {
	login, err := pgx.ParseConfig(loginURL)
	if err != nil {
		return fmt.Errorf("parse the database URL: %w", redactURL(err))
	}
	conn, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, role := range roles() {
		if err := ensureRole(ctx, conn, role, login.User); err != nil {
			return fmt.Errorf("prepare the database role %s (the migrating role needs CREATEROLE, or let a superuser run: CREATE ROLE %[1]s NOLOGIN; GRANT %[1]s TO %s): %w",
				role, pgx.Identifier{login.User}.Sanitize(), err)
		}
	}
	return nil
}

func ensureRole(ctx context.Context, conn *pgx.Conn, role, login string) error {
	name, member := pgx.Identifier{role}.Sanitize(), pgx.Identifier{login}.Sanitize()
	var exists, isMember bool
	const state = `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1),
		EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
			WHERE r.rolname = $1 AND u.rolname = $2)`
	if err := conn.QueryRow(ctx, state, role, login).Scan(&exists, &isMember); err != nil {
		return err
	}
	if !exists {
		_, err := conn.Exec(ctx, `CREATE ROLE `+name+` NOLOGIN NOINHERIT`)
		if err != nil && !isCode(err, "42710") && !isCode(err, "23505") { // another process was faster
			return err
		}
	}
	if isMember {
		return nil
	}
	_, err := conn.Exec(ctx, `GRANT `+name+` TO `+member)
	if isCode(err, "23505") {
		return nil
	}
	return err
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", redactURL(err))
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// verifyRoles refuses everything that row-level security would not bind.
func (db *DB) verifyRoles(ctx context.Context, allowSuperuser bool) error {
	var (
		user  string
		super bool
	)
	const login = `SELECT current_user::text, rolsuper FROM pg_roles WHERE rolname = session_user`
	if err := db.pool.QueryRow(ctx, login).Scan(&user, &super); err != nil {
		return fmt.Errorf("connect to the database as %s (is it migrated? run: gatehouse migrate up): %w", AppRole, err)
	}
	if user != AppRole {
		return fmt.Errorf("database connections act as %q instead of %s", user, AppRole)
	}
	for _, role := range roles() {
		if err := db.verifyRole(ctx, role); err != nil {
			return err
		}
	}
	if super && !allowSuperuser {
		return errors.New("the database URL logs in as a superuser, which can leave row-level security; use an ordinary role that owns the database")
	}
	return nil
}

func (db *DB) verifyRole(ctx context.Context, role string) error {
	const facts = `SELECT rolsuper OR rolbypassrls OR rolcanlogin, pg_has_role(session_user, oid, 'MEMBER'),
		EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.member = a.oid),
		EXISTS (SELECT 1 FROM pg_class c WHERE c.relowner = a.oid)
		FROM pg_roles a WHERE rolname = $1`
	var privileged, ours, member, owning bool
	err := db.pool.QueryRow(ctx, facts, role).Scan(&privileged, &ours, &member, &owning)
	switch {
	case NoRows(err):
		return fmt.Errorf("the database role %s does not exist; run: gatehouse migrate up", role)
	case err != nil:
		return fmt.Errorf("look at the database role %s: %w", role, err)
	case privileged:
		return fmt.Errorf("the role %s is a superuser, bypasses row-level security or can log in; mend: ALTER ROLE %[1]s NOSUPERUSER NOBYPASSRLS NOLOGIN", role)
	case member:
		return fmt.Errorf("the role %s is member of another role, whose row-level security policies would apply to it; revoke that membership", role)
	case owning:
		return fmt.Errorf("the role %s owns tables; reassign them: REASSIGN OWNED BY %[1]s TO the migrating role", role)
	case !ours:
		return fmt.Errorf("the database URL's login may not act as %s; mend: GRANT %[1]s TO it, or run: gatehouse migrate up", role)
	}
	return nil
}
