// Package usbfs is a [usb.Pipe] over the usbfs of the Linux kernel, the files
// /dev/bus/usb/BBB/DDD, in pure Go: what static and embedded builds use.
//
// A transfer costs three system calls: one to submit it, one to sleep in the
// thread of the caller, and one to collect it. No goroutine stands between the
// caller and the kernel, nothing is allocated, and nothing is left behind that
// wakes up later. The answer to a message is asked for together with the message,
// as much of it as the caller asked for last time.
//
// On other systems the package builds and [Open] answers with an error that is
// [errors.ErrUnsupported].
package usbfs

// Root is where the device nodes are by default.
const Root = "/dev/bus/usb"

// Option changes how Open works.
type Option func(*options)

type options struct {
	root string
}

// WithRoot looks for device nodes below path instead of [Root]: for a
// container or a test that has them elsewhere.
func WithRoot(path string) Option {
	return func(o *options) { o.root = path }
}
