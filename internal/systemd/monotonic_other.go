//go:build !linux

package systemd

import (
	"errors"
	"time"
)

// monotonic: there is no such manager on this system.
func monotonic() (time.Duration, error) { return 0, errors.ErrUnsupported }
