// Package usb describes USB devices and the one way in which the rest of the
// program talks to them.
//
// It is pure Go and does no I/O. [Info] says what is known of a device before
// it is opened, [Interface] and [ClassDescriptor] are read out of its raw
// descriptors, and [Pipe] is one claimed interface. The transports are beside
// it: usb/libusb (gousb), usb/usbfs (Linux, no C). The software reader of
// ccid/ccidsim is a Pipe too.
package usb

import (
	"context"
	"errors"
	"fmt"
)

// Info is what the operating system tells of one attached device without any
// traffic to it. A value is never changed after it was handed out.
type Info struct {
	Bus, Addr int    // bus number and device address; together they name the usbfs node
	Port      string // physical port, as Linux spells it: "1-1.4"; empty if unknown

	Vendor, Product, Release uint16 // idVendor, idProduct, bcdDevice

	// String descriptors, empty if the device has none or they are not known.
	Manufacturer, ProductName, Serial string

	// Configuration is the bConfigurationValue in force, 0 if the device is
	// not configured or the value is not known.
	Configuration byte

	// Descriptors holds the 18-byte device descriptor followed by every
	// configuration descriptor with all that it encloses, as sysfs and the
	// usbfs node give them.
	Descriptors []byte
}

// String gives the bus address and the ids: "bus 1 device 4 (0a89:0035)".
func (i Info) String() string {
	return fmt.Sprintf("bus %d device %d (%04x:%04x)", i.Bus, i.Addr, i.Vendor, i.Product)
}

// Setup is the first stage of a control transfer (USB 2.0 §9.3). wLength is
// the length of the data slice that goes with it.
type Setup struct {
	RequestType byte // bmRequestType
	Request     byte // bRequest
	Value       uint16
	Index       uint16
}

// In reports whether the data stage runs from device to host.
func (s Setup) In() bool { return s.RequestType&0x80 != 0 }

// Pipe is one claimed interface of one opened device.
//
// Different endpoints may be used at the same time from different goroutines;
// one endpoint may not. Close may be called from any goroutine at any time and
// ends every pending call with [ErrGone] or [ErrClosed].
//
// Every call honours both ends of its context: a deadline, which it reads with
// ctx.Deadline() itself and answers with an error that is [ErrTimeout], and
// cancellation through ctx.Done(), answered with ctx.Err(). A caller may hand
// in a context whose Deadline is set and whose Done channel never closes. A
// transfer is finished or withdrawn from the system before the call returns:
// the slice belongs to the caller again.
type Pipe interface {
	// Control runs one control transfer on endpoint 0. Its data stage is data:
	// filled up to the returned count if s.In(), sent whole otherwise. A
	// request that the device refuses is ErrStall; the endpoint recovers alone.
	Control(ctx context.Context, s Setup, data []byte) (int, error)

	// WriteBulk sends msg as one transfer, with no zero-length packet behind
	// it. A short write is an error that is ErrShortWrite.
	WriteBulk(ctx context.Context, msg []byte) error

	// ReadBulk makes one transfer. len(buf) is a multiple of the endpoint's
	// packet size; the call returns when buf is full or a shorter packet came,
	// which may be empty (0, nil). Bytes that arrived before an error are
	// counted in n beside the error and are never lost.
	ReadBulk(ctx context.Context, buf []byte) (n int, err error)

	// ReadInterrupt waits for one transfer of the interrupt endpoint, with the
	// same rules as ReadBulk. An interface without one gives ErrNoEndpoint.
	ReadInterrupt(ctx context.Context, buf []byte) (n int, err error)

	// Recover brings halted or confused bulk endpoints back: clear-halt on both
	// of them with the host's data toggles reset too, then, if that is refused,
	// SET_INTERFACE with the alternate setting in force. It does not reset the
	// port, and it leaves other interfaces of the device alone.
	Recover(ctx context.Context) error

	// Close withdraws all transfers, waits for them, releases the interface
	// and closes the device. It is idempotent.
	Close() error
}

// What can be wrong with a transfer or with opening a device. Transports wrap
// them with what was being done; compare with errors.Is.
var (
	// ErrGone: the device was unplugged or the handle died with it. Final.
	ErrGone = errors.New("USB device is gone")
	// ErrStall: the endpoint is halted (bulk) or the request was refused (control).
	ErrStall = errors.New("USB endpoint stalled")
	// ErrTimeout: the deadline passed with no answer.
	ErrTimeout = errors.New("USB transfer timed out")
	// ErrAccess: the operating system denies the device to this user.
	ErrAccess = errors.New("no permission for the USB device")
	// ErrBusy: another driver or process holds the interface.
	ErrBusy = errors.New("USB interface is in use")
	// ErrOverflow: the device sent more than was asked for.
	ErrOverflow = errors.New("USB device sent too much")
	// ErrNoEndpoint: the interface has no such endpoint.
	ErrNoEndpoint = errors.New("no such USB endpoint")
	// ErrShortWrite: the device took only a part of a message.
	ErrShortWrite = errors.New("USB device took only part of the message")
	// ErrIO: the bus reported an error (CRC, protocol, babble). It may be the
	// first sign of an unplug.
	ErrIO = errors.New("USB transfer error")
	// ErrClosed: the pipe was closed by this process.
	ErrClosed = errors.New("USB pipe is closed")
)
