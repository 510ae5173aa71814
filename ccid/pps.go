package ccid

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// pps agrees on protocol and speed with the card, in the first exchange after
// its reset (ISO 7816-3:2006 §9). It gives the Fi/Di in force afterwards.
func (s *Slot) pps(ctx context.Context, p iso7816.Protocol, fidi byte) (byte, error) {
	request := iso7816.PPS{Protocol: p, PPS1: fidi, HasPPS1: fidi != iso7816.DefaultFiDi}
	var space [iso7816.MaxPPS]byte
	b := request.AppendTo(space[:0])
	// The card answers within its initial waiting time, 9600 etu; the reader
	// sees to that.
	limit := max(s.r.timeouts.ExchangeMin, 2*s.timing.etus(9600)+time.Second)
	var reply []byte
	var err error
	if s.level == usb.Character {
		reply, err = s.ppsCharacters(ctx, b, limit)
	} else {
		var a Message
		a, err = s.command(ctx, xfrBlock(b, 0, 0), limit)
		reply = a.Data
	}
	if err != nil {
		return 0, err
	}
	agreed, err := request.Accept(reply)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrProtocolMismatch, err)
	}
	return agreed.FiDi(), nil
}

// ppsCharacters reads the reply by its own length: a card that refuses PPS1
// leaves it out. PPS0 tells what follows.
func (s *Slot) ppsCharacters(ctx context.Context, request []byte, limit time.Duration) ([]byte, error) {
	b, err := s.characters(ctx, s.block[:0], request, 0, 3, limit)
	s.block = b
	if err != nil || len(b) < 3 {
		return b, err
	}
	due := 3 - len(b)
	for bit := byte(0x10); bit <= 0x40; bit <<= 1 {
		if b[1]&bit != 0 {
			due++
		}
	}
	if due <= 0 {
		return b, nil
	}
	b, err = s.characters(ctx, b, nil, 0, due, limit)
	s.block = b
	return b, err
}

// baudRates are the values of D with their index, largest first.
var baudRates = []struct {
	d     int
	index byte
}{{64, 7}, {32, 6}, {20, 9}, {16, 5}, {12, 8}, {8, 4}, {4, 3}, {2, 2}, {1, 1}}

// chooseFiDi gives the fastest speed that both card and reader know: the card's
// F with its own or a smaller D, else 372/1. rates is the reader's list, nil
// if it takes any rate up to its maximum.
func chooseFiDi(want byte, d *usb.ClassDescriptor, rates []uint32) byte {
	for _, b := range baudRates {
		fidi := want&0xF0 | b.index
		if b.d > iso7816.D(want&0xF) {
			continue
		}
		// D may be coded in a reserved way, which stands for 1.
		asked := b.d == iso7816.D(want&0xF)
		if suits(fidi, asked, d, rates) {
			return fidi
		}
	}
	return iso7816.DefaultFiDi
}

func suits(fidi byte, asked bool, d *usb.ClassDescriptor, rates []uint32) bool {
	rate := iso7816.Rate(fidi, d.DefaultClock)
	switch {
	case iso7816.F(fidi>>4) == 372 && fidi>>4 > 1: // reserved F
		return false
	case d.DefaultClock > uint32(iso7816.FMax(fidi>>4)):
		return false
	case rate > d.MaxDataRate+2:
		return false
	case rate+2 < d.DataRate && !asked: // no slower than nothing at all, unless the card says so
		return false
	}
	return len(rates) == 0 || slices.ContainsFunc(rates, func(r uint32) bool {
		off := max(r, rate) - min(r, rate)
		return off <= 2 || uint64(off)*100 <= uint64(r)
	})
}
