package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const (
	profileSeconds = 5
	// profileSlack is how much longer than the profile the operation runs.
	profileSlack = 2 * time.Second
)

// profile keeps the server busy with one operation, keeps its CPU profile and prints what costs most.
func profile(ctx context.Context, t *target, s settings, out io.Writer) error {
	list, err := choose([]string{s.Profile})
	if err != nil {
		return err
	}
	length := profileSeconds*time.Second + profileSlack
	do, err := list[0].prepare(ctx, t, slices.Min(s.Workers), budget{Window: 2 * length})
	if err != nil {
		return err
	}
	var taken bytes.Buffer
	failed := make(chan error, 1)
	go func() {
		failed <- t.private(ctx, http.MethodGet, fmt.Sprintf("/debug/pprof/profile?seconds=%d", profileSeconds), nil, &taken)
	}()
	o, err := do(ctx, budget{Window: length})
	if err = errors.Join(err, <-failed); err != nil {
		return fmt.Errorf("profile %s: %w", s.Profile, err)
	}
	path := filepath.Join(s.Out, s.Profile+".pprof")
	if err := os.WriteFile(path, taken.Bytes(), 0o600); err != nil {
		return fmt.Errorf("keep the profile: %w", err)
	}
	if _, err := fmt.Fprintf(out, "%d operations, %d errors %s; profile in %s\n", o.Count, o.Errors, o.Failure, path); err != nil {
		return err
	}
	top := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=25", path) //nolint:gosec // the path is ours
	top.Stdout, top.Stderr = out, os.Stderr
	if err := top.Run(); err != nil {
		return fmt.Errorf("sum up the profile: %w", err)
	}
	return nil
}
