//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package settings

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockRetry is how often a lock is asked for that another program has: the system
// would wait without an end, and nothing could end it.
const lockRetry = 10 * time.Millisecond

// takeLock waits for the lock of a file, up to patience, and has it until the file is
// closed; the system gives it back when a process dies. The file stays: were it
// removed, one program could lock the old one and the next a new one. The error is
// [ErrLocked] if another program does not give it back.
func takeLock(path string, patience time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		// Only of a file that is new: whose folder it is may have put a link here.
		err = giveAway(f, path)
	case errors.Is(err, fs.ErrExist):
		f, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(lockRetry) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, syscall.EWOULDBLOCK) && time.Now().Before(deadline), errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			err = ErrLocked
		}
		return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
}

// foreign gives the owner of a folder if it is not root's and this process is: what
// root puts there for its owner ("sudo kaztoken") must be the owner's, who could not
// use a program any more whose settings he cannot read.
func foreign(dir string) (uid, gid int, is bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	info, err := os.Stat(dir)
	if err != nil {
		return 0, 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Uid == 0 {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}
