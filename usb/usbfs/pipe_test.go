//go:build linux

package usbfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

func settle() { synctest.Wait() }

// silent is a device that never answers.
func silent(*flight) {}

// echo sends each message of bulk OUT back through bulk IN, once, ended by a short
// packet; control IN gets the last message.
func echo() func(*flight) {
	var (
		mu       sync.Mutex
		messages [][]byte // to be sent
		last     []byte
		waiting  *flight
	)
	answer := func() {
		for waiting != nil && len(messages) > 0 {
			n := min(len(messages[0]), waiting.length)
			if waiting.complete(0, messages[0][:n]) {
				messages[0] = messages[0][n:]
				if n < waiting.length {
					messages = messages[1:]
				}
			}
			waiting = nil
		}
	}
	return func(f *flight) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case f.ep == 0x01:
			last = append(last[:0], f.data...)
			messages = append(messages, bytes.Clone(f.data))
			f.complete(0, f.data)
			answer()
		case f.ep == 0x82:
			waiting = f
			answer()
		case f.ep == 0x83: // silent
		case f.in():
			f.complete(0, last)
		default:
			f.complete(0, f.data)
		}
	}
}

// bubble runs f in a bubble with a kernel and a pipe, which it closes. The
// bubble fails if a goroutine is left behind.
func bubble(t *testing.T, device func(*flight), f func(t *testing.T, k *fakeKernel, p *pipe)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t)
		k.device = device
		p := k.pipe()
		f(t, k, p)
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if !k.closed {
			t.Error("node left open")
		}
		for _, l := range p.lanes {
			if l.memory != nil {
				t.Errorf("%s: memory left behind", l.what)
			}
		}
	})
}

// result is what a call in another goroutine came to.
type result struct {
	n   int
	err error
	buf []byte
}

func start(f func() result) <-chan result {
	c := make(chan result, 1)
	go func() { c <- f() }()
	return c
}

func read(ctx context.Context, p *pipe) <-chan result {
	return start(func() result {
		buf := make([]byte, 64)
		n, err := p.ReadBulk(ctx, buf)
		return result{n, err, buf[:n]}
	})
}

func readInterrupt(ctx context.Context, p *pipe) <-chan result {
	return start(func() result {
		buf := make([]byte, 8)
		n, err := p.ReadInterrupt(ctx, buf)
		return result{n, err, buf[:n]}
	})
}

func TestTransfers(t *testing.T) {
	var setup [8]byte
	device := echo()
	bubble(t, func(f *flight) {
		if f.kind == urbControl {
			setup = f.setup
		}
		device(f)
	}, func(t *testing.T, k *fakeKernel, p *pipe) {
		ctx := t.Context()
		for _, n := range []int{0, 1, 10, 63, 64, 65, 271, 4032, 4033, 65556} {
			msg := bytes.Repeat([]byte{0xA5, byte(n)}, n)[:n]
			if err := p.WriteBulk(ctx, msg); err != nil {
				t.Fatalf("write %d: %v", n, err)
			}
			buf := make([]byte, (n/64+1)*64)
			if got, err := p.ReadBulk(ctx, buf); err != nil || !bytes.Equal(buf[:got], msg) {
				t.Fatalf("read %d: got %d bytes, %v", n, got, err)
			}
		}
		if n, err := p.ReadBulk(ctx, nil); n != 0 || err != nil {
			t.Errorf("read nothing: got %d, %v", n, err)
		}

		p.WriteBulk(ctx, []byte{1, 2, 3})
		var in [16]byte
		n, err := p.Control(ctx, usb.Setup{RequestType: 0xA1, Request: 0x02, Value: 0x1234, Index: 2}, in[:])
		if n != 3 || err != nil || !bytes.Equal(in[:n], []byte{1, 2, 3}) {
			t.Errorf("control IN: got %d, %v, % X", n, err, in[:n])
		}
		if want := [8]byte{0xA1, 0x02, 0x34, 0x12, 0x02, 0x00, 0x10, 0x00}; setup != want {
			t.Errorf("setup: got % X, want % X", setup, want)
		}
		if n, err = p.Control(ctx, usb.Setup{RequestType: 0x21, Request: 0x65, Index: 2}, []byte{9, 8}); n != 2 || err != nil {
			t.Errorf("control OUT: got %d, %v", n, err)
		}
		if n, err = p.Control(ctx, usb.Setup{RequestType: 0x21, Request: 0x01, Value: 0x0500, Index: 2}, nil); n != 0 || err != nil {
			t.Errorf("control with no data: got %d, %v", n, err)
		}
		if _, err = p.Control(ctx, usb.Setup{}, make([]byte, 65536)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("control of 65536 bytes: got %v", err)
		}
		if err := p.WriteBulk(ctx, make([]byte, maxTransfer+1)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("an absurd message: got %v", err)
		}
		if k.discards != 0 {
			t.Errorf("%d discards", k.discards)
		}
	})
}

