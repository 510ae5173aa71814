package ccidsim

import (
	"encoding/binary"
	"errors"
)

const headerLen = 10 // CCID rev 1.10 §6.1

// Message types, bulk OUT (CCID rev 1.10 §6.1).
const (
	typeSetParameters    = 0x61
	typeIccPowerOn       = 0x62
	typeIccPowerOff      = 0x63
	typeGetSlotStatus    = 0x65
	typeSecure           = 0x69
	typeT0APDU           = 0x6A
	typeEscape           = 0x6B
	typeGetParameters    = 0x6C
	typeResetParameters  = 0x6D
	typeIccClock         = 0x6E
	typeXfrBlock         = 0x6F
	typeMechanical       = 0x71
	typeAbort            = 0x72
	typeSetDataRateClock = 0x73
)

// Message types, bulk IN (CCID rev 1.10 §6.2).
const (
	typeDataBlock     = 0x80
	typeSlotStatus    = 0x81
	typeParameters    = 0x82
	typeEscapeAnswer  = 0x83
	typeDataRateClock = 0x84
)

// Values of bError (CCID rev 1.10 table 6.2-2). One between 02 and 7F is the
// offset of the byte that is refused.
const (
	errCmdNotSupported = 0x00
	errBadLength       = 0x01
	errBadSlot         = 0x05
	errPowerSelect     = 0x07
	errCmdSlotBusy     = 0xE0
	errPINCancelled    = 0xEF
	errPINTimeout      = 0xF0
	errAutoSequence    = 0xF2
	errProcedureByte   = 0xF4
	errProtocol        = 0xF6
	errHardware        = 0xFB
	errOverrun         = 0xFC
	errParity          = 0xFD
	errICCMute         = 0xFE
	errCmdAborted      = 0xFF
)

// ICC status, bits 1..0 of bStatus.
const (
	iccActive = iota
	iccInactive
	iccAbsent
)

const failed = 0x40 // command status "failed" in bStatus

// responseType is the type that answers a command; that of the commands without
// data, and of unknown ones, is SlotStatus.
func responseType(command byte) byte {
	switch command {
	case typeIccPowerOn, typeXfrBlock, typeSecure:
		return typeDataBlock
	case typeGetParameters, typeResetParameters, typeSetParameters:
		return typeParameters
	case typeEscape:
		return typeEscapeAnswer
	case typeSetDataRateClock:
		return typeDataRateClock
	}
	return typeSlotStatus
}

func header(kind, slot, seq, status, bError, last byte) [headerLen]byte {
	return [headerLen]byte{0: kind, 5: slot, 6: seq, 7: status, 8: bError, 9: last}
}

// command is one message from the host, its length checked.
type command struct {
	kind, slot, seq byte
	param           [3]byte // bytes 7 to 9
	data            []byte
}

// level is wLevelParameter of XfrBlock and Secure.
func (c *command) level() int { return int(binary.LittleEndian.Uint16(c.param[1:])) }

// errNAK tells that the transfer has to wait for ever.
var errNAK = errors.New("device does not take the message")

// receive takes one OUT transfer. The error is errNAK or that of the transfer.
func (d *Device) receive(data []byte) error {
	if len(d.partial) > 0 {
		d.partial = append(d.partial, data...)
	}
	msg := data
	if len(d.partial) > 0 {
		msg = d.partial
	}
	if len(msg) == 0 {
		return nil // a zero-length packet behind a message that had its length
	}
	short := len(data)%d.profile.Interface.BulkOut.MaxPacketSize != 0
	limit := int(d.profile.Interface.Reader.MaxMessageLength)
	if len(msg) >= headerLen && !short && len(data) > 0 {
		if want := headerLen + int(binary.LittleEndian.Uint32(msg[1:])); len(msg) < want && want <= limit {
			if len(d.partial) == 0 {
				d.partial = append(d.partial, data...)
			}
			return nil // the rest is to come
		}
	}
	f := d.faults.next(Out)
	if f.Kind == 0 && d.trace != nil {
		d.trace(Out, msg)
	}
	err := d.take(msg, f)
	d.partial = d.partial[:0]
	return err
}

// take handles a whole message that meets a fault, or none.
func (d *Device) take(msg []byte, f Fault) error {
	switch {
	case f.Kind == Stall:
		d.outHalted = true
		return errStall
	case f.Kind == NAK:
		return errNAK
	case f.Kind == Silence:
		return nil
	case f.Kind == ShortWrite:
		return errShortWrite
	case f.Kind == IOError:
		return errIO
	case f.Kind == Unplug:
		d.unplug()
		return errGone
	case f.Kind.forAnswer():
		d.faults.answer = f
	}

	if !d.parse(msg) {
		return nil
	}
	c := &d.command
	s := d.slots[c.slot]
	switch f.Kind {
	case Hang:
		s.state, s.seq = hung, c.seq
		return nil
	case ErrorCode:
		if f.Value != errCmdSlotBusy && f.Value != errAutoSequence { // those only put it off
			s.upset()
		}
		d.refuse(c, byte(f.Value))
		return nil
	case CardOut:
		s.pulled()
	}
	s.handle(c)
	return nil
}

// parse reads d.command, checks what all commands have in common and answers those
// that fail it. A message without a whole header cannot be answered: both endpoints
// halt.
func (d *Device) parse(msg []byte) bool {
	if len(msg) < headerLen {
		d.violation("message of %d bytes", len(msg))
		d.outHalted, d.bulkIn.halted = true, true
		d.bulkIn.signal()
		return false
	}
	d.command = command{kind: msg[0], slot: msg[5], seq: msg[6], param: [3]byte(msg[7:10]), data: msg[headerLen:]}
	c := &d.command
	if d.seq == int(c.seq) && c.kind != typeAbort {
		d.violation("%02X: bSeq %02X used twice", c.kind, c.seq)
	}
	d.seq = int(c.seq)
	if int(c.slot) >= len(d.slots) {
		d.violation("%02X: slot %d", c.kind, c.slot)
		d.refuse(c, errBadSlot)
		return false
	}
	length := binary.LittleEndian.Uint32(msg[1:])
	limit := int(d.profile.Interface.Reader.MaxMessageLength)
	if uint64(length) != uint64(len(c.data)) || len(msg) > limit {
		d.violation("%02X: dwLength %d in a message of %d bytes, at most %d", c.kind, length, len(msg), limit)
		d.refuse(c, errBadLength)
		return false
	}
	return true
}

// refuse answers a command with a bError.
func (d *Device) refuse(c *command, code byte) {
	status := byte(failed | iccAbsent)
	if int(c.slot) < len(d.slots) {
		status = failed | d.slots[c.slot].status()
	}
	h := header(responseType(c.kind), c.slot, c.seq, status, code, 0)
	d.answer(append(d.bulkIn.buffer(), h[:]...))
}

// answer sends the final answer of a command.
func (d *Device) answer(msg []byte) {
	binary.LittleEndian.PutUint32(msg[1:], uint32(len(msg)-headerLen))
	if d.trace != nil {
		d.trace(In, msg)
	}
	zlp := d.profile.ZLP && len(msg)%d.bulkIn.mps == 0
	d.send(msg, true)
	if zlp {
		d.bulkIn.push(nil, nil)
	}
}
