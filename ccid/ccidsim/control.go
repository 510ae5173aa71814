package ccidsim

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf16"

	"kaztoken/usb"
)

// Class requests (CCID rev 1.10 §5.3).
const (
	requestOut = 0x21 // class, interface, host to device
	requestIn  = 0xA1 // class, interface, device to host

	requestAbort               = 0x01
	requestGetClockFrequencies = 0x02
	requestGetDataRates        = 0x03
)

// Control answers a request on endpoint 0: the class requests of the reader and
// the few standard ones that a driver sends itself. What it does not know is
// ErrStall.
func (d *Device) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	return d.control(ctx, session{gone: d.Gone()}, s, data)
}

func (d *Device) control(ctx context.Context, ses session, s usb.Setup, data []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, ended(ctx)
	}
	d.mu.Lock()
	n, err := 0, ses.over()
	if err == nil {
		if s.RequestType&0x60 == 0x20 {
			n, err = d.classRequest(s, data)
		} else {
			n, err = d.standardRequest(s, data)
		}
	}
	d.mu.Unlock()
	if err == nil && !s.In() {
		n = len(data)
	}
	if errors.Is(err, errNAK) {
		return 0, ses.wait(ctx, nil, time.Time{})
	}
	return n, err
}

func (d *Device) classRequest(s usb.Setup, data []byte) (int, error) {
	f := d.faults.next(Control)
	switch f.Kind {
	case Stall, Hang, ShortWrite:
		return 0, errStall
	case NAK, Silence:
		return 0, errNAK
	case IOError:
		return 0, errIO
	case Overflow:
		return 0, errOverflow
	case Unplug:
		d.unplug()
		return 0, errGone
	case CardOut:
		d.slots[0].pulled()
	}
	if byte(s.Index) != d.profile.Interface.Number {
		d.violation("class request %02X to interface %d", s.Request, s.Index)
		return 0, errStall
	}
	switch {
	case d.profile.Interface.Protocol == 1:
		return d.iccdA(s, data, f)
	case d.profile.Interface.Protocol == 2:
		return d.iccdB(s, data, f)
	}
	switch {
	case s.RequestType == requestOut && s.Request == requestAbort:
		slot, seq := int(s.Value&0xFF), byte(s.Value>>8)
		if len(data) != 0 || slot >= len(d.slots) {
			d.violation("ABORT of slot %d with %d bytes", slot, len(data))
			return 0, errStall
		}
		if !d.profile.Abort {
			return 0, errStall
		}
		d.slots[slot].controlAbort(seq)
		return 0, nil
	case s.RequestType == requestIn && s.Request == requestGetClockFrequencies && s.Value == 0:
		return numbers(data, d.profile.Clocks)
	case s.RequestType == requestIn && s.Request == requestGetDataRates && s.Value == 0:
		return numbers(data, d.profile.DataRates)
	}
	d.violation("unknown class request %02X %02X %04X", s.RequestType, s.Request, s.Value)
	return 0, errStall
}

// numbers fills data with little-endian double words.
func numbers(data []byte, list []uint32) (int, error) {
	if list == nil {
		return 0, errStall
	}
	var all []byte
	for _, v := range list {
		all = binary.LittleEndian.AppendUint32(all, v)
	}
	return copy(data, all), nil
}

// standardRequest is the part of chapter 9 of USB 2.0 that reaches a device in
// process; usb/usbip answers for the device towards a kernel.
func (d *Device) standardRequest(s usb.Setup, data []byte) (int, error) {
	const (
		clearFeature  = 0x01
		getDescriptor = 0x06
		setInterface  = 0x0B
	)
	switch {
	case s.RequestType == 0x80 && s.Request == getDescriptor && s.Value == 0x0100:
		return copy(data, d.usbInfo.Descriptors[:18]), nil
	case s.RequestType == 0x80 && s.Request == getDescriptor && s.Value == 0x0200:
		return copy(data, d.usbInfo.Descriptors[18:]), nil
	case s.RequestType == 0x80 && s.Request == getDescriptor && s.Value>>8 == 0x03:
		return d.stringDescriptor(byte(s.Value), data)
	case s.RequestType == 0x02 && s.Request == clearFeature && s.Value == 0:
		d.clearHalt(byte(s.Index))
		return 0, nil
	case s.RequestType == 0x01 && s.Request == setInterface && s.Value == 0 && byte(s.Index) == d.profile.Interface.Number:
		d.clearHalt(d.profile.Interface.BulkIn.Address)
		d.clearHalt(d.profile.Interface.BulkOut.Address)
		d.clearHalt(d.profile.Interface.Interrupt.Address)
		return 0, nil
	}
	return 0, errStall
}

func (d *Device) stringDescriptor(index byte, data []byte) (int, error) {
	b := []byte{0, 3}
	switch index {
	case 0:
		b = append(b, 0x09, 0x04) // English, United States
	case manufacturerString, productString, serialString:
		text := [...]string{d.profile.Manufacturer, d.profile.ProductName, d.profile.Serial}[index-1]
		if text == "" {
			return 0, errStall
		}
		for _, u := range utf16.Encode([]rune(text)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
	default:
		return 0, errStall
	}
	b[0] = byte(len(b))
	return copy(data, b), nil
}
