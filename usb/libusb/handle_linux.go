//go:build cgo && !nolibusb

package libusb

/*
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/usbdevice_fs.h>

// Each gives 0 or an errno.

static int kt_result(int r) { return r < 0 ? errno : 0; }

static int kt_driver(int fd, unsigned int ifc, char name[USBDEVFS_MAXDRIVERNAME + 1]) {
	struct usbdevfs_getdriver g;
	memset(&g, 0, sizeof g);
	g.interface = ifc;
	int r = kt_result(ioctl(fd, USBDEVFS_GETDRIVER, &g));
	memcpy(name, g.driver, USBDEVFS_MAXDRIVERNAME);
	name[USBDEVFS_MAXDRIVERNAME] = 0;
	return r;
}

static int kt_driver_ioctl(int fd, int ifc, int attach) {
	struct usbdevfs_ioctl c;
	memset(&c, 0, sizeof c);
	c.ifno = ifc;
	c.ioctl_code = attach ? USBDEVFS_CONNECT : USBDEVFS_DISCONNECT;
	return kt_result(ioctl(fd, USBDEVFS_IOCTL, &c));
}

static int kt_claim(int fd, unsigned int ifc) {
	return kt_result(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &ifc));
}

static int kt_clear_halt(int fd, unsigned int endpoint) {
	return kt_result(ioctl(fd, USBDEVFS_CLEAR_HALT, &endpoint));
}

static int kt_set_interface(int fd, unsigned int ifc, unsigned int alternate) {
	struct usbdevfs_setinterface s = { .interface = ifc, .altsetting = alternate };
	return kt_result(ioctl(fd, USBDEVFS_SETINTERFACE, &s));
}

static int kt_presence(int fd) {
	struct usbdevfs_connectinfo c;
	return kt_result(ioctl(fd, USBDEVFS_CONNECTINFO, &c));
}
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

// handle is a duplicate of the file descriptor under which libusb has the
// device open. It shares the open file, and with it the claims: usbfs takes
// requests through it as if they were libusb's. gousb gives no access to
// libusb's handle, but a process can see its own open files.
//
// Nothing here submits or reaps transfers, so libusb is not disturbed.
type handle struct{ fd int }

// handles are duplicates of all descriptors of this process on one device:
// libusb's, and perhaps those of others who have the device open too.
type handles []*handle

// usbMajor is the major number of usbfs nodes (admin-guide/devices.txt).
const usbMajor = 189

// findHandles gives none where /proc is not mounted.
func findHandles(info usb.Info) (all handles) {
	want := unix.Mkdev(usbMajor, uint32((info.Bus-1)*128+info.Addr-1))
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || !isDevice(fd, want) {
			continue
		}
		// The number may have been closed and used again since; look at what
		// the duplicate is, which is ours and stays.
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if !isDevice(dup, want) {
			unix.Close(dup)
			continue
		}
		all = append(all, &handle{dup})
	}
	return all
}

func isDevice(fd int, want uint64) bool {
	var s unix.Stat_t
	return unix.Fstat(fd, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(s.Rdev) == want
}

func (h handles) close() {
	for _, each := range h {
		unix.Close(each.fd)
	}
}

// keepOwn finds libusb's handle after it claimed the interface: to claim it
// again is nothing to the file that has it, and an error to all others. Those
// are closed and forgotten. If there is none, all are kept for attach.
func (h *handles) keepOwn(ifc byte) (own *handle) {
	var others handles
	for _, each := range *h {
		if own == nil && C.kt_claim(C.int(each.fd), C.uint(ifc)) == 0 {
			own = each
		} else {
			others = append(others, each)
		}
	}
	if own == nil {
		return nil
	}
	others.close()
	*h = handles{own}
	return own
}

// detach takes the interface from a driver of the kernel, and tells whether
// there was one. An interface of another process is left alone; claiming it
// will say that it is busy. Any file on the device will do for this.
func (h handles) detach(ifc byte) (bool, error) {
	if len(h) == 0 {
		return false, nil
	}
	var name [C.USBDEVFS_MAXDRIVERNAME + 1]C.char
	if errno := C.kt_driver(C.int(h[0].fd), C.uint(ifc), &name[0]); errno != 0 {
		return false, nil // ENODATA: none. What else is wrong, claiming will tell
	}
	driver := C.GoString(&name[0])
	if driver == "usbfs" {
		return false, nil
	}
	if errno := C.kt_driver_ioctl(C.int(h[0].fd), C.int(ifc), 0); errno != 0 {
		return false, failure(errno, "detaching the kernel's driver "+driver)
	}
	return true, nil
}

// attach lets the kernel find a driver for the interface again.
func (h handles) attach(ifc byte) error {
	return failure(C.kt_driver_ioctl(C.int(h[0].fd), C.int(ifc), 1), "attaching the kernel's driver")
}

// clearHalt is the kernel's usb_clear_halt: it asks the device and, when that
// was accepted, resets the host's side of the endpoint.
func (h *handle) clearHalt(endpoint byte) error {
	return failure(C.kt_clear_halt(C.int(h.fd), C.uint(endpoint)), "")
}

// setInterface is the kernel's usb_set_interface: all endpoints of the interface
// start anew on both sides. For a device that refuses the request because it
// has but one setting, the kernel clears the halt of every endpoint.
func (h *handle) setInterface(ifc, alternate byte) error {
	return failure(C.kt_set_interface(C.int(h.fd), C.uint(ifc), C.uint(alternate)), "setting the interface")
}

// gone reports whether the device was disconnected. The file outlives it and
// knows: no other device at the same address is mistaken for it.
func (h *handle) gone() bool {
	return syscall.Errno(C.kt_presence(C.int(h.fd))) == syscall.ENODEV
}

// failure translates an errno of usbfs
// (Documentation/driver-api/usb/error-codes.rst).
func failure(code C.int, doing string) error {
	if code == 0 {
		return nil
	}
	errno := syscall.Errno(code)
	var err error = errno
	switch errno {
	case syscall.ENODEV, syscall.ESHUTDOWN:
		err = fmt.Errorf("%w: %w", usb.ErrGone, errno)
	case syscall.EPIPE:
		err = fmt.Errorf("%w: %w", usb.ErrStall, errno)
	case syscall.ETIMEDOUT:
		err = fmt.Errorf("%w: %w", usb.ErrTimeout, errno)
	case syscall.EBUSY:
		err = fmt.Errorf("%w: %w", usb.ErrBusy, errno)
	case syscall.EACCES, syscall.EPERM:
		err = fmt.Errorf("%w: %w", usb.ErrAccess, errno)
	case syscall.EOVERFLOW:
		err = fmt.Errorf("%w: %w", usb.ErrOverflow, errno)
	case syscall.EPROTO, syscall.EILSEQ, syscall.ETIME, syscall.EIO:
		err = fmt.Errorf("%w: %w", usb.ErrIO, errno)
	}
	if doing == "" {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
