package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// actAsProgram makes the test binary be the program itself, for tests of signals, terminals and exit statuses.
const actAsProgram = "GATEHOUSE_TEST_ACT_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(actAsProgram) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// patience is how long a program may run before it counts as hanging.
const patience = time.Minute

// program is the real program as another process, with nothing of ours in its environment but what is given.
func program(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.WaitDelay = time.Second // what it left behind may hold its output open
	cmd.Env = append(foreignEnviron(), append(environ, actAsProgram+"=1")...)
	return cmd
}

// foreignEnviron is the environment of the tests without settings of ours.
func foreignEnviron() []string {
	var list []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "GATEHOUSE_") {
			list = append(list, entry)
		}
	}
	return list
}

// call is one call of a command in this process.
type call struct {
	environ []string
	stdin   string
	files   map[string]string
	do      operations
}

// result is what a call left behind.
type result struct {
	status         int
	stdout, stderr string
}

// gatehouse runs a command line written as in a shell, without quoting.
func (c call) gatehouse(t *testing.T, line string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := execute(t.Context(), strings.Fields(line), environment{
		Environ: c.environ,
		Stdin:   strings.NewReader(c.stdin),
		Stdout:  &stdout,
		Stderr:  &stderr,
		ReadFile: func(path string) ([]byte, error) {
			content, ok := c.files[path]
			if !ok {
				return nil, os.ErrNotExist
			}
			return []byte(content), nil
		},
		Build: build{Version: "v1.2.3", Commit: "abc", Go: "go1.26", System: "linux/amd64"},
		Do:    c.do,
	})
	return result{status, stdout.String(), stderr.String()}
}

