package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// acme is a realm file as an operator would write it.
const acme = `
realm: acme
name: Acme
applications:
  - client_id: web
    redirect_uris: ["https://app.example.test/callback"]
    generate_secret: true
users:
  - username: ana
    email: ana@example.test
    password_hash: ${env:ACME_ANA_HASH}
`

// TestFromAnEmptyDatabaseToAServer is the way of an operator: every step is a command that they type.
func TestFromAnEmptyDatabaseToAServer(t *testing.T) {
	t.Parallel()
	hash, err := func() ([]byte, error) {
		cmd := program(t, nil, "hash")
		cmd.Stdin = strings.NewReader("correct horse battery staple\n")
		return cmd.Output()
	}()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "acme.yaml")
	require.NoError(t, os.WriteFile(file, []byte(acme), 0o600))
	environ := serverEnviron(t, "ACME_ANA_HASH="+strings.TrimSpace(string(hash)))
	gatehouse := func(args ...string) (status int, stdout, stderr string) {
		var out, errs strings.Builder
		cmd := program(t, environ, args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		return statusOf(t, cmd.Run()), out.String(), errs.String()
	}

	status, _, stderr := gatehouse("config", "check")
	require.Zero(t, status, stderr)

	status, _, stderr = gatehouse("serve")
	require.Equal(t, exitUnavailable, status, "a database without a schema is refused: %s", stderr)
	require.Contains(t, stderr, "gatehouse migrate up")

	status, stdout, stderr := gatehouse("migrate", "status")
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "0001_realms.sql")
	require.NotContains(t, stdout, "applied")

	status, stdout, stderr = gatehouse("migrate", "up")
	require.Zero(t, status, stderr)
	require.NotContains(t, stdout, "pending")
	status, stdout, _ = gatehouse("migrate", "up")
	require.Zero(t, status)
	require.Equal(t, "The database is up to date.\n", stdout)

	status, stdout, stderr = gatehouse("realm", "apply", "--dry-run", "-f", file)
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "Realm acme, dry run; this would change:\n")
	require.Contains(t, stdout, "secret web: would be generated")
	_, stdout, _ = gatehouse("realm", "list")
	require.NotContains(t, stdout, "acme", "a dry run changes nothing")

	status, stdout, stderr = gatehouse("realm", "apply", "-f", file)
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "application web: created")
	require.Contains(t, stdout, "user ana: created")
	require.Regexp(t, `secret web, shown this once: [A-Za-z0-9_-]{40,}\n`, stdout)
	status, stdout, stderr = gatehouse("realm", "apply", "-f", file)
	require.Zero(t, status, stderr)
	require.Equal(t, "Realm acme: nothing to change.\n", stdout)

	status, stdout, stderr = gatehouse("realm", "list", "-o", "json")
	require.Zero(t, status, stderr)
	var realms []realmView
	require.NoError(t, json.Unmarshal([]byte(stdout), &realms))
	require.Contains(t, realms, realmView{"acme", "Acme", "http://localhost:8080/realms/acme", true})

	served(t, environ)
}

func TestOP01_ADatabaseInThePlainIsRefused(t *testing.T) {
	t.Parallel()
	c := call{environ: production(), do: operations{
		Serve: app.Serve, MigrateUp: app.MigrateUp, Migrations: app.Migrations, RealmList: app.RealmList, KeysList: app.KeysList,
	}}
	for _, line := range []string{"serve --addr 127.0.0.1:0 --private-addr 127.0.0.1:0", "migrate up", "migrate status", "realm list", "keys list acme"} {
		r := c.gatehouse(t, line)
		require.Equal(t, exitUsage, r.status, "%s: %s", line, r.stderr)
		require.Contains(t, r.stderr, "db.example.test", line)
		require.Contains(t, r.stderr, "sslmode=verify-full", line)
		require.NotContains(t, r.stderr, "hunter2", line)
	}
}

// freeAddress is a loopback address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// serverEnviron is a configuration for a database of its own.
func serverEnviron(t *testing.T, more ...string) []string {
	t.Helper()
	var key [32]byte
	_, err := rand.Read(key[:])
	require.NoError(t, err)
	return append(more,
		"GATEHOUSE_DATABASE_URL="+testdb.NewEmptyURL(t),
		"GATEHOUSE_DATABASE_MIN_CONNS=1",
		"GATEHOUSE_SECRET_KEY=k1:"+base64.StdEncoding.EncodeToString(key[:]),
		"GATEHOUSE_PUBLIC_URL=http://localhost:8080",
		"GATEHOUSE_LOG_FORMAT=json",
		"GATEHOUSE_SHUTDOWN_DELAY=0s",
	)
}

// served starts a server, asks it for the realm's metadata and for its health, and ends it by SIGTERM.
func served(t *testing.T, environ []string) {
	t.Helper()
	public, private := freeAddress(t), freeAddress(t)
	cmd := program(t, environ, "serve", "--addr", public, "--private-addr", private)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadBytes('\n')
	require.NoError(t, err)
	require.Contains(t, string(first), `"msg":"serving"`)

	require.Equal(t, http.StatusOK, answerOf(t, "http://"+private+"/readyz", "", nil))
	var metadata struct{ Issuer string }
	require.Equal(t, http.StatusOK, answerOf(t, "http://"+public+"/realms/acme/.well-known/openid-configuration", "localhost:8080", &metadata))
	require.Equal(t, "http://localhost:8080/realms/acme", metadata.Issuer)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Zero(t, statusOf(t, cmd.Wait()), "an orderly end is a success: %s", rest)
}

// answerOf asks for a URL under a host's name and returns the status; the answer is decoded into v unless that is nil.
func answerOf(t *testing.T, url, host string, v any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Host = host
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	if v != nil {
		require.NoError(t, json.NewDecoder(response.Body).Decode(v))
	}
	return response.StatusCode
}
