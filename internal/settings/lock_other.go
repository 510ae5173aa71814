//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package settings

import (
	"errors"
	"os"
)

// takeLock refuses: without a lock that ends with its process, a program that died
// would keep all others out.
func takeLock(path string) (*os.File, error) {
	return nil, &os.PathError{Op: "lock", Path: path, Err: errors.ErrUnsupported}
}
