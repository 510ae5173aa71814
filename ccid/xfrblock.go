package ccid

import (
	"context"
	"fmt"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Chain is the place of a block in a chain: the low byte of wLevelParameter in
// XfrBlock at the extended APDU level, and bChainParameter in its answer (CCID
// rev 1.10 §6.1.4, §6.2.1).
type Chain byte

// The places. All else is reserved.
const (
	ChainWhole  Chain = 0x00 // begins and ends here
	ChainFirst  Chain = 0x01 // begins here
	ChainLast   Chain = 0x02 // ends here
	ChainMiddle Chain = 0x03
	ChainNext   Chain = 0x10 // empty: the other side should go on
)

func (c Chain) String() string {
	switch c {
	case ChainWhole:
		return "whole"
	case ChainFirst:
		return "first"
	case ChainLast:
		return "last"
	case ChainMiddle:
		return "middle"
	case ChainNext:
		return "next"
	}
	return fmt.Sprintf("Chain(0x%02x)", byte(c))
}

// Chain is bChainParameter of a DataBlock answer.
func (m Message) Chain() Chain { return Chain(m.Specific[2]) }

// xfrBlock is the command that carries data to the card. bwi multiplies the
// reader's waiting time for this block; level depends on the exchange level.
func xfrBlock(data []byte, bwi byte, level uint16) Message {
	return Message{Type: msgXfrBlock, Specific: [3]byte{bwi, byte(level), byte(level >> 8)}, Data: data}
}

// Bounds of an exchange in parts.
const (
	maxEmptyBlocks = 8     // in a row, from the reader
	maxResponse    = 65546 // bytes that any message may carry
)

// exchange runs one APDU at the slot's exchange level and appends the response
// to dst. The caller holds the gate.
func (s *Slot) exchange(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if len(apdu) < 4 {
		return nil, fmt.Errorf("%w: %d bytes", iso7816.ErrAPDU, len(apdu))
	}
	limit := limitOf(ctx, s.hard)
	if apdu[0] == 0xFF && apdu[1] == 0xC2 && apdu[2] == 0x01 { // the reader's own: it may wait for its keys
		limit = max(limit, s.r.timeouts.Secure)
	}
	switch {
	case s.level >= usb.ShortAPDU && s.chains:
		return s.chained(ctx, dst, apdu, limit)
	case s.level >= usb.ShortAPDU:
		return s.short(ctx, dst, apdu, limit)
	case s.protocol == iso7816.T1:
		s.apduAt = 3
		return s.blocks(ctx, s.t1.Begin(dst, apdu), limit)
	}
	return s.tpdus(ctx, dst, apdu, limit)
}

// failed is the error of the last block of an APDU, marked if the card may have
// got the block.
func (s *Slot) failed(err error) error {
	if s.sent {
		return outcome(err)
	}
	return err
}

// short sends a short APDU in one block (CCID rev 1.10 §3.2.3).
func (s *Slot) short(ctx context.Context, dst, apdu []byte, limit time.Duration) ([]byte, error) {
	s.apduAt = 0
	switch extended := len(apdu) > 5 && apdu[4] == 0; {
	case extended:
		return nil, fmt.Errorf("extended APDU at %v level: %w", s.level, ErrNotSupported)
	case len(apdu) > min(iso7816.MaxShortCommand, s.r.link.payload()):
		return nil, fmt.Errorf("APDU of %d bytes at %v level: %w", len(apdu), s.level, ErrNotSupported)
	}
	a, err := s.command(ctx, xfrBlock(apdu, 0, 0), limit)
	if err != nil {
		return nil, s.failed(err)
	}
	return s.response(append(dst, a.Data...), len(dst))
}

// response checks the response APDU that begins at base.
func (s *Slot) response(resp []byte, base int) ([]byte, error) {
	if n := len(resp) - base; n < 2 {
		return nil, outcome(fmt.Errorf("response of %d bytes: %w", n, ErrProtocol))
	}
	return resp, nil
}

// chained sends an APDU of any length, in parts where it has to, and collects
// the response in the same way (CCID rev 1.10 §3.2.4, §6.1.4, §6.2.1).
func (s *Slot) chained(ctx context.Context, dst, apdu []byte, limit time.Duration) ([]byte, error) {
	s.apduAt = 0
	var a Message
	for rest, place := apdu, ChainWhole; ; {
		part := rest[:min(len(rest), s.r.link.payload())]
		rest = rest[len(part):]
		switch {
		case len(rest) == 0 && place == ChainWhole: // all at once
		case len(rest) == 0:
			place = ChainLast
		case place == ChainWhole:
			place = ChainFirst
		default:
			place = ChainMiddle
		}
		var err error
		a, err = s.command(ctx, xfrBlock(part, 0, uint16(place)), limit)
		switch {
		case err != nil && len(rest) > 0: // the card has not seen the whole
			return nil, err
		case err != nil:
			return nil, s.failed(err)
		case len(rest) == 0:
			return s.collect(ctx, dst, a, limit)
		case len(a.Data) == 0 && a.Chain() == ChainNext:
		case len(a.Data) >= 2 && a.Chain() == ChainWhole: // an answer before the end
			return append(dst, a.Data...), nil
		default:
			s.lose()
			return nil, fmt.Errorf("%d bytes (%v) to a part of a command: %w", len(a.Data), a.Chain(), ErrProtocol)
		}
	}
}

// collect gathers the parts of the response, of which a is the first.
func (s *Slot) collect(ctx context.Context, dst []byte, a Message, limit time.Duration) ([]byte, error) {
	base, total, empty := len(dst), 0, 0
	for first := true; ; {
		total += len(a.Data)
		if total <= maxResponse {
			dst = append(dst, a.Data...)
		}
		if len(a.Data) > 0 {
			empty = 0
		} else {
			empty++
		}
		place := a.Chain()
		switch {
		case place == ChainWhole, place == ChainLast && !first:
			if total > maxResponse {
				return nil, outcome(fmt.Errorf("response of %d bytes: %w", total, ErrProtocol))
			}
			return s.response(dst, base)
		case place == ChainFirst, place == ChainMiddle && !first: // "first" for "middle" has been seen
			first = false
		case place == ChainNext && len(a.Data) == 0:
		default:
			s.lose()
			return nil, outcome(fmt.Errorf("part of a response marked %v: %w", place, ErrProtocol))
		}
		// What is too long is heard out, so that the next command finds the reader
		// in order, but not for ever.
		if empty > maxEmptyBlocks || total > 2*maxResponse {
			s.lose()
			return nil, outcome(fmt.Errorf("response without end: %w", ErrProtocol))
		}
		var err error
		if a, err = s.command(ctx, xfrBlock(nil, 0, uint16(ChainNext)), limit); err != nil {
			return nil, outcome(err)
		}
	}
}
