package udev

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// Action is what a uevent says happened.
type Action byte

// The actions that a [Monitor] delivers.
const (
	Add    Action = iota // the device was plugged in
	Remove               // it is gone
	Bind                 // the kernel's USB driver took it: it is configured
	Change               // something about it changed, or somebody asked for a report
)

var actionNames = [...]string{Add: "add", Remove: "remove", Bind: "bind", Change: "change"}

// String gives the kernel's word.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", byte(a))
}

// Event is one uevent of one USB device. It says what happened, not what is: a
// device may be gone again when its Add is read.
type Event struct {
	Action Action

	// Settled says that this is not the kernel's report but that of the udev
	// daemon, made when it had run its rules for the same event (same Seqnum):
	// owner, mode and access list of the device node are final now.
	Settled bool
	// Synthetic marks a report that somebody asked for by writing to the
	// device's uevent file, as udevadm trigger does: nothing happened to the
	// device itself.
	Synthetic bool

	Port      string // "1-1.4", as in usb.Info
	Bus, Addr int    // name the device node

	// idVendor, idProduct, bcdDevice; all 0 if the message lacks them.
	Vendor, Product, Release uint16

	Seqnum uint64    // the kernel's running number of the event
	Time   time.Time // when the message was received
}

// errUevent says that a message about a USB device cannot be understood.
var errUevent = errors.New("malformed uevent")

// parseKernel reads a message of the kernel: "action@devpath", then KEY=VALUE
// fields, each closed by a NUL. ok is false for what is not about a USB device
// or not one of our actions.
func parseKernel(msg []byte) (e Event, ok bool, err error) {
	head, fields, found := bytes.Cut(msg, []byte{0})
	action, devpath, at := bytes.Cut(head, []byte{'@'})
	if !found || !at {
		return Event{}, false, fmt.Errorf("%w: no header", errUevent)
	}
	p := parseProperties(fields)
	if !p.usbDevice() {
		return Event{}, false, nil
	}
	if !bytes.Equal(action, p.action) || !bytes.Equal(devpath, p.devpath) {
		return Event{}, false, fmt.Errorf("%w: header and properties differ", errUevent)
	}
	return p.event()
}

// The header that the udev daemon puts before the properties; all numbers but
// the magic one are in host order.
const (
	udevPrefix      = "libudev\x00"
	udevMagic       = 0xfeedcafe
	udevHeaderBytes = 8 + 8*4
)

// parseUdev reads a message of the udev daemon.
func parseUdev(msg []byte) (e Event, ok bool, err error) {
	if len(msg) < udevHeaderBytes || string(msg[:8]) != udevPrefix ||
		binary.BigEndian.Uint32(msg[8:]) != udevMagic {
		return Event{}, false, fmt.Errorf("%w: no udev header", errUevent)
	}
	off, n := uint64(binary.NativeEndian.Uint32(msg[16:])), uint64(binary.NativeEndian.Uint32(msg[20:]))
	if off < udevHeaderBytes || off+n > uint64(len(msg)) {
		return Event{}, false, fmt.Errorf("%w: properties out of bounds", errUevent)
	}
	p := parseProperties(msg[off : off+n])
	if !p.usbDevice() {
		return Event{}, false, nil
	}
	e, ok, err = p.event()
	e.Settled = ok
	return e, ok, err
}

// properties are the fields that matter here; all alias the message. A key
// that comes twice counts once, the last time.
type properties struct {
	action, devpath, subsystem, devtype []byte
	product, busnum, devnum, seqnum     []byte
	synthetic                           bool
}

func parseProperties(b []byte) (p properties) {
	for len(b) > 0 {
		var field []byte
		field, b, _ = bytes.Cut(b, []byte{0})
		key, value, ok := bytes.Cut(field, []byte{'='})
		if !ok {
			continue
		}
		switch string(key) {
		case "ACTION":
			p.action = value
		case "DEVPATH":
			p.devpath = value
		case "SUBSYSTEM":
			p.subsystem = value
		case "DEVTYPE":
			p.devtype = value
		case "PRODUCT":
			p.product = value
		case "BUSNUM":
			p.busnum = value
		case "DEVNUM":
			p.devnum = value
		case "SEQNUM":
			p.seqnum = value
		case "SYNTH_UUID":
			p.synthetic = true
		}
	}
	return p
}

func (p *properties) usbDevice() bool {
	return string(p.subsystem) == "usb" && string(p.devtype) == "usb_device"
}

// event makes an Event of the properties of a USB device. Root hubs, which
// have no port, and other actions are not ok.
func (p *properties) event() (e Event, ok bool, err error) {
	known := false
	for a, name := range actionNames {
		if string(p.action) == name {
			e.Action, known = Action(a), true
		}
	}
	e.Port = path.Base(string(p.devpath))
	if !known || strings.HasPrefix(e.Port, "usb") {
		return Event{}, false, nil
	}
	number := func(b []byte, base, bits int) uint64 {
		n, perr := strconv.ParseUint(string(b), base, bits)
		if perr != nil {
			err = fmt.Errorf("%w: number %q", errUevent, b)
		}
		return n
	}
	e.Bus = int(number(p.busnum, 10, 16))
	e.Addr = int(number(p.devnum, 10, 16))
	e.Seqnum = number(p.seqnum, 10, 64)
	if p.product != nil { // "a89/35/100"
		ids := bytes.Split(p.product, []byte{'/'})
		if len(ids) != 3 {
			return Event{}, false, fmt.Errorf("%w: product %q", errUevent, p.product)
		}
		e.Vendor = uint16(number(ids[0], 16, 16))
		e.Product = uint16(number(ids[1], 16, 16))
		e.Release = uint16(number(ids[2], 16, 16))
	}
	if !validPort(e.Port) {
		err = fmt.Errorf("%w: port %q", errUevent, e.Port)
	}
	if err != nil {
		return Event{}, false, err
	}
	e.Synthetic = p.synthetic
	return e, true, nil
}
