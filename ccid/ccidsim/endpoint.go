package ccidsim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// Errors of faulty transfers, made once.
var (
	errStall      = fmt.Errorf("endpoint halted: %w", usb.ErrStall)
	errOverflow   = fmt.Errorf("packet larger than what is left of the buffer: %w", usb.ErrOverflow)
	errIO         = fmt.Errorf("injected: %w", usb.ErrIO)
	errTimeout    = fmt.Errorf("software device: %w", usb.ErrTimeout)
	errGone       = fmt.Errorf("software device: %w", usb.ErrGone)
	errShortWrite = fmt.Errorf("injected: %w", usb.ErrShortWrite)
)

// inbound is one IN endpoint: messages waiting for the host to fetch them in
// packets. The device's lock guards it, except wake.
type inbound struct {
	mps    int
	halted bool

	queue []inMessage // queue[head:] waits
	head  int
	free  [][]byte // buffers to use again

	// wake has room for one token: something changed for a waiting reader.
	wake chan struct{}
}

// inMessage is one message, or an error in place of one.
type inMessage struct {
	data []byte
	off  int // sent so far
	err  error
	// final marks the undamaged answer of a command, which the host has to fetch
	// before it sends that slot another one.
	final bool
}

func newInbound(mps int) inbound {
	return inbound{mps: mps, wake: make(chan struct{}, 1)}
}

func (q *inbound) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// buffer gives an empty buffer; push or discard takes it back.
func (q *inbound) buffer() []byte {
	if n := len(q.free); n > 0 {
		b := q.free[n-1]
		q.free = q.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 512)
}

func (q *inbound) discard(b []byte) {
	if cap(b) > 0 && len(q.free) < 8 {
		q.free = append(q.free, b)
	}
}

func (q *inbound) push(data []byte, err error) {
	if q.head > 0 && q.head == len(q.queue) {
		q.queue, q.head = q.queue[:0], 0
	}
	q.queue = append(q.queue, inMessage{data: data, err: err})
	q.signal()
}

// owes reports whether the answer of a slot's last command was not fetched yet.
func (q *inbound) owes(slot byte) bool {
	for _, m := range q.queue[q.head:] {
		if m.final && m.off == 0 && m.data[5] == slot {
			return true
		}
	}
	return false
}

// excuse lets the host leave the last answer where it is: one that is about to
// close the device need not hear how its abort went.
func (q *inbound) excuse() {
	if n := len(q.queue); n > q.head {
		q.queue[n-1].final = false
	}
}

func (q *inbound) waiting() int { return len(q.queue) - q.head }

func (q *inbound) reset() {
	for i := q.head; i < len(q.queue); i++ {
		q.discard(q.queue[i].data)
	}
	q.queue, q.head = q.queue[:0], 0
	q.halted = false
}

// move fills buf with packets the way a host controller does. done says that
// the transfer is complete: buf is full, or a short packet or an error came. A
// message whose last packet is full leaves the transfer open: whatever comes
// next goes on filling it.
func (q *inbound) move(buf []byte) (n int, done bool, err error) {
	if len(buf) == 0 {
		return 0, true, nil
	}
	for q.head < len(q.queue) {
		m := &q.queue[q.head]
		if m.err != nil {
			err = m.err
			q.pop()
			return n, true, err
		}
		if len(m.data) == 0 { // a zero-length packet
			q.pop()
			return n, true, nil
		}
		for m.off < len(m.data) {
			packet := m.data[m.off:]
			if len(packet) > q.mps {
				packet = packet[:q.mps]
			}
			if len(packet) > len(buf)-n {
				q.pop()
				return n, true, errOverflow
			}
			n += copy(buf[n:], packet)
			m.off += len(packet)
			if len(packet) < q.mps {
				q.pop()
				return n, true, nil
			}
			if n == len(buf) {
				if m.off == len(m.data) {
					q.pop()
				}
				return n, true, nil
			}
		}
		q.pop()
	}
	return n, false, nil
}

func (q *inbound) pop() {
	m := &q.queue[q.head]
	q.discard(m.data)
	*m = inMessage{}
	q.head++
}

// session is what ends the calls of one user of the device: the device's own
// removal and, for a pipe, its Close. A nil closed never ends anything.
type session struct {
	gone, closed <-chan struct{}
}

