//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/gousb"

	"kaztoken/usb"
)

// meanings of libusb's error codes. What is not here has no meaning to a
// caller: the arguments were wrong, memory ran out, or libusb does not know.
var meanings = map[gousb.Error]error{
	gousb.ErrorIO:       usb.ErrIO,
	gousb.ErrorAccess:   usb.ErrAccess,
	gousb.ErrorNoDevice: usb.ErrGone,
	gousb.ErrorNotFound: usb.ErrGone, // the handle is stale
	gousb.ErrorBusy:     usb.ErrBusy,
	gousb.ErrorTimeout:  usb.ErrTimeout,
	gousb.ErrorOverflow: usb.ErrOverflow,
	gousb.ErrorPipe:     usb.ErrStall,
}

// statuses of a transfer. One that was cancelled by nobody here was withdrawn by
// the kernel, when the interface was taken from us or reset.
var statuses = map[gousb.TransferStatus]error{
	gousb.TransferError:     usb.ErrIO,
	gousb.TransferTimedOut:  usb.ErrTimeout,
	gousb.TransferCancelled: usb.ErrIO,
	gousb.TransferStall:     usb.ErrStall,
	gousb.TransferNoDevice:  usb.ErrGone,
	gousb.TransferOverflow:  usb.ErrOverflow,
}

// translate makes an error of gousb one of package usb, with gousb's inside.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var meaning error
	var status gousb.TransferStatus
	if errors.As(err, &status) {
		meaning = statuses[status]
	} else if c, ok := code(err); ok {
		meaning = meanings[c]
	}
	if meaning == nil {
		return err
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

// code finds the libusb error inside err. Config and Interface of gousb put the
// text of the error into theirs and not the error, so its "[code -6]" is looked
// for at the end of the text.
func code(err error) (gousb.Error, bool) {
	var e gousb.Error
	if errors.As(err, &e) {
		return e, true
	}
	text, ok := strings.CutSuffix(err.Error(), "]")
	if !ok {
		return 0, false
	}
	at := strings.LastIndex(text, "[code ")
	if at < 0 {
		return 0, false
	}
	n, perr := strconv.Atoi(text[at+len("[code "):])
	return gousb.Error(n), perr == nil
}
