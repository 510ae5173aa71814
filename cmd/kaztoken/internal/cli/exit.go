package cli

import (
	"errors"
	"fmt"
)

// The exit codes; rootLong documents them, and problems says which error has
// which.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNoToken    = 3
	exitPIN        = 4
	exitOutOfReach = 5
	exitNotAllowed = 6
)

// usageError is a command line or an APDU that cannot be meant.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// codeError ends the program with a code and says nothing: what there was to say
// has been said.
type codeError struct{ code int }

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var c *codeError
	if errors.As(err, &c) {
		return c.code
	}
	return problemOf(err).exit
}
