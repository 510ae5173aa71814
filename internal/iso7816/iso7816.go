// Package iso7816 holds the data formats of ISO/IEC 7816-3 and -4 that both
// ends of a card channel share: command and response APDUs, status words, the
// answer to reset, protocol and parameters selection, and BER-TLV objects.
//
// It is pure: no I/O, no clock, no goroutine, no state. Multi-byte numbers are
// big-endian, as everywhere in ISO 7816. Parsers never panic on what a card or
// a program sent, and what they accept encodes back to the same bytes. Every
// function is safe for concurrent use; slices in results alias the input where
// the comment says so.
package iso7816

import "fmt"

// Protocol is a transmission protocol, the T of ISO 7816-3:2006 §8.2.3: the
// low nibble of TD(i). Values other than [T0] and [T1] exist in the field
// (T=14) and cannot be spoken by this program.
type Protocol byte

// The two transmission protocols in use.
const (
	T0 Protocol = 0 // half-duplex characters, ISO 7816-3:2006 §10
	T1 Protocol = 1 // half-duplex blocks, ISO 7816-3:2006 §11
)

// String gives the usual spelling: "T=1".
func (p Protocol) String() string { return fmt.Sprintf("T=%d", byte(p)) }
