package bridge

import (
	"context"
	"errors"

	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// Slot is a place for a card: what the service needs of a reader. It is
// implemented over a driver, over a card in software, over anything.
//
// Name, Info, State and Changed do no I/O and may be called at any time from any
// goroutine. The others may take their time; the service makes one of these
// calls at a time, on a slot that it was given by [Service.Attach] and not after
// detach has returned. Their context ends when the slot is detached or the
// service closes, not when a client goes away.
//
// Their errors are told apart by errors.Is: [ErrGone], [ErrNoCard],
// [ErrCardReset], [ErrProtocolMismatch], [ErrNotSupported], [ErrNoRoom]; any
// other error is a failure of a card that is there.
type Slot interface {
	// Name is the name of the reader for programs, 1 to 127 bytes without a zero
	// byte, in the form of [ReaderName]. It does not change.
	Name() string

	// Info is what is known of the reader. It does not change.
	Info() Info

	// State is what is known of the slot without asking.
	State() SlotState

	// Changed gives a channel that is closed at the next change of State. To miss
	// nothing, take it before State.
	Changed() <-chan struct{}

	// Reset resets the card and gives its answer: cold is power off and on, and
	// on alone if it was off; else it is a warm reset, or a cold one if the slot
	// has no other. Afterwards the card is ready for SetProtocol and Transmit.
	Reset(ctx context.Context, cold bool) (iso7816.ATR, error)

	// PowerOff takes the power from the card. Without a card it does nothing.
	PowerOff(ctx context.Context) error

	// SetProtocol brings the card to a protocol that its answer to reset offers.
	// It is called after Reset, before anything else is sent, and may reset the
	// card once more for it. ErrProtocolMismatch says that the reader does not
	// speak it: another one may be tried. After any other error Reset comes next.
	SetProtocol(ctx context.Context, p iso7816.Protocol) error

	// Transmit sends a command APDU as it is, 0 to [wire.MaxData] bytes, and
	// appends the response with its status word to dst. 61xx and 6Cxx are left to
	// the program. ErrCardReset says that the card has lost its state and did not
	// get the command.
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)

	// Control sends a command to the reader and appends the response to dst. The
	// service itself answers [wire.CtlGetFeatureRequest],
	// [wire.CtlGetTLVProperties] and [wire.CtlUSBPath]; an unknown code is
	// ErrNotSupported. There may be no card, and no power.
	Control(ctx context.Context, code wire.ControlCode, dst, in []byte) ([]byte, error)
}

// SlotState is what is known of a slot.
type SlotState struct {
	// Gone: the reader has left. It is the last state; the service detaches the
	// slot by itself then.
	Gone bool
	// Failing: the reader does not work, and nothing is known of a card. This may
	// pass.
	Failing bool
	// Present: there is a card.
	Present bool
	// Insertions differs from what it was if the card may be another one, or may
	// have been out in between. Reset, PowerOff and SetProtocol do not count.
	Insertions uint64
	// ATR is set if the card is powered up and nobody has used it since: the
	// service looks at it when it first sees the card, and can do without a Reset
	// then.
	ATR iso7816.ATR
}

// Info is what is known of a reader. Programs read it as attributes and
// properties; zero fields are not known.
type Info struct {
	Vendor, Product, Release uint16 // idVendor, idProduct, bcdDevice

	Manufacturer string
	ProductName  string
	Serial       string

	Bus, Address byte   // on USB
	Path         string // of the interface on USB, as libccid writes it: "1-1.4:1.0"

	// MaxInput is the longest data of one message to the reader, bytes:
	// dwMaxCCIDMessageLength less the header.
	MaxInput int
	// Extended: APDUs with extended length fields pass.
	Extended bool
	// Protocols that the reader speaks.
	Protocols []iso7816.Protocol

	// Features are what Control understands beside what the service answers:
	// PIN pad and vendor commands.
	Features []Feature
	// Properties is the list of PC/SC part 10 §2.6.14, tag, length, value; nil
	// has the service make it of the fields above.
	Properties []byte
}

// Feature is an entry of the list that [wire.CtlGetFeatureRequest] asks for.
type Feature struct {
	Tag  byte // FEATURE_…: PC/SC part 10 §2.2
	Code wire.ControlCode
}

// The features that a reader of ours can have.
const (
	FeatureVerifyPINDirect  = 0x06
	FeatureModifyPINDirect  = 0x07
	FeaturePINProperties    = 0x0A
	FeatureGetTLVProperties = 0x12
	FeatureEscape           = 0x13
)

// What a [Slot] can say went wrong.
var (
	// ErrGone: the reader has left.
	ErrGone = errors.New("reader is gone")
	// ErrNoCard: there is no card.
	ErrNoCard = errors.New("no card in the reader")
	// ErrCardReset: the card lost its state or its power.
	ErrCardReset = errors.New("card was reset or has no power")
	// ErrProtocolMismatch: card or reader do not speak the protocol.
	ErrProtocolMismatch = errors.New("card protocol cannot be used")
	// ErrNotSupported: the reader cannot do this. Nothing was sent to a card.
	ErrNotSupported = errors.New("not supported by the reader")
	// ErrNoRoom: what was to be sent is too long or too short for the reader.
	ErrNoRoom = errors.New("length does not suit the reader")
)

// results is the one table from what a slot says to what a program gets to hear.
// What is not in it is [wire.NotTransacted], for a reset [wire.UnresponsiveCard].
var results = []struct {
	err    error
	result wire.Result
}{
	{ErrGone, wire.ReaderUnavailable},
	{context.Canceled, wire.ReaderUnavailable}, // by detach or Close
	{ErrNoCard, wire.NoSmartcard},
	{ErrCardReset, wire.CardReset},
	{ErrProtocolMismatch, wire.ProtoMismatch},
	{ErrNotSupported, wire.UnsupportedFeature},
	{ErrNoRoom, wire.InsufficientBuffer},
}

// resultOf translates an error of a slot. Which of the results a command may
// have is up to the rules of sharing.
func resultOf(err error) wire.Result {
	if err == nil {
		return wire.Success
	}
	for _, row := range results {
		if errors.Is(err, row.err) {
			return row.result
		}
	}
	return wire.NotTransacted
}
