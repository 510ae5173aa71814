package iso7816

import (
	"encoding/binary"
	"fmt"
)

// SW is a status word, SW1 in the high byte (ISO 7816-4:2013 §5.6).
type SW uint16

// Status words that have a fixed meaning.
const (
	SWOK SW = 0x9000

	SWPartCorrupted     SW = 0x6281
	SWEndOfFile         SW = 0x6282
	SWDeactivated       SW = 0x6283
	SWTerminated        SW = 0x6285
	SWVerifyFailed      SW = 0x6300 // 63Cx with a counter: see Retries
	SWExecution         SW = 0x6400
	SWCancelled         SW = 0x6401
	SWMemoryChanged     SW = 0x6500
	SWMemoryFailure     SW = 0x6581
	SWWrongLength       SW = 0x6700
	SWLogicalChannel    SW = 0x6881
	SWSecureMessaging   SW = 0x6882
	SWLastExpected      SW = 0x6883
	SWChaining          SW = 0x6884
	SWNotAllowed        SW = 0x6900
	SWWrongFileKind     SW = 0x6981
	SWSecurityStatus    SW = 0x6982
	SWBlocked           SW = 0x6983
	SWReferenceUnusable SW = 0x6984
	SWConditions        SW = 0x6985
	SWNoCurrentEF       SW = 0x6986
	SWMissingSM         SW = 0x6987
	SWWrongSM           SW = 0x6988
	SWWrongData         SW = 0x6A80
	SWFunction          SW = 0x6A81
	SWNotFound          SW = 0x6A82
	SWRecordNotFound    SW = 0x6A83
	SWNoSpace           SW = 0x6A84
	SWWrongTLVLength    SW = 0x6A85
	SWWrongP1P2         SW = 0x6A86
	SWWrongNc           SW = 0x6A87
	SWReferenceNotFound SW = 0x6A88
	SWFileExists        SW = 0x6A89
	SWNameExists        SW = 0x6A8A
	SWWrongOffset       SW = 0x6B00
	SWWrongLe           SW = 0x6C00 // 6Cxx: see ExactLe
	SWWrongINS          SW = 0x6D00
	SWWrongCLA          SW = 0x6E00
	SWUnknown           SW = 0x6F00
)

// Errors to compare with errors.Is: the error of [SW.Err] matches the one of
// its own status word. [ErrVerifyFailed] matches 6300 and every 63Cx,
// [ErrWrongLe] every 6Cxx.
var (
	ErrPartCorrupted     error = SWError{SWPartCorrupted}
	ErrEndOfFile         error = SWError{SWEndOfFile}
	ErrDeactivated       error = SWError{SWDeactivated}
	ErrTerminated        error = SWError{SWTerminated}
	ErrVerifyFailed      error = SWError{SWVerifyFailed}
	ErrExecution         error = SWError{SWExecution}
	ErrCancelled         error = SWError{SWCancelled}
	ErrMemoryChanged     error = SWError{SWMemoryChanged}
	ErrMemoryFailure     error = SWError{SWMemoryFailure}
	ErrWrongLength       error = SWError{SWWrongLength}
	ErrLogicalChannel    error = SWError{SWLogicalChannel}
	ErrSecureMessaging   error = SWError{SWSecureMessaging}
	ErrLastExpected      error = SWError{SWLastExpected}
	ErrChaining          error = SWError{SWChaining}
	ErrNotAllowed        error = SWError{SWNotAllowed}
	ErrWrongFileKind     error = SWError{SWWrongFileKind}
	ErrSecurityStatus    error = SWError{SWSecurityStatus}
	ErrBlocked           error = SWError{SWBlocked}
	ErrReferenceUnusable error = SWError{SWReferenceUnusable}
	ErrConditions        error = SWError{SWConditions}
	ErrNoCurrentEF       error = SWError{SWNoCurrentEF}
	ErrMissingSM         error = SWError{SWMissingSM}
	ErrWrongSM           error = SWError{SWWrongSM}
	ErrWrongData         error = SWError{SWWrongData}
	ErrFunction          error = SWError{SWFunction}
	ErrNotFound          error = SWError{SWNotFound}
	ErrRecordNotFound    error = SWError{SWRecordNotFound}
	ErrNoSpace           error = SWError{SWNoSpace}
	ErrWrongTLVLength    error = SWError{SWWrongTLVLength}
	ErrWrongP1P2         error = SWError{SWWrongP1P2}
	ErrWrongNc           error = SWError{SWWrongNc}
	ErrReferenceNotFound error = SWError{SWReferenceNotFound}
	ErrFileExists        error = SWError{SWFileExists}
	ErrNameExists        error = SWError{SWNameExists}
	ErrWrongOffset       error = SWError{SWWrongOffset}
	ErrWrongLe           error = SWError{SWWrongLe}
	ErrWrongINS          error = SWError{SWWrongINS}
	ErrWrongCLA          error = SWError{SWWrongCLA}
	ErrUnknown           error = SWError{SWUnknown}
)

// SWError is a status word as an error. [SW.Err] makes it; it is a value, so
// errors.As takes a *SWError.
type SWError struct{ SW SW }

// Error gives the four digits and their meaning: "6A82 file or application not
// found".
func (e SWError) Error() string { return e.SW.String() + " " + e.SW.Words() }

// Is matches the same status word, 63Cx with [ErrVerifyFailed] and 6Cxx with
// [ErrWrongLe].
func (e SWError) Is(target error) bool {
	t, ok := target.(SWError)
	if !ok {
		return false
	}
	switch t.SW {
	case SWVerifyFailed:
		_, counter := e.SW.Retries()
		return counter || e.SW == t.SW
	case SWWrongLe:
		return e.SW.SW1() == 0x6C
	}
	return e.SW == t.SW
}

