package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

// report1 is the report of a file that made an application with a secret.
func report1() realmfile.Report {
	return realmfile.Report{
		Realm:     "acme",
		Changes:   []realmfile.Change{{Kind: realmfile.KindApplication, Name: "web", Action: realmfile.Created}},
		Generated: []realmfile.Generated{{Kind: realmfile.KindSecret, Name: "web", Value: config.NewSecret("s3cr3t")}},
	}
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()

	t.Run("is_content_with_a_good_configuration", func(t *testing.T) {
		t.Parallel()
		r := call{environ: production()}.gatehouse(t, "config check")
		require.Equal(t, result{0, "The configuration is good for \"gatehouse serve\".\n", ""}, r)
	})

	t.Run("asks_for_what_the_command_needs_and_no_more", func(t *testing.T) {
		t.Parallel()
		require.Zero(t, call{environ: production()[:1]}.gatehouse(t, "config check --for migrate").status)
		require.Zero(t, call{}.gatehouse(t, "config check --for dev").status)
	})

	t.Run("lists_everything_at_once", func(t *testing.T) {
		t.Parallel()
		environ := append(production(), "GATEHOUSE_ADRR=127.0.0.1:1", "GATEHOUSE_LOG_FORMAT=xml")
		r := call{environ: environ}.gatehouse(t, "config check")
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, "  - GATEHOUSE_ADRR is not a setting. Did you mean GATEHOUSE_ADDR?\n")
		require.Contains(t, r.stderr, "  - GATEHOUSE_LOG_FORMAT \"xml\" is unknown. Give json, text or auto.\n")
		require.Empty(t, r.stdout)
	})

	t.Run("refuses_a_secret_that_is_given_twice", func(t *testing.T) {
		t.Parallel()
		r := call{
			environ: append(production(), "GATEHOUSE_SECRET_KEY_FILE=/run/key"),
			files:   map[string]string{"/run/key": "k2:x"},
		}.gatehouse(t, "config check")
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, "GATEHOUSE_SECRET_KEY and GATEHOUSE_SECRET_KEY_FILE are both set. Only one can be meant. Remove one of them.")
	})

	t.Run("reads_the_file_that_it_is_given", func(t *testing.T) {
		t.Parallel()
		c := call{environ: production(), files: map[string]string{"g.yaml": "log_formt: json\n"}}
		r := c.gatehouse(t, "--config g.yaml config check")
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, "g.yaml:1: log_formt is not a setting. Did you mean log_format?")
		r = c.gatehouse(t, "config check --config missing.yaml")
		require.Equal(t, exitUsage, r.status)
	})
}

func TestConfigShow(t *testing.T) {
	t.Parallel()

	t.Run("names_sources_and_masks_secrets", func(t *testing.T) {
		t.Parallel()
		c := call{
			environ: []string{production()[0], production()[1], "GATEHOUSE_SECRET_KEY_FILE=/run/key", "GATEHOUSE_LOG_LEVEL=warn"},
			files:   map[string]string{"/run/key": "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", "g.yaml": "addr: 127.0.0.1:7\n"},
		}
		r := c.gatehouse(t, "config show --config g.yaml")
		require.Zero(t, r.status, r.stderr)
		require.Empty(t, r.stderr)
		require.Regexp(t, `(?m)^GATEHOUSE_ADDR +127\.0\.0\.1:7 +file$`, r.stdout)
		require.Regexp(t, `(?m)^GATEHOUSE_LOG_LEVEL +warn +env$`, r.stdout)
		require.Regexp(t, `(?m)^GATEHOUSE_DATABASE_URL +\[redacted\] +env$`, r.stdout)
		require.Regexp(t, `(?m)^GATEHOUSE_SECRET_KEY +\[redacted\] +env \(/run/key\)$`, r.stdout)
		require.NotContains(t, r.stdout, "hunter2")
		require.NotContains(t, r.stdout, "MDEy")
	})

	t.Run("shows_also_what_does_not_do", func(t *testing.T) {
		t.Parallel()
		r := call{}.gatehouse(t, "config show -o json")
		require.Zero(t, r.status)
		require.Contains(t, r.stdout, `"name": "GATEHOUSE_ADDR"`)
		require.Contains(t, r.stderr, "GATEHOUSE_DATABASE_URL is missing")
	})
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	_, refused := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:1")
	require.Error(t, refused)
	for _, c := range []struct {
		name   string
		err    error
		status int
		says   string
	}{
		{"0_after_an_orderly_end", nil, 0, ""},
		{"1_for_what_nobody_foresaw", errors.New("load session: the moon is full"), exitFailed, "why: load session: the moon is full"},
		{"1_when_interrupted", fmt.Errorf("apply: %w", context.Canceled), exitFailed, "interrupted"},
		{"2_for_a_file_that_is_not_there", fmt.Errorf("read a realm file: %w", os.ErrNotExist), exitUsage, "correct the path"},
		{"3_when_the_database_is_away", fmt.Errorf("connect: %w", refused), exitUnavailable, "start PostgreSQL"},
		{"3_when_the_schema_is_another", fmt.Errorf("%w: it has never been migrated", postgres.ErrSchema), exitUnavailable, `"gatehouse migrate up"`},
		{"3_when_the_address_is_taken", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}, exitUnavailable, "GATEHOUSE_ADDR"},
		{"3_when_the_directory_is_in_use", fmt.Errorf("start: %w", devpg.ErrInUse), exitUnavailable, "--data-dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			do := operations{Serve: func(context.Context, app.Process) error { return c.err }}
			r := call{environ: production(), do: do}.gatehouse(t, "serve")
			require.Equal(t, c.status, r.status, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.NotContains(t, r.stderr, "goroutine")
		})
	}
}

func TestDatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"migrate up", "migrate status", "realm list", "serve"} {
		environ := append(production()[1:], "GATEHOUSE_DATABASE_URL=postgres://gatehouse:hunter2@127.0.0.1:1/gatehouse")
		do := operations{MigrateUp: app.MigrateUp, Migrations: app.Migrations, RealmList: app.RealmList, Serve: app.Serve}
		r := call{environ: environ, do: do}.gatehouse(t, line)
		require.Equal(t, exitUnavailable, r.status, r.stderr)
		require.Contains(t, r.stderr, "gatehouse: the database cannot be used\n  why: ")
		require.Contains(t, r.stderr, "connection refused")
		require.NotContains(t, r.stderr, "hunter2")
	}
}
