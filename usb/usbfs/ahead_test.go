//go:build linux

package usbfs

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

// exchange makes a pipe know how much is asked for after a message: n bytes.
func exchange(t *testing.T, p *pipe, n int) {
	t.Helper()
	if err := p.WriteBulk(t.Context(), []byte{0x6F}); err != nil {
		t.Fatal(err)
	}
	if got, err := p.ReadBulk(t.Context(), make([]byte, n)); got != 1 || err != nil {
		t.Fatal(got, err)
	}
}

// tap is a device that notes the endpoints of the URBs it is given.
func tap(device func(*flight), endpoints *[]byte) func(*flight) {
	return func(f *flight) {
		*endpoints = append(*endpoints, f.ep)
		device(f)
	}
}

// The answer is asked for as soon as the message is on its way, if it is known
// how much will be asked for, and once.
func TestReadAhead(t *testing.T) {
	var endpoints []byte
	both(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		k.device = tap(echo(), &endpoints)
		for i, want := range [][]byte{{0x01}, {0x82}, {0x01, 0x82}, nil, {0x01, 0x82}, {0x01}, nil} {
			endpoints = nil
			message := []byte{byte(i), 1, 2}
			if i == 0 || i == 2 || i == 4 || i == 5 {
				if err := p.WriteBulk(t.Context(), message); err != nil {
					t.Fatal(err)
				}
			} else {
				buf := make([]byte, 64)
				if n, err := p.ReadBulk(t.Context(), buf); err != nil || n != 3 || buf[0] != []byte{1: 0, 3: 2, 6: 4}[i] {
					t.Errorf("step %d: got % X, %v", i, buf[:n], err)
				}
			}
			if !bytes.Equal(endpoints, want) {
				t.Errorf("step %d: URBs of endpoints % X, want % X", i, endpoints, want)
			}
		}
	})
}

// How much is asked for may be other than it was: nothing is lost, and what a
// short packet has ended stays ended.
func TestReadAheadOfAnotherLength(t *testing.T) {
	both(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		for _, before := range []int{64, 128, 320} {
			for _, reads := range [][]int{{64}, {320}, {64, 320}, {128, 128}, {64, 64, 64, 64, 64}} {
				for _, n := range []int{1, 63, 64, 65, 128, 129, 200} {
					k.device = echo()
					exchange(t, p, before)
					message := bytes.Repeat([]byte{byte(n)}, n)
					if err := p.WriteBulk(t.Context(), message); err != nil {
						t.Fatal(err)
					}
					var came []byte
					ended := false
					for _, length := range reads {
						buf := make([]byte, length)
						got, err := p.ReadBulk(t.Context(), buf)
						if err != nil {
							t.Fatal(err)
						}
						came = append(came, buf[:got]...)
						if ended = got < length; ended {
							break
						}
					}
					if want := message[:min(n, sum(reads))]; !bytes.Equal(came, want) || ended != (sum(reads) > n) {
						t.Errorf("%d bytes, known %d, read %v: got %d, ended %t", n, before, reads, len(came), ended)
					}
					p.takeBackForTest()
				}
			}
		}
	})
}

func sum(all []int) (n int) {
	for _, i := range all {
		n += i
	}
	return n
}

// takeBackForTest has the next message be the first.
func (p *pipe) takeBackForTest() {
	p.in.turn <- struct{}{}
	p.takeBack(p.in)
	<-p.in.turn
}

// A read ahead ends as the read does that takes it over.
func TestReadAheadEnds(t *testing.T) {
	came := []byte{0x80, 1, 2}
	both(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		exchange(t, p, 64)
		k.device = func(f *flight) {
			if f.in() {
				f.partial(came)
			} else {
				f.complete(0, f.data)
			}
		}
		write := func() {
			t.Helper()
			if err := p.WriteBulk(t.Context(), []byte{1}); err != nil {
				t.Fatal(err)
			}
			k.inFlight(1 + others)
		}
		write()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if r := <-read(onlyDeadline{ctx}, p); !errors.Is(r.err, usb.ErrTimeout) || time.Since(begin) != 3*time.Second || !bytes.Equal(r.buf, came) {
			t.Errorf("deadline: got % X, %v after %v", r.buf, r.err, time.Since(begin))
		}
		k.inFlight(others)
		write()
		ctx, cancel = context.WithCancel(context.Background())
		r := read(ctx, p)
		settle()
		cancel()
		if r := <-r; !errors.Is(r.err, context.Canceled) {
			t.Errorf("cancelled: got %v", r.err)
		}
		k.inFlight(others)
		// One that is over before it begins leaves it for the next.
		write()
		if r := <-read(ctx, p); !errors.Is(r.err, context.Canceled) {
			t.Errorf("cancelled before: got %v", r.err)
		}
		k.inFlight(1 + others)
		k.mu.Lock()
		f := k.submitted[slices.IndexFunc(k.submitted, func(f *flight) bool { return f.ep == 0x82 })]
		k.mu.Unlock()
		f.complete(unix.EPIPE, nil)
		if r := <-read(t.Context(), p); !errors.Is(r.err, usb.ErrStall) {
			t.Errorf("stall: got %v", r.err)
		}
		// Recover takes it back, and what it brought with it.
		write()
		k.device = echo()
		if err := p.Recover(t.Context()); err != nil {
			t.Error(err)
		}
		k.inFlight(others)
		exchange(t, p, 64)
		write2 := p.WriteBulk(t.Context(), []byte{1, 2})
		if err := p.Recover(t.Context()); err != nil || write2 != nil {
			t.Error(write2, err)
		}
		k.device = echo()
		exchange(t, p, 64)
		// Close is the end of one that nobody takes over: bubble looks.
		k.device = silent
		w := start(func() result { return result{err: p.WriteBulk(t.Context(), []byte{1})} })
		k.inFlight(2 + others)
		go p.Close()
		if r := <-w; !errors.Is(r.err, usb.ErrClosed) {
			t.Errorf("closed: got %v", r.err)
		}
	})
}

// The kernel does not take the URB: the read asks itself, and tells.
func TestReadAheadRefused(t *testing.T) {
	both(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		exchange(t, p, 64)
		// refuse has submissions from the second on fail, up to a number.
		refuse := func(last int) {
			submissions := 0
			settle()
			k.fail = func(req uintptr) syscall.Errno {
				if req == reqSubmit {
					if submissions++; submissions >= 2 && submissions <= last {
						return unix.ENOMEM
					}
				}
				return 0
			}
		}
		refuse(2)
		exchange(t, p, 64)
		refuse(3)
		if err := p.WriteBulk(t.Context(), []byte{1}); err != nil {
			t.Error(err)
		}
		if r := <-read(t.Context(), p); !errors.Is(r.err, unix.ENOMEM) {
			t.Errorf("got %v", r.err)
		}
		settle()
		k.fail = nil
	})
}

// The device leaves with a read ahead in the kernel, which gives it back or not.
func TestReadAheadUnplugged(t *testing.T) {
	for _, back := range []bool{true, false} {
		both(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe, others int) {
			exchange(t, p, 64)
			k.device = func(f *flight) {
				if !f.in() {
					f.complete(0, f.data)
				}
			}
			if err := p.WriteBulk(t.Context(), []byte{1}); err != nil {
				t.Fatal(err)
			}
			k.inFlight(1 + others)
			k.unplug(back)
			if r := <-read(t.Context(), p); !errors.Is(r.err, usb.ErrGone) {
				t.Errorf("URBs back %t: got %v", back, r.err)
			}
		})
	}
}
