//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package emu

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock of a file until it is closed; held reports that somebody
// else has it. The system gives it back when a process dies.
func lockFile(f *os.File) (held bool, err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return true, nil
		}
		return false, err
	}
}
