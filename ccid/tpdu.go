package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/ccid/t0"
	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// blocks runs an exchange of T=1 from its first step to its end, one block per
// XfrBlock. The caller holds the gate.
func (s *Slot) blocks(ctx context.Context, step t1.Step, limit time.Duration) ([]byte, error) {
	// The card may have the whole command: its last block was sent.
	executed := false
	start, extensions := time.Now(), 0
	for step.Kind == t1.Send {
		wait := limit
		if step.WTX != 0 {
			extensions++
			wait = limitOf(ctx, s.timing.waitingTime(step.WTX))
		}
		answer, err := s.sendBlock(ctx, step.Block, step.WTX, wait)
		executed = executed || s.t1.LastBlockSent() && s.sent
		if err == nil && (s.overdue(start, limit) || s.tooMany(extensions)) { // S(WTX) has no end of its own
			err = usb.ErrTimeout
		}
		if err == nil {
			step = s.t1.Receive(answer)
			continue
		}
		cause := causeOf(err)
		step = s.t1.Fail(cause)
		if cause == t1.CauseLost {
			s.lose()
			if executed {
				err = outcome(err)
			}
			return nil, err
		}
	}
	if step.Kind == t1.ResetCard {
		s.lose()
	}
	if step.Err != nil {
		return nil, fromT1(step.Err)
	}
	return step.Resp, nil
}

// causeOf tells which failures of a block the protocol can mend.
func causeOf(err error) t1.Cause {
	var failed *SlotError
	if errors.As(err, &failed) && failed.Status.ICC() != ICCAbsent {
		switch failed.Code {
		case CodeMute:
			return t1.CauseTimeout
		case CodeParity:
			return t1.CauseParity
		case CodeOverrun:
			return t1.CauseOverrun
		}
	}
	return t1.CauseLost
}

// fromT1 makes the errors of the protocol match those of this package.
func fromT1(err error) error {
	switch {
	case errors.Is(err, t1.ErrMute):
		return fmt.Errorf("%w: %w", ErrMute, err)
	case errors.Is(err, t1.ErrTooLong) && !errors.Is(err, ErrOutcomeUnknown): // a command, not sent
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}

// sendBlock exchanges one block of T=1. The answer is valid until the next.
func (s *Slot) sendBlock(ctx context.Context, block []byte, bwi byte, limit time.Duration) ([]byte, error) {
	if s.level == usb.Character {
		return s.blockCharacters(ctx, block, bwi, limit)
	}
	a, err := s.command(ctx, xfrBlock(block, bwi, 0), limit)
	return a.Data, err
}

// overdue reports whether a command in several messages has lasted for too
// long altogether.
func (s *Slot) overdue(start time.Time, limit time.Duration) bool {
	total := s.r.timeouts.Total
	return total > 0 && time.Since(start) > max(total, limit)
}

// tooMany reports whether a card that keeps asking for time does so more often
// than it could while keeping to its own waiting time, the shortest of which is
// 0.1 s. It guards the processor, where the total guards the caller.
func (s *Slot) tooMany(extensions int) bool {
	total := s.r.timeouts.Total
	return total > 0 && extensions > max(int(total/(100*time.Millisecond)), 1000)
}

// tpdus runs an APDU over T=0.
func (s *Slot) tpdus(ctx context.Context, dst, apdu []byte, limit time.Duration) ([]byte, error) {
	s.apduAt = 0
	executed := false // or at least the card may have the whole command
	start := time.Now()
	step := s.t0.Begin(dst, apdu)
	for step.Kind == t0.Send {
		var answer []byte
		var err error
		if s.level == usb.Character {
			answer, err = s.tpduCharacters(ctx, step, limit)
		} else {
			answer, err = s.tpdu(ctx, step, limit)
		}
		executed = executed || s.t0.CommandSent() && s.sent
		if err == nil && s.overdue(start, limit) {
			s.lose()
			err = usb.ErrTimeout
		}
		if err != nil {
			if executed {
				err = outcome(err)
			}
			return nil, err
		}
		step = s.t0.Receive(answer)
	}
	switch err := step.Err; {
	case err == nil:
		return step.Resp, nil
	case errors.Is(err, t0.ErrProtocol), errors.Is(err, t0.ErrEndless):
		s.lose()
		return nil, outcome(fmt.Errorf("%w: %w", ErrProtocol, err))
	case errors.Is(err, t0.ErrINS), errors.Is(err, t0.ErrNoEnvelope):
		return nil, fmt.Errorf("%w: %w", ErrNotSupported, err)
	default:
		return nil, err
	}
}

func (s *Slot) tpdu(ctx context.Context, step t0.Step, limit time.Duration) ([]byte, error) {
	if len(step.Send) > s.r.link.payload() {
		s.sent = false
		return nil, fmt.Errorf("T=0 command of %d bytes: %w", len(step.Send), ErrNotSupported)
	}
	a, err := s.command(ctx, xfrBlock(step.Send, 0, 0), limit)
	return a.Data, err
}

// setUpT1 prepares the link layer after a reset and tells the card how long
// blocks it may send (ISO 7816-3:2006 §11.4.2), unless the reader did.
func (s *Slot) setUpT1(ctx context.Context, atr iso7816.ATR, ifsc int) error {
	p := t1.Params{IFSC: ifsc}
	if atr.CRC() {
		p.EDC = t1.CRC
	}
	p.MaxINF = s.r.link.payload() - t1.PrologueLen - p.EDC.Len()
	ifsd := min(t1.MaxINF, p.MaxINF)
	if m := int(s.r.desc.MaxIFSD); m >= 1 && m <= t1.MaxINF {
		ifsd = min(ifsd, m)
	}
	if s.r.desc.Features.Has(usb.AutoIFSD) {
		p.IFSD = ifsd
		s.t1.Reset(p)
		return nil
	}
	s.t1.Reset(p)
	if ifsd == s.t1.IFSD() {
		return nil
	}
	_, err := s.blocks(ctx, s.t1.BeginIFS(ifsd), s.hard)
	return err
}
