package ccid

import "fmt"

// ErrorCode is bError of a failed command (CCID rev 1.10 §6.2.6).
type ErrorCode byte

// The codes that the standard names. 02 to 7F are the offset of the byte in
// the command that the reader refuses, 81 to C0 belong to the makers.
const (
	CodeNotSupported  ErrorCode = 0x00 // command type not supported
	CodeBadLength     ErrorCode = 0x01 // dwLength is wrong
	CodeBadSlot       ErrorCode = 0x05 // the slot does not exist
	CodeSlotBusy      ErrorCode = 0xE0 // another command is in progress
	CodePINCancelled  ErrorCode = 0xEF // the user cancelled the PIN entry
	CodePINTimeout    ErrorCode = 0xF0 // no PIN was entered in time
	CodeAutoSequence  ErrorCode = 0xF2 // the reader is activating or negotiating
	CodeDeactivated   ErrorCode = 0xF3 // the card left its protocol
	CodeProcedureByte ErrorCode = 0xF4 // T=0 procedure byte is wrong
	CodeICCClass      ErrorCode = 0xF5 // voltage class not supported
	CodeICCProtocol   ErrorCode = 0xF6 // protocol or form of APDU not supported
	CodeBadTCK        ErrorCode = 0xF7 // check byte of the ATR is wrong
	CodeBadTS         ErrorCode = 0xF8 // first byte of the ATR is wrong
	CodeHardware      ErrorCode = 0xFB // hardware error
	CodeOverrun       ErrorCode = 0xFC // overrun while talking to the card
	CodeParity        ErrorCode = 0xFD // parity error while talking to the card
	CodeMute          ErrorCode = 0xFE // the card does not answer, or there is none
	CodeAborted       ErrorCode = 0xFF // aborted by the host
)

var errorCodes = map[ErrorCode]string{
	CodeNotSupported:  "command not supported",
	CodeBadLength:     "bad length",
	CodeBadSlot:       "slot does not exist",
	CodeSlotBusy:      "slot is busy",
	CodePINCancelled:  "PIN entry cancelled",
	CodePINTimeout:    "PIN entry timed out",
	CodeAutoSequence:  "busy with an automatic sequence",
	CodeDeactivated:   "card left the protocol",
	CodeProcedureByte: "procedure byte conflict",
	CodeICCClass:      "voltage class not supported",
	CodeICCProtocol:   "protocol not supported",
	CodeBadTCK:        "bad check byte in the ATR",
	CodeBadTS:         "bad first byte of the ATR",
	CodeHardware:      "hardware error",
	CodeOverrun:       "overrun",
	CodeParity:        "parity error",
	CodeMute:          "card is mute",
	CodeAborted:       "aborted by the host",

	// Codes of makers that are seen in several products.
	0xA2: "short circuit on the card contacts",
	0xA3: "ATR too long",
	0xAB: "no data exchanged",
	0xB0: "T=1 message too long in EMV mode",
	0xBB: "protocol error in EMV mode",
	0xBD: "card error in T=1",
	0xBE: "wrong length of APDU",
	0xC3: "invalid block from the card",
}

// String says it in words; an unknown code as "ErrorCode(0x90)".
func (c ErrorCode) String() string {
	if w, ok := errorCodes[c]; ok {
		return w
	}
	if i, ok := c.Parameter(); ok {
		return fmt.Sprintf("byte %d of the command refused", i)
	}
	return fmt.Sprintf("ErrorCode(0x%02x)", byte(c))
}

// Parameter reports that the reader refuses one byte of the command, and which:
// its offset in the message, 1 to 127.
func (c ErrorCode) Parameter() (offset int, ok bool) {
	return int(c), c >= 0x01 && c <= 0x7F
}

// refused reports that the reader turned the command down without passing it
// to the card.
func (c ErrorCode) refused() bool {
	return c <= 0x7F || c == CodeSlotBusy || c == CodeAutoSequence || c == CodeICCProtocol
}

// SlotError is a reader's refusal or failure of one command.
//
// errors.Is matches ErrNoCard if the reader says that there is no card,
// ErrMute for a card that is there and does not answer, ErrNotSupported for a
// command or form of APDU that the reader does not have, and ErrProtocol for
// F3 and F4.
type SlotError struct {
	Command MessageType
	Slot    int
	Code    ErrorCode
	Status  Status
}

func (e *SlotError) Error() string {
	if e.Is(ErrNoCard) {
		return fmt.Sprintf("slot %d: %v: no card (bError %02X)", e.Slot, e.Command, byte(e.Code))
	}
	return fmt.Sprintf("slot %d: %v: %v (bError %02X)", e.Slot, e.Command, e.Code, byte(e.Code))
}

// Is reports whether e is an instance of one of the package's errors.
func (e *SlotError) Is(target error) bool {
	switch target {
	case ErrNoCard:
		return e.Status.ICC() == ICCAbsent
	case ErrMute:
		return e.Code == CodeMute && e.Status.ICC() != ICCAbsent
	case ErrNotSupported:
		return e.Code == CodeNotSupported || e.Code == CodeICCProtocol
	case ErrProtocol:
		return e.Code == CodeDeactivated || e.Code == CodeProcedureByte
	}
	return false
}