func TestNothingOfAMessageIsKept(t *testing.T) {
	bubble(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe) {
		pin := []byte("12345678")
		p.WriteBulk(t.Context(), pin)
		p.ReadBulk(t.Context(), make([]byte, 64))
		p.Control(t.Context(), usb.Setup{RequestType: 0x21}, pin)
		p.Control(t.Context(), usb.Setup{RequestType: 0xA1}, make([]byte, 8))
		for _, l := range p.lanes {
			if bytes.Contains(l.memory, pin) {
				t.Errorf("%s keeps the PIN", l.what)
			}
		}
	})
}

func TestShortWrites(t *testing.T) {
	bubble(t, func(f *flight) { f.complete(0, f.data[:len(f.data)-1]) }, func(t *testing.T, k *fakeKernel, p *pipe) {
		if err := p.WriteBulk(t.Context(), make([]byte, 10)); !errors.Is(err, usb.ErrShortWrite) {
			t.Errorf("bulk: got %v", err)
		}
		if n, err := p.Control(t.Context(), usb.Setup{RequestType: 0x21}, make([]byte, 10)); n != 9 || !errors.Is(err, usb.ErrShortWrite) {
			t.Errorf("control: got %d, %v", n, err)
		}
	})
}

func TestNoEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(newFakeKernel(t), usb.Interface{Number: 2, Kind: usb.ICCDB})
		buf := make([]byte, 64)
		_, err1 := p.ReadBulk(t.Context(), buf)
		_, err2 := p.ReadInterrupt(t.Context(), buf)
		for _, err := range []error{err1, err2, p.WriteBulk(t.Context(), buf)} {
			if !errors.Is(err, usb.ErrNoEndpoint) {
				t.Errorf("got %v, want %v", err, usb.ErrNoEndpoint)
			}
		}
		if err := p.Recover(t.Context()); err != nil {
			t.Errorf("recover: %v", err)
		}
		p.Close()
	})
}

// errnos is what each error of the kernel has to be for the user of a pipe.
var errnos = []struct {
	errno          syscall.Errno
	status, submit error // as the status of a URB, as the answer to its submission
}{
	{unix.EPIPE, usb.ErrStall, usb.ErrStall},
	{unix.EOVERFLOW, usb.ErrOverflow, usb.ErrOverflow},
	{unix.ETIMEDOUT, usb.ErrTimeout, usb.ErrTimeout},
	{unix.EPROTO, usb.ErrIO, usb.ErrIO},
	{unix.EILSEQ, usb.ErrIO, usb.ErrIO},
	{unix.ETIME, usb.ErrIO, usb.ErrIO},
	{unix.ECOMM, usb.ErrIO, usb.ErrIO},
	{unix.ENOSR, usb.ErrIO, usb.ErrIO},
	{unix.EREMOTEIO, usb.ErrIO, usb.ErrIO},
	{unix.EIO, usb.ErrIO, usb.ErrIO},
	{unix.EHOSTUNREACH, usb.ErrIO, usb.ErrIO},
	{unix.ENODEV, usb.ErrGone, usb.ErrGone},
	{unix.ESHUTDOWN, usb.ErrGone, usb.ErrGone},
	{unix.ENXIO, usb.ErrGone, usb.ErrGone},
	{unix.ENOENT, usb.ErrGone, usb.ErrNoEndpoint},
	{unix.ECONNRESET, usb.ErrGone, usb.ErrGone},
	{unix.EBUSY, usb.ErrBusy, usb.ErrBusy},
	{unix.EACCES, usb.ErrAccess, usb.ErrAccess},
	{unix.EPERM, usb.ErrAccess, usb.ErrAccess},
	{unix.ENOMEM, unix.ENOMEM, unix.ENOMEM},
	{unix.EINVAL, unix.EINVAL, unix.EINVAL},
	{unix.EMSGSIZE, unix.EMSGSIZE, unix.EMSGSIZE},
}

