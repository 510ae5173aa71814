package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// requestAbort is ABORT of the class requests (CCID rev 1.10 §5.3.1).
const requestAbort = 0x01

func abortMessage() Message { return Message{Type: msgAbort} }

// abortSetup is the control half of an abort: it names slot and sequence number
// of the bulk half that follows.
func abortSetup(ifc, slot, seq byte) usb.Setup {
	return usb.Setup{RequestType: 0x21, Request: requestAbort, Value: uint16(seq)<<8 | uint16(slot), Index: uint16(ifc)}
}

// abort implements link: it ends the command of s in the reader and takes
// everything out of the pipe that is still said about it (CCID rev 1.10 §5.3.1
// and §6.1.13). It does not look at the context of the command, which is over.
// A reader that does not do its part has broken down.
func (l *bulkLink) abort(s *Slot, t MessageType, cause error) {
	l.r.trace(Event{Kind: EventAbort, Slot: int(s.index), Type: t, Err: cause})
	limit := l.r.timeouts.Abort
	if t == msgSecure {
		limit = max(limit, abortPINEntry)
	}
	select {
	case <-l.r.quit: // politeness has its limits
		limit = min(limit, closeTimeout/2)
	default:
	}
	refused, err := l.tryAbort(s, time.Now().Add(limit))
	var busy *SlotError
	switch {
	case err != nil:
		l.breakDown(err)
	case refused && errors.As(cause, &busy) && busy.Code == CodeSlotBusy:
		l.breakDown(cause) // it takes more to get the slot out of that
	}
	s.lose()
}

func (l *bulkLink) tryAbort(s *Slot, deadline time.Time) (refused bool, err error) {
	s.timer.Reset(time.Until(deadline))
	select {
	case l.out <- struct{}{}:
		s.timer.Stop()
	case <-s.timer.C:
		return false, fmt.Errorf("abort: %w", usb.ErrTimeout)
	case <-l.r.done:
		return false, l.r.Err()
	}
	ctx := context.Background()
	err = l.writeAbort(ctx, s, deadline)
	<-l.out
	if err != nil {
		return false, err
	}
	return l.aborted(s, func() (pending, error) { return l.await(ctx, s, deadline) })
}

// askAbort is abort for a caller that holds out and in.
func (l *bulkLink) askAbort(ctx context.Context, s *Slot, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	if err := l.writeAbort(ctx, s, deadline); err != nil {
		return err
	}
	_, err := l.aborted(s, func() (pending, error) { return l.lead(ctx, s, deadline) })
	return err
}

// writeAbort sends both halves. The caller holds out.
func (l *bulkLink) writeAbort(ctx context.Context, s *Slot, deadline time.Time) error {
	at := time.Now().Add(l.r.timeouts.Control)
	if deadline.Before(at) {
		at = deadline
	}
	// Firmware that does not know the request refuses it; the other half may
	// work all the same.
	if _, err := l.pipe.Control(l.wait.until(ctx, at), abortSetup(l.r.ifc.Number, s.index, l.next), nil); err != nil && final(err) {
		return err
	}
	return l.write(ctx, s, abortMessage(), time.Until(deadline))
}

// aborted waits for the end of an abort. A refusal is one too: a reader that
// answers the command is hardly busy with another.
func (l *bulkLink) aborted(s *Slot, next func() (pending, error)) (refused bool, err error) {
	defer l.forget(s)
	for {
		p, err := next()
		switch {
		case err != nil:
			return false, fmt.Errorf("abort: %w", err)
		case p.extended:
			continue
		}
		a := decode(s.rx[:p.n])
		if l.r.hook != nil {
			s.traceAnswer(msgAbort, s.rx[:p.n], 0)
		}
		switch {
		case a.Type != msgSlotStatus:
			return false, fmt.Errorf("abort: %v: %w", a.Type, errWrongType)
		case a.Status().Failed() && a.Code() == CodeSlotBusy:
			return true, &SlotError{Command: msgAbort, Slot: int(s.index), Code: a.Code(), Status: a.Status()}
		}
		return a.Status().Failed(), nil
	}
}

// interrupt implements link: whoever waits for s gets CMD_ABORTED, and the
// answer to the abort itself is left for finish.
func (l *bulkLink) interrupt(ctx context.Context, s *Slot) (finish func()) {
	nothing := func() {}
	if l.take(ctx, l.out) != nil {
		return nothing
	}
	defer func() { <-l.out }()
	seq := l.next
	l.next++
	bound, cancel := context.WithTimeout(ctx, l.r.timeouts.Control)
	defer cancel()
	if _, err := l.pipe.Control(bound, abortSetup(l.r.ifc.Number, s.index, seq), nil); err != nil && final(err) {
		l.r.end(err)
		return nothing
	}
	m := abortMessage()
	m.Slot, m.Seq = s.index, seq
	if err := l.put(ctx, m.AppendTo(nil), closeTimeout); err != nil {
		l.breakDown(err)
		return nothing
	}
	return func() {
		l.mu.Lock()
		l.pending[s.index] = pending{active: true, seq: seq}
		l.mu.Unlock()
		l.aborted(s, func() (pending, error) { return l.await(ctx, s, time.Now().Add(closeTimeout)) })
	}
}
