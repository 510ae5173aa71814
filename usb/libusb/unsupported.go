//go:build !cgo || nolibusb || !(linux || darwin)

package libusb

import (
	"context"
	"errors"
	"fmt"

	"kaztoken/usb"
)

// Available tells whether this build has the transport.
const Available = false

var errUnsupported = fmt.Errorf("libusb transport in this build: %w", errors.ErrUnsupported)

// Open gives an error that is errors.ErrUnsupported.
func Open(context.Context, usb.Info, usb.Interface) (usb.Pipe, error) {
	return nil, errUnsupported
}

// Enumerate gives an error that is errors.ErrUnsupported.
func Enumerate(context.Context) ([]usb.Info, error) { return nil, errUnsupported }

// Version is "": this program was built without libusb.
func Version() string { return "" }