func TestErrnos(t *testing.T) {
	came := []byte{1, 2, 3}
	for _, tt := range errnos {
		t.Run(unix.ErrnoName(tt.errno), func(t *testing.T) {
			bubble(t, func(f *flight) { f.complete(tt.errno, came) }, func(t *testing.T, k *fakeKernel, p *pipe) {
				buf := make([]byte, 64)
				n, err := p.ReadBulk(t.Context(), buf)
				if !errors.Is(err, tt.status) || !errors.Is(err, tt.errno) {
					t.Errorf("status: got %v, want %v", err, tt.status)
				}
				if !bytes.Equal(buf[:n], came) {
					t.Errorf("bytes before the error: got % X, want % X", buf[:n], came)
				}
				if !strings.HasPrefix(err.Error(), "bulk IN 0x82: ") {
					t.Errorf("got %q", err)
				}
				// The end of the device is final, all else is not.
				k.device = func(f *flight) { f.complete(0, f.data) }
				want := error(nil)
				if tt.status == usb.ErrGone {
					want = usb.ErrGone
				}
				if err := p.WriteBulk(t.Context(), came); !errors.Is(err, want) {
					t.Errorf("next transfer: got %v, want %v", err, want)
				}
			})
			bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
				k.fail = func(req uintptr) syscall.Errno {
					if req == reqSubmit {
						return tt.errno
					}
					return 0
				}
				n, err := p.ReadBulk(t.Context(), make([]byte, 64))
				if n != 0 || !errors.Is(err, tt.submit) {
					t.Errorf("submit: got %d, %v, want %v", n, err, tt.submit)
				}
				k.fail = nil
				k.device = func(f *flight) { f.complete(0, f.data) }
				want := error(nil)
				if tt.submit == usb.ErrGone {
					want = usb.ErrGone
				}
				if err := p.WriteBulk(t.Context(), came); !errors.Is(err, want) {
					t.Errorf("next transfer: got %v, want %v", err, want)
				}
			})
		})
	}
}

func TestEveryMeaningHasARow(t *testing.T) {
	rows := map[syscall.Errno]bool{}
	for _, tt := range errnos {
		rows[tt.errno] = true
	}
	for errno := range meanings {
		if !rows[errno] {
			t.Errorf("%s has no row", unix.ErrnoName(errno))
		}
	}
}

// Interrupted system calls are made again.
func TestInterrupted(t *testing.T) {
	bubble(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe) {
		calls := 0
		k.fail = func(req uintptr) syscall.Errno {
			if calls++; calls%2 == 1 && (req == reqSubmit || req == reqReapNoDelay) {
				return unix.EINTR
			}
			return 0
		}
		if err := p.WriteBulk(t.Context(), []byte{1}); err != nil {
			t.Error(err)
		}
	})
}

