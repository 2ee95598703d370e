//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package devpg

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// errLocked is lockFile's answer when another process holds the lock.
const errLocked = syscall.EWOULDBLOCK

// lockFile takes an exclusive lock that ends with this process, however that ends.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// unlockFile ends the lock at once. Closing alone leaves it with a program that is being started at this moment, until it
// has let go of what it inherited.
func unlockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// ownerOf returns whom a path belongs to, without following a link.
func ownerOf(path string) (account, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return account{}, false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, false
	}
	return account{name: strconv.Itoa(int(sys.Uid)), uid: int(sys.Uid), gid: int(sys.Gid)}, true
}

func unixAttributes(who account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if who.other {
		attr.Credential = &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.gid)} //nolint:gosec // ids come from the system's own 32-bit ones
	}
	return attr
}
