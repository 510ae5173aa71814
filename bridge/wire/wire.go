// Package wire is what libpcsclite and its daemon say to each other over a unix
// socket: the messages of the protocols 4:3 to 4:6.
//
// The messages are C structures sent as memory, so numbers are in the byte order
// of the host, and a client of 32 bits says the same bytes as one of 64.
//
// A client sends a [Header], the structure of its command, and, with [Transmit]
// and [Control] only, as many bytes of data as a field of the structure says.
// The daemon answers without a header: the same structure with its result filled
// in, and data behind it if there is any. Answers come in the order of the
// commands, one for each, but for what [Command] says of waiting.
//
// Every message has an AppendTo, which appends its bytes to a slice, and a Parse
// function that takes exactly these bytes and nothing else; no field is judged
// by its value.
// What parses encodes to the same bytes again, except for the three bytes of
// padding in a [Reader].
//
// Sources: pcsc-lite 1.8.9 to 2.5.1, src/winscard_msg.h and src/PCSC/pcsclite.h.in
// for the structures; the behaviour of its daemon for the rest.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits, in bytes unless another unit is named.
const (
	MaxReaderName = 128   // with the zero that ends it
	MaxATR        = 33    // ISO 7816-3:2006 §8.2.1
	MaxAttribute  = 264   // MAX_BUFFER_SIZE, the value of an attribute
	MaxData       = 65548 // MAX_BUFFER_SIZE_EXTENDED, data behind a Transmit or Control: 4+3+65536+3+2
	LegacyReaders = 16    // records of the array that protocols before 4:6 know, PCSCLITE_MAX_READERS_CONTEXTS
)

// Sizes of messages on the wire, bytes.
const (
	HeaderSize           = 8
	VersionSize          = 12
	EstablishSize        = 12
	ReleaseSize          = 8
	ConnectSize          = 152
	ReconnectSize        = 24
	DisconnectSize       = 12
	BeginTransactionSize = 8
	EndTransactionSize   = 12
	TransmitSize         = 32
	ControlSize          = 24
	StatusSize           = 8
	CancelSize           = 8
	AttributeSize        = 280
	EventSize            = 8
	ReaderEventsSize     = 8
	ReadersSizeSize      = 4
	ReaderSize           = 184
)

// MaxBody is the largest fixed structure that a client sends, bytes.
const MaxBody = AttributeSize

// ErrMessage says that bytes are not the message that they should be: their
// number is another one.
var ErrMessage = errors.New("malformed message")

// order is that of the machine: what passes are C structures.
var order = binary.NativeEndian

// check compares a length with what a message has.
func check(name string, b []byte, size int) error {
	if len(b) != size {
		return fmt.Errorf("%w: %s of %d bytes, want %d", ErrMessage, name, len(b), size)
	}
	return nil
}

// u32 reads the number at an offset.
func u32(b []byte, at int) uint32 { return order.Uint32(b[at:]) }

// put appends numbers.
func put(b []byte, numbers ...uint32) []byte {
	for _, n := range numbers {
		b = order.AppendUint32(b, n)
	}
	return b
}

// Header is what precedes every message of a client (struct rxHeader).
type Header struct {
	Size    uint32 // of the structure that follows; data behind it is not counted
	Command Command
}

// AppendTo appends the 8 bytes of the header to b.
func (h Header) AppendTo(b []byte) []byte { return put(b, h.Size, uint32(h.Command)) }

// ParseHeader reads a header.
func ParseHeader(b []byte) (Header, error) {
	if err := check("header", b, HeaderSize); err != nil {
		return Header{}, err
	}
	return Header{Size: u32(b, 0), Command: Command(u32(b, 4))}, nil
}

// Context is the number of a context, dwContext; 0 is none.
type Context uint32

// Handle is the number of a connection to a card or reader, hCard; 0 is none.
type Handle uint32
