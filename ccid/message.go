package ccid

import (
	"encoding/binary"
	"fmt"
)

// MessageType is bMessageType, the first byte of every bulk message.
type MessageType byte

// Commands, host to reader (CCID rev 1.10 §6.1).
const (
	msgSetParameters MessageType = 0x61
	msgIccPowerOn    MessageType = 0x62
	msgIccPowerOff   MessageType = 0x63
	msgGetSlotStatus MessageType = 0x65
	msgSecure        MessageType = 0x69
	msgT0APDU        MessageType = 0x6A
	msgEscape        MessageType = 0x6B
	msgGetParameters MessageType = 0x6C
	msgResetParams   MessageType = 0x6D
	msgIccClock      MessageType = 0x6E
	msgXfrBlock      MessageType = 0x6F
	msgMechanical    MessageType = 0x71
	msgAbort         MessageType = 0x72
	msgSetDataRate   MessageType = 0x73
)

// Answers, reader to host (CCID rev 1.10 §6.2).
const (
	msgDataBlock    MessageType = 0x80
	msgSlotStatus   MessageType = 0x81
	msgParameters   MessageType = 0x82
	msgEscapeAnswer MessageType = 0x83
	msgDataRate     MessageType = 0x84
)

var messageTypes = map[MessageType]struct {
	name   string
	answer MessageType // due for a command, 0 for an answer
}{
	msgSetParameters: {"SetParameters", msgParameters},
	msgIccPowerOn:    {"IccPowerOn", msgDataBlock},
	msgIccPowerOff:   {"IccPowerOff", msgSlotStatus},
	msgGetSlotStatus: {"GetSlotStatus", msgSlotStatus},
	msgSecure:        {"Secure", msgDataBlock},
	msgT0APDU:        {"T0APDU", msgSlotStatus},
	msgEscape:        {"Escape", msgEscapeAnswer},
	msgGetParameters: {"GetParameters", msgParameters},
	msgResetParams:   {"ResetParameters", msgParameters},
	msgIccClock:      {"IccClock", msgSlotStatus},
	msgXfrBlock:      {"XfrBlock", msgDataBlock},
	msgMechanical:    {"Mechanical", msgSlotStatus},
	msgAbort:         {"Abort", msgSlotStatus},
	msgSetDataRate:   {"SetDataRateAndClockFrequency", msgDataRate},
	msgDataBlock:     {"DataBlock", 0},
	msgSlotStatus:    {"SlotStatus", 0},
	msgParameters:    {"Parameters", 0},
	msgEscapeAnswer:  {"Escape answer", 0},
	msgDataRate:      {"DataRateAndClockFrequency", 0},
}

// String gives the name in the standard.
func (t MessageType) String() string {
	if m, ok := messageTypes[t]; ok {
		return m.name
	}
	return fmt.Sprintf("MessageType(0x%02x)", byte(t))
}

// answer is the type of answer due for command t.
func (t MessageType) answer() MessageType {
	switch t {
	case msgXfrBlock, msgIccPowerOn, msgSecure: // the common ones without a map
		return msgDataBlock
	}
	return messageTypes[t].answer
}

// isAnswer reports whether t runs from reader to host.
func (t MessageType) isAnswer() bool { return t >= msgDataBlock && t <= msgDataRate }

const headerLen = 10 // CCID rev 1.10 §6.1

// Message is one bulk message, in either direction: the ten bytes of the
// header, of which three have a meaning that depends on the type, and abData.
type Message struct {
	Type MessageType
	Slot byte // bSlot
	Seq  byte // bSeq
	// Specific holds bytes 7 to 9. In an answer these are bStatus, bError and
	// one more byte.
	Specific [3]byte
	// Data is abData; dwLength is its length.
	Data []byte
}

// AppendTo appends the message as it goes over the wire to dst.
func (m Message) AppendTo(dst []byte) []byte {
	dst = append(dst, byte(m.Type))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Data)))
	dst = append(dst, m.Slot, m.Seq, m.Specific[0], m.Specific[1], m.Specific[2])
	return append(dst, m.Data...)
}

// ParseMessage reads one whole message. Data aliases b. The error is
// ErrProtocol if b is shorter or longer than dwLength says.
func ParseMessage(b []byte) (Message, error) {
	if len(b) < headerLen {
		return Message{}, fmt.Errorf("message of %d bytes: %w", len(b), ErrProtocol)
	}
	if n := messageLen(b); n != uint64(len(b)) {
		return Message{}, fmt.Errorf("message of %d bytes that declares %d: %w", len(b), n, ErrProtocol)
	}
	return decode(b), nil
}

// messageLen is what the header at the start of b says about the length of the
// whole message. It is not to be trusted, and is wide enough not to wrap.
func messageLen(b []byte) uint64 {
	return headerLen + uint64(binary.LittleEndian.Uint32(b[1:]))
}

// decode reads b, whose length is known to be right.
func decode(b []byte) Message {
	return Message{
		Type:     MessageType(b[0]),
		Slot:     b[5],
		Seq:      b[6],
		Specific: [3]byte{b[7], b[8], b[9]},
		Data:     b[headerLen:len(b):len(b)],
	}
}

// Status is bStatus of an answer.
func (m Message) Status() Status { return Status(m.Specific[0]) }

// Code is bError of an answer: an error if Status().Failed(), the multiplier of
// a time extension if Status().TimeExtension(), else without meaning.
func (m Message) Code() ErrorCode { return ErrorCode(m.Specific[1]) }

// Status is bStatus of an answer (CCID rev 1.10 §6.2.6).
type Status byte

// ICC is bmICCStatus.
func (s Status) ICC() ICCStatus { return ICCStatus(s & 3) }

// Failed reports that the command failed and bError says why. The reserved
// command status 3 is taken for a failure too.
func (s Status) Failed() bool { return s&0x40 != 0 }

// TimeExtension reports that the command is still running and the card asks
// for more time.
func (s Status) TimeExtension() bool { return s>>6 == 2 }

// ICCStatus is what bStatus says about the card.
type ICCStatus byte

// The states of a card as readers tell them.
const (
	ICCActive   ICCStatus = 0 // present and active
	ICCInactive ICCStatus = 1 // present, not powered or unusable
	ICCAbsent   ICCStatus = 2 // not present
	iccUnknown  ICCStatus = 3 // reserved
)

func (s ICCStatus) String() string {
	switch s {
	case ICCActive:
		return "active"
	case ICCInactive:
		return "inactive"
	case ICCAbsent:
		return "absent"
	}
	return fmt.Sprintf("ICCStatus(%d)", byte(s))
}
