package cli

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

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	return problemOf(err).exit
}
