package ccid

import (
	"context"
	"fmt"
	"time"

	"kaztoken/ccid/t0"
	"kaztoken/ccid/t1"
	"kaztoken/usb"
)

// maxShort is how often the rest of characters is asked for that a reader
// delivers in too small portions.
const maxShort = 3

// characters sends characters to the card and reads n back (CCID rev 1.10
// §3.2.1): wLevelParameter says how many. They are appended to dst.
func (s *Slot) characters(ctx context.Context, dst, send []byte, bwi byte, n int, limit time.Duration) ([]byte, error) {
	want := len(dst) + n
	for try := 0; ; try++ {
		a, err := s.command(ctx, xfrBlock(send, bwi, uint16(want-len(dst))), limit)
		if err != nil {
			return dst, err
		}
		dst = append(dst, a.Data...)
		if len(dst) >= want || try == maxShort {
			return dst, nil
		}
		send, bwi = nil, 0
	}
}

// blockCharacters exchanges one block of T=1: the prologue of the answer tells
// how many characters follow it.
func (s *Slot) blockCharacters(ctx context.Context, block []byte, bwi byte, limit time.Duration) ([]byte, error) {
	var err error
	s.block, err = s.characters(ctx, s.block[:0], block, bwi, t1.PrologueLen, limit)
	if err != nil {
		return nil, err
	}
	if len(s.block) < t1.PrologueLen || s.block[2] > t1.MaxINF {
		return s.block, nil // no block: the protocol knows what to do
	}
	if due := t1.PrologueLen + int(s.block[2]) + s.t1.EDC().Len() - len(s.block); due > 0 {
		sent := s.sent
		s.block, err = s.characters(ctx, s.block, nil, 0, due, limit)
		s.sent = s.sent || sent
	}
	return s.block, err
}

// tpduCharacters runs one command of T=0 by its procedure bytes (ISO
// 7816-3:2006 §10.3.3).
func (s *Slot) tpduCharacters(ctx context.Context, tpdu t0.Step, limit time.Duration) ([]byte, error) {
	start, sent := time.Now(), false
	step := s.t0chars.Begin(s.block[:0], tpdu.Send, tpdu.Expect)
	for step.Kind == t0.Send {
		var err error
		s.heard, err = s.characters(ctx, s.heard[:0], step.Send, 0, step.Expect, limit)
		s.sent = s.sent || sent
		if sent = s.sent; err == nil && s.overdue(start, limit) {
			err = usb.ErrTimeout
		}
		if err != nil {
			if sent { // in the middle of a command there is no way back
				s.lose()
			}
			return nil, err
		}
		step = s.t0chars.Receive(s.heard)
	}
	if step.Err != nil {
		s.lose()
		return nil, fmt.Errorf("%w: %w", ErrProtocol, step.Err)
	}
	s.block = step.Resp
	return step.Resp, nil
}
