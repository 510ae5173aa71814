//go:build !cgo || nolibusb || !(darwin || (linux && libusb_hotplug))

package libusb

import (
	"context"
	"errors"
	"fmt"
)

// Watch gives an error that is errors.ErrUnsupported: on Linux package udev
// listens to the kernel itself, elsewhere there is enumeration on a timer.
func Watch(context.Context, chan<- struct{}) error {
	return fmt.Errorf("hot-plug notification in this build: %w", errors.ErrUnsupported)
}
