// Package usbfs is a [usb.Pipe] over the usbfs of the Linux kernel, the files
// /dev/bus/usb/BBB/DDD, in pure Go: what static and embedded builds use.
//
// On other systems the package builds and [Open] answers with an error that is
// [errors.ErrUnsupported].
package usbfs

// Option changes how Open works.
type Option func(*options)

type options struct {
	root string
}

// Root is where the device nodes are by default.
const Root = "/dev/bus/usb"

// WithRoot looks for device nodes below path instead of [Root]: for a
// container or a test that has them elsewhere.
func WithRoot(path string) Option {
	return func(o *options) { o.root = path }
}
