// Package trace records what goes over USB between the driver and a reader, and
// reads such recordings.
//
// A recording is a pcapng file of the link type that Linux' usbmon has, so that
// Wireshark opens it. A [Recorder] wraps the pipes of the driver and hides PINs,
// key bodies and what keys decrypt before anything is kept ([Masker]); a [Reader]
// gives the messages of a recording, and [Describe] puts them into words.
// docs/trace.md has the format.
package trace

import (
	"encoding/binary"
	"fmt"
	"time"

	"kaztoken/usb"
)

// LinkType is LINKTYPE_USB_LINUX_MMAPPED: each packet begins with the 64 bytes of
// struct usbmon_packet (Linux, Documentation/usb/usbmon.rst), here always
// little-endian as the section is.
const LinkType = 220

const urbLen = 64

// event says when in the life of a transfer a packet was made.
type event byte

const (
	submitted event = 'S'
	completed event = 'C'
	refused   event = 'E' // not accepted by the system
)

// transfer is the type of a transfer as usbmon numbers them, which is not how
// endpoint descriptors do.
type transfer byte

const (
	isochronous transfer = iota
	interrupt
	control
	bulk
)

func (t transfer) String() string {
	switch t {
	case isochronous:
		return "isochronous"
	case interrupt:
		return "interrupt"
	case control:
		return "control"
	case bulk:
		return "bulk"
	}
	return fmt.Sprintf("transfer(%d)", byte(t))
}

// Status codes of completed transfers: errno of Linux, negative.
const (
	statusOK         = 0
	statusNoEntry    = -2   // ENOENT: withdrawn by its caller
	statusIO         = -5   // EIO
	statusStall      = -32  // EPIPE
	statusProtocol   = -71  // EPROTO
	statusOverflow   = -75  // EOVERFLOW
	statusShutdown   = -108 // ESHUTDOWN: the device is gone
	statusInProgress = -115 // EINPROGRESS: submitted
	statusShort      = -121 // EREMOTEIO: not all of it
)

// urb is the head of a packet.
type urb struct {
	ID         uint64 // the same of submission and completion
	Event      event
	Type       transfer
	Endpoint   byte // bit 7 set for IN
	Device     byte
	Bus        uint16
	HasSetup   bool // Setup counts
	HasData    bool // data follow; otherwise they go the other way, or are none
	Time       time.Time
	Status     int32
	Length     uint32 // asked for, or actual
	Captured   uint32 // bytes that follow the head
	Setup      [8]byte
	Interval   int32
	StartFrame int32
	Flags      uint32
}

// Markers of flag_setup and flag_data where there is nothing.
const (
	noSetup = '-'
	dataIn  = '<' // submitted, the data come later
	dataOut = '>' // completed, the data went before
)

// AppendTo appends the head to dst.
func (u urb) AppendTo(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, u.ID)
	dst = append(dst, byte(u.Event), byte(u.Type), u.Endpoint, u.Device)
	dst = le.AppendUint16(dst, u.Bus)
	setup, data := byte(noSetup), byte(0)
	if u.HasSetup {
		setup = 0
	}
	if !u.HasData {
		data = dataIn
		if u.Event == completed {
			data = dataOut
		}
	}
	dst = append(dst, setup, data)
	dst = le.AppendUint64(dst, uint64(u.Time.Unix()))
	dst = le.AppendUint32(dst, uint32(u.Time.Nanosecond()/1000))
	dst = le.AppendUint32(dst, uint32(u.Status))
	dst = le.AppendUint32(dst, u.Length)
	dst = le.AppendUint32(dst, u.Captured)
	dst = append(dst, u.Setup[:]...)
	dst = le.AppendUint32(dst, uint32(u.Interval))
	dst = le.AppendUint32(dst, uint32(u.StartFrame))
	dst = le.AppendUint32(dst, u.Flags)
	return le.AppendUint32(dst, 0) // isochronous descriptors
}

// parseURB reads the head of a packet and gives what follows it, which aliases
// b. The error is [ErrRecording].
func parseURB(b []byte) (urb, []byte, error) {
	if len(b) < urbLen {
		return urb{}, nil, fmt.Errorf("%w: a packet of %d bytes", ErrRecording, len(b))
	}
	le := binary.LittleEndian
	u := urb{
		ID: le.Uint64(b), Event: event(b[8]), Type: transfer(b[9]), Endpoint: b[10], Device: b[11], Bus: le.Uint16(b[12:]),
		HasSetup: b[14] == 0, HasData: b[15] == 0,
		Time:   time.Unix(int64(le.Uint64(b[16:])), int64(int32(le.Uint32(b[24:])))*1000).UTC(),
		Status: int32(le.Uint32(b[28:])), Length: le.Uint32(b[32:]), Captured: le.Uint32(b[36:]),
		Interval: int32(le.Uint32(b[48:])), StartFrame: int32(le.Uint32(b[52:])), Flags: le.Uint32(b[56:]),
	}
	copy(u.Setup[:], b[40:])
	isoLen := uint64(le.Uint32(b[60:])) * 16
	switch {
	case u.Event != submitted && u.Event != completed && u.Event != refused:
		return urb{}, nil, fmt.Errorf("%w: event %#02x", ErrRecording, b[8])
	case u.Type > bulk:
		return urb{}, nil, fmt.Errorf("%w: %v", ErrRecording, u.Type)
	case isoLen > uint64(len(b)-urbLen), uint64(u.Captured) > uint64(len(b)-urbLen):
		return urb{}, nil, fmt.Errorf("%w: a transfer of %d bytes in a packet of %d", ErrRecording, u.Captured, len(b))
	}
	data := b[urbLen:]
	if u.Type == isochronous {
		data = data[isoLen:]
	}
	return u, data[:len(data):len(data)], nil
}

// setupBytes spells a request as it goes over the wire (USB 2.0 §9.3).
func setupBytes(s usb.Setup, length int) (b [8]byte) {
	b[0], b[1] = s.RequestType, s.Request
	binary.LittleEndian.PutUint16(b[2:], s.Value)
	binary.LittleEndian.PutUint16(b[4:], s.Index)
	binary.LittleEndian.PutUint16(b[6:], uint16(length))
	return b
}

func parseSetup(b [8]byte) usb.Setup {
	le := binary.LittleEndian
	return usb.Setup{RequestType: b[0], Request: b[1], Value: le.Uint16(b[2:]), Index: le.Uint16(b[4:])}
}
