//go:build !simulated

package main

import (
	"context"

	"kaztoken/bridge/ifd"
	"kaztoken/udev"
	"kaztoken/usb"
	"kaztoken/usb/usbfs"
)

// bus is the kernel's own interface: the host has libusb for itself.
func bus() ifd.Config {
	return ifd.Config{
		Devices: func(context.Context) ([]usb.Info, error) { return udev.Enumerate(udev.Sysfs()) },
		Open: func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error) {
			return usbfs.Open(ctx, dev, ifc)
		},
		ThreadSafe: true,
	}
}
