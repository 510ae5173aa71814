//go:build e2e && linux

package guest

import (
	"context"
	"testing"
	"time"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/usb"
	"kaztoken/usb/libusb"
	"kaztoken/usb/usbfs"
)

// driver is one of our USB drivers.
type driver struct {
	name string
	open func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error)
}

var drivers = []driver{
	{"usbfs", func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error) {
		return usbfs.Open(ctx, dev, ifc)
	}},
	{"libusb", libusb.Open},
}

// eachDriver runs a scenario with every USB driver.
func eachDriver(t *testing.T, scenario func(t *testing.T, d driver)) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) { scenario(t, d) })
	}
}

// openReader opens the reader behind a device and powers up all its cards,
// until the end of the test or the call of what it returns.
func openReader(t testing.TB, d driver, dev usb.Info, ifc usb.Interface, opts ...ccid.Option) (*ccid.Reader, func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	pipe, err := d.open(ctx, dev, ifc)
	if err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	r, err := ccid.Open(ctx, pipe, ifc, opts...)
	if err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	stop := func() {
		if err := r.Close(); err != nil {
			t.Errorf("%s: close: %v", d.name, err)
		}
	}
	for _, s := range r.Slots() {
		if _, err := s.PowerOn(ctx); err != nil {
			stop()
			t.Fatalf("%s: slot %d: %v", d.name, s.Index(), err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

// openToken plugs in a token of that profile and opens its reader.
func openToken(t testing.TB, d driver, p ccidsim.Profile) *ccid.Reader {
	t.Helper()
	k := newToken(t, p)
	k.plug(t)
	dev, ifc := k.appear(t)
	r, _ := openReader(t, d, dev, ifc)
	return r
}

// transmit is Transmit with an upper bound for scenarios that expect no error.
func transmit(t testing.TB, s *ccid.Slot, dst, apdu []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resp, err := s.Transmit(ctx, dst, apdu)
	if err != nil {
		t.Fatalf("APDU of %d bytes: %v", len(apdu), err)
	}
	return resp
}
