//go:build cgo && (linux || darwin)

package main

/*
#cgo CFLAGS: -Wall -Wextra -Werror -fvisibility=hidden
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "ifd.h"
*/
import "C"

import (
	"bytes"
	"os"
	"sync"
	"time"
	"unsafe"

	"kaztoken/bridge/ifd"
	"kaztoken/bridge/wire"
	"kaztoken/internal/secret"
)

// handler is what all functions of the library share. It is made by the first
// that is called, not when the library is loaded, and stays: Go's runtime cannot
// be unloaded, so a host that loads the library again finds it.
var handler = sync.OnceValue(func() *ifd.Handler {
	lendProcessors()
	c := system()
	c.Poll = uintptr(unsafe.Pointer(C.kaztoken_poll))
	c.StopPolling = uintptr(unsafe.Pointer(C.kaztoken_stop_polling))
	c.Log = logLine
	c.Trace = os.Getenv(traceVariable) != ""
	h := ifd.New(c)
	logLine(ifd.Info, "libifdkaztoken "+version, nil)
	return h
})

func logLine(p ifd.Priority, line string, data []byte) {
	s := C.CString(line)
	defer C.free(unsafe.Pointer(s))
	if data == nil {
		C.kaztoken_log(C.int(p), s)
		return
	}
	data = data[:min(len(data), maxDump)]
	C.kaztoken_log_dump(C.int(p), s, (*C.uchar)(unsafe.SliceData(data)), C.int(len(data)))
}

// contain is the last resort: no panic gets to C. The handler has containment of
// its own, which knows the reader.
func contain(rv *C.long) {
	if recover() != nil {
		*rv = C.long(ifd.CommunicationError)
	}
}

// maxLength bounds what a caller may say of a buffer: the longest message of
// PC/SC is shorter. What is behind it is not looked at.
const maxLength = 1 << 20

// memory is a caller's buffer. It is nil for a null pointer, and for one only.
func memory(p *C.uchar, n C.uint64_t) []byte {
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), int(min(n, maxLength)))
}

// apart is tx or, if it overlaps rx, a copy of it. There may be a PIN in a copy: done
// wipes it.
func apart(tx, rx []byte) (own []byte, done func()) {
	t, r := uintptr(unsafe.Pointer(unsafe.SliceData(tx))), uintptr(unsafe.Pointer(unsafe.SliceData(rx)))
	if len(tx) == 0 || t >= r+uintptr(len(rx)) || r >= t+uintptr(len(tx)) {
		return tx, func() {}
	}
	own = bytes.Clone(tx)
	return own, func() { secret.Wipe(own) }
}

//export kaztokenCreateChannelByName
func kaztokenCreateChannelByName(lun C.uint64_t, name *C.char) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().CreateChannelByName(ifd.Lun(lun), C.GoString(name)))
}

//export kaztokenCreateChannel
func kaztokenCreateChannel(lun, channel C.uint64_t) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().CreateChannel(ifd.Lun(lun), uint64(channel)))
}

//export kaztokenCloseChannel
func kaztokenCloseChannel(lun C.uint64_t) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().CloseChannel(ifd.Lun(lun)))
}

// result puts the length of an answer where C wants it.
func result(n *C.uint64_t) func(int, ifd.Response) C.long {
	return func(length int, r ifd.Response) C.long {
		*n = C.uint64_t(length)
		return C.long(r)
	}
}

//export kaztokenGetCapabilities
func kaztokenGetCapabilities(lun, tag C.uint64_t, value *C.uchar, n *C.uint64_t) (rv C.long) {
	defer contain(&rv)
	room := memory(value, *n)
	*n = 0
	if tag > 0xFFFFFFFF {
		return C.long(ifd.ErrorTag)
	}
	return result(n)(handler().GetCapabilities(ifd.Lun(lun), ifd.Tag(tag), room))
}

//export kaztokenSetCapabilities
func kaztokenSetCapabilities(lun, tag C.uint64_t, value *C.uchar, n C.uint64_t) (rv C.long) {
	defer contain(&rv)
	if tag > 0xFFFFFFFF {
		return C.long(ifd.ErrorTag)
	}
	return C.long(handler().SetCapabilities(ifd.Lun(lun), ifd.Tag(tag), memory(value, n)))
}

//export kaztokenSetProtocolParameters
func kaztokenSetProtocolParameters(lun, protocol C.uint64_t, flags C.uchar) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().SetProtocolParameters(ifd.Lun(lun), uint64(protocol), byte(flags)))
}

//export kaztokenPowerICC
func kaztokenPowerICC(lun, action C.uint64_t, atr *C.uchar, n *C.uint64_t) (rv C.long) {
	defer contain(&rv)
	room := memory(atr, *n)
	*n = 0
	return result(n)(handler().PowerICC(ifd.Lun(lun), ifd.Action(action), room))
}

//export kaztokenTransmitToICC
func kaztokenTransmitToICC(lun, protocol C.uint64_t, tx *C.uchar, txLen C.uint64_t, rx *C.uchar, n *C.uint64_t) (rv C.long) {
	defer contain(&rv)
	command, room := memory(tx, txLen), memory(rx, *n)
	*n = 0
	command, done := apart(command, room)
	defer done()
	length, r := handler().TransmitToICC(ifd.Lun(lun), uint64(protocol), command, room)
	*n = C.uint64_t(length)
	return C.long(r)
}

//export kaztokenControl
func kaztokenControl(lun, code C.uint64_t, tx *C.uchar, txLen C.uint64_t, rx *C.uchar, n *C.uint64_t) (rv C.long) {
	defer contain(&rv)
	command, room := memory(tx, txLen), memory(rx, *n)
	*n = 0
	if code > 0xFFFFFFFF {
		return C.long(ifd.ErrorNotSupported)
	}
	command, done := apart(command, room)
	defer done()
	return result(n)(handler().Control(ifd.Lun(lun), wire.ControlCode(code), command, room))
}

//export kaztokenICCPresence
func kaztokenICCPresence(lun C.uint64_t) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().ICCPresence(ifd.Lun(lun)))
}

//export kaztokenPoll
func kaztokenPoll(lun C.uint64_t, timeout C.int) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().Poll(ifd.Lun(lun), time.Duration(timeout)*time.Millisecond))
}

//export kaztokenStopPolling
func kaztokenStopPolling(lun C.uint64_t) (rv C.long) {
	defer contain(&rv)
	return C.long(handler().StopPolling(ifd.Lun(lun)))
}
