//go:build linux

package usbfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

// The kernel tells only that some URB can be reaped, not which, and one
// goroutine at a time can wait for that. So the calls share the work: the
// first to come becomes the leader, sleeps in poll(2) and reaps for all; the
// others sleep on a channel. When the leader's own URB is back it leaves, and
// wakes another to take the lead.
//
// A token with no interrupt endpoint has one call at a time. It is always the
// leader, so that the kernel wakes the very goroutine that waits for the
// answer.

// transfer takes the URB of l, which is filled in, to the kernel and back. It
// gives the number of bytes that were moved, also beside an error. The URB is
// not the kernel's any more when it returns, or the device is gone.
func (p *pipe) transfer(ctx context.Context, l *lane) (int, error) {
	l.deadline, _ = ctx.Deadline()
	l.done = ctx.Done()
	l.stop = nil
	select {
	case <-l.done:
		return 0, fmt.Errorf("%s: %w", l.what, ended(ctx))
	default:
	}
	if !l.deadline.IsZero() && !time.Now().Before(l.deadline) {
		return 0, fmt.Errorf("%s: %w", l.what, usb.ErrTimeout)
	}

	p.mu.Lock()
	if err := p.err; err != nil {
		p.mu.Unlock()
		return 0, fmt.Errorf("%s: %w", l.what, err)
	}
	if l.ahead && l.state != refused {
		l.ahead = false
	} else {
		l.ahead, l.state, l.reset = false, prepared, false
		p.flying++
	}
	waits, lead := l.pending(), p.leader == nil
	if waits && lead {
		p.leader = l
	}
	p.mu.Unlock()
	if waits && (lead || p.follow(ctx, l)) {
		p.lead(ctx, l)
	}
	p.mu.Lock()
	state, reset, errno, err := l.state, l.reset, l.errno, p.err
	l.state = idle
	p.mu.Unlock()

	switch state {
	case returned:
		return p.outcome(l, reset)
	case refused:
		return 0, p.refusal(l, errno)
	case withdrawn:
		return 0, fmt.Errorf("%s: %w", l.what, l.stop)
	default:
		return 0, fmt.Errorf("%s: %w", l.what, err)
	}
}

// outcome reads the returned URB of l. Setting the interface takes URBs from
// its endpoints, which is no reason to think that somebody else did.
func (p *pipe) outcome(l *lane, reset bool) (int, error) {
	n, errno := l.status()
	switch {
	case errno == 0: // in spite of a discard that came too late
		return n, nil
	case cancelled(errno) && l.stop != nil:
		return n, fmt.Errorf("%s: %w", l.what, l.stop)
	case cancelled(errno) && reset:
		return n, fmt.Errorf("%s: withdrawn by the setting of its interface: %w", l.what, usb.ErrIO)
	}
	return n, p.translate(l.what, errno)
}

// refusal tells why the kernel did not take the URB of l.
func (p *pipe) refusal(l *lane, errno syscall.Errno) error {
	if errno == unix.ENOENT {
		return fmt.Errorf("%s: %w (%w)", l.what, usb.ErrNoEndpoint, errno)
	}
	return p.translate(l.what, errno)
}

// lead polls until the transfer of l is over. The caller has made l the leader.
func (p *pipe) lead(ctx context.Context, l *lane) {
	woken := false // by the deadline, or by a kick
	p.mu.Lock()
	for l.pending() {
		var discard bool
		if l.stop == nil {
			l.stop = p.why(ctx, l, woken)
			discard = l.stop != nil
		}
		switch {
		case l.stop == nil:
			p.arm(l.deadline)
			p.watch(l.done)
		case l.state == prepared:
			l.state = withdrawn
			p.flying--
			continue
		default: // the URB comes back for certain
			p.arm(time.Time{})
			p.watch(nil)
		}
		p.mu.Unlock()
		if discard {
			p.discard(l)
		}
		err := p.k.poll(p.step)
		p.mu.Lock()
		if woken = err != nil; woken {
			p.alarm = past
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				p.goneLocked()
			}
		}
	}
	p.leader = nil
	p.watch(nil)
	p.pass()
	p.mu.Unlock()
}

// why tells what ends the call that has l, nil if nothing does. It looks at
// the context only if something woke the leader. mu is held.
func (p *pipe) why(ctx context.Context, l *lane, woken bool) error {
	if p.err != nil {
		return p.err
	}
	if !woken {
		return nil
	}
	select {
	case <-l.done:
		return ended(ctx)
	default:
	}
	if !l.deadline.IsZero() && !time.Now().Before(l.deadline) {
		return usb.ErrTimeout
	}
	return nil
}

