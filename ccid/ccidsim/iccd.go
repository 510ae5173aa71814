package ccidsim

import (
	"encoding/binary"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Requests of a USB-ICC without bulk endpoints (ICCD rev 1.0 §7, §8).
const (
	iccdPowerOn    = 0x62 // version A: in, answers with the ATR; version B: out
	iccdPowerOff   = 0x63
	iccdXfrBlock   = 0x65 // out
	iccdDataBlock  = 0x6F // in
	iccdSlotStatus = 0x81 // version B
	iccdGetStatus  = 0xA0 // version A
)

// Status bytes of version A.
const (
	statusReady = 0x00
	statusData  = 0x10
	statusSW    = 0x20
	statusBusy  = 0x40
	statusMute  = 0x80
)

// Response types of version B (bResponseType); below 0x40 they are chaining codes.
const (
	responseStatus = 0x40
	responsePoll   = 0x80
)

// maxPoll is the longest time that a busy version B device tells the host to
// wait before it asks again.
const maxPoll = 500 * time.Millisecond

// iccd is the state of a device that has no endpoint but 0. The card is in slot 0.
type iccd struct {
	// Version A: a T=0 command.
	status byte
	header [5]byte
	data   []byte // to the card, or from it
	sw     []byte

	// Version B: what the next DATA BLOCK answers with.
	ready    bool
	response []byte // bResponseType and data

	until time.Time // the card is busy
	buf   []byte    // response under construction
}

// delay keeps the device busy for a while.
func (d *Device) delay(took time.Duration) {
	if took += d.profile.Latency; took > 0 {
		d.iccd.until = time.Now().Add(took)
	}
}

// left is how long the device is busy still.
func (i *iccd) left() time.Duration {
	if i.until.IsZero() {
		return 0
	}
	left := time.Until(i.until)
	if left <= 0 {
		i.until = time.Time{}
		return 0
	}
	return left
}

// damage makes a control answer wrong as the fault has it.
func damage(f Fault, data []byte, n int) int {
	if n = shorten(f, n); n == 0 {
		return 0
	}
	return damageType(f, data, n)
}

// shorten is damage to an answer that is nothing but data.
func shorten(f Fault, n int) int {
	switch f.Kind {
	case Short:
		return 0
	case Truncate:
		return max(n-1, 0)
	}
	return n
}

// damageType is damage to an answer whose first byte says what it is.
func damageType(f Fault, data []byte, n int) int {
	switch f.Kind {
	case WrongType, WrongSeq, WrongSlot, BadLength:
		if n > 0 {
			data[0] = 0x55
		}
	case Garbage:
		for i := range data[:n] {
			data[i] = byte(0xA5 ^ i*29)
		}
	}
	return n
}

// iccdA is one request of version A: T=0 in steps (ICCD rev 1.0 §7).
func (d *Device) iccdA(s usb.Setup, data []byte, f Fault) (int, error) {
	i, slot := &d.iccd, d.slots[0]
	switch {
	case s.RequestType == requestIn && s.Request == iccdPowerOn:
		atr := slot.icc.reset(!slot.powered)
		slot.powered = true
		slot.defaultParameters()
		*i = iccd{}
		return shorten(f, copy(data, atr)), nil
	case s.RequestType == requestOut && s.Request == iccdPowerOff:
		slot.powerOff()
		*i = iccd{}
		return 0, nil
	case s.RequestType == requestIn && s.Request == iccdGetStatus:
		if len(data) < 1 {
			return 0, errStall
		}
		data[0] = i.status
		switch {
		case f.Kind == TimeExt || i.left() > 0:
			data[0] = statusBusy
		case f.Kind == ErrorCode:
			data[0] = statusMute
		}
		return damage(f, data, 1), nil
	}
	if !slot.powered {
		d.violation("request %02X without power", s.Request)
		return 0, errStall
	}
	if i.left() > 0 {
		d.violation("request %02X while the card is busy", s.Request)
		return 0, errStall
	}
	switch {
	case s.RequestType == requestOut && s.Request == iccdXfrBlock:
		return d.iccdACommand(data)
	case s.RequestType == requestIn && s.Request == iccdDataBlock:
		from := &i.sw
		if i.status == statusData && len(i.data) > 0 {
			from = &i.data
		} else if i.status != statusSW {
			d.violation("DATA BLOCK with status %02X", i.status)
			return 0, errStall
		}
		n := copy(data, *from)
		*from = (*from)[n:]
		switch {
		case i.status == statusData && len(i.data) == 0:
			i.status = statusSW
		case i.status == statusSW && len(i.sw) == 0:
			i.status = statusReady
		}
		return shorten(f, n), nil
	}
	d.violation("unknown request %02X %02X", s.RequestType, s.Request)
	return 0, errStall
}

// iccdACommand takes a header, or data that the card waits for.
func (d *Device) iccdACommand(data []byte) (int, error) {
	i, card := &d.iccd, d.slots[0].icc
	if i.status == statusData && len(i.data) == 0 {
		want := int(i.header[4])
		if len(card.t0.data)+len(data) > want {
			d.violation("%d bytes of data, the card asked for %d", len(data), want-len(card.t0.data))
			return 0, errStall
		}
		card.t0.data = append(card.t0.data, data...)
		if len(card.t0.data) < want {
			return 0, nil
		}
		d.iccdARun(append([]byte(nil), card.t0.data...))
		return 0, nil
	}
	if len(data) != 5 {
		d.violation("header of %d bytes", len(data))
		return 0, errStall
	}
	if i.status != statusReady {
		d.violation("command with status %02X", i.status)
	}
	i.header = [5]byte(data)
	i.data, i.sw = nil, nil
	if i.header[4] > 0 && card.incoming(i.header[0], i.header[1]) {
		card.t0.data = card.t0.data[:0]
		i.status = statusData
		return 0, nil
	}
	d.iccdARun(nil)
	return 0, nil
}

func (d *Device) iccdARun(data []byte) {
	i := &d.iccd
	r := d.slots[0].icc.t0.exchange(append(append([]byte(nil), i.header[:]...), data...))
	if r.code != 0 {
		i.status = statusMute
		return
	}
	d.delay(r.wait)
	n := len(r.block) - 2
	i.data, i.sw = append([]byte(nil), r.block[:n]...), append([]byte(nil), r.block[n:]...)
	i.status = statusSW
	if n > 0 {
		i.status = statusData
	}
}

// iccdB is one request of version B: APDUs with chaining (ICCD rev 1.0 §8).
func (d *Device) iccdB(s usb.Setup, data []byte, f Fault) (int, error) {
	i, slot := &d.iccd, d.slots[0]
	switch {
	case s.RequestType == requestOut && s.Request == iccdPowerOn:
		sel := s.Value & 0xFF
		if sel > 3 || sel > 0 && d.profile.Interface.Reader.Voltages&(1<<(sel-1)) == 0 {
			d.violation("power select %d", sel)
			return 0, errStall
		}
		cold := !slot.powered
		slot.powerOff()
		slot.powered = true
		i.response = append(append(i.response[:0], chainWhole), slot.icc.reset(cold)...)
		slot.defaultParameters()
		i.ready = true
		return 0, nil
	case s.RequestType == requestOut && s.Request == iccdPowerOff:
		slot.powerOff()
		i.ready = false
		return 0, nil
	case s.RequestType == requestIn && s.Request == iccdSlotStatus:
		return damage(f, data, copy(data, []byte{responseStatus, slot.status(), 0})), nil
	case s.RequestType == requestOut && s.Request == iccdXfrBlock:
		if f.Kind == ErrorCode {
			d.iccdBError(byte(f.Value))
			return 0, nil
		}
		d.iccdBCommand(s, data)
		return 0, nil
	case s.RequestType == requestIn && s.Request == iccdDataBlock:
		switch {
		case f.Kind == TimeExt:
			return damage(f, data, poll(data, time.Duration(f.value(1))*10*time.Millisecond)), nil
		case f.Kind == ErrorCode:
			d.iccdBError(byte(f.Value))
		case i.left() > 0:
			return damage(f, data, poll(data, min(i.left(), maxPoll))), nil
		}
		if !i.ready {
			d.violation("DATA BLOCK with nothing to read")
			return 0, errStall
		}
		n := d.iccdBAnswer(data)
		return damage(f, data, n), nil
	}
	d.violation("unknown request %02X %02X", s.RequestType, s.Request)
	return 0, errStall
}

// poll tells the host to ask again in t, in units of 10 ms rounded up.
func poll(data []byte, t time.Duration) int {
	units := uint16((t + 10*time.Millisecond - 1) / (10 * time.Millisecond))
	return copy(data, binary.LittleEndian.AppendUint16([]byte{responsePoll}, units))
}

func (d *Device) iccdBError(code byte) {
	i := &d.iccd
	d.slots[0].chain.reset()
	i.response = append(i.response[:0], responseStatus, failed|d.slots[0].status(), code)
	i.ready = true
}

// iccdBCommand takes XFR BLOCK: a part of a command, or "go on".
func (d *Device) iccdBCommand(s usb.Setup, data []byte) {
	i, slot := &d.iccd, d.slots[0]
	c := &slot.chain
	level := int(s.Value >> 8)
	if i.ready {
		d.violation("XFR BLOCK before the last answer was read")
	}
	i.ready = false
	if !slot.powered {
		d.violation("XFR BLOCK without power")
		d.iccdBError(errICCMute)
		return
	}
	if level == chainContinue {
		if !c.sending || len(data) != 0 {
			d.violation("nothing to continue, or data in a continuation")
			d.iccdBError(errBadLength)
			return
		}
		i.ready = true
		return
	}
	if len(data) > int(d.profile.Interface.Reader.MaxMessageLength) {
		d.violation("XFR BLOCK of %d bytes", len(data))
		d.iccdBError(errBadLength)
		return
	}
	apdu, more, refusal := c.take(level, data)
	switch {
	case refusal != "":
		d.violation("XFR BLOCK: %s", refusal)
		d.iccdBError(8)
		return
	case more:
		i.response = append(i.response[:0], chainContinue)
		i.ready = true
		return
	case len(apdu) < 4:
		d.violation("APDU of less than four bytes")
		d.iccdBError(errBadLength)
		return
	}
	took := slot.icc.duration(apdu)
	resp, err := slot.icc.transmit(d.ctx, i.buf[:0], apdu)
	i.buf = resp
	if err != nil || len(resp) > iso7816.MaxExtendedResponse {
		d.iccdBError(errICCMute)
		return
	}
	c.reset()
	c.resp, c.sending = append(c.resp, resp...), true
	i.response = i.response[:0]
	i.ready = true
	d.delay(took)
}

// iccdBAnswer fills a DATA BLOCK: what is ready, or the next part of a response.
func (d *Device) iccdBAnswer(data []byte) int {
	i, c := &d.iccd, &d.slots[0].chain
	i.ready = false
	if len(i.response) > 0 {
		n := copy(data, i.response)
		if n < len(i.response) {
			d.violation("DATA BLOCK of %d bytes for an answer of %d", len(data), len(i.response))
		}
		i.response = i.response[:0]
		return n
	}
	if len(data) < 4 {
		d.violation("DATA BLOCK of %d bytes, at least 4", len(data))
		return 0
	}
	part, code := c.part(len(data) - 1)
	data[0] = code
	return 1 + copy(data[1:], part)
}
