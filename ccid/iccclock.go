package ccid

import (
	"context"

	"kaztoken/usb"
)

// iccClock restarts or stops the card's clock; in which state it stops is set
// by bClockStop of the parameters (CCID rev 1.10 §6.1.9).
func iccClock(stop bool) Message {
	m := Message{Type: msgIccClock}
	if stop {
		m.Specific[0] = 1
	}
	return m
}

// StopClock stops the clock of an idle card, or restarts it. A reader that
// cannot do it is ErrNotSupported.
func (s *Slot) StopClock(ctx context.Context, stop bool) (ClockStatus, error) {
	const doing = "clock"
	if !s.r.desc.Features.Has(usb.ClockStop) {
		return ClockRunning, s.wrap(doing, ErrNotSupported)
	}
	a, err := s.simple(ctx, doing, iccClock(stop))
	return a.Clock(), err
}

// simple runs a command that has no more to say than its status.
func (s *Slot) simple(ctx context.Context, doing string, m Message) (Message, error) {
	if err := s.enter(ctx); err != nil {
		return Message{}, s.wrap(doing, err)
	}
	defer s.leave()
	a, err := s.command(ctx, m, s.r.timeouts.Command)
	return a, s.wrap(doing, err)
}