// advance is what the leader does each time it is awake in k.poll: submit its
// URB if it did not yet, then reap. It reports whether the leader is through.
func (p *pipe) advance() bool {
	p.mu.Lock()
	l := p.leader
	if !l.pending() {
		p.mu.Unlock()
		return true
	}
	submit, alone := l.state == prepared, p.flying == 1
	if submit {
		l.state = submitted
	}
	p.mu.Unlock()
	if submit {
		// Within poll, so that the completion cannot slip in before it: what
		// completes from here on wakes us. With no other URB about there is
		// nothing else to reap yet.
		if !p.submit(l) {
			return true
		}
		if l == p.out {
			p.readAhead()
		}
		if alone {
			return false
		}
	}
	for {
		switch errno := p.k.ioctl(reqReapNoDelay, unsafe.Pointer(&p.reaped)); errno {
		case 0:
			if p.returned(p.reaped) == l {
				return true
			}
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		default: // ENODEV: the device is gone and nothing is left to reap
			p.gone()
			return true
		}
	}
}

// submit hands the URB of l to the kernel and reports whether it took it.
func (p *pipe) submit(l *lane) bool {
	errno := p.k.ioctl(reqSubmit, unsafe.Pointer(l.urb))
	for errno == unix.EINTR {
		errno = p.k.ioctl(reqSubmit, unsafe.Pointer(l.urb))
	}
	if errno == 0 {
		return true
	}
	p.mu.Lock()
	if l.pending() { // else it is lost already
		l.state, l.errno = refused, errno
		p.flying--
	}
	p.mu.Unlock()
	return false
}

// discard asks for the URB of l back. It is going to be reaped in any case: an
// error says only that it completed before, or with the device.
func (p *pipe) discard(l *lane) { p.k.ioctl(reqDiscard, unsafe.Pointer(l.urb)) }

// returned notes that the URB at address is back, and whose it is.
func (p *pipe) returned(address uintptr) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if l.state == submitted && l.address() == address {
			l.state = returned
			p.flying--
			l.signal()
			return l
		}
	}
	return nil
}

// follow submits the URB of l and sleeps until it is back, or until the lead
// is free: then it takes it and reports true.
func (p *pipe) follow(ctx context.Context, l *lane) (lead bool) {
	done, closing := l.done, (<-chan struct{})(p.closing)
	var expired <-chan time.Time
	if !l.deadline.IsZero() {
		expired = l.expire(time.Until(l.deadline))
		defer l.timer.Stop()
	}
	p.mu.Lock()
	submit := l.state == prepared // else the device has gone meanwhile
	if submit {
		l.state = submitted
	}
	p.mu.Unlock()
	if submit && p.submit(l) && l == p.out {
		p.readAhead()
	}
	for {
		p.mu.Lock()
		lead = l.pending() && p.leader == nil
		if lead {
			p.leader = l
		}
		l.asleep = l.pending() && !lead
		asleep := l.asleep
		p.mu.Unlock()
		if !asleep {
			return lead
		}
		var why error
		select {
		case <-l.wake:
			continue
		case <-done:
			why = ended(ctx)
		case <-expired:
			why = usb.ErrTimeout
		case <-closing:
			why = usb.ErrClosed
		}
		l.stop = why
		done, closing, expired = nil, nil, nil
		p.discard(l)
	}
}

// pass wakes one that waits, for it to take the lead. mu is held.
func (p *pipe) pass() {
	for _, l := range p.lanes {
		if l.asleep && l.pending() {
			l.signal()
			return
		}
	}
}

// gone ends every call: the device is not there any more. The kernel writes to
// memory of ours while it reaps and never else, so that URBs which it has
// still, and which nobody is going to reap, do no harm.
func (p *pipe) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goneLocked()
}

func (p *pipe) goneLocked() {
	if p.err == nil {
		p.err = usb.ErrGone
	}
	for _, l := range p.lanes {
		if l.pending() {
			l.state = lost
			p.flying--
			l.signal()
		}
	}
	p.kick()
}

// past is a deadline that was always over.
var past = time.Unix(1, 0)

// kick gets the leader out of k.poll. mu is held.
func (p *pipe) kick() {
	if p.leader != nil {
		p.alarm = past
		p.k.setDeadline(past)
	}
}

// arm has the leader woken at deadline; the zero time is never. mu is held.
func (p *pipe) arm(deadline time.Time) {
	if p.alarm != deadline {
		p.alarm = deadline
		p.k.setDeadline(deadline)
	}
}

// watch has the leader kicked when done is closed. Which channel it was last
// is left in place, for the next call most often comes with the same context.
// mu is held.
func (p *pipe) watch(done <-chan struct{}) {
	p.leading = done
	if done == nil || done == p.watched || p.err != nil {
		return
	}
	p.watched = done
	if !p.watching {
		p.watching = true
		p.calls.Go(p.runWatch)
		return
	}
	select {
	case p.rewatch <- struct{}{}:
	default:
	}
}

func (p *pipe) runWatch() {
	for {
		p.mu.Lock()
		done := p.watched
		p.mu.Unlock()
		select {
		case <-done:
			p.mu.Lock()
			if p.leading == done {
				p.kick()
			}
			if p.watched == done {
				p.watched = nil
			}
			p.mu.Unlock()
		case <-p.rewatch:
		case <-p.closing:
			return
		}
	}
}
