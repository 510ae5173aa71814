package wire

import "fmt"

// Result is the code that ends every answer (SCARD_S_*, SCARD_E_*, SCARD_W_*,
// SCARD_F_*, SCARD_P_*). All but [Success] serve as errors: compare with
// errors.Is(err, wire.SharingViolation).
type Result uint32

// The results, as pcsc-lite numbers them.
const (
	Success Result = 0

	InternalError      Result = 0x80100001
	Cancelled          Result = 0x80100002
	InvalidHandle      Result = 0x80100003
	InvalidParameter   Result = 0x80100004
	InvalidTarget      Result = 0x80100005
	NoMemory           Result = 0x80100006
	WaitedTooLong      Result = 0x80100007
	InsufficientBuffer Result = 0x80100008
	UnknownReader      Result = 0x80100009
	Timeout            Result = 0x8010000A
	SharingViolation   Result = 0x8010000B
	NoSmartcard        Result = 0x8010000C
	UnknownCard        Result = 0x8010000D
	CantDispose        Result = 0x8010000E
	ProtoMismatch      Result = 0x8010000F
	NotReady           Result = 0x80100010
	InvalidValue       Result = 0x80100011
	SystemCancelled    Result = 0x80100012
	CommError          Result = 0x80100013
	UnknownError       Result = 0x80100014
	InvalidATR         Result = 0x80100015
	NotTransacted      Result = 0x80100016
	ReaderUnavailable  Result = 0x80100017
	Shutdown           Result = 0x80100018
	PCITooSmall        Result = 0x80100019
	ReaderUnsupported  Result = 0x8010001A
	DuplicateReader    Result = 0x8010001B
	CardUnsupported    Result = 0x8010001C
	NoService          Result = 0x8010001D
	ServiceStopped     Result = 0x8010001E
	UnsupportedFeature Result = 0x8010001F // of pcsc-lite; Windows has 0x80100022
	NoReadersAvailable Result = 0x8010002E

	UnsupportedCard   Result = 0x80100065
	UnresponsiveCard  Result = 0x80100066
	UnpoweredCard     Result = 0x80100067
	CardReset         Result = 0x80100068
	CardRemoved       Result = 0x80100069
	SecurityViolation Result = 0x8010006A
)

// resultNames are the names and meanings, without SCARD_.
var resultNames = map[Result][2]string{
	Success:            {"S_SUCCESS", "success"},
	InternalError:      {"F_INTERNAL_ERROR", "internal error"},
	Cancelled:          {"E_CANCELLED", "cancelled"},
	InvalidHandle:      {"E_INVALID_HANDLE", "invalid handle"},
	InvalidParameter:   {"E_INVALID_PARAMETER", "invalid parameter"},
	InvalidTarget:      {"E_INVALID_TARGET", "invalid target"},
	NoMemory:           {"E_NO_MEMORY", "out of memory or beyond a limit"},
	WaitedTooLong:      {"F_WAITED_TOO_LONG", "waited too long"},
	InsufficientBuffer: {"E_INSUFFICIENT_BUFFER", "buffer is too small"},
	UnknownReader:      {"E_UNKNOWN_READER", "no reader of this name"},
	Timeout:            {"E_TIMEOUT", "time is over"},
	SharingViolation:   {"E_SHARING_VIOLATION", "in use by another program"},
	NoSmartcard:        {"E_NO_SMARTCARD", "no card in the reader"},
	UnknownCard:        {"E_UNKNOWN_CARD", "unknown card"},
	CantDispose:        {"E_CANT_DISPOSE", "cannot dispose of the card so"},
	ProtoMismatch:      {"E_PROTO_MISMATCH", "card protocol cannot be used"},
	NotReady:           {"E_NOT_READY", "reader or card is not ready"},
	InvalidValue:       {"E_INVALID_VALUE", "invalid value"},
	SystemCancelled:    {"E_SYSTEM_CANCELLED", "cancelled by the system"},
	CommError:          {"F_COMM_ERROR", "communication error"},
	UnknownError:       {"F_UNKNOWN_ERROR", "unknown error"},
	InvalidATR:         {"E_INVALID_ATR", "invalid answer to reset"},
	NotTransacted:      {"E_NOT_TRANSACTED", "transaction failed"},
	ReaderUnavailable:  {"E_READER_UNAVAILABLE", "reader is gone or fails"},
	Shutdown:           {"P_SHUTDOWN", "shut down"},
	PCITooSmall:        {"E_PCI_TOO_SMALL", "protocol structure is too small"},
	ReaderUnsupported:  {"E_READER_UNSUPPORTED", "reader is not supported"},
	DuplicateReader:    {"E_DUPLICATE_READER", "reader name is taken"},
	CardUnsupported:    {"E_CARD_UNSUPPORTED", "card is not supported by the reader"},
	NoService:          {"E_NO_SERVICE", "no smart-card service"},
	ServiceStopped:     {"E_SERVICE_STOPPED", "smart-card service stopped"},
	UnsupportedFeature: {"E_UNSUPPORTED_FEATURE", "not supported"},
	NoReadersAvailable: {"E_NO_READERS_AVAILABLE", "no readers"},
	UnsupportedCard:    {"W_UNSUPPORTED_CARD", "card is not supported"},
	UnresponsiveCard:   {"W_UNRESPONSIVE_CARD", "card does not respond"},
	UnpoweredCard:      {"W_UNPOWERED_CARD", "card has no power"},
	CardReset:          {"W_RESET_CARD", "card was reset"},
	CardRemoved:        {"W_REMOVED_CARD", "card was removed"},
	SecurityViolation:  {"W_SECURITY_VIOLATION", "access denied"},
}

// String gives the name in the headers: "SCARD_E_SHARING_VIOLATION".
func (r Result) String() string {
	if n, ok := resultNames[r]; ok {
		return "SCARD_" + n[0]
	}
	return fmt.Sprintf("Result(%#08x)", uint32(r))
}

// Error gives meaning and name: "in use by another program (SCARD_E_SHARING_VIOLATION)".
func (r Result) Error() string {
	if n, ok := resultNames[r]; ok {
		return n[1] + " (" + r.String() + ")"
	}
	return "smart-card service: " + r.String()
}

// Err is nil for [Success], else r.
func (r Result) Err() error {
	if r == Success {
		return nil
	}
	return r
}
