//go:build linux

package usbfs

import "unsafe"

// Types of URBs (linux/usbdevice_fs.h).
const (
	urbInterrupt = 1
	urbControl   = 2
	urbBulk      = 3
)

// urb is struct usbdevfs_urb. The kernel reads it when it is submitted and
// writes status, actualLength and errorCount when it is reaped; in between it
// remembers the address and touches nothing.
type urb struct {
	kind            byte
	endpoint        byte
	status          int32 // 0 or a negative errno
	flags           uint32
	buffer          unsafe.Pointer // begins with the setup packet if kind is urbControl
	bufferLength    int32
	actualLength    int32 // without the setup packet
	startFrame      int32
	numberOfPackets int32
	errorCount      int32
	signr           uint32
	userContext     unsafe.Pointer
}

// maxDriverName is USBDEVFS_MAXDRIVERNAME and its zero byte.
const maxDriverName = 255 + 1

// driverName is struct usbdevfs_getdriver.
type driverName struct {
	ifc    uint32
	driver [maxDriverName]byte
}

// disconnectClaim is struct usbdevfs_disconnect_claim.
type disconnectClaim struct {
	ifc    uint32
	flags  uint32
	driver [maxDriverName]byte
}

// ifDriver makes DISCONNECT_CLAIM refuse any driver but the one it names.
const ifDriver = 0x01

// driverIoctl is struct usbdevfs_ioctl.
type driverIoctl struct {
	ifc  int32
	code int32
	data unsafe.Pointer
}

// setInterface is struct usbdevfs_setinterface.
type setInterface struct {
	ifc       uint32
	alternate uint32
}

// Sizes of the structures whose layout hangs on the width of a pointer. The
// kernel checks them by the request number alone, so they must not drift.
const (
	word    = unsafe.Sizeof(uintptr(0))
	urbSize = 32 + 3*word // 44 or 56: 36 bytes, two pointers and the holes before them
	ioctl   = 8 + word
)

// An index that is not 0 does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(urb{})-urbSize]
	_ = [1]struct{}{}[unsafe.Offsetof(urb{}.buffer)-(8+word)]
	_ = [1]struct{}{}[unsafe.Offsetof(urb{}.userContext)-(urbSize-word)]
	_ = [1]struct{}{}[unsafe.Sizeof(driverIoctl{})-ioctl]
	_ = [1]struct{}{}[unsafe.Sizeof(driverName{})-260]
	_ = [1]struct{}{}[unsafe.Sizeof(disconnectClaim{})-264]
	_ = [1]struct{}{}[unsafe.Sizeof(setInterface{})-8]
)

// Request numbers. How direction and size are packed differs between
// processors, hence iocNone, iocWrite, iocRead.
const (
	usbdevfs = 'U' << 8

	reqResetEndpoint    = iocRead | 4<<16 | usbdevfs | 3
	reqSetInterface     = iocRead | 8<<16 | usbdevfs | 4
	reqSetConfiguration = iocRead | 4<<16 | usbdevfs | 5
	reqGetDriver        = iocWrite | 260<<16 | usbdevfs | 8
	reqSubmit           = iocRead | urbSize<<16 | usbdevfs | 10
	reqDiscard          = iocNone | usbdevfs | 11
	reqReapNoDelay      = iocWrite | word<<16 | usbdevfs | 13
	reqClaim            = iocRead | 4<<16 | usbdevfs | 15
	reqRelease          = iocRead | 4<<16 | usbdevfs | 16
	reqDriverIoctl      = iocRead | iocWrite | ioctl<<16 | usbdevfs | 18
	reqConnect          = iocNone | usbdevfs | 23
	reqDisconnectClaim  = iocRead | 264<<16 | usbdevfs | 27
)
