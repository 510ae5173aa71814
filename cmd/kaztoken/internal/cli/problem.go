package cli

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/certfile"
	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/registration"
	"kaztoken/internal/settings"
	"kaztoken/internal/systemd"
	"kaztoken/internal/trace"
	"kaztoken/internal/words"
	"kaztoken/usb"
)

// problem is what a kind of error means to a person and to a script.
type problem struct {
	is      func(error) bool
	exit    int
	message words.Key
	hint    words.Key // "" for the one that comes with the error, if any
	values  func(error) []any
	own     own
}

// own says what becomes of the error's own text, which is in English.
type own int

const (
	ownNothing own = iota // the message says all of it
	ownDetails            // it follows the message
	ownText               // it is the message in English, and follows it in other languages
)

// problems is every kind of error that a person may see: the first that fits
// is taken, and the last fits any.
var problems = slices.Concat(extraProblems, commonProblems)

// commonProblems are those of every build.
var commonProblems = []problem{
	// Interrupted, wherever it was.
	{is: all(of(context.Canceled), of(ccid.ErrOutcomeUnknown)), exit: exitFailed, message: "error.interrupted", hint: "hint.interrupted"},
	{is: of(context.Canceled), exit: exitFailed, message: "error.interrupted"},

	// The token is away. An outcome that is unknown for another reason comes after.
	{is: all(of(usb.ErrGone), of(ccid.ErrOutcomeUnknown)), exit: exitNoToken, message: "error.gone.outcome", hint: "hint.recheck"},
	{is: of(usb.ErrGone), exit: exitNoToken, message: "error.gone", hint: "hint.replug"},
	{is: of(ccid.ErrNoCard), exit: exitNoToken, message: "error.nocard", own: ownText},
	{is: of(host.ErrNoToken), exit: exitNoToken, message: "error.notoken", own: ownText},

	// PINs.
	{
		is: all(of(firmware.ErrPINWrong), leftUnknown), exit: exitPIN, message: "error.pin.wrong.unknown",
		values: pinValues,
	},
	{is: all(of(firmware.ErrPINWrong), blocked(firmware.User)), exit: exitPIN, message: "error.pin.wrong", hint: "hint.unblock", values: pinValues},
	{is: all(of(firmware.ErrPINWrong), blocked(firmware.Admin)), exit: exitPIN, message: "error.pin.wrong", hint: "hint.dead", values: pinValues},
	{is: of(firmware.ErrPINWrong), exit: exitPIN, message: "error.pin.wrong", values: pinValues},
	{is: all(of(firmware.ErrPINBlocked), blocked(firmware.Admin)), exit: exitPIN, message: "error.pin.blocked", hint: "hint.dead", values: pinValues},
	{is: of(firmware.ErrPINBlocked), exit: exitPIN, message: "error.pin.blocked", hint: "hint.unblock", values: pinValues},
	{is: of(firmware.ErrLastTry), exit: exitPIN, message: "error.pin.last", hint: "hint.last", values: pinValues},
	{is: of(firmware.ErrLoginDisturbed), exit: exitFailed, message: "error.pin.disturbed", hint: "hint.again"},

	// What the token, its format or its policy does not allow.
	{
		is: tooShort, exit: exitNotAllowed, message: "error.pin.short",
		values: from(func(e *pinpolicy.Error) []any { return []any{"got", e.Length, "min", e.MinLength} }),
	},
	{
		is: as[*pinpolicy.Error], exit: exitNotAllowed, message: "error.pin.weak",
		values: from(func(e *pinpolicy.Error) []any { return []any{"why", describe.Weakness(e.Weakness)} }),
	},
	{
		is: as[*firmware.PINLengthError], exit: exitNotAllowed, message: "error.pin.length",
		values: from(func(e *firmware.PINLengthError) []any { return []any{"got", e.Got, "min", e.Min, "max", e.Max} }),
	},
	{
		is: all(as[*firmware.PolicyError], policyKnown), exit: exitNotAllowed, message: "error.policy", hint: "hint.policy",
		values: policyValues,
	},
	{is: as[*firmware.PolicyError], exit: exitNotAllowed, message: "error.policy", values: policyValues},
	{
		is: as[*firmware.RoleError], exit: exitNotAllowed, message: "error.role",
		values: from(func(e *firmware.RoleError) []any { return []any{"role", describe.Role(e.Need)} }),
	},
	{is: state(firmware.StateVendor), exit: exitNotAllowed, message: "error.state.vendor", hint: "hint.vendor"},
	{is: state(firmware.StateHalf), exit: exitNotAllowed, message: "error.state.half", hint: "hint.format"},
	{is: state(firmware.StateWiped), exit: exitNotAllowed, message: "error.state.wiped", hint: "hint.format"},
	{is: of(firmware.ErrNoSpace), exit: exitNotAllowed, message: "error.space", hint: "hint.space"},
	{is: of(firmware.ErrUnsupported), exit: exitNotAllowed, message: "error.unsupported", own: ownDetails},
	{is: of(iso7816.ErrSecurityStatus), exit: exitNotAllowed, message: "error.rights", own: ownDetails},

	// What is on it.
	{is: of(firmware.ErrNotFound), exit: exitFailed, message: "error.notfound", own: ownDetails},
	{is: of(firmware.ErrExists), exit: exitFailed, message: "error.exists", own: ownDetails},
	{
		is: as[*nothingError], exit: exitFailed, message: "error.select.none", hint: "hint.list",
		values: from(func(e *nothingError) []any { return []any{"selector", e.selector, "command", e.list} }),
	},
	{
		is: as[*severalError], exit: exitUsage, message: "error.select.many",
		values: from(func(e *severalError) []any { return []any{"selector", e.selector, "list", e.found} }),
	},
	{
		is: as[*leftoversError], exit: exitFailed, message: "error.leftovers", hint: "hint.repair",
		values: from(func(e *leftoversError) []any { return []any{"n", e.n} }),
	},

	{is: of(firmware.ErrDirectory), exit: exitFailed, message: "error.directory", hint: "hint.repair", own: ownDetails},
	{is: of(rsa.ErrDecryption), exit: exitFailed, message: "error.decrypt"},

	// Files with certificates and keys.
	{is: of(certfile.ErrPassword), exit: exitFailed, message: "error.file.password"},
	{is: of(certfile.ErrUnknownFormat), exit: exitFailed, message: "error.file.kind", own: ownDetails},
	{is: of(certfile.ErrMalformed), exit: exitFailed, message: "error.file.damaged", own: ownDetails},
	{is: of(certfile.ErrTooLarge), exit: exitFailed, message: "error.file.large", own: ownDetails},
	{is: of(certfile.ErrKeyType), exit: exitFailed, message: "error.file.key", own: ownDetails},
	{is: of(certfile.ErrKeyMismatch), exit: exitFailed, message: "error.file.mismatch", own: ownDetails},
	{is: of(certfile.ErrSeveralKeys), exit: exitFailed, message: "error.file.several", own: ownDetails},
	{is: of(certfile.ErrEncryptedKey), exit: exitFailed, message: "error.file.unsupported", hint: "hint.outdated", own: ownDetails},
	{is: of(certfile.ErrTooMuchWork), exit: exitFailed, message: "error.file.unsupported", own: ownDetails},
	{is: of(certfile.ErrUnsupported), exit: exitFailed, message: "error.file.unsupported", hint: "hint.outdated", own: ownDetails},

	// The command line and who types it.
	{
		is: as[*firmware.NameError], exit: exitUsage, message: "error.name",
		values: from(func(e *firmware.NameError) []any { return []any{"why", violationWord(e.Violation)} }),
	},
	{is: as[*firmware.OptionError], exit: exitUsage, message: "error.option", own: ownText},
	{is: as[*host.AmbiguousError], exit: exitUsage, message: "error.ambiguous", own: ownText},
	{is: as[*host.DriverError], exit: exitUsage, message: "error.driver", own: ownText},
	{is: as[*host.OptionError], exit: exitUsage, message: "error.usage", own: ownText},
	{
		is: as[*noTerminalError], exit: exitUsage, message: "error.noterminal",
		values: from(func(e *noTerminalError) []any { return e.values }),
	},
	{is: of(errNoSecret), exit: exitUsage, message: "error.pin.empty"},
	{is: of(errDiffer), exit: exitUsage, message: "error.pin.differ"},
	{
		is: of(errTooLong), exit: exitUsage, message: "error.pin.long",
		values: func(error) []any { return []any{"max", maxSecret} },
	},
	{is: as[*usageError], exit: exitUsage, message: "error.usage", own: ownText},
	{is: of(errCancelled), exit: exitFailed, message: "error.cancelled"},
	{is: of(settings.ErrMalformed), exit: exitFailed, message: "error.settings", own: ownText},
	{is: of(registration.ErrNoModule), exit: exitFailed, message: "error.nomodule", hint: "hint.nomodule", own: ownDetails},
	{is: as[*fileError], exit: exitFailed, message: "error.file", own: ownText},

	// Recordings.
	{is: of(trace.ErrRecording), exit: exitFailed, message: "error.recording", own: ownText},

	// The service.
	{is: as[*host.NoServiceError], exit: exitFailed, message: "error.noservice", own: ownText},
	{is: as[*host.ServedError], exit: exitOutOfReach, message: "error.served", own: ownText},
	{is: of(systemd.ErrActivation), exit: exitFailed, message: "error.activation", own: ownText},

	// The way to the token.
	{is: of(wire.SecurityViolation), exit: exitOutOfReach, message: "error.service.denied", own: ownText},
	{is: of(usb.ErrAccess), exit: exitOutOfReach, message: "error.access", own: ownText},
	{is: of(usb.ErrBusy), exit: exitOutOfReach, message: "error.busy", own: ownText},
	{is: of(ccid.ErrOutcomeUnknown), exit: exitFailed, message: "error.outcome", hint: "hint.outcome", own: ownText},
	{is: of(host.ErrService), exit: exitFailed, message: "error.service", own: ownText},
	{is: of(ccid.ErrMute), exit: exitFailed, message: "error.mute", own: ownText},
	{is: of(ccid.ErrProtocolMismatch), exit: exitFailed, message: "error.mismatch", own: ownText},
	{is: of(ccid.ErrNotSupported), exit: exitFailed, message: "error.reader", own: ownText},
	{is: of(ccid.ErrCardReset), exit: exitFailed, message: "error.cardreset", hint: "hint.again", own: ownText},
	{is: of(firmware.ErrReset), exit: exitFailed, message: "error.cardreset", hint: "hint.again", own: ownText},
	{is: of(ccid.ErrProtocol), exit: exitFailed, message: "error.protocol", own: ownText},
	{is: of(ccid.ErrFaulty), exit: exitFailed, message: "error.faulty", hint: "hint.replug", own: ownText},
	{is: of(firmware.ErrAnswer), exit: exitFailed, message: "error.answer", own: ownDetails},
	{
		is: as[*firmware.StatusError], exit: exitFailed, message: "error.refused", own: ownDetails,
		values: from(func(e *firmware.StatusError) []any { return []any{"sw", e.SW.String()} }),
	},
	{is: as[*fs.PathError], exit: exitFailed, message: "error.file", own: ownText},
	{is: as[*os.LinkError], exit: exitFailed, message: "error.file", own: ownText},
	{is: func(error) bool { return true }, exit: exitFailed, message: "error.other", own: ownText},
}

