//go:build linux

package usbfs

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

// meanings says what an errno of usbfs is to the user of a pipe, whether it
// came from a system call or as the status of a URB
// (Documentation/driver-api/usb/error-codes.rst of the kernel).
var meanings = map[syscall.Errno]error{
	unix.EPIPE: usb.ErrStall,

	unix.EOVERFLOW: usb.ErrOverflow,

	unix.ETIMEDOUT: usb.ErrTimeout,

	// Errors on the wire.
	unix.EPROTO:    usb.ErrIO, // bit stuffing, or no response at all
	unix.EILSEQ:    usb.ErrIO, // CRC
	unix.ETIME:     usb.ErrIO, // no response within the turn-around time
	unix.ECOMM:     usb.ErrIO, // host memory too slow for the data that came
	unix.ENOSR:     usb.ErrIO, // host memory too slow for the data to be sent
	unix.EREMOTEIO: usb.ErrIO, // a short packet where none was allowed
	unix.EIO:       usb.ErrIO,
	// The device is suspended or being reset.
	unix.EHOSTUNREACH: usb.ErrIO,

	unix.ENODEV:    usb.ErrGone,
	unix.ESHUTDOWN: usb.ErrGone, // the device or its host controller was taken away
	unix.ENXIO:     usb.ErrGone,
	// We did not cancel the transfer, so somebody took the interface from us.
	unix.ENOENT:     usb.ErrGone,
	unix.ECONNRESET: usb.ErrGone,

	unix.EBUSY: usb.ErrBusy,

	unix.EACCES: usb.ErrAccess,
	unix.EPERM:  usb.ErrAccess,
}

// failure tells that doing what ended with errno. The error is one of package
// usb where there is a fitting one, and errno as well.
func failure(what string, errno syscall.Errno) error {
	if meaning, ok := meanings[errno]; ok {
		return fmt.Errorf("%s: %w (%w)", what, meaning, errno)
	}
	if errno == unix.ENOMEM {
		return fmt.Errorf("%s: memory limit of usbfs reached (module parameter usbcore.usbfs_memory_mb): %w", what, errno)
	}
	return fmt.Errorf("%s: %w", what, errno)
}

// final reports whether errno says that the handle will never work again.
func final(errno syscall.Errno) bool { return meanings[errno] == usb.ErrGone }
