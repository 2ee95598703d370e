package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
)

// testDatabase names the variable in which tests look for a server.
const testDatabase = "GATEHOUSE_TEST_DATABASE_URL"

func (c *cli) devdb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec -- COMMAND [ARGUMENT…]",
		Short: "Run a command beside a throw-away PostgreSQL",
		Long: `Run a command beside a PostgreSQL that exists as long as the command runs.

The command finds its connection string in ` + testDatabase + `. When that is set already, its server is used
and none is started. The status is that of the command; one that was ended by a signal gives 128 and its number.`,
		Example: "  gatehouse devdb exec -- go test ./...",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "%q needs a command to run", "Give one: gatehouse devdb exec -- go test ./...", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.besideDatabase(cmd.Context(), args) },
	}
	cmd.Flags().SetInterspersed(false) // what follows the command's name is the command's
	return group("devdb", "Use the development PostgreSQL", cmd)
}

// besideDatabase runs a command with a server, its own or the given one.
func (c *cli) besideDatabase(ctx context.Context, command []string) (err error) {
	given := func(entry string) bool {
		return strings.HasPrefix(entry, testDatabase+"=") && len(entry) > len(testDatabase)+1
	}
	if slices.ContainsFunc(c.Environ, given) {
		return c.runCommand(ctx, command, c.Environ)
	}
	server, err := devpg.Start(ctx, devpg.Options{Ephemeral: true})
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return &failure{exitUnavailable, "PostgreSQL does not start", err.Error(), `"make deps" installs it, or name a server in ` + testDatabase, nil}
	}
	defer func() {
		if stopped := server.Stop(); stopped != nil && err == nil {
			err = fmt.Errorf("stop the throw-away PostgreSQL: %w", stopped)
		}
	}()
	// Of two entries the last counts, so one that was set but empty does not matter.
	return c.runCommand(ctx, command, append(slices.Clone(c.Environ), testDatabase+"="+server.URL(devpg.Database)))
}

// runCommand runs a command to its end. The context does not end it: an interrupted command is told so by the signal itself
// and decides when it is done.
func (c *cli) runCommand(ctx context.Context, command, environ []string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	//nolint:gosec,noctx // running what the caller names is the purpose; ending it is the forwarded signal's matter
	child := exec.Command(command[0], command[1:]...)
	child.Env = environ
	child.Stdin, child.Stdout, child.Stderr = c.Stdin, c.Stdout, c.Stderr

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded(isTerminal(c.Stdin))...)
	if err := child.Start(); err != nil {
		signal.Stop(signals)
		return &failure{exitUsage, fmt.Sprintf("%q cannot be run", command[0]), err.Error(), "correct the command after --", nil}
	}
	done := make(chan struct{})
	go forward(signals, child.Process, done)
	err := child.Wait()
	signal.Stop(signals)
	close(signals)
	<-done

	var exited *exec.ExitError
	if !errors.As(err, &exited) {
		return err
	}
	if status, ok := exited.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitStatus(128 + int(status.Signal()))
	}
	return exitStatus(exited.ExitCode())
}

// forwarded lists the signals to hand on. What is typed at a terminal reaches the command without us, which is in the same
// process group, and a second interrupt makes many programs end less orderly than they could.
func forwarded(terminal bool) []os.Signal {
	if terminal {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP}
}

// forward hands signals to the process until the channel is closed.
func forward(signals <-chan os.Signal, to *os.Process, done chan<- struct{}) {
	defer close(done)
	for s := range signals {
		_ = to.Signal(s) // it may have ended just now
	}
}
