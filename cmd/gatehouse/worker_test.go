package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// begin starts a process that first says something in its log, and returns how to end it by SIGTERM.
func begin(t *testing.T, cmd *exec.Cmd, says string) (end func()) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, first, says)
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(lines) // what can be read is enough to explain a failure
		rest <- string(text)
	}()
	return func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		text := <-rest
		require.Zero(t, statusOf(t, cmd.Wait()), "an orderly end is a success: %s", text)
		require.NotContains(t, text, `"level":"ERROR"`)
	}
}

// metricsOf is what a private listener tells Prometheus.
func metricsOf(t *testing.T, private string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+private+"/metrics", nil)
	require.NoError(t, err)
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// TestTheWorkerApart: a server that leaves the background work alone, and a worker that does it.
func TestTheWorkerApart(t *testing.T) {
	t.Parallel()
	environ := serverEnviron(t, "GATEHOUSE_WORKER=off")
	out, err := program(t, environ, "migrate", "up").CombinedOutput()
	require.NoError(t, err, string(out))
	at := func(name string) (value string) {
		for _, entry := range environ {
			if v, found := strings.CutPrefix(entry, name+"="); found {
				value = v
			}
		}
		return value
	}
	queue, err := pgx.Connect(t.Context(), at("GATEHOUSE_DATABASE_URL"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, queue.Close(context.WithoutCancel(t.Context()))) })
	_, err = queue.Exec(t.Context(), `SET ROLE gatehouse_jobs`)
	require.NoError(t, err)
	done := func() (n int) {
		require.NoError(t, queue.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE state = 'completed'`).Scan(&n))
		return n
	}

	private := freeAddress(t)
	endServer := begin(t, program(t, environ, "serve", "--addr", freeAddress(t), "--private-addr", private), `"msg":"serving"`)
	require.Equal(t, http.StatusOK, answerOf(t, "http://"+private+"/readyz", "", nil))
	require.NotContains(t, metricsOf(t, private), "gatehouse_jobs")
	require.Zero(t, done())

	private = freeAddress(t)
	endWorker := begin(t, program(t, environ, "worker", "--private-addr", private), `"msg":"working"`)
	require.Equal(t, http.StatusOK, answerOf(t, "http://"+private+"/readyz", "", nil))
	require.Contains(t, metricsOf(t, private), `gatehouse_jobs{queue="periodic",state="discarded"} 0`)
	require.Eventually(t, func() bool { return done() == 2 }, patience, 20*time.Millisecond, "housekeeping and keys")
	endWorker()
	endServer()
}
