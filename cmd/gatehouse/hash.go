package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

// longestInput bounds what is read as one password. It is far beyond what the hasher accepts, which says what is wrong.
const longestInput = 64 << 10

func (c *cli) hash() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Hash a password for a realm file",
		Long: `Read a password and print its argon2id hash in PHC form, as password_hash of a realm file takes it.

At a terminal it is asked for twice and not shown. Otherwise it is standard input without its last line break.`,
		Example: "  gatehouse hash < password.txt",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plain, err := c.readPassword(cmd)
			if err != nil {
				return err
			}
			hasher, err := password.New(password.Options{})
			if err != nil {
				return fmt.Errorf("make the hasher: %w", err)
			}
			encoded, err := hasher.Hash(cmd.Context(), plain)
			if errors.Is(err, password.ErrEmpty) || errors.Is(err, password.ErrTooLong) || errors.Is(err, password.ErrNotText) {
				return &failure{exitUsage, "this cannot be a password", err.Error(), "give another one", nil}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.Stdout, encoded)
			return err
		},
	}
}

func (c *cli) readPassword(cmd *cobra.Command) (string, error) {
	if terminal, ok := c.Stdin.(*os.File); ok && isTerminal(terminal) {
		return c.askPassword(cmd, terminal)
	}
	text, err := io.ReadAll(io.LimitReader(c.Stdin, longestInput))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return trimLineBreak(string(text)), nil
}

// askPassword asks twice, so that a slip of the finger does not lock a person out.
func (c *cli) askPassword(cmd *cobra.Command, terminal *os.File) (plain string, err error) {
	restore, err := hideInput(terminal)
	if err != nil {
		return "", &failure{exitFailed, "the terminal would show the password", err.Error(), `give it on standard input: gatehouse hash < FILE`, nil}
	}
	defer func() { err = firstError(err, restore()) }()
	lines := bufio.NewReader(terminal)
	var answers [2]string
	for i, question := range []string{"Password: ", "Again: "} {
		if _, err := io.WriteString(c.Stderr, question); err != nil {
			return "", err
		}
		if answers[i], err = readLine(cmd.Context(), lines); err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if _, err := io.WriteString(c.Stderr, "\n"); err != nil {
			return "", err
		}
	}
	if answers[0] != answers[1] {
		return "", &failure{exitUsage, "the two passwords differ", "", "try again", nil}
	}
	return answers[0], nil
}

// readLine returns early when the context ends, so that the terminal is restored after an interrupt. The read that it
// leaves behind ends with the process.
func readLine(ctx context.Context, lines *bufio.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := lines.ReadString('\n')
		read <- result{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-read:
		return trimLineBreak(r.line), r.err
	}
}

func trimLineBreak(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }
