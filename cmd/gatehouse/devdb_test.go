package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// statusOf is the exit status of a process that has ended.
func statusOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exited *exec.ExitError
	require.ErrorAs(t, err, &exited)
	return exited.ExitCode()
}

// listens reports whether somebody answers at the server's address.
func listens(t *testing.T, server string) bool {
	t.Helper()
	u, err := url.Parse(strings.TrimSpace(server))
	require.NoError(t, err)
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", u.Host)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return false
	}
	if errors.Is(err, syscall.ECONNRESET) { // it is ending at this moment
		return true
	}
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	return true
}

func TestDevdbExec(t *testing.T) {
	t.Parallel()
	const given = "GATEHOUSE_TEST_DATABASE_URL=postgres://given.example.test/db"

	t.Run("starts_a_server_for_the_command_and_stops_it", func(t *testing.T) {
		t.Parallel()
		cmd := program(t, []string{"GATEHOUSE_TEST_DATABASE_URL="}, "devdb", "exec", "--", "sh", "-c", `echo "$GATEHOUSE_TEST_DATABASE_URL"; read line; exit 7`)
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		server, err := bufio.NewReader(stdout).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, server, "postgres://gatehouse:", "the login role is no superuser")
		require.True(t, listens(t, server))
		_, err = io.WriteString(stdin, "go on\n")
		require.NoError(t, err)
		require.Equal(t, 7, statusOf(t, cmd.Wait()))
		require.False(t, listens(t, server), "the server was left behind")
	})

	t.Run("leaves_no_server_when_it_is_killed", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("only Linux ties a process to the life of its parent")
		}
		cmd := program(t, nil, "devdb", "exec", "--", "sh", "-c", `echo "$GATEHOUSE_TEST_DATABASE_URL"; read line`)
		_, err := cmd.StdinPipe() // ends the shell when this test does
		require.NoError(t, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		server, err := bufio.NewReader(stdout).ReadString('\n')
		require.NoError(t, err)
		require.True(t, listens(t, server))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		require.Eventually(t, func() bool { return !listens(t, server) }, 20*time.Second, 20*time.Millisecond, "the server was left behind")
	})

	t.Run("uses_a_server_that_is_given", func(t *testing.T) {
		t.Parallel()
		out, err := program(t, []string{given}, "devdb", "exec", "sh", "-c", `echo "$GATEHOUSE_TEST_DATABASE_URL" "$@"`, "sh", "-o", "--help").Output()
		require.NoError(t, err)
		require.Equal(t, "postgres://given.example.test/db -o --help\n", string(out), "the command's flags are its own")
	})

	t.Run("ends_with_the_commands_status", func(t *testing.T) {
		t.Parallel()
		for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -KILL $$": 128 + int(syscall.SIGKILL)} {
			out, err := program(t, []string{given}, "devdb", "exec", "--", "sh", "-c", script).CombinedOutput()
			require.Equal(t, want, statusOf(t, err), script)
			require.Empty(t, string(out), "the command has said itself what was wrong")
		}
	})

	t.Run("says_when_the_command_is_not_there", func(t *testing.T) {
		t.Parallel()
		out, err := program(t, []string{given}, "devdb", "exec", "--", "no-such-command").CombinedOutput()
		require.Equal(t, exitUsage, statusOf(t, err))
		require.Contains(t, string(out), `"no-such-command" cannot be run`)
	})

	t.Run("hands_signals_on_and_waits", func(t *testing.T) {
		t.Parallel()
		for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 3, syscall.SIGINT: 4} {
			cmd := program(t, []string{given}, "devdb", "exec", "--", "sh", "-c",
				`trap 'exit 3' TERM; trap 'exit 4' INT; echo ready; while :; do read line; done`)
			_, err := cmd.StdinPipe()
			require.NoError(t, err)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			require.NoError(t, cmd.Process.Signal(s))
			require.Equal(t, want, statusOf(t, cmd.Wait()), s)
		}
	})
}
