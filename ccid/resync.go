package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// fault is the history of a link's breakdowns.
type fault struct {
	lastIO time.Time     // of the last transfer error
	until  time.Time     // the reader is left alone until then
	pause  time.Duration // the last one
}

const (
	faultPauseMin = time.Second
	faultPauseMax = 30 * time.Second
	faultIOWindow = 10 * time.Second // two transfer errors in it are a fault
)

// giveUp ends the command of s that was sent and whose answer cannot be had,
// and brings reader and card to where the next command can begin, at the
// latest when it does. It returns the cause, with what was being done.
func (l *bulkLink) giveUp(s *Slot, t MessageType, cause error) error {
	l.forget(s)
	switch {
	case final(cause):
		l.r.end(cause)
	case abortable(cause):
		l.abort(s, t, cause)
		if errors.Is(cause, errWrongType) {
			l.breakDown(cause)
		}
	default:
		l.breakDown(cause)
		s.lose() // whoever noted it may not have come to this slot yet
	}
	return fmt.Errorf("%v: %w", t, cause)
}

// abortable reports whether a command that failed by cause can be aborted: the
// link is in order.
func abortable(cause error) bool {
	return errors.Is(cause, usb.ErrTimeout) || errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) ||
		errors.Is(cause, errWrongType) || errors.Is(cause, errEndless)
}

// known is the cause of a breakdown that was noted already. Everybody who waited
// gets it, and it is one breakdown all the same.
type known struct{ error }

func (k known) Unwrap() error { return k.error }

// breakDown notes that the link is out of step. Every command in progress
// fails, every card counts as reset; the next command resynchronises first. It
// returns the cause as one that is known.
func (l *bulkLink) breakDown(cause error) error {
	if final(cause) {
		l.r.end(cause)
		return cause
	}
	if _, again := errors.AsType[known](cause); again {
		return cause
	}
	l.mu.Lock()
	if l.broken == nil {
		l.broken = cause
	}
	if errors.Is(cause, usb.ErrIO) {
		now := time.Now()
		if !l.fault.lastIO.IsZero() && now.Sub(l.fault.lastIO) < faultIOWindow {
			l.fault.rest(now)
		}
		l.fault.lastIO = now
	}
	for i := range l.pending {
		if p := &l.pending[i]; p.active && !p.answered {
			p.err = known{fmt.Errorf("reader is being resynchronised: %w", cause)}
			l.r.slots[i].knock()
		}
	}
	l.mu.Unlock()
	for _, s := range l.r.slots {
		s.lose()
	}
	return known{cause}
}

// rest has the reader left alone, each time for twice as long.
func (f *fault) rest(now time.Time) {
	f.pause = min(max(2*f.pause, faultPauseMin), faultPauseMax)
	f.until = now.Add(f.pause)
}

// synchronise brings a broken link back. The command of type t that is to
// follow must not go to a card that lost its state by this.
func (l *bulkLink) synchronise(ctx context.Context, s *Slot, t MessageType) error {
	if l.brokenBy() == nil {
		return nil
	}
	if err := l.take(ctx, l.out); err != nil {
		return err
	}
	defer func() { <-l.out }()
	if err := l.take(ctx, l.in); err != nil {
		return err
	}
	defer func() { <-l.in }()

	l.mu.Lock()
	cause, left := l.broken, time.Until(l.fault.until)
	l.mu.Unlock()
	switch {
	case cause == nil: // another was faster
	case left > 0:
		return fmt.Errorf("%w: next attempt in %v: %w", ErrFaulty, left.Round(time.Millisecond), cause)
	default:
		l.r.trace(Event{Kind: EventResync, Slot: int(s.index), Err: cause})
		if err := l.ladder(ctx, s, cause); err != nil {
			return l.stillBroken(ctx, err)
		}
		l.mu.Lock()
		l.broken, l.fault.pause, l.fault.until = nil, 0, time.Time{}
		l.mu.Unlock()
	}
	switch t {
	case msgIccPowerOn, msgIccPowerOff, msgGetSlotStatus, msgEscape, msgMechanical:
		return nil
	}
	return fmt.Errorf("%v: %w", t, ErrCardReset)
}

func (l *bulkLink) brokenBy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// stillBroken is the end of a failed resynchronisation.
func (l *bulkLink) stillBroken(ctx context.Context, err error) error {
	if final(err) {
		l.r.end(err)
		return err
	}
	if e := expired(ctx); e != nil { // not the reader's fault
		return e
	}
	l.mu.Lock()
	l.fault.rest(time.Now())
	l.mu.Unlock()
	l.r.trace(Event{Kind: EventFault, Slot: -1, Err: err})
	return fmt.Errorf("%w: %w", ErrFaulty, err)
}

// ladder tries to get a matching answer to GetSlotStatus, with stronger means
// from rung to rung. The port is never reset: other interfaces of the device
// may be in use. The caller holds out and in.
func (l *bulkLink) ladder(ctx context.Context, s *Slot, cause error) error {
	recover := func() error {
		bound, cancel := context.WithTimeout(ctx, 3*l.r.timeouts.Control)
		defer cancel()
		return l.pipe.Recover(bound)
	}
	probe := func() error {
		if err := l.drain(ctx, s, drainResync); err != nil && !errors.Is(err, usb.ErrStall) {
			return err
		}
		a, err := l.ask(ctx, s, getSlotStatus(), probeTimeout)
		if err == nil && a.Status().Failed() && a.Code() == CodeSlotBusy {
			err = &SlotError{Command: msgGetSlotStatus, Slot: int(s.index), Code: a.Code(), Status: a.Status()}
		}
		return err
	}
	rungs := []func() error{
		probe,
		func() error {
			if err := l.askAbort(ctx, s, l.r.timeouts.Abort); err != nil {
				return err
			}
			return probe()
		},
		func() error {
			// A refusal leaves nothing worse than it was (one reader rejects
			// SET_INTERFACE, with which Recover may end).
			if err := recover(); err != nil && final(err) {
				return err
			}
			return probe()
		},
	}
	if halted(cause) { // nothing goes through until the halt is cleared
		rungs = append(rungs[2:], rungs[1:]...)
	}
	var err error
	for _, rung := range rungs {
		if err = rung(); err == nil || final(err) {
			return err
		}
		if e := expired(ctx); e != nil {
			return e
		}
		if halted(err) {
			if err := recover(); err != nil && final(err) {
				return err
			}
		}
	}
	return err
}

// halted reports whether err leaves an endpoint halted or in mid-message.
func halted(err error) bool {
	return errors.Is(err, usb.ErrStall) || errors.Is(err, usb.ErrOverflow) || errors.Is(err, usb.ErrShortWrite)
}
