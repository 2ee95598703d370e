package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pollInterval  = 5 * time.Millisecond
	pidFileStatus = 7 // The line of postmaster.pid that says how far the start is.
)

// child is a running program of PostgreSQL that ends no later than this process.
type child struct {
	pid     int
	process *os.Process
	exited  chan struct{}
	err     error // How it ended; read it only after exited is closed.
}

// command prepares a program to run as the account, in a process group of its own so that an interrupt from the
// terminal reaches this process alone, and with an environment that holds none of this process's secrets.
func command(bin binaries, who account, dir *directory, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin.program(name), args...) //nolint:gosec,noctx // stop ends it: being killed by a context would leave its own children behind
	cmd.Dir = dir.path
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + dir.path}
	if libraries := os.Getenv("LD_LIBRARY_PATH"); libraries != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libraries)
	}
	cmd.SysProcAttr = childAttributes(who)
	return cmd
}

// startChild starts the command from an OS thread that waits for it and does nothing else: on Linux the child is
// signalled when the *thread* that started it ends, and the Go runtime ends threads as it likes.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	c.process, c.pid = cmd.Process, cmd.Process.Pid
	return c, nil
}

// startServer starts PostgreSQL on the cluster. Its output is the log file, made anew at each start.
func startServer(bin binaries, who account, dir *directory, port int, ephemeral bool) (*child, error) {
	log, err := os.OpenFile(filepath.Join(dir.path, logName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of PostgreSQL: %w", err)
	}
	settings := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"unix_socket_directories":    "", // Their path has a length limit, and nothing here uses them.
		"dynamic_shared_memory_type": "mmap",
		"max_connections":            "300",
		"timezone":                   "UTC",
		"log_timezone":               "UTC",
	}
	if ephemeral {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
		settings["max_wal_size"] = "4GB"
		settings["checkpoint_timeout"] = "1h"
		// Databases live for seconds, and one that is being vacuumed cannot be dropped by force.
		settings["autovacuum"] = "off"
		// A half-hour zone shows every statement that leans on the session's time zone.
		settings["timezone"] = "America/St_Johns"
	}
	args := []string{"-D", dir.data, "-p", strconv.Itoa(port)}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	cmd := command(bin, who, dir, "postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	c, err := startChild(cmd)
	if err := errors.Join(err, log.Close()); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return c, nil
}

// waitReady returns when the server accepts connections, which it writes into its pid file.
func (c *child) waitReady(ctx context.Context, dir *directory) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.exited:
			return fmt.Errorf("PostgreSQL ended while starting: %w\n%s", c.err, dir.logTail())
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w\n%s", ctx.Err(), dir.logTail())
		case <-tick.C:
			if file, err := readPidFile(dir.data); err == nil && file.pid == c.pid && file.status == "ready" {
				return nil
			}
		}
	}
}

// stop ends the child: fast shutdown, which disconnects clients and leaves a clean cluster; when that hangs, an
// immediate one, which recovers at the next start. It does nothing to a child that has ended.
func (c *child) stop() error {
	for _, step := range []struct {
		signal syscall.Signal
		limit  time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, quickStop}, {syscall.SIGKILL, quickStop}} {
		if err := c.process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-c.exited:
			return nil
		case <-time.After(step.limit):
		}
	}
	return fmt.Errorf("stop PostgreSQL: process %d does not end", c.pid)
}

// pidFile is what a server writes about itself into its cluster.
type pidFile struct {
	pid    int
	status string
}

func readPidFile(data string) (pidFile, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("read postmaster.pid: %w", err)
	}
	file := pidFile{pid: pid}
	if len(lines) > pidFileStatus {
		file.status = strings.TrimSpace(lines[pidFileStatus])
	}
	return file, nil
}

// runningPostmaster returns the server that runs on the cluster, if one does. The process id in the file alone proves
// nothing: it can belong to any other program after a restart of the machine.
func runningPostmaster(data string) (pid int, running bool) {
	file, err := readPidFile(data)
	if err != nil {
		return 0, false
	}
	args, err := commandLine(file.pid)
	return file.pid, err == nil && slices.Contains(args, data)
}

// stopStale ends a server whose parent is gone: still shutting down after the parent was killed, or left behind on a
// system that cannot tie it to its parent. The caller holds the directory's lock, so no living process owns it.
func stopStale(ctx context.Context, data string) error {
	pid, running := runningPostmaster(data)
	if pid == 0 {
		return nil
	}
	if !running {
		// PostgreSQL removes the file itself when that process is gone, but not when another one has its id.
		if _, err := commandLine(pid); err == nil {
			if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove stale postmaster.pid: %w", err)
			}
		}
		return nil
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("find the server left behind: %w", err)
	}
	for _, step := range []struct {
		signal syscall.Signal
		limit  time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, quickStop}} {
		if err := process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop the server left behind (process %d): %w", pid, err)
		}
		gone, err := waitGone(ctx, data, pid, step.limit)
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the server left behind (process %d) does not stop; end it with `kill -QUIT %d`", pid, pid)
}

// waitGone waits until the process no longer serves the cluster.
func waitGone(ctx context.Context, data string, pid int, limit time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		args, err := commandLine(pid)
		if err != nil || !slices.Contains(args, data) {
			return true, nil
		}
		if err := pause(ctx, pollInterval); err != nil {
			return false, nil // The limit is an answer, no failure: the caller signals harder.
		}
	}
}

// pause waits, and returns early with the reason when the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