// both runs f with the call as the leader, then as a follower of a pending
// read of the interrupt endpoint.
func both(t *testing.T, device func(*flight), f func(t *testing.T, k *fakeKernel, p *pipe, others int)) {
	t.Run("leader", func(t *testing.T) {
		bubble(t, device, func(t *testing.T, k *fakeKernel, p *pipe) { f(t, k, p, 0) })
	})
	t.Run("follower", func(t *testing.T) {
		bubble(t, device, func(t *testing.T, k *fakeKernel, p *pipe) {
			ctx, cancel := context.WithCancel(t.Context())
			other := readInterrupt(ctx, p)
			k.inFlight(1)
			f(t, k, p, 1)
			cancel()
			if r := <-other; r.err == nil {
				t.Errorf("interrupt: got %d bytes", r.n)
			}
		})
	})
}

func TestDeadline(t *testing.T) {
	came := []byte{0x80, 1, 2}
	both(t, func(f *flight) { f.partial(came) }, func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		for range 3 {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			r := <-read(onlyDeadline{ctx}, p)
			cancel()
			if !errors.Is(r.err, usb.ErrTimeout) || time.Since(begin) != 3*time.Second {
				t.Errorf("got %v after %v", r.err, time.Since(begin))
			}
			if !bytes.Equal(r.buf, came) {
				t.Errorf("partial data: got % X, want % X", r.buf, came)
			}
			k.inFlight(others)
		}
		// A context of the standard library ends by its channel at the same time.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if r := <-read(ctx, p); !errors.Is(r.err, usb.ErrTimeout) {
			t.Errorf("got %v", r.err)
		}
		// One that has passed sends nothing.
		k.device = func(*flight) { t.Error("URB submitted") }
		if r := <-read(ctx, p); !errors.Is(r.err, usb.ErrTimeout) {
			t.Errorf("got %v", r.err)
		}
		if r := <-read(onlyDeadline{ctx}, p); !errors.Is(r.err, usb.ErrTimeout) {
			t.Errorf("got %v", r.err)
		}
	})
}

// The deadline passes when the call is on its way into the poll: nothing is sent.
func TestDeadlineBeforeThePoll(t *testing.T) {
	bubble(t, func(*flight) { t.Error("URB submitted") }, func(t *testing.T, k *fakeKernel, p *pipe) {
		k.arming = func(d time.Time) {
			if !d.IsZero() {
				time.Sleep(time.Until(d))
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.WriteBulk(onlyDeadline{ctx}, []byte{1}); !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

// The alarm is that of the call under way, to the moment, and no call has that
// of one before.
func TestAlarmIsThatOfTheCall(t *testing.T) {
	bubble(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe) {
		var set time.Time
		k.arming = func(d time.Time) { set = d }
		for i := range 5 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%2+1)*time.Hour)
			if err := p.WriteBulk(onlyDeadline{ctx}, []byte{1}); err != nil || !set.Equal(first(ctx.Deadline())) {
				t.Fatalf("got %v, alarm at %v", err, set)
			}
			cancel()
		}
		if err := p.WriteBulk(context.Background(), []byte{1}); err != nil || !set.IsZero() {
			t.Errorf("no deadline: got %v, alarm at %v", err, set)
		}
	})
}

// onlyDeadline is a context with a deadline and no channel.
type onlyDeadline struct{ context.Context }

func (onlyDeadline) Done() <-chan struct{} { return nil }
func (onlyDeadline) Err() error            { return nil }

// The answer and the deadline come at the same moment: whichever wins, the
// bytes are not lost.
func TestDeadlineAtTheMomentOfCompletion(t *testing.T) {
	came := []byte{0x80, 1, 2}
	both(t, silent, func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		k.device = func(f *flight) {
			time.AfterFunc(time.Second, func() { f.complete(0, came) })
		}
		for range 50 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			r := <-read(onlyDeadline{ctx}, p)
			cancel()
			switch {
			case r.err == nil && bytes.Equal(r.buf, came):
			case errors.Is(r.err, usb.ErrTimeout) && r.n == 0:
			default:
				t.Fatalf("got % X, %v", r.buf, r.err)
			}
			k.inFlight(others)
		}
	})
}

