//go:build !linux && !simulated

package main

import (
	"time"

	"kaztoken/bridge/ifd"
	"kaztoken/usb/libusb"
)

// bus is libusb's. macOS does not say which device it means, and may ask before
// libusb has it.
func bus() ifd.Config {
	return ifd.Config{
		Devices: libusb.Enumerate,
		Open:    libusb.Open,
		Tries:   10,
		Pause:   100 * time.Millisecond,
		// Assumed: macOS's service takes one reader at a time, as the CCID
		// project's driver tells it to.
		ThreadSafe: false,
	}
}
