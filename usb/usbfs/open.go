//go:build linux

package usbfs

import (
	"context"
	"errors"
	"fmt"

	"kaztoken/usb"
)

// Open opens the device dev and claims its interface ifc.
func Open(ctx context.Context, dev usb.Info, ifc usb.Interface, opts ...Option) (usb.Pipe, error) {
	return nil, fmt.Errorf("usbfs: %w", errors.ErrUnsupported)
}
