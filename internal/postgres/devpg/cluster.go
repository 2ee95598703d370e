package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// initialisation is what making a cluster needs.
type initialisation struct {
	dir               *directory
	bin               binaries
	who               account
	superuserPassword string
	sync              bool
}

// initialise makes the cluster under another name first, so that a cluster with its final name is always complete.
func initialise(ctx context.Context, in initialisation) error {
	made := in.dir.data + ".new"
	if err := os.RemoveAll(made); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := os.Mkdir(made, 0o700); err != nil {
		return fmt.Errorf("make directory of the cluster: %w", err)
	}
	if err := in.who.own(made); err != nil {
		return err
	}
	passwordFile := filepath.Join(in.dir.path, "postgres.initial-password")
	if err := os.WriteFile(passwordFile, []byte(in.superuserPassword), 0o600); err != nil {
		return fmt.Errorf("hand password to initdb: %w", err)
	}
	err := in.who.own(passwordFile)
	if err == nil {
		err = runInitdb(ctx, in, made, passwordFile)
	}
	if err := errors.Join(err, os.Remove(passwordFile)); err != nil {
		return fmt.Errorf("make the cluster: %w", err)
	}
	if err := os.Rename(made, in.dir.data); err != nil {
		return fmt.Errorf("give the cluster its name: %w", err)
	}
	return nil
}

func runInitdb(ctx context.Context, in initialisation, data, passwordFile string) error {
	args := []string{
		"-D", data, "-U", superuser, "--pwfile=" + passwordFile, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C",
	}
	if !in.sync {
		args = append(args, "--no-sync")
	}
	var out bytes.Buffer
	cmd := command(in.bin, in.who, in.dir, "initdb", args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	c, err := startChild(cmd)
	if err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("wait for initdb: %w", ctx.Err()), c.stop())
	}
	if c.err != nil {
		return fmt.Errorf("initdb: %w\n%s", c.err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// ensureLogin leaves the login role and its database in place. Only the first start, or one after a first start that
// was cut short, needs the superuser for it.
func (s *Server) ensureLogin(ctx context.Context, fresh bool) error {
	if !fresh {
		conn, err := pgx.Connect(ctx, s.URL(Database))
		if err == nil {
			return conn.Close(ctx)
		}
		var refused *pgconn.PgError
		// 28P01 no such role or another password, 3D000 no such database.
		if !errors.As(err, &refused) || !slices.Contains([]string{"28P01", "3D000"}, refused.Code) {
			return fmt.Errorf("log in to the development database: %w", err)
		}
	}
	conn, err := pgx.Connect(ctx, s.SuperuserURL("postgres"))
	if err != nil {
		return fmt.Errorf("log in to set up the development database: %w", err)
	}
	if err := errors.Join(createLogin(ctx, conn, s.password), conn.Close(ctx)); err != nil {
		return fmt.Errorf("set up the development database: %w", err)
	}
	return nil
}

func createLogin(ctx context.Context, conn *pgx.Conn, password string) error {
	var haveRole, haveDatabase bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_database WHERE datname = $2)`,
		Role, Database).Scan(&haveRole, &haveDatabase)
	if err != nil {
		return fmt.Errorf("look for the login role: %w", err)
	}
	role := pgx.Identifier{Role}.Sanitize()
	verb := "CREATE"
	if haveRole {
		verb = "ALTER"
	}
	// The password is hexadecimal, made here: nothing in it needs quoting.
	if _, err := conn.Exec(ctx, verb+" ROLE "+role+" LOGIN CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD '"+password+"'"); err != nil {
		return fmt.Errorf("make the login role: %w", err)
	}
	if haveDatabase {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{Database}.Sanitize()+" OWNER "+role); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return nil
}
