//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/gousb"

	"kaztoken/usb"
)

// all are the errors a caller may compare with.
var all = []error{
	usb.ErrGone, usb.ErrStall, usb.ErrTimeout, usb.ErrAccess, usb.ErrBusy,
	usb.ErrOverflow, usb.ErrNoEndpoint, usb.ErrShortWrite, usb.ErrIO, usb.ErrClosed,
}

// TestTranslate has a row per code of libusb.h.
func TestTranslate(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want error // nil: none of package usb
	}{
		{"LIBUSB_ERROR_IO", gousb.Error(-1), usb.ErrIO},
		{"LIBUSB_ERROR_INVALID_PARAM", gousb.Error(-2), nil},
		{"LIBUSB_ERROR_ACCESS", gousb.Error(-3), usb.ErrAccess},
		{"LIBUSB_ERROR_NO_DEVICE", gousb.Error(-4), usb.ErrGone},
		{"LIBUSB_ERROR_NOT_FOUND", gousb.Error(-5), usb.ErrGone},
		{"LIBUSB_ERROR_BUSY", gousb.Error(-6), usb.ErrBusy},
		{"LIBUSB_ERROR_TIMEOUT", gousb.Error(-7), usb.ErrTimeout},
		{"LIBUSB_ERROR_OVERFLOW", gousb.Error(-8), usb.ErrOverflow},
		{"LIBUSB_ERROR_PIPE", gousb.Error(-9), usb.ErrStall},
		{"LIBUSB_ERROR_INTERRUPTED", gousb.Error(-10), nil},
		{"LIBUSB_ERROR_NO_MEM", gousb.Error(-11), nil},
		{"LIBUSB_ERROR_NOT_SUPPORTED", gousb.Error(-12), nil},
		{"LIBUSB_ERROR_OTHER", gousb.Error(-99), nil},
		{"LIBUSB_TRANSFER_ERROR", gousb.TransferStatus(1), usb.ErrIO},
		{"LIBUSB_TRANSFER_TIMED_OUT", gousb.TransferStatus(2), usb.ErrTimeout},
		{"LIBUSB_TRANSFER_CANCELLED", gousb.TransferStatus(3), usb.ErrIO},
		{"LIBUSB_TRANSFER_STALL", gousb.TransferStatus(4), usb.ErrStall},
		{"LIBUSB_TRANSFER_NO_DEVICE", gousb.TransferStatus(5), usb.ErrGone},
		{"LIBUSB_TRANSFER_OVERFLOW", gousb.TransferStatus(6), usb.ErrOverflow},
		{"code in text", fmt.Errorf("failed to claim interface 0 on x: %v", gousb.ErrorBusy), usb.ErrBusy},
		{"code in text, wrapped", fmt.Errorf("opening: %w", fmt.Errorf("failed: %v", gousb.ErrorAccess)), usb.ErrAccess},
		{"no code", errors.New("transfer was already submitted"), nil},
		{"nonsense code", errors.New("x [code y]"), nil},
		{"other brackets", errors.New("available: [1 2]"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := translate(tc.err)
			if !errors.Is(got, tc.err) {
				t.Errorf("%v does not hold %v", got, tc.err)
			}
			for _, e := range all {
				if errors.Is(got, e) != (e == tc.want) {
					t.Errorf("%v: is %q: %t", got, e, errors.Is(got, e))
				}
			}
		})
	}
	if translate(nil) != nil {
		t.Error("success became an error")
	}
}

// TestCodeSurvivesText: the codes that claiming gives come back out of the text
// that gousb puts them into.
func TestCodeSurvivesText(t *testing.T) {
	for e := gousb.Error(-99); e < 0; e++ {
		if got, ok := code(fmt.Errorf("failed to claim interface 0 on bus=1: %v", e)); !ok || got != e {
			t.Errorf("%v: got %v, %t", e, got, ok)
		}
	}
}
