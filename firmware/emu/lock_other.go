//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package emu

import (
	"errors"
	"os"
)

// lockFile refuses: without a lock that ends with its process, two could write the
// same token.
func lockFile(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }
