//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package devpg

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// childAttributes cannot tie the child to this process here: a server whose parent was killed is stopped by the next
// start in its directory.
func childAttributes(who account) *syscall.SysProcAttr { return unixAttributes(who) }

// commandLine returns a living process's arguments, split at blanks, and the whole once more with each argument that
// follows an option rejoined, because ps shows no boundaries.
func commandLine(pid int) ([]string, error) {
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec,noctx // a number is its only variable part
	if err != nil {
		return nil, os.ErrProcessDone
	}
	text := strings.TrimSpace(string(out))
	args := strings.Fields(text)
	if _, after, ok := strings.Cut(text, " -D "); ok {
		data, _, _ := strings.Cut(after, " -p ")
		args = append(args, data)
	}
	return args, nil
}

func cpuTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