// A URB that completes before it is discarded went well.
func TestDiscardTooLate(t *testing.T) {
	came := []byte{0x80, 1, 2}
	both(t, silent, func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		var last *flight
		k.device = func(f *flight) { last = f }
		k.fail = func(req uintptr) syscall.Errno {
			if req == reqDiscard && last != nil {
				last.complete(0, came)
				last = nil
			}
			return 0
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if r := <-read(ctx, p); r.err != nil || !bytes.Equal(r.buf, came) {
			t.Errorf("got % X, %v", r.buf, r.err)
		}
	})
}

func TestCancel(t *testing.T) {
	both(t, silent, func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		for range 3 {
			ctx, cancel := context.WithCancel(context.Background())
			r := read(ctx, p)
			k.inFlight(1 + others)
			cancel()
			if r := <-r; !errors.Is(r.err, context.Canceled) {
				t.Errorf("got %v", r.err)
			}
			k.inFlight(others)
			if r := <-read(ctx, p); !errors.Is(r.err, context.Canceled) {
				t.Errorf("cancelled before: got %v", r.err)
			}
		}
	})
}

// One context for many calls: the watch stays on it, and still sees its end,
// in whichever call that is.
func TestCancelOfALongContext(t *testing.T) {
	bubble(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe) {
		ctx, cancel := context.WithCancel(context.Background())
		other, cancelOther := context.WithCancel(context.Background())
		defer cancelOther()
		for i := range 10 {
			c := ctx
			if i%3 == 2 {
				c = other
			}
			if err := p.WriteBulk(c, []byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		cancelOther() // not the context of the next call
		k.device = silent
		r := read(ctx, p)
		k.inFlight(1)
		cancel()
		if r := <-r; !errors.Is(r.err, context.Canceled) {
			t.Errorf("got %v", r.err)
		}
	})
}

// The leader leaves while others wait: one of them takes over, and notices
// its own end.
func TestLeadIsPassedOn(t *testing.T) {
	bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
		var flights []*flight
		k.device = func(f *flight) { flights = append(flights, f) }
		r1 := read(t.Context(), p)
		k.inFlight(1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r2 := readInterrupt(ctx, p)
		k.inFlight(2)
		r3 := start(func() result {
			return result{err: p.WriteBulk(t.Context(), []byte{7})}
		})
		k.inFlight(3)

		flights[0].complete(0, []byte{1})
		if r := <-r1; r.err != nil || r.n != 1 {
			t.Errorf("first leader: %+v", r)
		}
		k.inFlight(2)
		flights[1].complete(0, []byte{0x50, 3})
		if r := <-r2; r.err != nil || !bytes.Equal(r.buf, []byte{0x50, 3}) {
			t.Errorf("second: %+v", r)
		}
		k.inFlight(1)
		flights[2].complete(0, flights[2].data)
		if r := <-r3; r.err != nil {
			t.Errorf("third: %+v", r)
		}
	})
}

func TestRecover(t *testing.T) {
	var requests []string
	bubble(t, func(f *flight) {
		requests = append(requests, fmt.Sprintf("% X", f.setup))
		f.complete(0, nil)
	}, func(t *testing.T, k *fakeKernel, p *pipe) {
		k.log = nil
		if err := p.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(requests, "; "), "02 01 00 00 01 00 00 00; 02 01 00 00 82 00 00 00"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := strings.Join(k.log, ", "); got != "reset endpoint, reset endpoint" {
			t.Errorf("got %s", got)
		}
	})
}

// Clear-halt is refused: the interface is set, which ends a pending read of
// the interrupt endpoint but not the pipe.
func TestRecoverBySetInterface(t *testing.T) {
	bubble(t, func(f *flight) {
		if f.kind == urbControl {
			f.complete(unix.EPIPE, nil)
		}
	}, func(t *testing.T, k *fakeKernel, p *pipe) {
		pending := readInterrupt(t.Context(), p)
		k.inFlight(1)
		k.log = nil
		if err := p.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(k.log, ", "); got != "set interface" {
			t.Errorf("got %s", got)
		}
		if r := <-pending; !errors.Is(r.err, usb.ErrIO) {
			t.Errorf("interrupt: got %v", r.err)
		}
		k.device = echo()
		if err := p.WriteBulk(t.Context(), []byte{1}); err != nil {
			t.Errorf("next transfer: %v", err)
		}
		k.device = func(f *flight) { f.complete(unix.EPIPE, nil) }
		k.fail = func(req uintptr) syscall.Errno {
			if req == reqSetInterface {
				return unix.EPROTO
			}
			return 0
		}
		if err := p.Recover(t.Context()); !errors.Is(err, usb.ErrStall) || !errors.Is(err, usb.ErrIO) {
			t.Errorf("nothing works: got %v", err)
		}
	})
}

