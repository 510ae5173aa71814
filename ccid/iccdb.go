package ccid

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// bResponseType of version B (ICCD rev 1.0 §8.3), where it is not a place in a
// chain.
const (
	iccdbGetStatus = 0x81 // bRequest

	iccdbStatus = 0x40 // bStatus and bError follow
	iccdbPoll   = 0x80 // ask again after so many times 10 ms
)

// iccdb carries blocks in control transfers (ICCD version B). Level parameters
// and response types are those of chaining in CCID.
type iccdb struct {
	controlLink
	powered bool
}

func newICCDB(r *Reader) *iccdb {
	size := 1 + iso7816.MaxShortResponse
	if r.desc.Features.Level() != usb.ShortAPDU {
		size = min(iccdMaxRead, 1+int(r.desc.MaxMessageLength))
	}
	l := &iccdb{controlLink: controlLink{r: r, pipe: r.pipe, buf: make([]byte, size)}}
	l.controlLink.run, l.controlLink.restart = l.command, l.settle
	return l
}

// settle brings the token's state machine to a known state: off, on, off.
func (l *iccdb) settle(ctx context.Context) error {
	l.powered = false
	for _, request := range []byte{iccdPowerOff, iccdPowerOn, iccdPowerOff} {
		value := uint16(0)
		if request == iccdPowerOn {
			value = 1
		}
		if err := l.out(ctx, request, value, nil, l.quick()); err != nil && !errors.Is(err, usb.ErrStall) {
			return err
		}
	}
	return nil
}

func (l *iccdb) command(ctx context.Context, s *Slot, m Message, deadline time.Time) (Message, error) {
	switch m.Type {
	case msgGetSlotStatus:
		return l.status(ctx)
	case msgIccPowerOff:
		l.powered = false
		return stated(ICCInactive), l.out(ctx, iccdPowerOff, 0, nil, deadline)
	case msgIccPowerOn:
		l.powered = false
		err := l.out(ctx, iccdPowerOn, 1, nil, deadline)
		if err == nil {
			return l.read(ctx, s, l.buf[:1+iso7816.MaxATR], deadline)
		}
		return l.stalled(ctx, s, err)
	case msgXfrBlock:
		s.sent = true
		level := uint16(m.Specific[1]) << 8
		if err := l.out(ctx, iccdXfrBlock, level, m.Data, deadline); err != nil {
			s.sent = !errors.Is(err, usb.ErrStall) && !errors.Is(err, usb.ErrShortWrite)
			return l.stalled(ctx, s, err)
		}
		return l.read(ctx, s, l.buf, deadline)
	}
	return Message{}, fmt.Errorf("%v: %w", m.Type, ErrNotSupported)
}

// status asks for the card. A token that does not know the request has its
// card all the same.
func (l *iccdb) status(ctx context.Context) (Message, error) {
	var b [3]byte
	got, err := l.in(ctx, iccdbGetStatus, b[:], l.quick())
	switch {
	case errors.Is(err, usb.ErrStall), err == nil && len(got) < 2:
		if l.powered {
			return stated(ICCActive), nil
		}
		return stated(ICCInactive), nil
	case err != nil:
		return Message{}, err
	}
	return stated(Status(b[1]).ICC()), nil
}

// stalled decides what a refused request means: the status tells.
func (l *iccdb) stalled(ctx context.Context, s *Slot, err error) (Message, error) {
	if !errors.Is(err, usb.ErrStall) {
		return Message{}, err
	}
	a, err := l.status(ctx)
	if err != nil {
		return Message{}, err
	}
	l.unsettle(s)
	return refusedBy(a.Status().ICC(), CodeHardware), nil
}

// read asks for the answer to the last request until it is there.
func (l *iccdb) read(ctx context.Context, s *Slot, buf []byte, deadline time.Time) (Message, error) {
	for {
		b, err := l.in(ctx, iccdDataBlock, buf, deadline)
		switch {
		case err != nil:
			return l.stalled(ctx, s, err)
		case len(b) == 0:
			return Message{}, errMalformed
		}
		switch place := Chain(b[0]); {
		case place == ChainWhole, place == ChainFirst, place == ChainMiddle, place == ChainLast, place == ChainNext:
			l.powered = true
			return answered(ICCActive, place, b[1:]), nil
		case b[0] == iccdbStatus && len(b) >= 3 && Status(b[1]).TimeExtension():
			if err := l.pause(ctx, iccdPoll, deadline); err != nil {
				return Message{}, err
			}
		case b[0] == iccdbStatus && len(b) >= 3:
			return Message{Type: msgSlotStatus, Specific: [3]byte{b[1], b[2]}}, nil
		case b[0] == iccdbPoll && len(b) >= 3:
			d := max(1, time.Duration(binary.LittleEndian.Uint16(b[1:]))) * iccdPoll
			if err := l.pause(ctx, d, deadline); err != nil {
				return Message{}, err
			}
		default:
			return Message{}, fmt.Errorf("response type %02X with %d bytes: %w", b[0], len(b), errMalformed)
		}
	}
}