// production is a complete configuration of a server.
func production() []string {
	return []string{
		"GATEHOUSE_DATABASE_URL=postgres://gatehouse:hunter2@db.example.test/gatehouse",
		"GATEHOUSE_PUBLIC_URL=https://login.example.test",
		"GATEHOUSE_SECRET_KEY=k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()

	t.Run("is_what_the_golden_file_says", func(t *testing.T) {
		t.Parallel()
		var all strings.Builder
		for _, line := range []string{
			"", "serve", "dev", "migrate", "migrate up", "migrate status", "realm", "realm apply", "realm list",
			"user", "user list", "user show", "user create", "user invite", "user resend-verification",
			"user set-password", "user force-password-change", "user sessions",
			"user disable", "user enable", "user lock", "user unlock", "user delete",
			"keys", "keys list", "keys rotate", "keys revoke",
			"config", "config check", "config show", "hash", "devdb", "devdb exec", "version", "completion",
		} {
			r := call{}.gatehouse(t, line+" --help")
			require.Zero(t, r.status, r.stderr)
			all.WriteString(strings.TrimSpace("$ gatehouse "+line) + " --help\n" + r.stdout + "\n")
		}
		golden := filepath.Join("testdata", "help.txt")
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(all.String()), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), all.String(), "run the test with -update when the change is meant")
	})

	t.Run("greets_whoever_gives_no_command", func(t *testing.T) {
		t.Parallel()
		r := call{}.gatehouse(t, "")
		require.Zero(t, r.status)
		require.Contains(t, r.stdout, "Commands:")
		require.Empty(t, r.stderr)
	})

	t.Run("can_be_asked_for_by_name", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, call{}.gatehouse(t, "realm apply --help"), call{}.gatehouse(t, "help realm apply"))
		require.Equal(t, exitUsage, call{}.gatehouse(t, "help nonsense").status)
	})
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, what, mend string }{
		{"an_unknown_command_names_the_nearest", "srve", `there is no command "gatehouse srve"`, `Did you mean "gatehouse serve"?`},
		{"an_unknown_command_below_another_too", "realm aply", `there is no command "gatehouse realm aply"`, `Did you mean "gatehouse realm apply"?`},
		{"a_command_like_no_other_lists_all", "realm xyzzyxyzzy", `there is no command`, "The commands are: apply, list."},
		{"a_missing_command_lists_all", "migrate", `a command is missing after "gatehouse migrate"`, "Give one of: status, up."},
		{"an_unknown_flag_names_the_nearest", "realm apply --dryrun", "unknown flag: --dryrun", "Did you mean --dry-run?"},
		{"a_needless_argument_is_refused", "serve now", `"now" is one`, "Remove it."},
		{"a_realm_file_is_needed", "realm apply", "no realm file was given", "gatehouse realm apply -f FILE"},
		{"a_command_to_run_is_needed", "devdb exec", "needs a command to run", "gatehouse devdb exec -- go test"},
		{"an_unknown_output_is_refused", "version -o yaml", `there is no output "yaml"`, "-o table or -o json"},
		{"an_unknown_purpose_is_refused", "config check --for lunch", `--for "lunch"`, "serve, dev, realm, migrate"},
		{"an_unknown_shell_is_refused", "completion tcsh", `no completion for "tcsh"`, "bash, zsh, fish or powershell"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := call{}.gatehouse(t, c.line)
			require.Equal(t, exitUsage, r.status)
			require.Contains(t, r.stderr, c.what)
			require.Contains(t, r.stderr, c.mend)
			require.Contains(t, r.stderr, `--help".`, "the way to the help is named")
			require.NotContains(t, r.stderr, "Usage:", "the help itself is not poured out")
			require.Empty(t, r.stdout)
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()

	t.Run("names_program_and_commit", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "gatehouse v1.2.3 (commit abc, go1.26, linux/amd64)\n", call{}.gatehouse(t, "version").stdout)
		require.JSONEq(t, `{"version":"v1.2.3","commit":"abc","go":"go1.26","system":"linux/amd64"}`, call{}.gatehouse(t, "version -o json").stdout)
	})

	t.Run("is_never_empty", func(t *testing.T) {
		t.Parallel()
		b := readBuild()
		require.NotEmpty(t, b.Version)
		require.NotEmpty(t, b.Commit)
	})
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := call{}.gatehouse(t, "completion "+shell)
		require.Zero(t, r.status, r.stderr)
		require.Contains(t, r.stdout, "gatehouse", shell)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()

	t.Run("hands_over_configuration_and_version", func(t *testing.T) {
		t.Parallel()
		var got app.Process
		do := operations{Serve: func(_ context.Context, p app.Process) error { got = p; return nil }}
		r := call{environ: production(), do: do}.gatehouse(t, "serve --addr 127.0.0.1:1 --log-format json")
		require.Zero(t, r.status, r.stderr)
		require.Equal(t, "127.0.0.1:1", got.Config.Addr, "the flag wins over the default")
		require.Equal(t, "https://login.example.test", string(got.Config.PublicURL))
		require.Equal(t, []string{"v1.2.3", "abc"}, []string{got.Version, got.Commit})
		require.NotNil(t, got.Log)
	})

	t.Run("does_not_start_half_configured", func(t *testing.T) {
		t.Parallel()
		do := operations{Serve: func(context.Context, app.Process) error { t.Error("started"); return nil }}
		r := call{do: do}.gatehouse(t, "serve")
		require.Equal(t, exitUsage, r.status)
		for _, name := range []string{"GATEHOUSE_DATABASE_URL", "GATEHOUSE_PUBLIC_URL", "GATEHOUSE_SECRET_KEY"} {
			require.Contains(t, r.stderr, name+" is missing")
		}
	})
}

