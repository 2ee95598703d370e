package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

// openTerminal makes a terminal: what is written to keyboard is typed, what is read from it is seen.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENODEV) || errors.Is(err, fs.ErrNotExist) {
		t.Skip("there are no pseudo-terminals here: devpts is not mounted, as in a bare chroot")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, keyboard.Close()) })
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, terminal.Close()) })
	return keyboard, terminal
}

// shows reports whether the terminal shows what is typed.
func shows(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

// prompted types an answer at each question.
type prompted struct {
	t        *testing.T
	keyboard io.Writer
	terminal *os.File
	answers  []string
	ask      func() // is called at each question once the answers have run out
	shown    bytes.Buffer
}

func (p *prompted) Write(text []byte) (int, error) {
	if bytes.HasSuffix(text, []byte(": ")) {
		require.False(p.t, shows(p.t, p.terminal), "the terminal shows what is typed")
		if len(p.answers) == 0 {
			p.ask()
			return p.shown.Write(text)
		}
		_, err := io.WriteString(p.keyboard, p.answers[0]+"\n")
		require.NoError(p.t, err)
		p.answers = p.answers[1:]
	}
	return p.shown.Write(text)
}

func TestHashAtATerminal(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, answers ...string) (status int, stdout, stderr string) {
		t.Helper()
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		keyboard, terminal := openTerminal(t)
		require.True(t, shows(t, terminal))
		var out bytes.Buffer
		questions := &prompted{t: t, keyboard: keyboard, terminal: terminal, answers: answers, ask: interrupt}
		status = execute(ctx, []string{"hash"}, environment{Stdin: terminal, Stdout: &out, Stderr: questions})
		require.True(t, shows(t, terminal), "the terminal was not restored")
		return status, out.String(), questions.shown.String()
	}

	t.Run("asks_twice_without_showing", func(t *testing.T) {
		t.Parallel()
		status, stdout, stderr := ask(t, "correct horse", "correct horse")
		require.Zero(t, status, stderr)
		require.Equal(t, "Password: \nAgain: \n", stderr)
		hasher, err := password.New(password.Options{})
		require.NoError(t, err)
		got, err := hasher.Verify(t.Context(), strings.TrimSpace(stdout), "correct horse")
		require.NoError(t, err)
		require.True(t, got.OK)
	})

	t.Run("refuses_two_that_differ", func(t *testing.T) {
		t.Parallel()
		status, stdout, stderr := ask(t, "correct horse", "correct house")
		require.Equal(t, exitUsage, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "the two passwords differ")
	})

	t.Run("restores_the_terminal_when_interrupted", func(t *testing.T) {
		t.Parallel()
		status, stdout, stderr := ask(t, "correct horse")
		require.Equal(t, exitFailed, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "interrupted")
	})
}
