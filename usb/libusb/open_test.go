//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/gousb"

	"kaztoken/usb"
)

// TestOnly: gousb finds our interface in the description and indexes it by its
// number, whatever the real configuration looks like.
func TestOnly(t *testing.T) {
	setting := func(number, alternate int) gousb.InterfaceSetting {
		return gousb.InterfaceSetting{Number: number, Alternate: alternate, Class: gousb.ClassSmartCard}
	}
	desc := func() gousb.ConfigDesc {
		return gousb.ConfigDesc{Number: 1, Interfaces: []gousb.InterfaceDesc{
			{Number: 2, AltSettings: []gousb.InterfaceSetting{setting(2, 0), setting(2, 1)}}, // out of order, and no 1
			{Number: 0, AltSettings: []gousb.InterfaceSetting{setting(0, 0)}},
		}}
	}
	for _, tc := range []struct {
		number, alternate int
		selected          bool
	}{{2, 0, false}, {2, 1, true}, {0, 0, false}, {0, 0, true}} {
		d := desc()
		if err := only(&d, tc.number, tc.alternate, tc.selected); err != nil {
			t.Fatal(err)
		}
		i := d.Interfaces[tc.number]
		if i.Number != tc.number || i.AltSettings[0].Number != tc.number || i.AltSettings[0].Alternate != tc.alternate {
			t.Errorf("%+v: got %+v", tc, i)
		}
		if got := len(i.AltSettings) > 1; got != tc.selected {
			t.Errorf("%+v: the alternate setting is selected: %t", tc, got)
		}
		for n := range tc.number {
			if d.Interfaces[n].Number >= 0 {
				t.Errorf("%+v: interface %+v is there too", tc, d.Interfaces[n])
			}
		}
		// A second time, as Recover does it, on what the first left.
		if err := only(&d, tc.number, tc.alternate, true); err != nil || len(d.Interfaces[tc.number].AltSettings) != 2 {
			t.Errorf("%+v: again: %v, %+v", tc, err, d.Interfaces)
		}
	}
	for _, missing := range [][2]int{{1, 0}, {0, 1}, {9, 0}} {
		d := desc()
		if err := only(&d, missing[0], missing[1], false); err == nil {
			t.Errorf("interface %d alternate %d was found", missing[0], missing[1])
		}
	}
}

// TestOpenNothing goes through libusb itself, on any machine.
func TestOpenNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	nowhere := usb.Info{Bus: 4000, Addr: 127, Vendor: 0x0a89, Product: 0x0035}
	p, err := Open(context.Background(), nowhere, testInterface)
	if p != nil || !errors.Is(err, usb.ErrGone) {
		t.Fatalf("got %v, %v", p, err)
	}
	if !strings.Contains(err.Error(), "0a89:0035") {
		t.Errorf("the error does not name the device: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(cancelled, nowhere, testInterface); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if shared.newest != nil {
		t.Error("libusb is open")
	}
	for runtime.NumGoroutine() > before { // the event loop has been told to end
		runtime.Gosched()
	}
}

func TestLibrary(t *testing.T) {
	first, existed, err := acquire(false)
	if err != nil || existed {
		t.Fatalf("the first: %t, %v", existed, err)
	}
	again, existed, err := acquire(false)
	if err != nil || !existed || again != first {
		t.Fatalf("the second: %t, %v", existed, err)
	}
	fresh, existed, err := acquire(true)
	if err != nil || existed || fresh == first {
		t.Fatalf("a fresh one: %t, %v", existed, err)
	}
	for _, l := range []*library{first, again} {
		if err := l.release(); err != nil {
			t.Error(err)
		}
	}
	if next, existed, err := acquire(false); err != nil || !existed || next != fresh {
		t.Errorf("the newest is not shared: %t, %v", existed, err)
	}
	for range 2 {
		if err := fresh.release(); err != nil {
			t.Error(err)
		}
	}
	if shared.newest != nil {
		t.Error("the last did not close it")
	}
}

func TestEnumerate(t *testing.T) {
	list, err := Enumerate(context.Background())
	// Devices that may not be opened are errors beside the list.
	if err != nil && !errors.Is(err, usb.ErrAccess) {
		t.Error(err)
	}
	for _, i := range list {
		if len(i.Descriptors) < deviceLen+configurationLen {
			t.Errorf("%v: %d bytes of descriptors", i, len(i.Descriptors))
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if list, err := Enumerate(cancelled); len(list) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", list, err)
	}
	if shared.newest != nil {
		t.Error("libusb is open")
	}
}

func TestInteresting(t *testing.T) {
	with := func(classes ...gousb.Class) *gousb.DeviceDesc {
		c := gousb.ConfigDesc{Number: 1}
		for n, class := range classes {
			c.Interfaces = append(c.Interfaces, gousb.InterfaceDesc{Number: n, AltSettings: []gousb.InterfaceSetting{{Number: n, Class: class}}})
		}
		return &gousb.DeviceDesc{Configs: map[int]gousb.ConfigDesc{1: c}}
	}
	for _, tc := range []struct {
		desc *gousb.DeviceDesc
		want bool
	}{
		{with(), false}, {with(gousb.ClassHID), false}, {with(gousb.ClassHID, gousb.ClassSmartCard), true}, {with(gousb.ClassVendorSpec), true},
	} {
		if got := interesting(tc.desc); got != tc.want {
			t.Errorf("%+v: %t", tc.desc, got)
		}
	}
}

func TestPort(t *testing.T) {
	for want, got := range map[string]string{"": port(1, nil), "1-4": port(1, []int{4}), "3-1.4.2": port(3, []int{1, 4, 2})} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
