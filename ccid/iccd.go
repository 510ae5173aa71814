package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// Requests of both versions of ICCD (ICCD rev 1.0 §7, §8).
const (
	iccdPowerOn   = 0x62
	iccdPowerOff  = 0x63
	iccdXfrBlock  = 0x65 // to the card
	iccdDataBlock = 0x6F // from the card

	iccdOut = 0x21 // bmRequestType: class, interface, to the device
	iccdIn  = 0xA1 // from the device
)

const (
	iccdMaxRead = 4096 // one control transfer
	iccdPoll    = 10 * time.Millisecond
)

// controlLink is what the two control-pipe links have in common. Both speak to
// the rest of the driver in the messages of CCID: a command goes out as the
// requests that stand for it, and what comes back is dressed as its answer.
// There is one slot, so the slot's gate guards everything.
type controlLink struct {
	r       *Reader
	pipe    usb.Pipe
	wait    boundedContext
	seq     byte
	buf     []byte
	settled bool // the device is where a command can begin
	// restart brings it there.
	restart func(ctx context.Context) error
	// run carries out one command.
	run func(ctx context.Context, s *Slot, m Message, deadline time.Time) (Message, error)
}

// payload is the whole message: control transfers carry no header.
func (l *controlLink) payload() int { return int(l.r.desc.MaxMessageLength) }

func (l *controlLink) open(ctx context.Context) error {
	if err := l.restart(ctx); err != nil {
		return err
	}
	l.settled = true
	s := l.r.slots[0]
	_, err := s.status(ctx, l.r.timeouts.Command)
	return err
}

// abort implements link: there is no such request. The next command restarts
// the device.
func (l *controlLink) abort(s *Slot, _ MessageType, _ error) { l.unsettle(s) }

// unsettle notes that nobody knows where device and card stand. The next
// command restarts the one, and the other needs a reset.
func (l *controlLink) unsettle(s *Slot) {
	l.settled = false
	s.lose()
}

func (l *controlLink) interrupt(context.Context, *Slot) (finish func()) { return func() {} }

// roundTrip implements link.
func (l *controlLink) roundTrip(ctx context.Context, s *Slot, m Message, limit time.Duration) (Message, error) {
	s.sent = false
	if limit := l.r.link.payload(); len(m.Data) > limit { // that of the version, not l's own
		return Message{}, fmt.Errorf("%v with %d bytes, the token takes %d: %w", m.Type, len(m.Data), limit, ErrNotSupported)
	}
	if !l.settled {
		l.r.trace(Event{Kind: EventResync, Slot: int(s.index)})
		if err := l.restart(ctx); err != nil {
			return Message{}, l.giveUp(ctx, s, m.Type, err)
		}
		l.settled = true
		if m.Type == msgXfrBlock {
			return Message{}, ErrCardReset
		}
	}
	m.Slot, m.Seq = s.index, l.seq
	l.seq++
	if l.r.hook != nil {
		s.traceCommand(m.AppendTo(nil))
	}
	start := time.Now()
	a, err := l.run(ctx, s, m, start.Add(limit))
	if err != nil {
		return Message{}, l.giveUp(ctx, s, m.Type, err)
	}
	a.Slot, a.Seq = m.Slot, m.Seq
	if l.r.hook != nil {
		s.traceAnswer(m.Type, a.AppendTo(nil), time.Since(start))
	}
	return a, nil
}

// giveUp ends a command that was not answered.
func (l *controlLink) giveUp(ctx context.Context, s *Slot, t MessageType, cause error) error {
	if errors.Is(cause, ErrNotSupported) {
		return cause
	}
	if errors.Is(cause, usb.ErrTimeout) {
		if e := expired(ctx); e != nil {
			cause = e
		}
	}
	if !final(cause) {
		l.unsettle(s)
	}
	return fmt.Errorf("%v: %w", t, cause)
}

// out makes a request with data to the device.
func (l *controlLink) out(ctx context.Context, request byte, value uint16, data []byte, deadline time.Time) error {
	n, err := l.pipe.Control(l.bound(ctx, deadline), l.setup(iccdOut, request, value), data)
	if err == nil && n < len(data) {
		return usb.ErrShortWrite
	}
	return err
}

// in makes a request for data from the device, into b.
func (l *controlLink) in(ctx context.Context, request byte, b []byte, deadline time.Time) ([]byte, error) {
	n, err := l.pipe.Control(l.bound(ctx, deadline), l.setup(iccdIn, request, 0), b)
	return b[:n], err
}

func (l *controlLink) setup(requestType, request byte, value uint16) usb.Setup {
	return usb.Setup{RequestType: requestType, Request: request, Value: value, Index: uint16(l.r.ifc.Number)}
}

func (l *controlLink) bound(ctx context.Context, deadline time.Time) context.Context {
	if at := time.Now().Add(l.r.timeouts.Control); at.Before(deadline) {
		deadline = at
	}
	return l.wait.until(ctx, deadline)
}

// pause waits before the next question, within the deadline.
func (l *controlLink) pause(ctx context.Context, d time.Duration, deadline time.Time) error {
	if left := time.Until(deadline); left < d {
		if left > 0 {
			if err := l.r.sleep(ctx, left); err != nil {
				return err
			}
		}
		return usb.ErrTimeout
	}
	return l.r.sleep(ctx, d)
}

// quick is the deadline of requests that need no card.
func (l *controlLink) quick() time.Time { return time.Now().Add(l.r.timeouts.Command) }

// answered dresses data as the answer DataBlock.
func answered(icc ICCStatus, place Chain, data []byte) Message {
	return Message{Type: msgDataBlock, Specific: [3]byte{byte(icc), 0, byte(place)}, Data: data}
}

// stated dresses a state of the card as the answer SlotStatus.
func stated(icc ICCStatus) Message {
	return Message{Type: msgSlotStatus, Specific: [3]byte{byte(icc)}}
}

// refusedBy dresses a failure.
func refusedBy(icc ICCStatus, code ErrorCode) Message {
	return Message{Type: msgSlotStatus, Specific: [3]byte{0x40 | byte(icc), byte(code)}}
}
