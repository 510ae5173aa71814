package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// Status byte of version A (ICCD rev 1.0 §7.1.4).
const (
	iccdaGetStatus = 0xA0 // bRequest

	iccdaReady    = 0x00
	iccdaData     = 0x10 // the rest of the command, or the response, is due
	iccdaSW       = 0x20 // the status word is there
	iccdaBusy     = 0x40 // 40 to 4F
	iccdaMute     = 0x80
	iccdaBusyMask = 0xF0
)

// iccda carries T=0 commands in control transfers (ICCD version A). Its block
// is a TPDU: header, and data of the command if there are any.
type iccda struct {
	controlLink
	powered bool
}

func newICCDA(r *Reader) *iccda {
	l := &iccda{controlLink: controlLink{r: r, pipe: r.pipe, buf: make([]byte, 256+2)}}
	l.controlLink.run, l.controlLink.restart = l.command, l.powerCycle
	return l
}

// payload is the longest TPDU: nothing else limits it.
func (l *iccda) payload() int { return 5 + 255 }

func (l *iccda) powerCycle(ctx context.Context) error {
	l.powered = false
	err := l.out(ctx, iccdPowerOff, 0, nil, l.quick())
	if err != nil && !errors.Is(err, usb.ErrStall) {
		return err
	}
	return nil
}

func (l *iccda) command(ctx context.Context, s *Slot, m Message, deadline time.Time) (Message, error) {
	switch m.Type {
	case msgGetSlotStatus:
		return stated(l.icc()), nil
	case msgIccPowerOff:
		l.powered = false
		return stated(ICCInactive), l.out(ctx, iccdPowerOff, 0, nil, deadline)
	case msgIccPowerOn:
		return l.powerOn(ctx, deadline)
	case msgXfrBlock:
		a, err := l.tpdu(ctx, s, m.Data, deadline)
		if errors.Is(err, usb.ErrStall) { // not ready, or worse: the status tells
			st, err := l.status(ctx, deadline)
			if err != nil {
				return Message{}, err
			}
			l.unsettle(s)
			if st == iccdaMute {
				return refusedBy(l.icc(), CodeMute), nil
			}
			return refusedBy(l.icc(), CodeHardware), nil
		}
		return a, err
	}
	return Message{}, fmt.Errorf("%v: %w", m.Type, ErrNotSupported)
}

func (l *iccda) icc() ICCStatus {
	if l.powered {
		return ICCActive
	}
	return ICCInactive
}

// powerOn runs off, status, on: the answer to the last is the ATR.
func (l *iccda) powerOn(ctx context.Context, deadline time.Time) (Message, error) {
	if err := l.powerCycle(ctx); err != nil {
		return Message{}, err
	}
	if _, err := l.status(ctx, deadline); err != nil && !errors.Is(err, usb.ErrStall) {
		return Message{}, err
	}
	atr, err := l.in(ctx, iccdPowerOn, l.buf[:33], deadline)
	switch {
	case errors.Is(err, usb.ErrStall):
		return refusedBy(ICCInactive, CodeMute), nil
	case err != nil:
		return Message{}, err
	}
	l.powered = true
	return answered(ICCActive, ChainWhole, atr), nil
}

// status asks until the token is no longer busy.
func (l *iccda) status(ctx context.Context, deadline time.Time) (byte, error) {
	var b [1]byte
	for {
		got, err := l.in(ctx, iccdaGetStatus, b[:], deadline)
		switch {
		case err != nil:
			return 0, err
		case len(got) == 0:
			return 0, errMalformed
		case b[0]&iccdaBusyMask != iccdaBusy:
			return b[0], nil
		}
		if err := l.pause(ctx, iccdPoll, deadline); err != nil {
			return 0, err
		}
	}
}

// tpdu runs one command of T=0.
func (l *iccda) tpdu(ctx context.Context, s *Slot, tpdu []byte, deadline time.Time) (Message, error) {
	if len(tpdu) < 5 {
		return Message{}, fmt.Errorf("T=0 command of %d bytes: %w", len(tpdu), ErrNotSupported)
	}
	header, data := tpdu[:5], tpdu[5:]
	s.sent = true
	if err := l.out(ctx, iccdXfrBlock, 0, header, deadline); err != nil {
		s.sent = !errors.Is(err, usb.ErrStall)
		return Message{}, err
	}
	st, err := l.status(ctx, deadline)
	if err != nil {
		return Message{}, err
	}
	n := 0
	if st == iccdaData {
		if len(data) > 0 {
			err = l.out(ctx, iccdXfrBlock, 0, data, deadline)
		} else {
			due := int(header[4])
			if due == 0 {
				due = 256
			}
			var got []byte
			got, err = l.in(ctx, iccdDataBlock, l.buf[:due], deadline)
			if n = len(got); err == nil && n < due { // T=0 sends what P3 says or nothing
				err = errMalformed
			}
		}
		if err != nil {
			return Message{}, err
		}
		if st, err = l.status(ctx, deadline); err != nil {
			return Message{}, err
		}
	}
	switch st {
	case iccdaSW:
	case iccdaMute: // and anywhere in its command
		l.unsettle(s)
		return refusedBy(ICCActive, CodeMute), nil
	default:
		return Message{}, fmt.Errorf("status %02X: %w", st, errMalformed)
	}
	sw, err := l.in(ctx, iccdDataBlock, l.buf[n:n+2], deadline)
	switch {
	case err != nil:
		return Message{}, err
	case len(sw) < 2:
		return Message{}, errMalformed
	}
	return answered(ICCActive, ChainWhole, l.buf[:n+len(sw)]), nil
}
