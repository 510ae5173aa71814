//go:build linux

package usbfs

import (
	"encoding/binary"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

// fakeKernel is a device node as drivers/usb/core/devio.c of Linux 6.1 makes
// it: data is copied at submission (OUT) and at reaping (IN), URBs are reaped
// in the order of their completion, also after the device has gone, and a
// sleeper is woken only by what happens after it began to poll.
type fakeKernel struct {
	t testing.TB

	// device is called with each URB that was submitted, in the goroutine
	// that did it. It answers with complete, now or later.
	device func(*flight)

	// arming is called with each deadline that is set.
	arming func(time.Time)

	// fail gives an errno for a request, 0 to let it pass.
	fail func(req uintptr) syscall.Errno

	descriptors []byte

	mu        sync.Mutex
	awake     sync.Cond
	edge      bool
	polling   bool
	deadline  time.Time
	alarm     *time.Timer
	submitted []*flight
	completed []*flight
	recycle   bool // flights may be used again: the device forgets them at once
	spare     []*flight
	gone      bool
	closed    bool

	configured bool
	driver     map[uint32]string // bound to an interface
	log        []string          // requests other than those of transfers
	discards   int
}

// flight is a URB in the kernel.
type flight struct {
	k      *fakeKernel
	urb    *urb
	kind   byte
	ep     byte
	setup  [8]byte
	data   []byte // of OUT; of IN once completed
	length int
	actual int
	status syscall.Errno
}

var testInterface = usb.Interface{
	Configuration: 1, Number: 2, Class: 0x0B, Alternates: 1,
	BulkOut:   usb.Endpoint{Address: 0x01, Attributes: 2, MaxPacketSize: 64},
	BulkIn:    usb.Endpoint{Address: 0x82, Attributes: 2, MaxPacketSize: 64},
	Interrupt: usb.Endpoint{Address: 0x83, Attributes: 3, MaxPacketSize: 8, Interval: 16},
}

// deviceDescriptor is that of 0a89:0035, as the kernel of this machine's byte
// order gives it.
func deviceDescriptor() []byte {
	d := usb.DeviceDescriptor{USB: 0x0200, MaxPacketSize0: 64, Vendor: 0x0A89, Product: 0x0035, Release: 0x0100, NumConfigurations: 1}.AppendTo(nil)
	for _, at := range []int{2, 8, 10, 12} {
		binary.NativeEndian.PutUint16(d[at:], binary.LittleEndian.Uint16(d[at:]))
	}
	return d
}

func newFakeKernel(t testing.TB) *fakeKernel {
	k := &fakeKernel{t: t, configured: true, driver: map[uint32]string{}, descriptors: deviceDescriptor()}
	k.awake.L = &k.mu
	k.alarm = time.AfterFunc(time.Hour, k.awake.Broadcast)
	k.alarm.Stop()
	return k
}

// pipe opens a pipe whose Close is checked at the end of the test.
func (k *fakeKernel) pipe() *pipe {
	k.t.Helper()
	p := newPipe(k, testInterface)
	if err := p.claim(); err != nil {
		k.t.Fatal(err)
	}
	return p
}

func (k *fakeKernel) read(b []byte) (int, error) {
	if k.gone {
		return 0, &os.PathError{Op: "read", Path: "node", Err: unix.ENODEV}
	}
	return copy(b, k.descriptors), nil
}

func (k *fakeKernel) poll(step func() bool) error {
	k.mu.Lock()
	if k.polling || k.closed {
		k.t.Errorf("poll: polling %t, closed %t", k.polling, k.closed)
	}
	k.polling, k.edge = true, false
	expired := k.expired()
	k.mu.Unlock()
	err := os.ErrDeadlineExceeded
	for !expired {
		if step() {
			err = nil
			break
		}
		k.mu.Lock()
		for !k.edge && !k.expired() {
			k.awake.Wait()
		}
		expired = !k.edge
		k.edge = false
		k.mu.Unlock()
	}
	k.mu.Lock()
	k.polling = false
	k.mu.Unlock()
	return err
}

func (k *fakeKernel) expired() bool {
	return !k.deadline.IsZero() && !time.Now().Before(k.deadline)
}

func (k *fakeKernel) setDeadline(t time.Time) {
	if k.arming != nil {
		k.arming(t)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deadline = t; t.IsZero() {
		k.alarm.Stop()
	} else {
		k.alarm.Reset(time.Until(t))
	}
	k.awake.Broadcast()
}

func (k *fakeKernel) wake() {
	k.edge = true
	k.awake.Broadcast()
}

func (k *fakeKernel) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		k.t.Error("node closed twice")
	}
	if k.polling {
		k.t.Error("node closed under a poll")
	}
	if len(k.submitted) > 0 && !k.gone {
		k.t.Errorf("%d URBs left in the kernel by close", len(k.submitted))
	}
	k.closed = true
	k.alarm.Stop()
	return nil
}