// A device that does not answer on endpoint 0 either holds Recover up for a
// second per endpoint, and not at all if the caller gives up.
func TestRecoverOfASilentDevice(t *testing.T) {
	bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
		begin := time.Now()
		if err := p.Recover(t.Context()); err != nil || time.Since(begin) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		begin = time.Now()
		if err := p.Recover(ctx); !errors.Is(err, context.Canceled) || time.Since(begin) != time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		k.log = nil
		ctx, cancel = context.WithTimeout(context.Background(), 1500*time.Millisecond)
		defer cancel()
		begin = time.Now()
		if err := p.Recover(onlyDeadline{ctx}); !errors.Is(err, usb.ErrTimeout) || time.Since(begin) != 1500*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		if len(k.log) > 0 {
			t.Errorf("after the deadline: %v", k.log)
		}
	})
}

// Calls on one endpoint wait for each other.
func TestTurns(t *testing.T) {
	bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
		first := read(t.Context(), p)
		k.inFlight(1)
		ctx, cancel := context.WithCancel(t.Context())
		second := read(ctx, p)
		timeout, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if r := <-read(onlyDeadline{timeout}, p); !errors.Is(r.err, usb.ErrTimeout) {
			t.Errorf("got %v", r.err)
		}
		k.inFlight(1)
		cancel()
		if r := <-second; !errors.Is(r.err, context.Canceled) {
			t.Errorf("got %v", r.err)
		}
		third := read(t.Context(), p)
		settle()
		k.unplug(true)
		for _, r := range []<-chan result{first, third} {
			if r := <-r; !errors.Is(r.err, usb.ErrGone) {
				t.Errorf("got %v", r.err)
			}
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
		pending := []<-chan result{
			read(t.Context(), p), readInterrupt(t.Context(), p), read(t.Context(), p),
			start(func() result { return result{err: p.WriteBulk(t.Context(), []byte{1})} }),
			start(func() result { return result{err: p.Recover(t.Context())} }),
		}
		settle()
		k.log = nil
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				if !k.closed || len(k.submitted) > 0 {
					t.Error("Close returned too early")
				}
			})
		}
		group.Wait()
		for i, r := range pending {
			if r := <-r; !errors.Is(r.err, usb.ErrClosed) {
				t.Errorf("call %d: got %v", i, r.err)
			}
		}
		if got := strings.Join(k.log, ", "); got != "release" {
			t.Errorf("got %s", got)
		}
		if err := p.WriteBulk(t.Context(), nil); !errors.Is(err, usb.ErrClosed) {
			t.Errorf("afterwards: got %v", err)
		}
	})
}

// Close comes between any two requests of a session.
func TestCloseAtEveryRequest(t *testing.T) {
	for n := 1; n < 40; n++ {
		bubble(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe) {
			var requests atomic.Int32
			closed := make(chan struct{})
			k.fail = func(uintptr) syscall.Errno {
				if requests.Add(1) == int32(n) {
					go func() { p.Close(); close(closed) }()
					time.Sleep(time.Nanosecond) // of the bubble: until Close can go no further
				}
				return 0
			}
			err := session(t.Context(), p)
			if requests.Load() < int32(n) {
				k.fail = nil
				return
			}
			<-closed
			if err != nil && !errors.Is(err, usb.ErrClosed) {
				t.Errorf("request %d: got %v", n, err)
			}
		})
	}
}
