package devpg

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// helperDir names the directory in which this test binary, run anew, is to start a server instead of testing.
const helperDir = "DEVPG_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	dir, helper := os.LookupEnv(helperDir)
	if !helper {
		os.Exit(m.Run())
	}
	if err := runHelper(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// helperState is what a helper process says on its standard output once its server runs.
type helperState struct {
	PID      int
	URL, Dir string
}

// runHelper starts a server, says where it is, and stops it when its standard input ends.
func runHelper(dir string) error {
	server, err := Start(context.Background(), Options{Dir: dir, Ephemeral: true})
	if err != nil {
		return err
	}
	state := helperState{PID: server.PID(), URL: server.URL(Database), Dir: server.Dir()}
	if err := json.NewEncoder(os.Stdout).Encode(state); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return server.Stop()
}

// place returns a directory that the account which runs PostgreSQL can reach, which t.TempDir is not for root.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devpg-test-") //nolint:usetesting // for root t.TempDir is closed to the account that runs PostgreSQL
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, directoryMode()))
	return dir
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	server, err := Start(t.Context(), Options{Dir: dir, Ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// startHelper runs this test binary as another process that starts a server, and returns once that is ready.
func startHelper(t *testing.T, cmd *exec.Cmd, dir string) (helperState, io.Closer) {
	t.Helper()
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err, "the helper could not start its server")
	var state helperState
	require.NoError(t, json.Unmarshal(line, &state))
	return state, in
}

func thisBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

func TestStart(t *testing.T) {
	t.Parallel()
	server := start(t, place(t))
	conn := connect(t, server.URL(Database))

	t.Run("logs in as a role that owns its database and is no superuser", func(t *testing.T) {
		var name, owner string
		var super, bypass, createRole, createDB bool
		require.NoError(t, conn.QueryRow(t.Context(), `
			SELECT current_user, pg_get_userbyid(datdba), rolsuper, rolbypassrls, rolcreaterole, rolcreatedb
			FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`).
			Scan(&name, &owner, &super, &bypass, &createRole, &createDB))
		require.Equal(t, Role, name)
		require.Equal(t, Role, owner)
		require.False(t, super)
		require.False(t, bypass)
		require.True(t, createRole)
		require.True(t, createDB)
	})
	t.Run("refuses a wrong password and every address but loopback", func(t *testing.T) {
		_, err := pgx.Connect(t.Context(), server.url(Role, "guess", Database))
		require.ErrorContains(t, err, "28P01")
		var listen string
		require.NoError(t, conn.QueryRow(t.Context(), `SHOW listen_addresses`).Scan(&listen))
		require.Equal(t, "127.0.0.1", listen)
	})
	t.Run("never runs as root", func(t *testing.T) {
		owner, ok := ownerOf(server.dir.data)
		require.True(t, ok)
		require.NotZero(t, owner.uid)
	})
	t.Run("keeps passwords from other users", func(t *testing.T) {
		for _, name := range []string{"postgres.password", "postgres.superuser-password"} {
			info, err := os.Stat(filepath.Join(server.Dir(), name))
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		}
		require.NoFileExists(t, filepath.Join(server.Dir(), "postgres.initial-password"))
	})
	t.Run("gives the superuser to tests that need one", func(t *testing.T) {
		var super bool
		require.NoError(t, connect(t, server.SuperuserURL("postgres")).QueryRow(t.Context(),
			`SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&super))
		require.True(t, super)
	})
	t.Run("refuses a second start in the same directory and names the way out", func(t *testing.T) {
		_, err := Start(t.Context(), Options{Dir: server.Dir(), Ephemeral: true})
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorContains(t, err, "kill "+strconv.Itoa(os.Getpid()))
		require.ErrorContains(t, err, server.Dir())
		require.NoError(t, conn.Ping(t.Context()), "the refused start disturbed the running server")
	})
}

func TestStartAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("every other test here already runs as an ordinary user")
	}
	const nobody = 65534
	dir := place(t)
	require.NoError(t, os.Chown(dir, nobody, nobody))
	binary := filepath.Join(dir, "helper")
	text, err := os.ReadFile(thisBinary(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, text, 0o755))
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}

	state, in := startHelper(t, cmd, filepath.Join(dir, "server"))
	require.NoError(t, connect(t, state.URL).Ping(t.Context()))
	owner, ok := ownerOf(filepath.Join(state.Dir, "postgres"))
	require.True(t, ok)
	require.Equal(t, nobody, owner.uid)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := place(t)
	first := start(t, dir)
	_, err := connect(t, first.URL(Database)).Exec(t.Context(), `CREATE TABLE kept AS SELECT 1 AS n`)
	require.NoError(t, err)
	require.NoError(t, first.Stop())

	t.Run("keeps data and address and takes less than a second", func(t *testing.T) {
		fastest := time.Hour
		for range 3 { // Other work on the machine may slow any one of them.
			began := time.Now()
			again := start(t, dir)
			fastest = min(fastest, time.Since(began))
			require.Equal(t, first.URL(Database), again.URL(Database))
			require.NoError(t, connect(t, again.URL(Database)).QueryRow(t.Context(), `SELECT n FROM kept`).Scan(new(int)))
			require.NoError(t, again.Stop())
		}
		require.Less(t, fastest, time.Second)
	})
	t.Run("takes another port when its own is taken", func(t *testing.T) {
		taken, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(first.port)) //nolint:noctx // it listens at once
		require.NoError(t, err)
		again := start(t, dir)
		require.NotEqual(t, first.port, again.port)
		require.NoError(t, connect(t, again.URL(Database)).Ping(t.Context()))
		require.NoError(t, again.Stop())
		require.NoError(t, taken.Close())
		require.Equal(t, again.port, start(t, dir).port, "the new port was not kept")
	})
}

func TestStopIsFinalAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	server, err := Start(t.Context(), Options{Ephemeral: true})
	require.NoError(t, err)
	conn := connect(t, server.URL(Database))
	require.NoError(t, server.Stop())
	require.NoError(t, server.Stop())
	<-server.Done()
	require.Error(t, conn.Ping(t.Context()))
	require.NoDirExists(t, server.Dir(), "an ephemeral server left its files")
}

func TestKilledParentLeavesNoServer(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("only Linux ties a child to its parent; elsewhere see TestServerLeftBehind")
	}
	cmd := exec.CommandContext(t.Context(), thisBinary(t))
	state, _ := startHelper(t, cmd, "")
	require.NoError(t, connect(t, state.URL).Ping(t.Context()))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool {
		_, err := commandLine(state.PID)
		return err != nil
	}, fastStop, pollInterval, "the server outlived its parent")

	server, err := Start(t.Context(), Options{Ephemeral: true})
	require.NoError(t, err)
	require.NoError(t, server.Stop())
	require.Eventually(t, func() bool {
		_, err := os.Stat(state.Dir)
		return errors.Is(err, os.ErrNotExist)
	}, fastStop, pollInterval, "the next start, here or in another test, did not clear up after the killed one")
}

func TestServerLeftBehindIsStopped(t *testing.T) {
	t.Parallel()
	dir := place(t)
	first := start(t, dir)
	require.NoError(t, first.Stop())

	bin, err := findBinaries(0, "")
	require.NoError(t, err)
	who, err := accountFor(first.dir.data)
	require.NoError(t, err)
	orphan := command(bin, who, first.dir, "postgres", "-D", first.dir.data,
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+first.dir.data)
	left, err := startChild(orphan)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, left.stop()) })
	require.NoError(t, left.waitReady(t.Context(), first.dir))

	again := start(t, dir)
	<-left.exited
	require.NoError(t, connect(t, again.URL(Database)).Ping(t.Context()))
}

func TestDirectoryIsFreeOnceStopped(t *testing.T) {
	t.Parallel()
	dir := place(t)
	server := start(t, dir)
	// What a program that is just being started has of this process, until it runs.
	inherited, err := syscall.Dup(int(server.dir.lock.Fd()))
	require.NoError(t, err)
	defer func() { _ = syscall.Close(inherited) }()
	require.NoError(t, server.Stop())
	require.NoError(t, start(t, dir).Stop())
}

func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := place(t)
	server := start(t, dir)
	pidFile := filepath.Join(server.dir.data, "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	ended := server.PID()
	require.NoError(t, server.Stop())

	for name, pid := range map[string]int{"of an ended process": ended, "of another living program": os.Getpid()} {
		t.Run(name+" does not hinder the start", func(t *testing.T) {
			stale := strings.Replace(string(text), strconv.Itoa(ended), strconv.Itoa(pid), 1)
			require.NoError(t, os.WriteFile(pidFile, []byte(stale), 0o600))
			require.NoError(t, server.dir.ownPidFile(pidFile))
			again := start(t, dir)
			require.NoError(t, connect(t, again.URL(Database)).Ping(t.Context()))
			require.NoError(t, again.Stop())
		})
	}
}

// ownPidFile gives a file that the test wrote to the account that runs PostgreSQL.
func (d *directory) ownPidFile(path string) error {
	who, err := accountFor(d.data)
	if err != nil {
		return err
	}
	return who.own(path)
}

func TestFirstStartCutShort(t *testing.T) {
	t.Parallel()
	dir := place(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "postgres.new", "base"), 0o700))
	first := start(t, dir)
	require.NoDirExists(t, filepath.Join(dir, "postgres.new"))
	require.NoError(t, first.Stop())

	for name, undo := range map[string][]string{
		"before the database was made": {`DROP DATABASE gatehouse WITH (FORCE)`},
		"before the role was made":     {`DROP DATABASE gatehouse WITH (FORCE)`, `DROP ROLE gatehouse`},
	} {
		t.Run(name+" is completed by the next", func(t *testing.T) {
			server := start(t, dir)
			conn := connect(t, server.SuperuserURL("postgres"))
			for _, statement := range undo {
				_, err := conn.Exec(t.Context(), statement)
				require.NoError(t, err)
			}
			require.NoError(t, server.Stop())
			require.NoError(t, connect(t, start(t, dir).URL(Database)).Ping(t.Context()))
		})
	}
	t.Run("without its password the old cluster is refused, not replaced", func(t *testing.T) {
		require.NoError(t, os.Remove(filepath.Join(dir, "postgres.password")))
		_, err := Start(t.Context(), Options{Dir: dir, Ephemeral: true})
		require.ErrorContains(t, err, "postgres.password")
		require.DirExists(t, first.dir.data)
	})
}

func TestClosedDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user reaches its own directories")
	}
	closed := filepath.Join(place(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	_, err := Start(t.Context(), Options{Dir: filepath.Join(closed, "below"), Ephemeral: true})
	require.ErrorContains(t, err, "chmod o+x "+closed)
}

func TestFailedStartTellsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	dir := place(t)
	server := start(t, dir)
	require.NoError(t, server.Stop())
	conf := filepath.Join(server.dir.data, "postgresql.conf")
	f, err := os.OpenFile(conf, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("\nno_such_setting = 1\n")
	require.NoError(t, errors.Join(err, f.Close()))

	_, err = Start(t.Context(), Options{Dir: dir, Ephemeral: true})
	require.ErrorContains(t, err, "no_such_setting")
	_, err = Start(t.Context(), Options{Dir: dir, Ephemeral: true})
	require.NotErrorIs(t, err, ErrInUse, "the failed start kept the lock")
}

func TestCPUTimeCountsLivingAndEndedSessions(t *testing.T) {
	t.Parallel()
	server := start(t, place(t))
	conn := connect(t, server.URL(Database))
	before, err := server.CPUTime()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("processor time is known on Linux only")
	}
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SELECT count(*) FROM generate_series(1, 1000000)`)
	require.NoError(t, err)
	living, err := server.CPUTime()
	require.NoError(t, err)
	require.Greater(t, living-before, 20*time.Millisecond)

	require.NoError(t, conn.Close(t.Context()))
	ended, err := server.CPUTime()
	require.NoError(t, err)
	// What an ended process used is known to a tick for each of user and system time.
	require.GreaterOrEqual(t, ended, living-20*time.Millisecond)
}
