package ifd

import (
	"fmt"
	"strconv"
	"strings"

	"kaztoken/usb"
)

// target is what a device name of the host says of the interface that it means.
type target struct {
	id      usb.ID
	hasID   bool // else any device that the handler is for
	bus     int
	addr    int
	located bool // bus and addr are known, and number
	number  int  // of the interface
	hexRead bool // number was made by reading hexadecimal digits as decimal ones
}

// parseName reads the name of a device:
//
//	usb:VVVV/PPPP:libudev:N:/dev/bus/usb/BBB/DDD
//	usb:VVVV/PPPP:libusb-1.0:BUS:ADDRESS:N
//
// Of another tail only the ids count, and of another name nothing: macOS passes
// names that do not say where the device is.
func parseName(name string) target {
	rest, ok := strings.CutPrefix(name, "usb:")
	if !ok {
		return target{}
	}
	ids, tail, _ := strings.Cut(rest, ":")
	v, p, ok := strings.Cut(ids, "/")
	vendor, err1 := strconv.ParseUint(v, 16, 16)
	product, err2 := strconv.ParseUint(p, 16, 16)
	if !ok || err1 != nil || err2 != nil {
		return target{}
	}
	t := target{id: usb.ID{Vendor: uint16(vendor), Product: uint16(product)}, hasID: true}
	parts := strings.Split(tail, ":")
	switch {
	case len(parts) == 3 && parts[0] == "libudev":
		path := strings.Split(parts[2], "/")
		if len(path) < 2 {
			return t
		}
		t.located = numbers([]string{parts[1], path[len(path)-2], path[len(path)-1]}, &t.number, &t.bus, &t.addr)
		t.hexRead = true
	case len(parts) == 4 && parts[0] == "libusb-1.0":
		t.located = numbers(parts[1:], &t.bus, &t.addr, &t.number)
	}
	return t
}

// numbers reads decimal numbers below 1000, all or none.
func numbers(words []string, into ...*int) bool {
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 16)
		if err != nil || n > 999 {
			return false
		}
		*into[i] = int(n)
	}
	return true
}

// device reports whether t may mean dev.
func (t target) device(dev usb.Info) bool {
	return (!t.hasID || dev.ID() == t.id) && (!t.located || dev.Bus == t.bus && dev.Addr == t.addr)
}

// interface reports whether t may mean the interface of that number. pcscd reads
// bInterfaceNumber, which sysfs has in hexadecimal, with atoi: 0a is 0 and 10 is 10.
func (t target) ifc(number byte) bool {
	switch {
	case !t.located:
		return true
	case t.hexRead:
		digits, _, _ := strings.Cut(strings.Map(func(r rune) rune {
			if r > '9' {
				return ' '
			}
			return r
		}, fmt.Sprintf("%02x", number)), " ")
		n, err := strconv.Atoi("0" + digits)
		return err == nil && n == t.number
	}
	return int(number) == t.number
}
