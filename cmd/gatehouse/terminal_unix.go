//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether a person can type into it.
func isTerminal(r any) bool {
	file, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(descriptor(file), getTermios)
	return err == nil
}

// hideInput stops the terminal from showing what is typed until restore is called.
func hideInput(terminal *os.File) (restore func() error, err error) {
	before, err := unix.IoctlGetTermios(descriptor(terminal), getTermios)
	if err != nil {
		return nil, os.NewSyscallError("ioctl", err)
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(descriptor(terminal), setTermios, &hidden); err != nil {
		return nil, os.NewSyscallError("ioctl", err)
	}
	return func() error {
		return os.NewSyscallError("ioctl", unix.IoctlSetTermios(descriptor(terminal), setTermios, before))
	}, nil
}

func descriptor(f *os.File) int {
	return int(f.Fd())
}
