//go:build linux

package usbfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

// Open opens the device dev and claims its interface ifc. The caller closes
// the pipe.
//
// If a driver of the kernel is bound to this interface, it is detached and
// attached again by Close; other interfaces of the device are left alone. If
// another process has claimed the interface, the error is usb.ErrBusy. A
// configuration is set only if none is in force. usb.ErrGone says that there is
// no such device, or another one by now; usb.ErrAccess that its node cannot be
// opened for writing.
func Open(ctx context.Context, dev usb.Info, ifc usb.Interface, opts ...Option) (usb.Pipe, error) {
	o := options{root: Root}
	for _, opt := range opts {
		opt(&o)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := filepath.Join(o.root, fmt.Sprintf("%03d", dev.Bus), fmt.Sprintf("%03d", dev.Addr))
	n, err := openNode(path)
	if err != nil {
		return nil, openFailure(err)
	}
	p, err := open(ctx, n, dev, ifc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// openFailure translates the error of opening a node, which names its path.
func openFailure(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && meanings[errno] != nil {
		return fmt.Errorf("%w: %w", meanings[errno], err)
	}
	return err
}

// open makes a pipe of k, which it closes on failure.
func open(ctx context.Context, k kernel, dev usb.Info, ifc usb.Interface) (_ *pipe, err error) {
	p := newPipe(k, ifc)
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if err := p.verify(dev); err != nil {
		return nil, err
	}
	if err := p.claim(); err != nil {
		if !errors.Is(err, unix.ENOENT) || dev.Configuration != 0 {
			return nil, err
		}
		// No such interface: perhaps no configuration is in force.
		if err := p.configure(ctx, ifc.Configuration); err != nil {
			return nil, err
		}
		if err := p.claim(); err != nil {
			return nil, err
		}
	}

	// The alternate setting may be the choice of whoever was here before.
	if ifc.Alternate != 0 || ifc.Alternates > 1 {
		if err := p.setInterface(); err != nil && ifc.Alternate != 0 {
			return nil, err
		}
	}
	return p, nil
}

// verify makes sure that the node is the device that was seen: bus and address
// are used again after a replug.
func (p *pipe) verify(dev usb.Info) error {
	got := make([]byte, 18)
	if n, err := p.k.read(got); n < len(got) {
		return fmt.Errorf("read descriptors: %w", openFailure(err))
	}
	// The kernel turns the 16-bit fields of the device descriptor into its own
	// byte order here, and here only; sysfs has them as the device sent them.
	for _, at := range []int{2, 8, 10, 12} {
		binary.LittleEndian.PutUint16(got[at:], binary.NativeEndian.Uint16(got[at:]))
	}
	want := dev.Descriptors
	if len(want) >= len(got) && bytes.Equal(want[:len(got)], got) {
		return nil
	}
	if d, err := usb.ParseDeviceDescriptor(got); err == nil && len(want) < len(got) && d.Vendor == dev.Vendor && d.Product == dev.Product {
		return nil
	}
	return fmt.Errorf("another device has its address now: %w", usb.ErrGone)
}

// claim claims the interface, from a driver of the kernel if need be.
func (p *pipe) claim() error {
	ifc := uint32(p.ifc.Number)
	what := fmt.Sprintf("claim interface %d", ifc)
	switch errno := p.k.ioctl(reqClaim, unsafe.Pointer(&ifc)); errno {
	case 0:
		p.claimed = true
		return nil
	case unix.EBUSY:
	default:
		return failure(what, errno)
	}
	d := driverName{ifc: ifc}
	switch errno := p.k.ioctl(reqGetDriver, unsafe.Pointer(&d)); errno {
	case 0:
	case unix.ENODATA: // it has just been given up
		if errno := p.k.ioctl(reqClaim, unsafe.Pointer(&ifc)); errno != 0 {
			return failure(what, errno)
		}
		p.claimed = true
		return nil
	default:
		return failure(what, errno)
	}
	name := unix.ByteSliceToString(d.driver[:])
	if name == "usbfs" {
		return fmt.Errorf("%s: held by another process: %w", what, usb.ErrBusy)
	}
	// Only that driver: a process that was quicker than we must not lose it.
	c := disconnectClaim{ifc: ifc, flags: ifDriver, driver: d.driver}
	if errno := p.k.ioctl(reqDisconnectClaim, unsafe.Pointer(&c)); errno != 0 {
		return failure(fmt.Sprintf("%s from driver %q", what, name), errno)
	}
	p.claimed, p.detached = true, true
	return nil
}

// configure sets configuration value if none is in force.
func (p *pipe) configure(ctx context.Context, value byte) error {
	const getConfiguration, timeout = 0x08, time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var inForce [1]byte
	n, err := p.Control(ctx, usb.Setup{RequestType: 0x80, Request: getConfiguration}, inForce[:])
	if err != nil {
		return err
	}
	if n != 1 || inForce[0] != 0 {
		return fmt.Errorf("interface %d is not in configuration %d, which is in force: %w", p.ifc.Number, inForce[0], usb.ErrDescriptor)
	}
	v := uint32(value)
	if errno := p.k.ioctl(reqSetConfiguration, unsafe.Pointer(&v)); errno != 0 {
		return failure(fmt.Sprintf("set configuration %d", value), errno)
	}
	return nil
}

// setInterface selects the alternate setting of the interface, which also
// starts its endpoints anew and takes their URBs from the kernel.
func (p *pipe) setInterface() error {
	p.mu.Lock()
	for _, l := range p.lanes {
		if l.state == submitted && l != p.control {
			l.reset = true
		}
	}
	p.mu.Unlock()
	s := setInterface{ifc: uint32(p.ifc.Number), alternate: uint32(p.ifc.Alternate)}
	if errno := p.k.ioctl(reqSetInterface, unsafe.Pointer(&s)); errno != 0 {
		return p.translate(fmt.Sprintf("interface %d: set alternate setting %d", s.ifc, s.alternate), errno)
	}
	return nil
}

// release gives the interface back, to the driver it was taken from if any. A
// device that is gone needs neither.
func (p *pipe) release() error {
	if !p.claimed {
		return nil
	}
	ifc := uint32(p.ifc.Number)
	if errno := p.k.ioctl(reqRelease, unsafe.Pointer(&ifc)); errno != 0 && !final(errno) {
		return failure(fmt.Sprintf("release interface %d", ifc), errno)
	}
	if !p.detached {
		return nil
	}
	c := driverIoctl{ifc: int32(ifc), code: int32(reqConnect)}
	if errno := p.k.ioctl(reqDriverIoctl, unsafe.Pointer(&c)); errno != 0 && !final(errno) {
		return failure(fmt.Sprintf("interface %d: attach the kernel's driver again", ifc), errno)
	}
	return nil
}
