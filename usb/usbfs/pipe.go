//go:build linux

package usbfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"kaztoken/usb"
)

// pipe is one claimed interface.
type pipe struct {
	k   kernel
	ifc usb.Interface

	claimed, detached bool // written by open only

	control, out, in, interrupt *lane // nil if there is no such endpoint
	lanes                       []*lane

	closing chan struct{}  // closed when Close begins
	calls   sync.WaitGroup // calls under way, and the watch; added to under mu while err is nil
	close   sync.Once
	failed  error // what Close found

	step   func() bool // p.advance, made once
	reaped uintptr     // where the kernel puts the address of a URB; of the leader

	// mu guards all that follows and the state of the lanes. No system call
	// that can sleep is made under it.
	mu     sync.Mutex
	err    error     // why no transfer can begin: ErrGone or ErrClosed
	wrote  bool      // a message, and nothing was read since
	answer int       // how much is asked for first after a message; 0 is not known
	flying int       // lanes with a pending transfer
	leader *lane     // whose goroutine is in k.poll, nil if nobody is
	alarm  time.Time // the deadline that k has; zero: none

	// The watch turns the end of a context into a kick for the leader, who
	// sleeps in k.poll and cannot wait for a channel too.
	watching bool            // the goroutine runs
	leading  <-chan struct{} // what the leader would be ended by
	watched  <-chan struct{} // what the watch waits for
	rewatch  chan struct{}
}

func newPipe(k kernel, ifc usb.Interface) *pipe {
	p := &pipe{
		k: k, ifc: ifc,
		control: newLane("control", urbControl, 0),
		closing: make(chan struct{}),
		rewatch: make(chan struct{}, 1),
	}
	p.lanes = []*lane{p.control}
	add := func(what string, kind byte, e usb.Endpoint) *lane {
		if e.Address == 0 {
			return nil
		}
		l := newLane(fmt.Sprintf("%s %#02x", what, e.Address), kind, e.Address)
		p.lanes = append(p.lanes, l)
		return l
	}
	p.out = add("bulk OUT", urbBulk, ifc.BulkOut)
	p.in = add("bulk IN", urbBulk, ifc.BulkIn)
	p.interrupt = add("interrupt IN", urbInterrupt, ifc.Interrupt)
	p.step = p.advance
	return p
}

// setupLen is the length of a SETUP packet (USB 2.0 §9.3).
const setupLen = 8

func (p *pipe) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	l := p.control
	if len(data) > math.MaxUint16 {
		return 0, fmt.Errorf("%s: %d bytes of data: %w", l.what, len(data), syscall.EINVAL)
	}
	if err := p.enter(ctx, l); err != nil {
		return 0, err
	}
	defer p.leave(l)
	b, err := l.fill(setupLen + len(data))
	if err != nil {
		return 0, err
	}
	b[0], b[1] = s.RequestType, s.Request
	binary.LittleEndian.PutUint16(b[2:], s.Value)
	binary.LittleEndian.PutUint16(b[4:], s.Index)
	binary.LittleEndian.PutUint16(b[6:], uint16(len(data)))
	b = b[setupLen:]
	defer clear(b)
	if !s.In() {
		copy(b, data)
	}
	n, err := p.transfer(ctx, l)
	n = min(n, len(data))
	if s.In() {
		return copy(data, b[:n]), err
	}
	if err == nil && n < len(data) {
		err = fmt.Errorf("%s: %d of %d bytes: %w", l.what, n, len(data), usb.ErrShortWrite)
	}
	return n, err
}

func (p *pipe) WriteBulk(ctx context.Context, msg []byte) error {
	l := p.out
	if l == nil {
		return fmt.Errorf("bulk OUT: %w", usb.ErrNoEndpoint)
	}
	if err := p.enter(ctx, l); err != nil {
		return err
	}
	defer p.leave(l)
	b, err := l.fill(len(msg))
	if err != nil {
		return err
	}
	defer clear(b) // there may be a PIN in it
	copy(b, msg)
	p.mu.Lock()
	p.wrote = true
	p.mu.Unlock()
	n, err := p.transfer(ctx, l)
	if err == nil && n < len(msg) {
		err = fmt.Errorf("%s: %d of %d bytes: %w", l.what, n, len(msg), usb.ErrShortWrite)
	}
	return err
}

func (p *pipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	if p.in == nil {
		return 0, fmt.Errorf("bulk IN: %w", usb.ErrNoEndpoint)
	}
	return p.readAnswer(ctx, p.in, buf)
}

func (p *pipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	if p.interrupt == nil {
		return 0, fmt.Errorf("interrupt IN: %w", usb.ErrNoEndpoint)
	}
	return p.read(ctx, p.interrupt, buf)
}