func TestDev(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, environ []string, line string) (app.DevOptions, result) {
		t.Helper()
		var got app.DevOptions
		do := operations{Dev: func(_ context.Context, _ app.Process, o app.DevOptions) error { got = o; return nil }}
		r := call{environ: environ, do: do}.gatehouse(t, line)
		return got, r
	}

	t.Run("needs_no_configuration_and_brings_the_demo", func(t *testing.T) {
		t.Parallel()
		got, r := start(t, nil, "dev")
		require.Zero(t, r.status, r.stderr)
		require.Equal(t, app.DevOptions{Demo: true}, got)
	})

	t.Run("takes_a_place_and_leaves_the_demo_out", func(t *testing.T) {
		t.Parallel()
		got, r := start(t, nil, "dev --data-dir d --demo=false")
		require.Zero(t, r.status, r.stderr)
		require.Equal(t, app.DevOptions{DataDir: "d"}, got)
	})

	t.Run("refuses_to_be_reached_from_outside", func(t *testing.T) {
		t.Parallel()
		_, r := start(t, nil, "dev --addr 0.0.0.0:8080")
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, `"0.0.0.0:8080" is not a loopback address`)
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	environ := production()[:1]
	first := postgres.Migration{Version: 1, Name: "0001_realms.sql", Applied: true}

	t.Run("up_lists_what_it_applied", func(t *testing.T) {
		t.Parallel()
		do := operations{MigrateUp: func(context.Context, app.Process) ([]postgres.Migration, error) {
			return []postgres.Migration{first}, nil
		}}
		r := call{environ: environ, do: do}.gatehouse(t, "migrate up")
		require.Equal(t, "VERSION  NAME             STATE\n1        0001_realms.sql  applied\n", r.stdout)
	})

	t.Run("up_says_when_there_is_nothing_to_do", func(t *testing.T) {
		t.Parallel()
		do := operations{MigrateUp: func(context.Context, app.Process) ([]postgres.Migration, error) { return nil, nil }}
		require.Equal(t, "The database is up to date.\n", call{environ: environ, do: do}.gatehouse(t, "migrate up").stdout)
		require.Equal(t, "[]\n", call{environ: environ, do: do}.gatehouse(t, "migrate up -o json").stdout)
	})

	t.Run("status_tells_applied_from_pending", func(t *testing.T) {
		t.Parallel()
		do := operations{Migrations: func(context.Context, app.Process) ([]postgres.Migration, error) {
			return []postgres.Migration{first, {Version: 2, Name: "0002_events.sql"}}, nil
		}}
		r := call{environ: environ, do: do}.gatehouse(t, "migrate status -o json")
		require.JSONEq(t, `[{"version":1,"name":"0001_realms.sql","applied":true},{"version":2,"name":"0002_events.sql","applied":false}]`, r.stdout)
	})
}

func TestRealmList(t *testing.T) {
	t.Parallel()
	do := operations{RealmList: func(context.Context, app.Process) ([]app.RealmSummary, error) {
		return []app.RealmSummary{{Slug: "acme", Name: "Acme & Co", Issuer: "https://login.example.test/realms/acme"}}, nil
	}}
	table := call{environ: production(), do: do}.gatehouse(t, "realm list")
	require.Contains(t, table.stdout, "acme  Acme & Co  https://login.example.test/realms/acme  disabled")
	data := call{environ: production(), do: do}.gatehouse(t, "realm list -o json")
	require.JSONEq(t, `[{"slug":"acme","name":"Acme & Co","issuer":"https://login.example.test/realms/acme","enabled":false}]`, data.stdout)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	do := operations{
		KeysList: func(_ context.Context, _ app.Process, slug string) ([]keyset.Status, error) {
			if slug != "acme" {
				return nil, fmt.Errorf("realm: %w", realm.ErrUnknown)
			}
			return []keyset.Status{{KID: "k1", Alg: "ES256", State: "active", CreatedAt: since, Since: since}}, nil
		},
		KeysRotate: func(_ context.Context, _ app.Process, _, alg string, _ bool) ([]string, error) {
			if alg == "EdDSA" {
				return nil, keyset.ErrUnknown
			}
			return []string{"k2"}, nil
		},
		KeysRevoke: func(_ context.Context, _ app.Process, _, kid string) (string, error) {
			switch kid {
			case "k1":
				return "k2", nil
			case "k0":
				return "", nil
			}
			return "", keyset.ErrUnknown
		},
	}
	for _, c := range []struct {
		line   string
		status int
		says   string
	}{
		{"keys list acme", 0, "k1   ES256      active  2026-11-24 12:00:00 UTC"},
		{"keys list acme -o json", 0, `"since": "2026-11-24T12:00:00Z"`},
		{"keys list", exitUsage, "REALM"},
		{"keys list nowhere", exitFailed, "gatehouse realm list"},
		{"keys rotate acme", 0, "k2 is published now and signs in 24 hours."},
		{"keys rotate acme -o json", 0, `"k2"`},
		{"keys rotate acme --alg EdDSA", exitFailed, "gatehouse keys list"},
		{"keys revoke acme k1", 0, "k1 is revoked; k2 signs from now on."},
		{"keys revoke acme k1 -o json", 0, `"successor": "k2"`},
		{"keys revoke acme k0", 0, "k0 is revoked.\n"},
		{"keys revoke acme other", exitFailed, "gatehouse keys list"},
	} {
		r := call{environ: production(), do: do}.gatehouse(t, c.line)
		require.Equal(t, c.status, r.status, "%s: %s", c.line, r.stderr)
		require.Contains(t, r.stdout+r.stderr, c.says, c.line)
	}
}

