package host

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"kaztoken/usb"
)

// denied reports whether this user may not open the node of a device.
func denied(dev usb.Info) bool {
	const readWrite = 6 // R_OK | W_OK
	err := syscall.Access(fmt.Sprintf("/dev/bus/usb/%03d/%03d", dev.Bus, dev.Addr), readWrite)
	return errors.Is(err, fs.ErrPermission)
}
