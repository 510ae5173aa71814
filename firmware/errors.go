package firmware

import (
	"errors"
	"fmt"

	"kaztoken/internal/iso7816"
)

var (
	// ErrPINWrong: the card compared the PIN and it was another one. It comes in
	// a [*PINError].
	ErrPINWrong = errors.New("wrong PIN")
	// ErrPINBlocked: no try is left. It comes in a [*PINError].
	ErrPINBlocked = errors.New("PIN is blocked")
	// ErrLastTry: one try is left and the caller did not allow to use it. Nothing
	// was sent. It comes in a [*PINError].
	ErrLastTry = errors.New("only one try is left")
	// ErrLoginDisturbed: another program's log-in was in the way; it has been
	// dropped, and the PIN was not compared.
	ErrLoginDisturbed = errors.New("another program was logged in; its log-in has been dropped")
	// ErrNoSpace: the token's memory is full, or a file of fixed size is.
	ErrNoSpace = errors.New("no room on the token")
	// ErrNotFound: the certificate, key, object or file is not on the token.
	ErrNotFound = errors.New("not on the token")
	// ErrExists: the certificate, key or object is on the token already.
	ErrExists = errors.New("already on the token")
	// ErrDirectory: a directory file on the token is damaged and is not written
	// to; what could be read of it is listed.
	ErrDirectory = errors.New("damaged directory file")
	// ErrUnsupported: this model cannot do it.
	ErrUnsupported = errors.New("not supported by this token")
	// ErrAnswer: the card answered with something that its documents do not allow.
	ErrAnswer = errors.New("unexpected answer from the token")
	// ErrReset may be returned by [Sharer.Begin]: the transaction is held, but
	// the card has been reset since the last one, so that no log-in is left.
	ErrReset = errors.New("the token was reset by another program")
)

// StatusError is the card's refusal of one command.
type StatusError struct {
	SW       iso7816.SW // never 9000 and never 61xx
	CLA, INS byte       // the command refused
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %v %s", commandName(e.CLA, e.INS), e.SW, e.SW.Words())
}

// Unwrap gives the status word as an error, to compare with those of iso7816.
func (e *StatusError) Unwrap() error { return e.SW.Err() }

// Is matches [ErrNoSpace] with 6A84 and [ErrNotFound] with 6A82.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrNoSpace:
		return e.SW == iso7816.SWNoSpace
	case ErrNotFound:
		return e.SW == iso7816.SWNotFound
	}
	return false
}

// commandName is what the documents call a command, "command 46" if they do not.
func commandName(cla, ins byte) string {
	names := isoCommands
	if cla == claVendor {
		names = vendorCommands
	}
	if name, ok := names[ins]; ok {
		return name
	}
	return fmt.Sprintf("command %02X %02X", cla, ins)
}

var isoCommands = map[byte]string{
	insVerify:          "VERIFY",
	insMSE:             "MANAGE SECURITY ENVIRONMENT",
	insChangeReference: "CHANGE REFERENCE DATA",
	insPSO:             "PERFORM SECURITY OPERATION",
	insResetRetry:      "RESET RETRY COUNTER",
	insGenerate:        "GENERATE KEY",
	insChallenge:       "GET CHALLENGE",
	insSelect:          "SELECT",
	insReadBinary:      "READ BINARY",
	insGetResponse:     "GET RESPONSE",
	insGetData:         "GET DATA",
	insUpdateBinary:    "UPDATE BINARY",
	insCreateFile:      "CREATE FILE",
	insDeleteFile:      "DELETE FILE",
}

var vendorCommands = map[byte]string{
	insResetAccess: "RESET ACCESS RIGHTS",
	insInit:        "INIT",
	insInitEnd:     "INIT END",
}

// PINError says why a log-in did not happen. It wraps one of [ErrPINWrong],
// [ErrPINBlocked] and [ErrLastTry].
type PINError struct {
	Role    Role
	Left    int // tries left now, -1 if the card did not say
	Blocked bool
	Err     error
}

func (e *PINError) Error() string {
	s := fmt.Sprintf("%v: %v", e.Role, e.Err)
	if e.Left > 0 && !errors.Is(e.Err, ErrLastTry) {
		s += fmt.Sprintf(", tries left: %d", e.Left)
	}
	return s
}

func (e *PINError) Unwrap() error { return e.Err }

// PINLengthError: a new PIN is shorter or longer than the token takes.
type PINLengthError struct {
	Role          Role
	Got, Min, Max int // bytes
}

func (e *PINLengthError) Error() string {
	return fmt.Sprintf("PIN of the %v has %d bytes, want %d to %d", e.Role, e.Got, e.Min, e.Max)
}

// PolicyError: the token's policy does not let this role change the user PIN.
type PolicyError struct {
	Role   Role
	Policy Policy // PolicyUnknown if only the card's refusal is known
}

func (e *PolicyError) Error() string {
	s := fmt.Sprintf("the %v may not change the user PIN of this token", e.Role)
	if e.Policy != PolicyUnknown {
		s += fmt.Sprintf(" (policy: %v)", e.Policy)
	}
	return s
}

// RoleError: the operation needs another log-in than there is.
type RoleError struct {
	Op   Op
	Need Role // either role will do if it is 0
}

func (e *RoleError) Error() string {
	if e.Need == 0 {
		return fmt.Sprintf("%v: log in first", e.Op)
	}
	return fmt.Sprintf("%v: log in as %v first", e.Op, e.Need)
}

// StateError: the operation is not safe on a token formatted like this one.
type StateError struct {
	Op    Op
	State State
}

func (e *StateError) Error() string {
	return fmt.Sprintf("%v: not on a token that is %v", e.Op, e.State)
}

// OptionError: a value that the token cannot take.
type OptionError struct {
	Option    string // "user tries", "RSA bits", "name", …
	Value     int
	Min, Max  int    // where they bound Value
	Violation string // what is wrong, if it is no bound
}

func (e *OptionError) Error() string {
	if e.Violation != "" {
		return fmt.Sprintf("%s: %s", e.Option, e.Violation)
	}
	return fmt.Sprintf("%s %d: want %d to %d", e.Option, e.Value, e.Min, e.Max)
}

// Op names an operation in errors.
type Op int

// The operations.
const (
	OpList Op = iota + 1
	OpLogin
	OpChangePIN
	OpUnblock
	OpRename
	OpFormat
	OpImport
	OpDelete
	OpGenerate
	OpSign
	OpDecrypt
	OpRead
	OpWrite
	OpRepair
)

func (o Op) String() string {
	switch o {
	case OpList:
		return "list"
	case OpLogin:
		return "log in"
	case OpChangePIN:
		return "change PIN"
	case OpUnblock:
		return "unblock"
	case OpRename:
		return "rename"
	case OpFormat:
		return "format"
	case OpImport:
		return "import"
	case OpDelete:
		return "delete"
	case OpGenerate:
		return "generate key"
	case OpSign:
		return "sign"
	case OpDecrypt:
		return "decrypt"
	case OpRead:
		return "read"
	case OpWrite:
		return "write"
	case OpRepair:
		return "repair"
	}
	return fmt.Sprintf("Op(%d)", int(o))
}