func (k *fakeKernel) ioctl(req uintptr, arg unsafe.Pointer) syscall.Errno {
	if k.fail != nil {
		if errno := k.fail(req); errno != 0 {
			return errno
		}
	}
	k.mu.Lock()
	if k.closed {
		k.t.Errorf("ioctl %#x after close", req)
	}
	if req == reqReapNoDelay {
		defer k.mu.Unlock()
		return k.reap((*uintptr)(arg))
	}
	if k.gone {
		k.mu.Unlock()
		return unix.ENODEV
	}
	if req == reqSubmit {
		f, errno := k.submit((*urb)(arg))
		k.mu.Unlock()
		if errno == 0 {
			k.device(f)
		}
		return errno
	}
	defer k.mu.Unlock()
	switch req {
	case reqDiscard:
		k.discards++
		for _, f := range k.submitted {
			if f.urb == (*urb)(arg) {
				k.completeLocked(f, unix.ENOENT, f.data)
				return 0
			}
		}
		return unix.EINVAL
	case reqClaim:
		return k.claim(*(*uint32)(arg))
	case reqRelease:
		k.log = append(k.log, "release")
		delete(k.driver, *(*uint32)(arg))
		return 0
	case reqGetDriver:
		d := (*driverName)(arg)
		name, ok := k.driver[d.ifc]
		if !ok {
			return unix.ENODATA
		}
		copy(d.driver[:], name)
		return 0
	case reqDisconnectClaim:
		d := (*disconnectClaim)(arg)
		if d.flags != ifDriver {
			k.t.Errorf("disconnect with flags %#x", d.flags)
		}
		name := unix.ByteSliceToString(d.driver[:])
		if k.driver[d.ifc] != name {
			return unix.EBUSY
		}
		k.log = append(k.log, "disconnect "+name)
		delete(k.driver, d.ifc)
		return k.claim(d.ifc)
	case reqDriverIoctl:
		d := (*driverIoctl)(arg)
		if uintptr(uint32(d.code)) != reqConnect || d.data != nil {
			k.t.Errorf("driver ioctl %#x", d.code)
		}
		k.log = append(k.log, "connect")
		return 0
	case reqSetConfiguration:
		k.log = append(k.log, "set configuration")
		k.configured = true
		return 0
	case reqSetInterface:
		k.log = append(k.log, "set interface")
		for _, f := range slices.Clone(k.submitted) {
			if f.ep != 0 {
				k.completeLocked(f, unix.ENOENT, nil)
			}
		}
		return 0
	case reqResetEndpoint:
		k.log = append(k.log, "reset endpoint")
		return 0
	}
	k.t.Errorf("unknown ioctl %#x", req)
	return unix.ENOTTY
}

func (k *fakeKernel) claim(ifc uint32) syscall.Errno {
	switch {
	case !k.configured || ifc != uint32(testInterface.Number):
		return unix.ENOENT
	case k.driver[ifc] != "":
		return unix.EBUSY
	}
	k.log = append(k.log, "claim")
	k.driver[ifc] = "usbfs"
	return 0
}

