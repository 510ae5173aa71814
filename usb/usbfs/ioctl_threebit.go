//go:build linux && (mips || mipsle || mips64 || mips64le || ppc64 || ppc64le)

package usbfs

// Directions of the asm/ioctl.h of MIPS and PowerPC: three bits, one each.
const (
	iocNone  uintptr = 1 << 29
	iocRead  uintptr = 2 << 29
	iocWrite uintptr = 4 << 29
)