func TestRealmApply(t *testing.T) {
	t.Parallel()
	apply := func(reports []realmfile.Report, err error) (operations, *[]string, *realmfile.ApplyOptions) {
		var files []string
		var options realmfile.ApplyOptions
		return operations{RealmApply: func(_ context.Context, _ app.Process, f []string, o realmfile.ApplyOptions) ([]realmfile.Report, error) {
			files, options = f, o
			return reports, err
		}}, &files, &options
	}

	t.Run("takes_many_files", func(t *testing.T) {
		t.Parallel()
		do, files, options := apply(nil, nil)
		r := call{environ: production(), do: do}.gatehouse(t, "realm apply -f a.yaml -f b.yaml c.yaml --prune")
		require.Zero(t, r.status, r.stderr)
		require.Equal(t, []string{"a.yaml", "b.yaml", "c.yaml"}, *files)
		require.Equal(t, realmfile.ApplyOptions{Prune: true}, *options)
	})

	t.Run("shows_generated_secrets_once_even_when_a_later_file_fails", func(t *testing.T) {
		t.Parallel()
		do, _, _ := apply([]realmfile.Report{report1()}, realmfile.InvalidError{{File: "b.yaml", Line: 3, Column: 1, What: "is wrong", How: "Right it."}})
		r := call{environ: production(), do: do}.gatehouse(t, "realm apply -f a.yaml -f b.yaml")
		require.Equal(t, exitUsage, r.status)
		require.Equal(t, "Realm acme, changed:\n  application web: created\n  secret web, shown this once: s3cr3t\n", r.stdout)
		require.Contains(t, r.stderr, "  - b.yaml:3:1: is wrong. Right it.\n")
		require.NotContains(t, r.stderr, "s3cr3t")
	})

	t.Run("a_dry_run_says_that_nothing_changed", func(t *testing.T) {
		t.Parallel()
		dry := report1()
		dry.DryRun = true
		do, _, options := apply([]realmfile.Report{dry, {Realm: "other", DryRun: true}}, nil)
		r := call{environ: production(), do: do}.gatehouse(t, "realm apply --dry-run -f a.yaml")
		require.True(t, options.DryRun)
		require.Contains(t, r.stdout, "Realm acme, dry run; this would change:\n")
		require.Contains(t, r.stdout, "Realm other: nothing to change.\n")
	})

	t.Run("prints_json", func(t *testing.T) {
		t.Parallel()
		do, _, _ := apply([]realmfile.Report{report1()}, nil)
		r := call{environ: production(), do: do}.gatehouse(t, "realm apply -o json -f a.yaml")
		require.JSONEq(t, `[{"realm":"acme","dry_run":false,
			"changes":[{"kind":"application","name":"web","action":"created"}],
			"generated":[{"kind":"secret","name":"web","value":"s3cr3t"}]}]`, r.stdout)
	})
}
