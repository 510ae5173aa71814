package ccid

import (
	"errors"
	"fmt"

	"kaztoken/ccid/t1"
	"kaztoken/usb"
)

// What can be wrong beside the transport's own errors (usb.ErrGone,
// usb.ErrTimeout, …) and the context's. Compare with errors.Is.
var (
	// ErrNoCard: there is no card in the slot.
	ErrNoCard = errors.New("no card in the slot")
	// ErrMute: the card does not answer, or its answer to reset is unusable at
	// every voltage that the reader has.
	ErrMute = errors.New("card does not respond")
	// ErrProtocolMismatch: card and reader have no protocol in common, or not
	// the one that was asked for.
	ErrProtocolMismatch = errors.New("card protocol cannot be used")
	// ErrNotSupported: the reader cannot do this. Nothing was sent to the card.
	ErrNotSupported = errors.New("not supported by the reader")
	// ErrCardReset: the card lost its state, or is not powered up. PowerOn or
	// Reset is the way on.
	ErrCardReset = errors.New("card was reset or is not powered")
	// ErrOutcomeUnknown: the whole command left the host but its answer cannot
	// be had, so the card may or may not have executed it.
	ErrOutcomeUnknown = t1.ErrOutcomeUnknown
	// ErrProtocol: reader or card broke the rules of its protocol, or the card
	// gave up the exchange.
	ErrProtocol = errors.New("protocol error")
	// ErrFaulty: the reader does not come back to its senses. It is left alone
	// for a while, 1 s to 30 s, before the next command tries again.
	ErrFaulty = errors.New("reader does not respond")
)

// outcome marks the failure of a command that was sent completely.
func outcome(cause error) error {
	if cause == nil || errors.Is(cause, ErrOutcomeUnknown) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, cause)
}

// final reports whether err ends the reader.
func final(err error) bool {
	return errors.Is(err, usb.ErrGone) || errors.Is(err, usb.ErrClosed)
}
