// Package libusb is the transport over libusb, by way of gousb v1.1.3. It is
// the only importer of gousb. Builds without cgo, and systems other than Linux
// and macOS, get the same functions with [Available] false and errors that are
// [errors.ErrUnsupported].
//
// gousb leaves gaps, which this package closes where that can be done without
// reaching into gousb:
//
//   - gousb.NewContext panics when libusb cannot be initialised. Here it is an error.
//   - A gousb.Context polls ten times a second for as long as it lives. Here one
//     context serves all open devices: it is made with the first and closed with
//     the last, and while nothing is open nothing runs. Closing it takes up to
//     100 ms, which the Close of the last pipe waits for.
//   - A context that is open when a device arrives learns of it from udevd only;
//     where there is none, the device is looked for once more in a new context.
//   - SetAutoDetach detaches the kernel's drivers from all interfaces of the
//     device. It is never called; on Linux the driver of our interface alone is
//     detached, and attached again by Close. On macOS a claimed interface is ErrBusy.
//   - Device.Config sets the configuration if it is not the one in force, which
//     would take the device from everybody else. Here that is an error.
//   - Config.Interface indexes interfaces by their number, so that an interface 2
//     that is alone in its configuration panics; it selects the alternate setting
//     if that entry has more than one; and the code of its error is lost in text.
//     Here the configuration's description is rewritten before the call and the
//     text is read back (see only and code).
//   - There is no clear-halt. CLEAR_FEATURE(ENDPOINT_HALT) as a control transfer
//     resets the data toggle of the device and not that of the host: the next
//     packet may be lost. On Linux the request goes to usbfs over a duplicate of
//     libusb's own file descriptor (see handle). Elsewhere the interface is
//     released, claimed and its alternate setting selected, which resets both
//     sides (see Recover).
//   - A control transfer cannot be cancelled. It runs in the calling goroutine
//     with a timeout of the time to the deadline, 1 s if there is none, and 5 s at
//     the most (USB 2.0 §9.2.6.1).
//   - Only Done of a context is looked at, not its Deadline. Here every endpoint has a
//     context of its own that joins the two and the end of the pipe (see call).
//   - Transfers are allocated for every call, in C and in Go. ReadStream and
//     WriteStream would reuse them, but a stream that is cancelled frees its
//     transfers with the bytes that had arrived, reads ahead of the caller, and
//     hands a cancelled write's fate to the next call. Losing bytes is worse than
//     a few hundred nanoseconds beside a bus that takes a millisecond. This
//     package itself allocates nothing per transfer, unless the context can be
//     cancelled: then what context.AfterFunc takes.
//   - Buffers in C are freed without being wiped. A PIN sent through this package
//     stays in freed memory of the process until that is used again; usb/usbfs
//     does not have this flaw.
package libusb