// problemOf finds the row of an error.
func problemOf(err error) problem {
	for _, p := range problems {
		if p.is(err) {
			return p
		}
	}
	panic("cli: the last row fits any error")
}

// hintIn is what can be done about err, in a language; "" if nothing is known.
func (p problem) hintIn(w words.Words, err error) string {
	var none *noTerminalError
	switch {
	case errors.As(err, &none):
		return w.Text(none.hint, none.values...)
	case p.hint == "":
		return host.HintIn(w, err)
	case p.values != nil:
		return w.Text(p.hint, p.values(err)...)
	}
	return w.Text(p.hint)
}

func of(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func all(tests ...func(error) bool) func(error) bool {
	return func(err error) bool {
		for _, is := range tests {
			if !is(err) {
				return false
			}
		}
		return true
	}
}

// from makes the values of a text out of a typed error.
func from[E error](f func(E) []any) func(error) []any {
	return func(err error) []any {
		var e E
		errors.As(err, &e) // the row has seen that it is one
		return f(e)
	}
}

func state(s firmware.State) func(error) bool {
	return func(err error) bool {
		var e *firmware.StateError
		return errors.As(err, &e) && e.State == s
	}
}

func leftUnknown(err error) bool {
	var e *firmware.PINError
	return errors.As(err, &e) && e.Left < 0
}

func blocked(r firmware.Role) func(error) bool {
	return func(err error) bool {
		var e *firmware.PINError
		return errors.As(err, &e) && e.Blocked && e.Role == r
	}
}

var pinValues = from(func(e *firmware.PINError) []any { return []any{"role", describe.Role(e.Role), "n", e.Left} })

func policyKnown(err error) bool {
	var e *firmware.PolicyError
	return errors.As(err, &e) && e.Policy != firmware.PolicyUnknown
}

var policyValues = from(func(e *firmware.PolicyError) []any {
	return []any{"role", describe.Role(e.Role), "policy", describe.Policy(e.Policy)}
})

// violationWord is what is wrong with a name, as the catalogue's choices name
// it.
func violationWord(v firmware.NameViolation) string {
	switch v {
	case firmware.NameEmpty:
		return "empty"
	case firmware.NameTooLong:
		return "long"
	case firmware.NameNoText:
		return "text"
	case firmware.NameReserved:
		return "space"
	}
	return v.String()
}

// nothingError: a selector fits nothing that is on the token.
type nothingError struct{ selector, list string }

func (e *nothingError) Error() string { return fmt.Sprintf("there is nothing called %q", e.selector) }

// severalError: a selector fits several.
type severalError struct {
	selector string
	found    []string
}

func (e *severalError) Error() string {
	return fmt.Sprintf("%q fits %d", e.selector, len(e.found))
}

// leftoversError: an interrupted operation has left something, which is not
// cleared.
type leftoversError struct{ n int }

func (e *leftoversError) Error() string { return fmt.Sprintf("%d left over", e.n) }