func (s session) over() error {
	select {
	case <-s.gone:
		return errGone
	default:
	}
	select {
	case <-s.closed:
		return errClosed
	default:
		return nil
	}
}

// ended is the error of a context that ended.
func ended(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return errTimeout
	} else if err != nil {
		return err
	}
	return context.Canceled // Done was closed and Err does not say why
}

// wait blocks until wake has a token (nil), the context or the session ends, or
// the deadline of the context passes. until, if not zero, also ends it with nil.
func (s session) wait(ctx context.Context, wake <-chan struct{}, until time.Time) error {
	var timer <-chan time.Time
	deadline, limited := ctx.Deadline()
	if limited && (until.IsZero() || deadline.Before(until)) {
		until = deadline
	} else {
		limited = false
	}
	if !until.IsZero() {
		left := time.Until(until)
		if left <= 0 {
			if limited {
				return errTimeout
			}
			return nil
		}
		t := time.NewTimer(left)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-wake:
		return nil
	case <-s.gone:
		return errGone
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ended(ctx)
	case <-timer:
		if limited {
			return errTimeout
		}
		return nil
	}
}

// In makes one bulk-IN or interrupt transfer, like a host controller: it waits
// for data and moves packets until buf is full or a packet shorter than the
// endpoint's size came. What is left stays for the next call. When the context
// ends first, n counts what had come and the error is ctx.Err(), or ErrTimeout
// if its deadline passed. A packet that does not fit into the rest of buf is
// ErrOverflow; a halted endpoint is ErrStall.
func (d *Device) In(ctx context.Context, ep byte, buf []byte) (n int, err error) {
	return d.in(ctx, session{gone: d.Gone()}, ep, buf)
}

func (d *Device) in(ctx context.Context, s session, ep byte, buf []byte) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, ended(ctx)
	}
	q := d.inboundAt(ep)
	if q == nil {
		return 0, usb.ErrNoEndpoint
	}
	for {
		d.mu.Lock()
		if err := s.over(); err != nil {
			d.mu.Unlock()
			return n, err
		}
		if q.halted {
			d.mu.Unlock()
			return n, errStall
		}
		var next time.Time
		if q == &d.bulkIn {
			next = d.promote()
		} else {
			d.notify()
		}
		moved, done, err := q.move(buf[n:])
		n += moved
		if q.waiting() > 0 {
			q.signal() // another reader may have given up its token
		}
		d.mu.Unlock()
		if done {
			return n, err
		}
		if err := s.wait(ctx, q.wake, next); err != nil {
			return n, err
		}
	}
}

func (d *Device) inboundAt(ep byte) *inbound {
	switch {
	case ep == 0:
		return nil
	case ep == d.profile.Interface.BulkIn.Address:
		return &d.bulkIn
	case ep == d.profile.Interface.Interrupt.Address:
		return &d.interrupt
	}
	return nil
}

// Out takes one bulk-OUT transfer. A message may come in several: the device
// puts it together until a short packet or its length says that it is whole.
// data is not kept.
func (d *Device) Out(ctx context.Context, ep byte, data []byte) error {
	return d.out(ctx, session{gone: d.Gone()}, ep, data)
}

func (d *Device) out(ctx context.Context, s session, ep byte, data []byte) error {
	if err := ctx.Err(); err != nil {
		return ended(ctx)
	}
	if ep == 0 || ep != d.profile.Interface.BulkOut.Address {
		return usb.ErrNoEndpoint
	}
	d.mu.Lock()
	err := s.over()
	if err == nil {
		if d.outHalted {
			err = errStall
		} else {
			err = d.receive(data)
		}
	}
	d.mu.Unlock()
	if errors.Is(err, errNAK) {
		return s.wait(ctx, nil, time.Time{})
	}
	return err
}

// ClearHalt ends a halt of the endpoint and starts its data toggle again. On
// bulk OUT the firmware also drops half a message and a command that hangs.
func (d *Device) ClearHalt(ep byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clearHalt(ep)
}

func (d *Device) clearHalt(ep byte) {
	if q := d.inboundAt(ep); q != nil {
		q.halted = false
		return
	}
	if ep != 0 && ep == d.profile.Interface.BulkOut.Address {
		d.outHalted = false
		d.partial = d.partial[:0]
		for _, s := range d.slots {
			if s.state == hung {
				s.state = idle
			}
		}
	}
}