func (k *fakeKernel) submit(u *urb) (*flight, syscall.Errno) {
	if u.flags != 0 || u.signr != 0 || u.numberOfPackets != 0 || u.buffer == nil {
		k.t.Errorf("submitted URB %+v", u)
		return nil, unix.EINVAL
	}
	twice := func(f *flight) bool { return f.urb == u }
	if slices.ContainsFunc(k.submitted, twice) || slices.ContainsFunc(k.completed, twice) {
		k.t.Error("URB submitted twice")
	}
	var f *flight
	if n := len(k.spare); n > 0 {
		f, k.spare = k.spare[n-1], k.spare[:n-1]
	} else {
		f = &flight{k: k}
	}
	f.urb, f.kind, f.ep, f.length = u, u.kind, u.endpoint, int(u.bufferLength)
	f.data, f.status, f.actual = f.data[:0], 0, 0
	b := unsafe.Slice((*byte)(u.buffer), f.length)
	in := u.endpoint&0x80 != 0
	switch {
	case u.kind == urbControl && u.endpoint == 0:
		if f.length < 8 || f.length != 8+int(binary.LittleEndian.Uint16(b[6:])) {
			k.t.Errorf("control URB of %d bytes: % X", f.length, b)
			return nil, unix.EINVAL
		}
		copy(f.setup[:], b)
		b, in, f.length = b[8:], b[0]&0x80 != 0, f.length-8
	case u.kind == urbBulk && (u.endpoint == 0x01 || u.endpoint == 0x82):
	case u.kind == urbInterrupt && u.endpoint == 0x83:
	default:
		k.t.Errorf("URB of type %d for endpoint %#02x", u.kind, u.endpoint)
		return nil, unix.ENOENT
	}
	if !in {
		f.data = append(f.data, b...)
	}
	k.submitted = append(k.submitted, f)
	return f, 0
}

// in reports whether the data of f go to the host.
func (f *flight) in() bool {
	return f.ep&0x80 != 0 || f.kind == urbControl && f.setup[0]&0x80 != 0
}

// complete ends f with status. data is what an IN transfer moved; of an OUT
// transfer its length counts. It reports false if f is not in the kernel.
func (f *flight) complete(status syscall.Errno, data []byte) bool {
	f.k.mu.Lock()
	defer f.k.mu.Unlock()
	return f.k.completeLocked(f, status, data)
}

func (k *fakeKernel) completeLocked(f *flight, status syscall.Errno, data []byte) bool {
	i := slices.Index(k.submitted, f)
	if i < 0 {
		return false
	}
	k.submitted = slices.Delete(k.submitted, i, i+1)
	f.status, f.actual = status, min(len(data), f.length)
	if f.in() {
		f.data = append(f.data[:0], data[:f.actual]...)
	}
	k.completed = append(k.completed, f)
	k.wake()
	return true
}

// partial has f hold data that came so far: what a discard finds.
func (f *flight) partial(data []byte) {
	f.k.mu.Lock()
	defer f.k.mu.Unlock()
	f.data = append(f.data[:0], data...)
}

func (k *fakeKernel) reap(to *uintptr) syscall.Errno {
	if len(k.completed) == 0 {
		if k.gone {
			return unix.ENODEV
		}
		return unix.EAGAIN
	}
	f := k.completed[0]
	k.completed = slices.Delete(k.completed, 0, 1)
	if f.in() {
		b := unsafe.Slice((*byte)(f.urb.buffer), f.urb.bufferLength)
		if f.kind == urbControl {
			b = b[8:]
		}
		copy(b, f.data)
	}
	f.urb.status, f.urb.actualLength = -int32(f.status), int32(f.actual)
	*to = uintptr(unsafe.Pointer(f.urb))
	if k.recycle {
		k.spare = append(k.spare, f)
	}
	return 0
}

// unplug takes the device away. Its URBs come back, or not.
func (k *fakeKernel) unplug(back bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	if back {
		for len(k.submitted) > 0 {
			k.completeLocked(k.submitted[0], unix.ESHUTDOWN, nil)
		}
	}
	k.wake()
}

// inFlight waits until n URBs are in the kernel and nobody is doing anything.
// It works in a bubble of testing/synctest only.
func (k *fakeKernel) inFlight(n int) {
	k.t.Helper()
	settle()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.submitted) != n {
		k.t.Fatalf("%d URBs in the kernel, want %d", len(k.submitted), n)
	}
}