func (p *pipe) read(ctx context.Context, l *lane, buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	if err := p.enter(ctx, l); err != nil {
		return 0, err
	}
	defer p.leave(l)
	b, err := l.fill(len(buf))
	if err != nil {
		return 0, err
	}
	n, err := p.transfer(ctx, l)
	b = b[:min(n, len(b))]
	defer clear(b)
	return copy(buf, b), err
}

// Requests that Recover makes (USB 2.0 §9.4.1).
const (
	clearFeature   = 0x01
	toEndpoint     = 0x02
	featureHalt    = 0
	recoverTimeout = time.Second
)

// Recover does what USBDEVFS_CLEAR_HALT does, but in its two halves: the
// request to the device as an ordinary transfer, which has a deadline and can
// be cancelled, then the host's side. The ioctl would hold the lock of the
// device for up to five seconds, and with it every other call.
func (p *pipe) Recover(ctx context.Context) error {
	var failures []error
	for _, l := range []*lane{p.out, p.in} {
		if l == nil {
			continue
		}
		if err := p.clearHalt(ctx, l); err != nil {
			failures = append(failures, err)
		}
	}
	err := errors.Join(failures...)
	deadline, limited := ctx.Deadline()
	if err == nil || errors.Is(err, usb.ErrGone) || errors.Is(err, usb.ErrClosed) ||
		ctx.Err() != nil || limited && !time.Now().Before(deadline) {
		return err
	}
	if err := p.enter(ctx, p.control); err != nil {
		return err
	}
	defer p.leave(p.control)
	if again := p.setInterface(); again != nil {
		return errors.Join(err, again)
	}
	return nil
}

// clearHalt clears the halt of an endpoint on both sides.
func (p *pipe) clearHalt(ctx context.Context, l *lane) error {
	if err := p.enter(ctx, l); err != nil {
		return err
	}
	defer p.leave(l)
	p.takeBack(l)
	ctx, cancel := context.WithTimeout(ctx, recoverTimeout)
	defer cancel()
	s := usb.Setup{RequestType: toEndpoint, Request: clearFeature, Value: featureHalt, Index: uint16(l.urb.endpoint)}
	if _, err := p.Control(ctx, s, nil); err != nil {
		return fmt.Errorf("%s: clear halt: %w", l.what, err)
	}
	ep := uint32(l.urb.endpoint)
	if errno := p.k.ioctl(reqResetEndpoint, unsafe.Pointer(&ep)); errno != 0 {
		return p.translate(l.what+": reset", errno)
	}
	return nil
}

// Close ends the pending calls with ErrClosed and waits for them, so that the
// kernel has no URB any more when the memory behind them is given back.
func (p *pipe) Close() error {
	p.close.Do(func() {
		p.mu.Lock()
		p.err = usb.ErrClosed
		close(p.closing)
		p.kick()
		p.mu.Unlock()
		p.calls.Wait()
		if p.in != nil {
			p.takeBack(p.in)
		}

		failures := []error{p.release(), p.k.close()}
		for _, l := range p.lanes {
			failures = append(failures, l.free())
		}
		p.failed = errors.Join(failures...)
	})
	return p.failed
}

// enter begins a call on l: it waits for the turn, as long as ctx allows.
func (p *pipe) enter(ctx context.Context, l *lane) error {
	p.mu.Lock()
	if err := p.err; err != nil {
		p.mu.Unlock()
		return fmt.Errorf("%s: %w", l.what, err)
	}
	p.calls.Add(1)
	p.mu.Unlock()

	select {
	case l.turn <- struct{}{}:
		return nil
	default:
	}
	err := p.queue(ctx, l)
	if err != nil {
		p.calls.Done()
		return fmt.Errorf("%s: %w", l.what, err)
	}
	return nil
}

func (p *pipe) queue(ctx context.Context, l *lane) error {
	var expired <-chan time.Time
	if d, ok := ctx.Deadline(); ok {
		t := time.NewTimer(time.Until(d))
		defer t.Stop()
		expired = t.C
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	case <-expired:
		return usb.ErrTimeout
	case <-p.closing:
		return usb.ErrClosed
	}
}

func (p *pipe) leave(l *lane) {
	<-l.turn
	p.calls.Done()
}

// ended says why ctx, whose Done is closed, is over.
func ended(ctx context.Context) error {
	switch err := ctx.Err(); err {
	case context.DeadlineExceeded:
		return usb.ErrTimeout
	case nil:
		return context.Canceled
	default:
		return err
	}
}

// translate is failure that also notes the end of the device.
func (p *pipe) translate(what string, errno syscall.Errno) error {
	if final(errno) {
		p.gone()
	}
	return failure(what, errno)
}
