package ifd

import (
	"fmt"
	"testing"

	"kaztoken/usb"
)

func TestParseName(t *testing.T) {
	kaztoken := usb.ID{Vendor: 0x0A89, Product: 0x0035}
	for _, c := range []struct {
		name string
		want target
	}{
		{"usb:0a89/0035:libudev:1:/dev/bus/usb/003/017", target{id: kaztoken, hasID: true, bus: 3, addr: 17, located: true, number: 1, hexRead: true}},
		{"usb:0A89/0035:libusb-1.0:3:17:2", target{id: kaztoken, hasID: true, bus: 3, addr: 17, located: true, number: 2}},
		{"usb:0a89/0035", target{id: kaztoken, hasID: true}},
		{"usb:0a89/0035:libudev:1", target{id: kaztoken, hasID: true}},
		{"usb:0a89/0035:libhal:/org/x", target{id: kaztoken, hasID: true}},
		{"usb:0a89/0035:libusb-1.0:3:x:2", target{id: kaztoken, hasID: true, bus: 3}},
		{"usb:0a89/0035:libusb-1.0:3:1000:2", target{id: kaztoken, hasID: true, bus: 3}},
		{"usb:0a89/0035:libudev:0:17", target{id: kaztoken, hasID: true, hexRead: false}},
		{"usb:0a89/10035", target{}},
		{"usb:0a89-0035", target{}},
		{"/dev/ttyS0", target{}},
		{"", target{}},
	} {
		if got := parseName(c.name); got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestInterfaceNumber: pcscd takes the hexadecimal digits of bInterfaceNumber for
// decimal ones, as far as they go.
func TestInterfaceNumber(t *testing.T) {
	for _, c := range []struct {
		number int // as pcscd says it
		ifc    byte
		want   bool
	}{
		{0, 0x00, true}, {0, 0x0A, true}, {0, 0x0F, true}, {0, 0x10, false}, {0, 0xA0, true},
		{1, 0x01, true}, {1, 0x1A, true}, {1, 0x11, false},
		{10, 0x10, true}, {10, 0x0A, false}, {99, 0x99, true}, {99, 99, false},
	} {
		if got := (target{located: true, hexRead: true, number: c.number}).ifc(c.ifc); got != c.want {
			t.Errorf("pcscd's %d, bInterfaceNumber %#02x: got %v", c.number, c.ifc, got)
		}
	}
	if !(target{located: true, number: 10}).ifc(10) || (target{located: true, number: 10}).ifc(0x10) {
		t.Error("a number of libusb is decimal")
	}
	if !(target{number: 10}).ifc(3) {
		t.Error("without a place any interface will do")
	}
}

// FuzzParseName: a name that says a place says it in one way only.
func FuzzParseName(f *testing.F) {
	f.Add("usb:0a89/0035:libudev:1:/dev/bus/usb/003/017")
	f.Add("usb:0a89/0035:libusb-1.0:3:17:2")
	f.Add("usb:0a89/0035")
	f.Fuzz(func(t *testing.T, name string) {
		a := parseName(name)
		if a.located && !a.hasID {
			t.Fatalf("%+v", a)
		}
		if !a.located {
			return
		}
		again := fmt.Sprintf("usb:%04x/%04x:libusb-1.0:%d:%d:%d", a.id.Vendor, a.id.Product, a.bus, a.addr, a.number)
		if a.hexRead {
			again = fmt.Sprintf("usb:%04x/%04x:libudev:%d:/dev/bus/usb/%03d/%03d", a.id.Vendor, a.id.Product, a.number, a.bus, a.addr)
		}
		if b := parseName(again); b != a {
			t.Fatalf("%q: %+v, and %q: %+v", name, a, again, b)
		}
	})
}
