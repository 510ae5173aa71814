//go:build linux && !mips && !mipsle && !mips64 && !mips64le && !ppc64 && !ppc64le

package usbfs

// Directions of asm-generic/ioctl.h.
const (
	iocNone  uintptr = 0
	iocWrite uintptr = 1 << 30
	iocRead  uintptr = 2 << 30
)
