package ccid

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Lists of the class requests (CCID rev 1.10 §5.3.2, §5.3.3).
const (
	requestClocks = 0x02 // GET_CLOCK_FREQUENCIES
	requestRates  = 0x03 // GET_DATA_RATES
	undeclared    = 256  // entries to ask for when the descriptor tells no number
)

func setDataRate(clock, rate uint32, b []byte) Message {
	b = binary.LittleEndian.AppendUint32(b, clock)
	b = binary.LittleEndian.AppendUint32(b, rate)
	return Message{Type: msgSetDataRate, Data: b}
}

// dataRate reads an answer of type DataRateAndClockFrequency: kHz and bit/s in
// force.
func (m Message) dataRate() (clock, rate uint32, err error) {
	if len(m.Data) != 8 {
		return 0, 0, fmt.Errorf("%v of %d bytes: %w", m.Type, len(m.Data), ErrProtocol)
	}
	return binary.LittleEndian.Uint32(m.Data), binary.LittleEndian.Uint32(m.Data[4:]), nil
}

// SetDataRate sets the card's clock, kHz, and bit rate, bit/s, by hand and
// returns what is in force then. The driver does this itself where the reader
// needs it.
func (s *Slot) SetDataRate(ctx context.Context, clock, rate uint32) (inClock, inRate uint32, err error) {
	const doing = "set data rate"
	if err := s.enter(ctx); err != nil {
		return 0, 0, s.wrap(doing, err)
	}
	defer s.leave()
	inClock, inRate, err = s.setDataRate(ctx, clock, rate)
	return inClock, inRate, s.wrap(doing, err)
}

func (s *Slot) setDataRate(ctx context.Context, clock, rate uint32) (uint32, uint32, error) {
	a, err := s.command(ctx, setDataRate(clock, rate, nil), s.r.timeouts.Command)
	if err != nil {
		return 0, 0, err
	}
	return a.dataRate()
}

// speedUp tells a reader that does not follow the parameters by itself which
// rate goes with them.
func (s *Slot) speedUp(ctx context.Context, fidi byte) error {
	if s.r.desc.Features.Has(usb.AutoClock | usb.AutoBaudRate) {
		return nil
	}
	if !s.r.knows(msgSetDataRate) {
		return nil
	}
	clock := s.r.desc.DefaultClock
	_, _, err := s.setDataRate(ctx, clock, iso7816.Rate(fidi, clock))
	return err
}

// readLists asks for the lists of clocks and rates. A reader that has none, or
// refuses, or answers nonsense simply has no list.
func (r *Reader) readLists(ctx context.Context) {
	if r.ifc.Kind != usb.CCID || r.desc.Features.Has(usb.ICCDRequests) {
		return
	}
	if n := int(r.desc.NumClocks); n > 0 {
		r.clocks = r.readList(ctx, requestClocks, n)
	}
	switch n := int(r.desc.NumDataRates); {
	case r.rates != nil: // the quirks know better
	case n > 0:
		r.rates = r.readList(ctx, requestRates, n)
	case r.quirks.AskRates:
		r.rates = r.readList(ctx, requestRates, undeclared)
	}
}

func (r *Reader) readList(ctx context.Context, request byte, entries int) []uint32 {
	var bound boundedContext
	b := make([]byte, 4*entries)
	setup := usb.Setup{RequestType: 0xA1, Request: request, Index: uint16(r.ifc.Number)}
	n, err := r.pipe.Control(bound.until(ctx, time.Now().Add(listTimeout)), setup, b)
	if err != nil {
		if final(err) {
			r.end(err)
		}
		return nil
	}
	return parseList(b[:n])
}

// parseList reads an array of dwords and puts it in order. Zeros and doubles
// are left out; what is not a whole number of entries is no list.
func parseList(b []byte) []uint32 {
	if len(b)%4 != 0 {
		return nil
	}
	var list []uint32
	for ; len(b) > 0; b = b[4:] {
		if v := binary.LittleEndian.Uint32(b); v != 0 {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
