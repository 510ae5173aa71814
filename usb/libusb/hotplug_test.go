//go:build cgo && !nolibusb && (darwin || (linux && libusb_hotplug))

package libusb

import (
	"context"
	"errors"
	"testing"
)

func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() { over <- Watch(ctx, make(chan struct{}, 1)) }()
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
