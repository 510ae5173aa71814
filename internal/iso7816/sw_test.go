package iso7816

import (
	"errors"
	"fmt"
	"testing"
)

func TestSWErr(t *testing.T) {
	for _, r := range []struct {
		sw   SW
		is   error // nil: success
		text string
	}{
		{0x9000, nil, "success"},
		{0x6100, nil, "256 more bytes available"},
		{0x6110, nil, "16 more bytes available"},
		{0x6200, nil, "warning, memory unchanged"},
		{0x6281, ErrPartCorrupted, "part of the returned data may be corrupted"},
		{0x6282, ErrEndOfFile, "end of file or record reached"},
		{0x6283, ErrDeactivated, "selected file is deactivated"},
		{0x6285, ErrTerminated, "selected file is in termination state"},
		{0x6300, ErrVerifyFailed, "verification failed or warning, memory changed"},
		{0x63C0, ErrVerifyFailed, "verification failed, 0 tries left"},
		{0x63CA, ErrVerifyFailed, "verification failed, 10 tries left"},
		{0x6400, ErrExecution, "execution error, memory unchanged"},
		{0x6401, ErrCancelled, "immediate response required, or PIN entry cancelled"},
		{0x6500, ErrMemoryChanged, "execution error, memory changed"},
		{0x6581, ErrMemoryFailure, "memory failure"},
		{0x6700, ErrWrongLength, "wrong length"},
		{0x6881, ErrLogicalChannel, "logical channel not supported"},
		{0x6882, ErrSecureMessaging, "secure messaging not supported"},
		{0x6883, ErrLastExpected, "last command of the chain expected"},
		{0x6884, ErrChaining, "command chaining not supported"},
		{0x6900, ErrNotAllowed, "command not allowed"},
		{0x6981, ErrWrongFileKind, "command incompatible with the file structure"},
		{0x6982, ErrSecurityStatus, "security status not satisfied"},
		{0x6983, ErrBlocked, "authentication method blocked"},
		{0x6984, ErrReferenceUnusable, "reference data not usable"},
		{0x6985, ErrConditions, "conditions of use not satisfied"},
		{0x6986, ErrNoCurrentEF, "no current elementary file"},
		{0x6987, ErrMissingSM, "secure messaging object missing"},
		{0x6988, ErrWrongSM, "secure messaging object incorrect"},
		{0x6A80, ErrWrongData, "incorrect data field"},
		{0x6A81, ErrFunction, "function not supported"},
		{0x6A82, ErrNotFound, "file or application not found"},
		{0x6A83, ErrRecordNotFound, "record not found"},
		{0x6A84, ErrNoSpace, "not enough memory in the file"},
		{0x6A85, ErrWrongTLVLength, "Nc inconsistent with the TLV structure"},
		{0x6A86, ErrWrongP1P2, "incorrect parameters P1-P2"},
		{0x6A87, ErrWrongNc, "Nc inconsistent with parameters P1-P2"},
		{0x6A88, ErrReferenceNotFound, "referenced data not found"},
		{0x6A89, ErrFileExists, "file already exists"},
		{0x6A8A, ErrNameExists, "DF name already exists"},
		{0x6B00, ErrWrongOffset, "wrong parameters P1-P2, offset outside the file"},
		{0x6C00, ErrWrongLe, "wrong Le, 256 bytes available"},
		{0x6C08, ErrWrongLe, "wrong Le, 8 bytes available"},
		{0x6D00, ErrWrongINS, "instruction not supported"},
		{0x6E00, ErrWrongCLA, "class not supported"},
		{0x6F00, ErrUnknown, "no precise diagnosis"},
		{0x6F86, nil, "no precise diagnosis"},
		{0x6912, nil, "command not allowed"},
		{0x1234, nil, "status word outside ISO 7816-4"},
	} {
		t.Run(r.sw.String(), func(t *testing.T) {
			if r.sw.Words() != r.text {
				t.Errorf("words: got %q want %q", r.sw.Words(), r.text)
			}
			err := r.sw.Err()
			if success := r.sw == 0x9000 || r.sw.SW1() == 0x61; success != (err == nil) {
				t.Fatalf("got error %v", err)
			}
			if err == nil {
				return
			}
			if want := r.sw.String() + " " + r.text; err.Error() != want {
				t.Errorf("got %q want %q", err, want)
			}
			wrapped := fmt.Errorf("select: %w", err)
			for _, s := range sentinels {
				if got, want := errors.Is(wrapped, s), s == r.is; got != want {
					t.Errorf("is %q: got %v", s, got)
				}
			}
			var e SWError
			if !errors.As(wrapped, &e) || e.SW != r.sw {
				t.Errorf("errors.As gives %v", e.SW)
			}
		})
	}
}

var sentinels = []error{
	ErrPartCorrupted, ErrEndOfFile, ErrDeactivated, ErrTerminated, ErrVerifyFailed, ErrExecution, ErrCancelled,
	ErrMemoryChanged, ErrMemoryFailure, ErrWrongLength, ErrLogicalChannel, ErrSecureMessaging, ErrLastExpected,
	ErrChaining, ErrNotAllowed, ErrWrongFileKind, ErrSecurityStatus, ErrBlocked, ErrReferenceUnusable, ErrConditions,
	ErrNoCurrentEF, ErrMissingSM, ErrWrongSM, ErrWrongData, ErrFunction, ErrNotFound, ErrRecordNotFound, ErrNoSpace,
	ErrWrongTLVLength, ErrWrongP1P2, ErrWrongNc, ErrReferenceNotFound, ErrFileExists, ErrNameExists, ErrWrongOffset,
	ErrWrongLe, ErrWrongINS, ErrWrongCLA, ErrUnknown,
}

func TestSWNumbers(t *testing.T) {
	for sw := range 0x10000 {
		s := SW(sw)
		more, isMore := s.MoreData()
		le, isLe := s.ExactLe()
		tries, isTries := s.Retries()
		if isMore != (sw>>8 == 0x61) || isLe != (sw>>8 == 0x6C) || isTries != (sw>>4 == 0x63C) {
			t.Fatalf("%v: %v %v %v", s, isMore, isLe, isTries)
		}
		if isMore && (more < 1 || more > 256) || isLe && (le < 1 || le > 256) || isTries && tries != sw&0xF {
			t.Fatalf("%v: %d %d %d", s, more, le, tries)
		}
		if s.Words() == "" || s.Warning() != (sw>>8 == 0x62 || sw>>8 == 0x63) || s.OK() != (sw == 0x9000) {
			t.Fatalf("%v: %q %v %v", s, s.Words(), s.Warning(), s.OK())
		}
		if b := s.AppendTo(nil); b[0] != s.SW1() || b[1] != s.SW2() || fmt.Sprintf("%X", b) != s.String() {
			t.Fatalf("%v: % X", s, b)
		}
	}
}
