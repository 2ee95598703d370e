//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

import (
	"errors"
	"os"
)

// isTerminal reports whether a person can type into it.
func isTerminal(r any) bool {
	file, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// hideInput is not possible here.
func hideInput(*os.File) (restore func() error, err error) { return nil, errors.ErrUnsupported }
