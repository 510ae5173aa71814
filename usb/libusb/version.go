//go:build cgo && !nolibusb && (linux || darwin)

package libusb

// #cgo pkg-config: libusb-1.0
// #include <libusb.h>
import "C"

import "fmt"

// Version is the version of the libusb that this process is linked to: "1.0.26".
func Version() string {
	v := C.libusb_get_version() // static memory of the library
	return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.micro)
}
