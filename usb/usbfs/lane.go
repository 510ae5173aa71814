//go:build linux

package usbfs

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lane is one endpoint with its URB and its buffer. One call at a time has it.
//
// URB and buffer are not in Go's heap: the kernel keeps the address of a URB
// from its submission until it is reaped, which is longer than the system call
// that tells it, so neither may move or be collected meanwhile, and there is
// no cost per transfer for making sure of that.
type lane struct {
	what string // "bulk IN 0x82", for errors
	turn chan struct{}

	memory []byte // one mapping: the URB, then the buffer
	urb    *urb
	buf    []byte

	// Of the call that has the lane; only its goroutine uses them.
	deadline time.Time // zero: none
	done     <-chan struct{}
	stop     error // why the URB was discarded
	timer    *time.Timer
	rest     []byte // what a read ahead has brought more than was asked for; nil is nothing
	short    bool   // the end of rest is that of its transfer

	// Guarded by pipe.mu.
	state  laneState
	errno  syscall.Errno // with refused
	reset  bool          // the interface was set while the kernel had the URB
	ahead  bool          // the URB is that of a call that is still to come
	asleep bool          // its goroutine waits for wake
	wake   chan struct{} // state has changed, or the lead is free
}

type laneState byte

const (
	idle      laneState = iota
	prepared            // the URB is filled in
	submitted           // the kernel has the URB, or is just being given it
	returned            // the URB is back and tells how it went
	refused             // the kernel did not take it: errno
	withdrawn           // it was never given to the kernel: stop
	lost                // the device is gone and the URB with it
)

func (l *lane) pending() bool { return l.state == prepared || l.state == submitted }

// headroom is what lies before the buffer: the URB, and its alignment.
const headroom = 64

func newLane(what string, kind, endpoint byte) *lane {
	return &lane{
		what: what,
		turn: make(chan struct{}, 1),
		wake: make(chan struct{}, 1),
		urb:  &urb{kind: kind, endpoint: endpoint},
	}
}

// fill prepares the URB for n bytes of buffer and gives them. No transfer of
// the lane may be under way.
func (l *lane) fill(n int) ([]byte, error) {
	if n > len(l.buf) || l.memory == nil {
		if err := l.grow(n); err != nil {
			return nil, err
		}
	}
	l.urb.buffer = unsafe.Pointer(&l.buf[0])
	l.urb.bufferLength = int32(n)
	l.urb.status, l.urb.actualLength, l.urb.errorCount = 0, 0, 0
	return l.buf[:n], nil
}

// maxTransfer bounds the memory of a lane; no reader comes near.
const maxTransfer = 1 << 20

func (l *lane) grow(n int) error {
	if n > maxTransfer {
		return fmt.Errorf("%s: transfer of %d bytes: %w", l.what, n, unix.EINVAL)
	}
	size := unix.Getpagesize()
	for size < headroom+n {
		size *= 2
	}
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("%s: map %d bytes: %w", l.what, size, err)
	}
	u := (*urb)(unsafe.Pointer(&memory[0]))
	u.kind, u.endpoint = l.urb.kind, l.urb.endpoint
	err = l.free()
	l.memory, l.urb, l.buf = memory, u, memory[headroom:]
	return err
}

// free unmaps the memory. The lane cannot be used after it, unless it grows.
func (l *lane) free() error {
	if l.memory == nil {
		return nil
	}
	memory := l.memory
	l.memory, l.buf = nil, nil
	l.urb = &urb{kind: l.urb.kind, endpoint: l.urb.endpoint}
	clear(memory)
	return unix.Munmap(memory)
}

// address is what the kernel calls the URB by.
func (l *lane) address() uintptr { return uintptr(unsafe.Pointer(l.urb)) }

// status gives how many bytes the returned URB moved and its errno, 0 if it
// went well.
func (l *lane) status() (int, syscall.Errno) {
	n := min(max(0, int(l.urb.actualLength)), len(l.buf))
	return n, syscall.Errno(-l.urb.status)
}

// cancelled reports whether errno is that of a URB that was discarded.
func cancelled(errno syscall.Errno) bool {
	return errors.Is(errno, unix.ENOENT) || errors.Is(errno, unix.ECONNRESET)
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// expire sets the timer of the lane, which is made once.
func (l *lane) expire(d time.Duration) <-chan time.Time {
	if l.timer == nil {
		l.timer = time.NewTimer(d)
	} else {
		l.timer.Reset(d)
	}
	return l.timer.C
}
