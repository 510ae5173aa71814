// Command libifdkaztoken is not a program but a library, an IFD handler: pcscd
// and macOS's smart-card service load it to drive the devices of the list in its
// bundle. It is built with -buildmode=c-shared; .ci/ifd knows how.
//
// exports.c has the functions that such a service looks for, ifdh.go takes what
// they get into Go, and package bridge/ifd does the work. Without cgo nothing but
// an empty program is built.
package main

import (
	"runtime"

	"kaztoken/bridge/ifd"
	"kaztoken/internal/nap"
	"kaztoken/udev"
	"kaztoken/usb"
)

// version is set by the linker.
var version = "unknown"

// traceVariable names, in the environment of the service, what has everything
// that happens on a reader logged.
const traceVariable = "KAZTOKEN_IFD_TRACE"

// maxDump is how much of a message is dumped to the log, bytes.
const maxDump = 512

// system is the handler's part that depends on the operating system.
func system() ifd.Config {
	c := bus()
	c.Known = func(id usb.ID) bool {
		_, ok := udev.Lookup(id.Vendor, id.Product)
		return ok
	}
	return c
}

// lendProcessors lets calls keep a processor of Go's scheduler while they wait for
// the card for a moment, see package nap. There are some to spare also on a
// machine with one core: who waits takes none of its time, and as long as one is
// idle the runtime's monitor leaves those alone whose threads are in the host's
// code.
func lendProcessors() {
	const spare, most = 2, 4
	n := max(spare+1, runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(n)
	nap.Allow(min(n-spare, most))
}

func main() {}
