//go:build !linux

package host

// DropPages does nothing where the system is not known to have a way for it.
func DropPages() error { return nil }
