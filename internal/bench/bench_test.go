package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is the server under measurement when the test binary is run as that.
func TestMain(m *testing.M) {
	database := os.Getenv(childVariable)
	if database == "" {
		os.Exit(m.Run())
	}
	if err := serve(context.Background(), database, os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestBench(t *testing.T) {
	t.Parallel()
	var table bytes.Buffer
	s := settings{Workers: []int{2, 3}, Rounds: 1, Window: time.Minute, Warm: time.Minute, Requests: 2, Out: t.TempDir(), Ephemeral: true}
	require.NoError(t, run(t.Context(), s, &table))

	content, err := os.ReadFile(filepath.Join(s.Out, "latest.json"))
	require.NoError(t, err)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal(content, &rows))

	t.Run("measures every operation with every number of workers", func(t *testing.T) {
		var want, got []string
		for _, workers := range s.Workers {
			for _, op := range []string{
				"floor_http", "floor_es256", "floor_rs256", "floor_read", "floor_commit", "discovery", "jwks",
				"authorize", "code_exchange", "refresh", "userinfo",
				"client_credentials_es256", "client_credentials_eddsa", "client_credentials_rs256", "introspection", "revocation", "login",
			} {
				want = append(want, fmt.Sprint(op, " ", workers))
			}
		}
		for _, r := range rows {
			got = append(got, fmt.Sprint(r["op"], " ", r["workers"]))
		}
		require.Equal(t, want, got)
	})
	t.Run("writes every figure of each and finds no error", func(t *testing.T) {
		for _, r := range rows {
			for _, key := range []string{"cpu_us", "db_cpu_us", "statements", "commits", "rps", "p50_ms", "p99_ms"} {
				require.IsType(t, 0.0, r[key], "%s of %s", key, r["op"])
			}
			require.Zero(t, r["errors"], "%s\n%s", r["op"], table.String())
			require.Positive(t, r["rps"], r["op"])
			require.Contains(t, table.String(), r["op"])
		}
	})
	t.Run("counts the statements and commits of an operation", func(t *testing.T) {
		for _, r := range rows {
			switch r["op"] {
			case "floor_commit", "code_exchange", "refresh", "revocation":
				require.GreaterOrEqual(t, r["commits"], 1.0, r["op"])
			}
			if r["op"] == "refresh" {
				require.GreaterOrEqual(t, r["statements"], 2.0)
			}
		}
	})
	t.Run("prints the goals", func(t *testing.T) {
		require.Contains(t, table.String(), "authorize + code_exchange")
		require.Contains(t, table.String(), "statements; goal 0:")
		require.Contains(t, table.String(), "statements; goal 1:")
	})
}

func TestErrorsAreCounted(t *testing.T) {
	t.Parallel()
	calls := 0
	o := drive(t.Context(), 1, budget{Window: time.Minute, Requests: 4}, func(context.Context, int) error {
		if calls++; calls == 2 {
			return context.DeadlineExceeded
		}
		return nil
	})
	require.Equal(t, 3, o.Count)
	require.Equal(t, 1, o.Errors)
	require.Equal(t, context.DeadlineExceeded.Error(), o.Failure)
}

func TestUsedUpWorkersEnd(t *testing.T) {
	t.Parallel()
	o := drive(t.Context(), 3, budget{Window: time.Minute}, func(context.Context, int) error { return errUsedUp })
	require.Zero(t, o.Count)
	require.Zero(t, o.Errors)
}

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"-workers", "1,8", "-ops", "jwks"})
	require.NoError(t, err)
	require.Equal(t, []int{1, 8}, s.Workers)
	require.Equal(t, []string{"jwks"}, s.Ops)
	for _, bad := range [][]string{{"-workers", "0"}, {"-workers", "x"}, {"-rounds", "0"}, {"-window", "0s"}} {
		_, err := parse(bad)
		require.Error(t, err, bad)
	}
	_, err = choose([]string{"nothing"})
	require.Error(t, err)
}
