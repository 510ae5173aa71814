//go:build !cgo || nolibusb || !(darwin || (linux && libusb_hotplug))

package libusb

import (
	"context"
	"errors"
	"testing"
)

func TestNoWatch(t *testing.T) {
	if err := Watch(context.Background(), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
