//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package settings

import (
	"errors"
	"os"
	"time"
)

// takeLock refuses: without a lock that ends with its process, a program that died
// would keep all others out.
func takeLock(path string, _ time.Duration) (*os.File, error) {
	return nil, &os.PathError{Op: "lock", Path: path, Err: errors.ErrUnsupported}
}

// foreign: files have no owner that could be another.
func foreign(string) (uid, gid int, is bool) { return 0, 0, false }
