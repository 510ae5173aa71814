//go:build linux

package usbfs

import (
	"runtime"
	"testing"
	"unsafe"
)

func unsafePointer(u *urb) unsafe.Pointer { return unsafe.Pointer(u) }

// Request numbers as the headers of Linux make them. There are four sorts of
// machines: the width of a pointer, and where a direction has its bits.
func TestRequestNumbers(t *testing.T) {
	type numbers struct {
		resetEndpoint, setInterface, setConfiguration, getDriver, submit, discard,
		reapNoDelay, claim, release, driverIoctl, connect, disconnectClaim uintptr
	}
	sorts := map[string]numbers{
		"64": {0x80045503, 0x80085504, 0x80045505, 0x41045508, 0x8038550A, 0x0000550B,
			0x4008550D, 0x8004550F, 0x80045510, 0xC0105512, 0x00005517, 0x8108551B},
		"32": {0x80045503, 0x80085504, 0x80045505, 0x41045508, 0x802C550A, 0x0000550B,
			0x4004550D, 0x8004550F, 0x80045510, 0xC00C5512, 0x00005517, 0x8108551B},
		"64, three bits": {0x40045503, 0x40085504, 0x40045505, 0x81045508, 0x4038550A, 0x2000550B,
			0x8008550D, 0x4004550F, 0x40045510, 0xC0105512, 0x20005517, 0x4108551B},
		"32, three bits": {0x40045503, 0x40085504, 0x40045505, 0x81045508, 0x402C550A, 0x2000550B,
			0x8004550D, 0x4004550F, 0x40045510, 0xC00C5512, 0x20005517, 0x4108551B},
	}
	sort, ok := map[string]string{
		"amd64": "64", "arm64": "64", "loong64": "64", "riscv64": "64", "s390x": "64",
		"386": "32", "arm": "32",
		"mips64": "64, three bits", "mips64le": "64, three bits", "ppc64": "64, three bits", "ppc64le": "64, three bits",
		"mips": "32, three bits", "mipsle": "32, three bits",
	}[runtime.GOARCH]
	if !ok {
		t.Fatalf("nobody has looked up the numbers for %s", runtime.GOARCH)
	}
	got := numbers{
		reqResetEndpoint, reqSetInterface, reqSetConfiguration, reqGetDriver, reqSubmit, reqDiscard,
		reqReapNoDelay, reqClaim, reqRelease, reqDriverIoctl, reqConnect, reqDisconnectClaim,
	}
	if got != sorts[sort] {
		t.Errorf("got %#x, want %#x", got, sorts[sort])
	}
}

func TestLayout(t *testing.T) {
	var u urb
	type layout struct{ size, status, flags, buffer, bufferLength, actualLength, errorCount, userContext uintptr }
	want := map[uintptr]layout{
		8: {56, 4, 8, 16, 24, 28, 40, 48},
		4: {44, 4, 8, 12, 16, 20, 32, 40},
	}[unsafe.Sizeof(uintptr(0))]
	got := layout{
		unsafe.Sizeof(u), unsafe.Offsetof(u.status), unsafe.Offsetof(u.flags), unsafe.Offsetof(u.buffer),
		unsafe.Offsetof(u.bufferLength), unsafe.Offsetof(u.actualLength), unsafe.Offsetof(u.errorCount), unsafe.Offsetof(u.userContext),
	}
	if got != want {
		t.Errorf("struct usbdevfs_urb: got %+v, want %+v", got, want)
	}
}
