package host

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"kaztoken/usb"
	"kaztoken/usb/libusb"
	"kaztoken/usb/usbfs"
)

// Driver is one way to open a USB interface.
type Driver struct {
	Name string
	Open func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error)
}

// recorded is the driver with r around each pipe that it opens, if there is one.
func (d Driver) recorded(r Recorder) Driver {
	if r == nil {
		return d
	}
	open := d.Open
	d.Open = func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error) {
		p, err := open(ctx, dev, ifc)
		if err != nil {
			return nil, err
		}
		return r.Pipe(p, dev, ifc), nil
	}
	return d
}

// drivers lists what this build has, the default first. On Linux that is usbfs:
// it does not wake up when there is nothing to do, costs half of what gousb's
// event loop does for a transfer, and leaves no PIN in memory that was freed.
func drivers() (all []Driver) {
	if runtime.GOOS == "linux" {
		all = append(all, Driver{"usbfs", func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error) {
			return usbfs.Open(ctx, dev, ifc)
		}})
	}
	if libusb.Available {
		all = append(all, Driver{"libusb", libusb.Open})
	}
	return all
}

// DriverNames lists the USB drivers that this program was built with, the one
// taken by default first: "usbfs" on Linux, and "libusb" where it was built with
// cgo.
func DriverNames() []string {
	var names []string
	for _, d := range drivers() {
		names = append(names, d.Name)
	}
	return names
}

// DriverError says that the program was built without the USB driver that was
// asked for.
type DriverError struct {
	Name string   // "" for the default one
	Have []string // what there is instead
}

func (e *DriverError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("this program was built without a USB driver for %s", runtime.GOOS)
	}
	return fmt.Sprintf("USB driver %q is not in this program, which has: %s", e.Name, strings.Join(e.Have, ", "))
}

// driverNamed finds a driver; "" is the default one. The error is a
// [DriverError].
func driverNamed(name string) (Driver, error) {
	for _, d := range drivers() {
		if name == "" || d.Name == name {
			return d, nil
		}
	}
	return Driver{}, &DriverError{name, DriverNames()}
}
