package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
)

// target is what is measured: PostgreSQL, and the server in a process of its own.
type target struct {
	announcement
	folder string // of the database, thrown away in the end
	log    *os.File
	pg     *devpg.Server
	conn   *pgx.Conn // for readings
	cmd    *exec.Cmd
	stdin  io.Closer

	transport *http.Transport
	// cookies of the people's browsers, one for each worker.
	cookies  []string
	sessions int
	version  string // of PostgreSQL, and whether it flushes
	// noDatabaseCPU says that this system does not tell what PostgreSQL used.
	noDatabaseCPU bool
}

func startTarget(ctx context.Context, s settings) (t *target, err error) {
	workers := slices.Max(s.Workers)
	t = &target{
		folder:   filepath.Join(os.TempDir(), "gatehouse-bench-"+strings.ToLower(rand.Text()[:12])),
		sessions: workers,
		transport: &http.Transport{
			MaxIdleConnsPerHost: workers, DisableCompression: true, ResponseHeaderTimeout: time.Minute,
		},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop(context.WithoutCancel(ctx)))
		}
	}()
	if t.pg, err = devpg.Start(ctx, devpg.Options{Dir: t.folder, Ephemeral: s.Ephemeral}); err != nil {
		return t, err
	}
	if t.conn, err = pgx.Connect(ctx, t.pg.URL(devpg.Database)); err != nil {
		return t, fmt.Errorf("connect to the database: %w", err)
	}
	err = t.conn.QueryRow(ctx, `SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync')`).Scan(&t.version)
	if err != nil {
		return t, fmt.Errorf("ask for the database's version: %w", err)
	}
	if t.log, err = os.Create(filepath.Join(t.folder, "server.log")); err != nil {
		return t, fmt.Errorf("make the server's log: %w", err)
	}
	return t, t.startServer(ctx)
}

// startServer runs this program again and reads where it serves.
func (t *target) startServer(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	t.cmd = exec.CommandContext(ctx, self) //nolint:gosec // this program itself
	t.cmd.Env = append(os.Environ(), childVariable+"="+t.pg.URL(devpg.Database))
	t.cmd.Stderr = t.log
	stdin, err := t.cmd.StdinPipe()
	if err != nil {
		return err
	}
	t.stdin = stdin
	stdout, err := t.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := t.cmd.Start(); err != nil {
		t.cmd = nil
		return fmt.Errorf("start the server: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &t.announcement)
	}
	if err != nil {
		return fmt.Errorf("the server did not start: %w\n%s", err, t.logged())
	}
	return nil
}

// logged is the end of the server's log.
func (t *target) logged() []byte {
	text, err := os.ReadFile(t.log.Name())
	if err != nil {
		return nil
	}
	return text[max(0, len(text)-2000):]
}

func (t *target) stop(ctx context.Context) (err error) {
	if t.stdin != nil {
		err = t.stdin.Close()
	}
	if t.cmd != nil {
		err = errors.Join(err, t.cmd.Wait())
	}
	if t.conn != nil {
		err = errors.Join(err, t.conn.Close(ctx))
	}
	if t.log != nil {
		err = errors.Join(err, t.log.Close())
	}
	if t.pg != nil {
		err = errors.Join(err, t.pg.Stop())
	}
	return errors.Join(err, os.RemoveAll(t.folder)) //nolint:gosec // G703: the folder is this run's own
}

// read reads the counters. No operation may be under way.
func (t *target) read(ctx context.Context) (reading, error) {
	var s spent
	if err := t.private(ctx, http.MethodGet, "/bench/spent", nil, &s); err != nil {
		return reading{}, err
	}
	r := reading{server: s.CPU, statements: s.Statements}
	// A transaction gets an id when it writes, so the next id counts the commits that wrote.
	err := t.conn.QueryRow(ctx, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`).Scan(&r.commits)
	if err != nil {
		return reading{}, fmt.Errorf("count the commits: %w", err)
	}
	r.database, err = t.pg.CPUTime()
	if errors.Is(err, errors.ErrUnsupported) {
		t.noDatabaseCPU, err = true, nil
	}
	return r, err
}

// private asks the server's private listener.
func (t *target) private(ctx context.Context, method, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+t.Private+path, bytes.NewReader(content)) //nolint:gosec // G704: the server that this program started
	if err != nil {
		return err
	}
	resp, err := t.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("ask the server: %s: %s", resp.Status, text)
	}
	if raw, ok := into.(io.Writer); ok {
		_, err := io.Copy(raw, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
