//go:build !linux

package usbfs

import (
	"context"
	"errors"
	"fmt"

	"kaztoken/usb"
)

// Open opens nothing: usbfs exists on Linux only.
func Open(context.Context, usb.Info, usb.Interface, ...Option) (usb.Pipe, error) {
	return nil, fmt.Errorf("usbfs: %w", errors.ErrUnsupported)
}
