//go:build !linux && !darwin

package bridge

// hungUp does not know.
func hungUp(uintptr) bool { return false }
