// Package devpg runs a PostgreSQL server as a child of this process, for development and tests only.
//
// It owns finding the installed server binaries, making a cluster, starting and stopping it, and its
// credentials. The server listens on 127.0.0.1 alone, never runs as root, and never outlives this process on
// Linux. The application logs in as gatehouse, a role that owns its database and may create roles and databases
// but is no superuser, so that development meets the same rules as production.
//
// It hands off everything inside the database: roles, migrations and pools belong to package postgres, a database
// for each test to package testdb. It downloads nothing.
package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	// Role is the name of the login role that Server.URL carries.
	Role = "gatehouse"
	// Database is the name of the database that Role owns and that exists once Start has returned.
	Database = "gatehouse"

	superuser  = "postgres"
	startLimit = 60 * time.Second
	startTries = 3
	retryPause = 200 * time.Millisecond
	fastStop   = 10 * time.Second
	quickStop  = 5 * time.Second
)

// ErrInUse is returned by Start when another process runs the server of the same directory.
var ErrInUse = errors.New("directory is in use")

// Options say where and how the server runs. The zero value is the development server.
type Options struct {
	// Dir holds the cluster, its passwords, its port and its log. Empty means /var/lib/gatehouse for root and
	// gatehouse below the user's XDG data directory for everyone else.
	Dir string
	// Ephemeral is the profile for tests: nothing is flushed to disk, and with an empty Dir the server lives in a
	// temporary directory that Stop removes. With a Dir of its own the cluster stays for the caller to remove, so
	// that a test can stop the server and start it again at the same address.
	Ephemeral bool
	// Log receives one line for each thing a person wants to know, such as the address; nil discards them. The
	// server's own log is the file postgres.log in Dir.
	Log io.Writer
}

// notice tells a person something. That it could not be told is no reason to refuse the start.
func (o Options) notice(format string, values ...any) {
	if o.Log != nil {
		_, _ = fmt.Fprintf(o.Log, format+"\n", values...)
	}
}

// Server is a running PostgreSQL server. Stop must be called, else it ends with the process on Linux and stays
// until the next Start in the same directory elsewhere.
type Server struct {
	dir               *directory
	child             *child
	port              int
	password          string
	superuserPassword string
	stop              sync.Once
	stopErr           error
}

// Start makes the cluster if there is none, starts its server and returns when it accepts connections. The context
// bounds the start only. A directory that another process uses yields ErrInUse.
func Start(ctx context.Context, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dir, err := openDirectory(ctx, opts)
	if err != nil {
		return nil, err
	}
	server, err := startIn(ctx, dir, opts)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return server, nil
}

func startIn(ctx context.Context, dir *directory, opts Options) (*Server, error) {
	if err := stopStale(ctx, dir.data); err != nil {
		return nil, err
	}
	existing, err := clusterVersion(dir.data)
	if err != nil {
		return nil, err
	}
	bin, err := findBinaries(existing, dir.data)
	if err != nil {
		return nil, err
	}
	who, err := accountFor(dir.data)
	if err != nil {
		return nil, err
	}
	if err := who.reaches(dir.path); err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.readPasswords(existing == 0); err != nil {
		return nil, err
	}
	if existing == 0 {
		opts.notice("embedded PostgreSQL %s: making a new cluster in %s", bin.version, dir.path)
		if err := initialise(ctx, initialisation{
			dir: dir, bin: bin, who: who, superuserPassword: s.superuserPassword, sync: !opts.Ephemeral,
		}); err != nil {
			return nil, err
		}
	}
	if err := s.launch(ctx, bin, who, opts.Ephemeral); err != nil {
		return nil, err
	}
	if err := s.ensureLogin(ctx, existing == 0); err != nil {
		return nil, errors.Join(err, s.child.stop())
	}
	opts.notice("embedded PostgreSQL %s on 127.0.0.1:%d, for development only; data in %s", bin.version, s.port, dir.path)
	return s, nil
}

// readPasswords takes both passwords from the directory. A fresh cluster gets new ones.
func (s *Server) readPasswords(fresh bool) error {
	var err error
	if s.superuserPassword, err = s.dir.secret("postgres.superuser-password", fresh); err != nil {
		return err
	}
	s.password, err = s.dir.secret("postgres.password", fresh)
	return err
}

// launch starts the server and waits until it is ready. Between choosing a port and binding it another program can
// take it, and the memory of a server that was killed is released a moment after its death: both pass when tried
// again.
func (s *Server) launch(ctx context.Context, bin binaries, who account, ephemeral bool) error {
	var failures error
	for range startTries {
		port, err := s.dir.choosePort()
		if err != nil {
			return err
		}
		s.port = port
		s.child, err = startServer(bin, who, s.dir, port, ephemeral)
		if err != nil {
			return err
		}
		err = s.child.waitReady(ctx, s.dir)
		if err == nil {
			return nil
		}
		failures = errors.Join(failures, err)
		if err := errors.Join(s.child.stop(), pause(ctx, retryPause)); err != nil {
			return errors.Join(failures, err)
		}
	}
	return failures
}

// URL returns the connection string of the login role for a database of this server. It contains the password.
func (s *Server) URL(database string) string {
	return s.url(Role, s.password, database)
}

// SuperuserURL returns the connection string of the superuser. Nothing but a test that needs one may use it: a
// superuser passes by row-level security.
func (s *Server) SuperuserURL(database string) string {
	return s.url(superuser, s.superuserPassword, database)
}

func (s *Server) url(role, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password),
		Host:     "127.0.0.1:" + strconv.Itoa(s.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Dir returns the directory that holds the cluster and the file postgres.log.
func (s *Server) Dir() string { return s.dir.path }

// PID returns the process id of the server's first process, the postmaster.
func (s *Server) PID() int { return s.child.pid }

// Done is closed when the server has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.child.exited }

// CPUTime returns the user and system time that all processes of the server have used since it started. Take the
// difference of two readings to measure what lies between. It works on Linux; elsewhere the error is
// errors.ErrUnsupported.
func (s *Server) CPUTime() (time.Duration, error) {
	d, err := cpuTime(s.child.pid)
	if err != nil {
		return 0, fmt.Errorf("read processor time of PostgreSQL: %w", err)
	}
	return d, nil
}

// Stop disconnects every client, shuts the server down and releases the directory. It may be called more than once
// and then returns the same error.
func (s *Server) Stop() error {
	s.stop.Do(func() { s.stopErr = errors.Join(s.child.stop(), s.dir.close()) })
	return s.stopErr
}

// defaultDir is where the development server keeps its files when the caller names no place.
func defaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/gatehouse", nil
	}
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "gatehouse"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the development database: %w", err)
	}
	return filepath.Join(home, ".local", "share", "gatehouse"), nil
}
