//go:build !cgo || nolibusb || !(linux || darwin)

package libusb

import (
	"context"
	"errors"
	"testing"

	"kaztoken/usb"
)

func TestUnsupported(t *testing.T) {
	if Available {
		t.Error("available")
	}
	if p, err := Open(context.Background(), usb.Info{}, usb.Interface{}); p != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open: %v, %v", p, err)
	}
	if _, err := Enumerate(context.Background()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Enumerate: %v", err)
	}
}
