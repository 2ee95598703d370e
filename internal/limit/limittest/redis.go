package limittest

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Redis is a real redis-server of the test's own on a loopback port. It keeps nothing on disk.
type Redis struct {
	// Addr is host:port.
	Addr string
	args []string
	cmd  *exec.Cmd
}

// StartRedis starts a server with further arguments, to which it answers at Addr. Given a port by --tls-port, give
// also --port 0.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	require.NoError(t, err, "This test needs redis-server. `make deps` installs it.")
	port := freePort(t)
	r := &Redis{Addr: net.JoinHostPort("127.0.0.1", port)}
	r.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "64", "--dir", t.TempDir()}, args...)
	for i, arg := range r.args {
		if arg == "TLSPORT" {
			r.args[i] = port
		}
	}
	r.Start(t)
	t.Cleanup(r.Kill)
	return r
}

// Start starts the server, again after Kill, and waits until it listens.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	r.cmd = exec.Command("redis-server", r.args...) //nolint:gosec,noctx // the test's own arguments; Kill ends it
	require.NoError(t, r.cmd.Start())
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", r.Addr)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}, 20*time.Second, 5*time.Millisecond, "redis-server did not start")
}

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// PID is the server's process, for signals.
func (r *Redis) PID() int { return r.cmd.Process.Pid }

func freePort(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	addr, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return strconv.Itoa(addr.Port)
}
