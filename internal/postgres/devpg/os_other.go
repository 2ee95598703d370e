//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package devpg

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// errLocked is never returned here.
const errLocked = syscall.EINVAL

// lockFile refuses: without a lock and process groups the server cannot be kept safely. Use a database of your own.
func lockFile(*os.File) error {
	return errors.Join(errors.ErrUnsupported, errors.New("no embedded PostgreSQL on this system: set GATEHOUSE_DATABASE_URL"))
}

func unlockFile(*os.File) error                    { return nil }
func ownerOf(string) (account, bool)               { return account{}, false }
func childAttributes(account) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
func commandLine(int) ([]string, error)            { return nil, errors.ErrUnsupported }
func cpuTime(int) (time.Duration, error)           { return 0, errors.ErrUnsupported }
