package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// ClockStatus is bClockStatus of a SlotStatus answer (CCID rev 1.10 §6.2.2).
type ClockStatus byte

// The states of a card's clock.
const (
	ClockRunning        ClockStatus = 0
	ClockStoppedLow     ClockStatus = 1
	ClockStoppedHigh    ClockStatus = 2
	ClockStoppedUnknown ClockStatus = 3
)

func (c ClockStatus) String() string {
	switch c {
	case ClockRunning:
		return "running"
	case ClockStoppedLow:
		return "stopped low"
	case ClockStoppedHigh:
		return "stopped high"
	case ClockStoppedUnknown:
		return "stopped"
	}
	return fmt.Sprintf("ClockStatus(%d)", byte(c))
}

// Clock is bClockStatus of a SlotStatus answer.
func (m Message) Clock() ClockStatus { return ClockStatus(m.Specific[2]) }

func getSlotStatus() Message { return Message{Type: msgGetSlotStatus} }

// noCard reports whether an answer to GetSlotStatus says that there is no
// card. Some readers say so with a failure.
func noCard(a Message) bool {
	icc := a.Status().ICC()
	return icc == ICCAbsent || icc == ICCInactive && a.Status().Failed() && a.Code() == CodeMute
}

// status asks for the card and notes what it learns. No card is no error. The
// caller holds the gate.
func (s *Slot) status(ctx context.Context, limit time.Duration) (Message, error) {
	a, err := s.command(ctx, getSlotStatus(), limit)
	var failed *SlotError
	if errors.As(err, &failed) && noCard(a) {
		return a, nil
	}
	return a, err
}

// open implements link: it throws away what is left of a former life and asks
// every slot for its card. The first questions may get lost, for the toggle
// bits of host and device may differ.
func (l *bulkLink) open(ctx context.Context) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	for _, s := range l.r.slots[1:] {
		// A slot that cannot say stays CardUnknown until somebody uses it.
		if _, err := s.status(ctx, l.r.timeouts.Command); err != nil && (final(err) || expired(ctx) != nil) {
			return err
		}
	}
	return nil
}

func (l *bulkLink) settle(ctx context.Context) error {
	l.out <- struct{}{}
	l.in <- struct{}{}
	defer func() { <-l.in; <-l.out }()
	s := l.r.slots[0]
	var err error
	if !l.r.config.fresh {
		err = l.drain(ctx, s, drainOpen)
	}
	for i, limit := range []time.Duration{l.r.timeouts.Command, 100 * time.Millisecond, 300 * time.Millisecond} {
		if err == nil || i > 0 {
			var a Message
			if a, err = l.ask(ctx, s, getSlotStatus(), limit); err == nil {
				s.observe(msgGetSlotStatus, a)
				l.mu.Lock()
				l.broken, l.fault = nil, fault{}
				l.mu.Unlock()
				return nil
			}
		}
		if final(err) {
			return err
		}
		if e := expired(ctx); e != nil {
			return e
		}
		if i > 0 || halted(err) {
			bound, cancel := context.WithTimeout(ctx, 3*l.r.timeouts.Control)
			if e := l.pipe.Recover(bound); e != nil && final(e) {
				err = e
			}
			cancel()
		}
		if e := l.drain(ctx, s, drainOpen); e != nil && (final(e) || expired(ctx) != nil) {
			return e
		}
	}
	if errors.Is(err, usb.ErrTimeout) {
		return fmt.Errorf("%w: %w", ErrFaulty, err)
	}
	return err
}
