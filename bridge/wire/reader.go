package wire

import (
	"bytes"
	"fmt"
	"strings"
)

// ReaderName is the name of a reader as messages carry it: text, and zero bytes
// behind it.
type ReaderName [MaxReaderName]byte

// NameOf makes the field of a name. The error is [ErrMessage] for a name that
// does not fit or has a zero byte inside.
func NameOf(name string) (ReaderName, error) {
	var n ReaderName
	if len(name) >= MaxReaderName || strings.IndexByte(name, 0) >= 0 {
		return n, fmt.Errorf("%w: reader name %q", ErrMessage, name)
	}
	copy(n[:], name)
	return n, nil
}

// Bytes is the text; it aliases n. A name without an end has one in its last
// byte, as for the daemon of pcsc-lite.
func (n *ReaderName) Bytes() []byte {
	if i := bytes.IndexByte(n[:], 0); i >= 0 {
		return n[:i]
	}
	return n[:MaxReaderName-1]
}

func (n ReaderName) String() string { return string(n.Bytes()) }

// ReaderState is the state of a reader and of the card in it, readerState.
type ReaderState uint32

// The bits of a state, and below the values that a daemon sends.
const (
	StateUnknown    ReaderState = 0x01 // the reader fails
	StateAbsent     ReaderState = 0x02
	StatePresent    ReaderState = 0x04
	StateSwallowed  ReaderState = 0x08 // a card is there and could not be powered up
	StatePowered    ReaderState = 0x10
	StateNegotiable ReaderState = 0x20
	StateSpecific   ReaderState = 0x40 // never sent

	CardReady     = StatePresent | StatePowered | StateNegotiable // 0x34
	CardMute      = StatePresent | StateSwallowed                 // 0x0C
	CardUnpowered = StatePresent                                  // 0x04: switched off by a program
	NoCard        = StateAbsent                                   // 0x02
	ReaderFailing = StateUnknown                                  // 0x01
)

// String joins the names: "present|powered|negotiable".
func (s ReaderState) String() string {
	if s == 0 {
		return "none"
	}
	return bits(uint32(s), []bitName{
		{uint32(StateUnknown), "unknown"}, {uint32(StateAbsent), "absent"}, {uint32(StatePresent), "present"},
		{uint32(StateSwallowed), "mute"}, {uint32(StatePowered), "powered"},
		{uint32(StateNegotiable), "negotiable"}, {uint32(StateSpecific), "specific"},
	})
}

// SharingExclusive is [Reader.Sharing] of a reader that one handle has for itself.
const SharingExclusive = -1

// Reader is the record of one reader (struct pubReaderStatesList, READER_STATE,
// 184 bytes). A name without text is a record that is not used.
type Reader struct {
	Name    ReaderName
	Counter uint32 // eventCounter: each card that comes or goes adds 1; 0xFFFF is followed by 0
	State   ReaderState
	Sharing int32 // -1 exclusive, 0 nobody, else the number of handles
	ATR     [MaxATR]byte
	// ATRLength is cardAtrLength, as it came: pcscd has 34 in records that are
	// not used. Read the ATR with ATRBytes.
	ATRLength uint32
	Protocol  Protocol // in force, 0 before it is chosen
}

// ATRBytes is the answer to reset; it aliases r. A length that the field cannot
// have gives none.
func (r *Reader) ATRBytes() []byte {
	if r.ATRLength > MaxATR {
		return nil
	}
	return r.ATR[:r.ATRLength]
}

// SetATR stores an answer to reset, of which it takes 33 bytes at the most.
func (r *Reader) SetATR(atr []byte) {
	r.ATR = [MaxATR]byte{}
	r.ATRLength = uint32(copy(r.ATR[:], atr))
}

// AppendTo appends the 184 bytes of the record to b.
func (r *Reader) AppendTo(b []byte) []byte {
	b = append(b, r.Name[:]...)
	b = put(b, r.Counter, uint32(r.State), uint32(r.Sharing))
	b = append(b, r.ATR[:]...)
	b = append(b, 0, 0, 0) // the number behind it stands at a multiple of four
	return put(b, r.ATRLength, uint32(r.Protocol))
}

// ParseReader reads a record. The padding is not looked at: what a C compiler
// leaves there has no meaning.
func ParseReader(b []byte) (Reader, error) {
	if err := check("Reader", b, ReaderSize); err != nil {
		return Reader{}, err
	}
	return Reader{
		Name: ReaderName(b), Counter: u32(b, 128), State: ReaderState(u32(b, 132)), Sharing: int32(u32(b, 136)),
		ATR: [MaxATR]byte(b[140:]), ATRLength: u32(b, 176), Protocol: Protocol(u32(b, 180)),
	}, nil
}
