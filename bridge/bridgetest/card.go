package bridgetest

import "context"

// Card is a card in software that a [Slot] holds, a pointer: cards are compared.
// The slot makes one call at a time. The token of firmware/emu is one.
type Card interface {
	// ATR is the answer to reset.
	ATR() []byte
	// Reset is a cold or warm reset.
	Reset(cold bool)
	// Transmit appends the response APDU to a command APDU to dst.
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)
}

// EchoATR is the answer to reset of an [Echo] made by [NewEcho]: T=0 and T=1.
var EchoATR = []byte{0x3B, 0x84, 0x80, 0x01, 'E', 'C', 'H', 'O', 0x04}

// Echo is a card for tests that knows five instructions, in any class:
//
//	A4           answers nothing
//	20           logs in, until the next reset
//	CA           answers 01 if somebody has logged in since, else 00
//	B0 P1 P2     answers P1·256+P2 bytes, the i-th is i modulo 251
//	EE           answers what is behind the header, of any length
//
// All end with 9000. Others are 6D00, and less than a header is 6700.
type Echo struct {
	atr      []byte
	loggedIn bool
}

// NewEcho makes a card with the answer to reset [EchoATR].
func NewEcho() *Echo { return &Echo{atr: EchoATR} }

// WithATR makes a card with another answer to reset.
func WithATR(atr []byte) *Echo { return &Echo{atr: atr} }

// ATR is the answer to reset.
func (e *Echo) ATR() []byte { return e.atr }

// Reset ends the log-in.
func (e *Echo) Reset(bool) { e.loggedIn = false }

// Transmit answers a command. It allocates nothing unless dst has to grow.
func (e *Echo) Transmit(_ context.Context, dst, apdu []byte) ([]byte, error) {
	if len(apdu) < 4 {
		return append(dst, 0x67, 0x00), nil
	}
	switch apdu[1] {
	case 0xA4:
	case 0x20:
		e.loggedIn = true
	case 0xCA:
		if e.loggedIn {
			dst = append(dst, 1)
		} else {
			dst = append(dst, 0)
		}
	case 0xB0:
		for i := range int(apdu[2])<<8 | int(apdu[3]) {
			dst = append(dst, byte(i%251))
		}
	case 0xEE:
		dst = append(dst, apdu[4:]...)
	default:
		return append(dst, 0x6D, 0x00), nil
	}
	return append(dst, 0x90, 0x00), nil
}
