package cli

import (
	"errors"

	"kaztoken/ccid"
	"kaztoken/internal/host"
	"kaztoken/usb"
)

// The exit codes; rootLong documents them. 4, PIN wrong or blocked, belongs to
// commands that ask for one.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNoToken    = 3
	exitOutOfReach = 5
)

// usageError is a command line or an APDU that cannot be meant.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var (
		usage     *usageError
		ambiguous *host.AmbiguousError
		driver    *host.DriverError
		option    *host.OptionError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &ambiguous), errors.As(err, &driver), errors.As(err, &option):
		return exitUsage
	case errors.Is(err, host.ErrNoToken), errors.Is(err, ccid.ErrNoCard):
		return exitNoToken
	case errors.Is(err, usb.ErrAccess), errors.Is(err, usb.ErrBusy):
		return exitOutOfReach
	}
	return exitFailed
}