// SW1 is the high byte.
func (s SW) SW1() byte { return byte(s >> 8) }

// SW2 is the low byte.
func (s SW) SW2() byte { return byte(s) }

// OK reports 9000.
func (s SW) OK() bool { return s == SWOK }

// Warning reports 62xx and 63xx: the command was processed, with a remark.
func (s SW) Warning() bool { return s.SW1() == 0x62 || s.SW1() == 0x63 }

// MoreData reports 61xx and how many further bytes GET RESPONSE can fetch now,
// 1 to 256 (61 00 means 256 or more).
func (s SW) MoreData() (n int, ok bool) {
	if s.SW1() != 0x61 {
		return 0, false
	}
	return shortNe(s.SW2()), true
}

// ExactLe reports 6Cxx and the Ne with which the command has to be repeated, 1
// to 256.
func (s SW) ExactLe() (ne int, ok bool) {
	if s.SW1() != 0x6C {
		return 0, false
	}
	return shortNe(s.SW2()), true
}

// Retries reports 63Cx and its counter, 0 to 15: the tries left after a failed
// verification.
func (s SW) Retries() (n int, ok bool) { return int(s & 0xF), s&0xFFF0 == 0x63C0 }

// Err is nil for 9000 and 61xx, the normal ends of ISO 7816-4, and an [SWError]
// for all else, warnings included.
func (s SW) Err() error {
	if s.OK() || s.SW1() == 0x61 {
		return nil
	}
	return SWError{s}
}

// AppendTo appends SW1 SW2.
func (s SW) AppendTo(dst []byte) []byte { return binary.BigEndian.AppendUint16(dst, uint16(s)) }

// String gives four hexadecimal digits: "6A82".
func (s SW) String() string { return fmt.Sprintf("%04X", uint16(s)) }

// Words gives the meaning in English, from the table of ISO 7816-4:2013 §5.6,
// or from that of SW1 alone for a code that is not in it. It is never empty.
func (s SW) Words() string {
	if w, ok := swWords[s]; ok {
		return w
	}
	if n, ok := s.MoreData(); ok {
		return fmt.Sprintf("%d more bytes available", n)
	}
	if n, ok := s.Retries(); ok {
		return fmt.Sprintf("verification failed, %d tries left", n)
	}
	if n, ok := s.ExactLe(); ok {
		return fmt.Sprintf("wrong Le, %d bytes available", n)
	}
	if w, ok := sw1Words[s.SW1()]; ok {
		return w
	}
	return "status word outside ISO 7816-4"
}

var swWords = map[SW]string{
	SWOK:                "success",
	0x6200:              "warning, memory unchanged",
	SWPartCorrupted:     "part of the returned data may be corrupted",
	SWEndOfFile:         "end of file or record reached",
	SWDeactivated:       "selected file is deactivated",
	0x6284:              "file control information is badly formatted",
	SWTerminated:        "selected file is in termination state",
	0x6286:              "no input from a sensor on the card",
	0x6287:              "one of the referenced records is deactivated",
	SWVerifyFailed:      "verification failed or warning, memory changed",
	0x6381:              "file filled up by the last write",
	SWExecution:         "execution error, memory unchanged",
	SWCancelled:         "immediate response required, or PIN entry cancelled",
	SWMemoryChanged:     "execution error, memory changed",
	SWMemoryFailure:     "memory failure",
	0x6600:              "security-related error",
	SWWrongLength:       "wrong length",
	0x6800:              "function in CLA not supported",
	SWLogicalChannel:    "logical channel not supported",
	SWSecureMessaging:   "secure messaging not supported",
	SWLastExpected:      "last command of the chain expected",
	SWChaining:          "command chaining not supported",
	SWNotAllowed:        "command not allowed",
	SWWrongFileKind:     "command incompatible with the file structure",
	SWSecurityStatus:    "security status not satisfied",
	SWBlocked:           "authentication method blocked",
	SWReferenceUnusable: "reference data not usable",
	SWConditions:        "conditions of use not satisfied",
	SWNoCurrentEF:       "no current elementary file",
	SWMissingSM:         "secure messaging object missing",
	SWWrongSM:           "secure messaging object incorrect",
	0x6A00:              "wrong parameters P1-P2",
	SWWrongData:         "incorrect data field",
	SWFunction:          "function not supported",
	SWNotFound:          "file or application not found",
	SWRecordNotFound:    "record not found",
	SWNoSpace:           "not enough memory in the file",
	SWWrongTLVLength:    "Nc inconsistent with the TLV structure",
	SWWrongP1P2:         "incorrect parameters P1-P2",
	SWWrongNc:           "Nc inconsistent with parameters P1-P2",
	SWReferenceNotFound: "referenced data not found",
	SWFileExists:        "file already exists",
	SWNameExists:        "DF name already exists",
	SWWrongOffset:       "wrong parameters P1-P2, offset outside the file",
	SWWrongINS:          "instruction not supported",
	SWWrongCLA:          "class not supported",
	SWUnknown:           "no precise diagnosis",
}

var sw1Words = map[byte]string{
	0x62: "warning, memory unchanged",
	0x63: "warning, memory changed",
	0x64: "execution error, memory unchanged",
	0x65: "execution error, memory changed",
	0x66: "security-related error",
	0x67: "wrong length",
	0x68: "function in CLA not supported",
	0x69: "command not allowed",
	0x6A: "wrong parameters P1-P2",
	0x6B: "wrong parameters P1-P2",
	0x6D: "instruction not supported",
	0x6E: "class not supported",
	0x6F: "no precise diagnosis",
}
