//go:build cgo && !nolibusb

package libusb

import "kaztoken/usb"

// handle and handles do not exist on macOS: everything goes through gousb.
type handle struct{}

type handles struct{}

func findHandles(usb.Info) handles            { return handles{} }
func (handles) close()                        {}
func (*handles) keepOwn(byte) *handle         { return nil }
func (handles) detach(byte) (bool, error)     { return false, nil }
func (handles) attach(byte) error             { return nil }
func (*handle) clearHalt(byte) error          { return errToggle }
func (*handle) setInterface(byte, byte) error { return errToggle }
func (*handle) gone() bool                    { return false }
