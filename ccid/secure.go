package ccid

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// pinOperation is bPINOperation of Secure (CCID rev 1.10 §6.1.11).
type pinOperation byte

const (
	pinVerify pinOperation = 0x00
	pinModify pinOperation = 0x01
)

// pinLayout says where the fields of a PC/SC part 10 structure are. What stands
// before the time-outs and behind the messages is the same in both.
type pinLayout struct {
	op        pinOperation
	supported byte // bit of bPINSupport
	condition int  // bEntryValidationCondition
	prologue  int  // bTeoPrologue
	length    int  // ulDataLength
	data      int  // abData
}

var (
	verifyLayout = pinLayout{op: pinVerify, supported: 0x01, condition: 7, prologue: 12, length: 15, data: 19}
	modifyLayout = pinLayout{op: pinModify, supported: 0x02, condition: 10, prologue: 17, length: 20, data: 24}
)

// Offsets in PIN_MODIFY_STRUCTURE.
const (
	modifyNumberMessage = 11
	modifyMsgIndex2     = 15
	modifyMsgIndex3     = 16
)

// apdu gives the command APDU of a structure, whose length has to prove that it
// is whole. Programs write ulDataLength in either byte order.
func (l pinLayout) apdu(in []byte) ([]byte, error) {
	if len(in) < l.data+4 {
		return nil, fmt.Errorf("PIN structure of %d bytes: %w", len(in), iso7816.ErrAPDU)
	}
	apdu, n := in[l.data:], in[l.length:l.data]
	if binary.LittleEndian.Uint32(n) != uint32(len(apdu)) && binary.BigEndian.Uint32(n) != uint32(len(apdu)) {
		return nil, fmt.Errorf("PIN structure with an APDU of %d bytes and another ulDataLength: %w", len(apdu), iso7816.ErrAPDU)
	}
	return apdu, nil
}

// secureData appends abData of Secure to dst: the structure of PC/SC part 10
// without its second time-out and length, with the prologue that the reader
// needs for T=1 at TPDU level.
func (l pinLayout) secureData(dst, in, apdu []byte, prologue [3]byte, byKey bool) []byte {
	dst = append(dst, byte(l.op), in[0]) // bTimerOut; bTimerOut2 has no place
	for i := 2; i < l.prologue; i++ {
		b := in[i]
		if i == l.condition && (b == 0 || b > 7 || byKey) {
			b = 0x02 // end of entry by a key: what every PIN pad has
		}
		if l.op == pinModify {
			// Indices of messages that are not shown are left out.
			if n := in[modifyNumberMessage]; i == modifyMsgIndex2 && n == 0 || i == modifyMsgIndex3 && n < 3 {
				continue
			}
		}
		dst = append(dst, b)
	}
	dst = append(dst, prologue[:]...)
	return append(dst, apdu...)
}

func secure(data []byte) Message { return Message{Type: msgSecure, Data: data} }

// VerifyPIN has the user enter a PIN on the reader's own keys and the reader
// complete a command with it. in is PIN_VERIFY_STRUCTURE of PC/SC part 10, the
// response with its status word is appended to dst: 6400 if no PIN was entered
// in time, 6401 if the user cancelled. A reader without keys is
// ErrNotSupported; the other errors are those of Transmit.
func (s *Slot) VerifyPIN(ctx context.Context, dst, in []byte) ([]byte, error) {
	return s.pin(ctx, dst, in, verifyLayout)
}

// ModifyPIN is VerifyPIN for a change of PIN: in is PIN_MODIFY_STRUCTURE.
func (s *Slot) ModifyPIN(ctx context.Context, dst, in []byte) ([]byte, error) {
	return s.pin(ctx, dst, in, modifyLayout)
}

func (s *Slot) pin(ctx context.Context, dst, in []byte, l pinLayout) ([]byte, error) {
	const doing = "PIN entry"
	if s.r.desc.PINSupport&l.supported == 0 || s.level == usb.Character {
		return dst, s.wrap(doing, ErrNotSupported)
	}
	apdu, err := l.apdu(in)
	if err != nil {
		return dst, s.wrap(doing, err)
	}
	if err := s.enter(ctx); err != nil {
		return dst, s.wrap(doing, err)
	}
	defer s.leave()
	if err := s.usable(); err != nil {
		return dst, s.wrap(doing, err)
	}
	s.secret, s.secretAnswer = secretAll, true
	resp, err := s.enterPIN(ctx, dst, in, apdu, l)
	if err != nil {
		return dst, s.wrap(doing, err)
	}
	return resp, nil
}

func (s *Slot) enterPIN(ctx context.Context, dst, in, apdu []byte, l pinLayout) ([]byte, error) {
	blocks := s.level == usb.TPDU && s.protocol == iso7816.T1
	var prologue [3]byte
	if blocks {
		step := s.t1.BeginSecure(dst, len(apdu))
		if step.Kind != t1.Send {
			return nil, fromT1(step.Err)
		}
		copy(prologue[:], step.Block)
	}
	limit := max(s.r.timeouts.Secure, time.Duration(in[0])*time.Second+10*time.Second)
	data := l.secureData(nil, in, apdu, prologue, s.r.quirks.EntryByKey)
	a, err := s.command(ctx, secure(data), limit)
	if sw, ok := entrySW(err); ok {
		if blocks {
			s.t1.Withdraw() // the card has seen nothing
		}
		return sw.AppendTo(dst), nil
	}
	switch {
	case blocks && err != nil && !s.sent:
		s.t1.Withdraw()
		return nil, err
	case blocks && err != nil:
		// The reader holds the command and may have sent it: no repeating.
		s.t1.Fail(t1.CauseLost)
		s.lose()
		return nil, outcome(err)
	case blocks:
		return s.blocks(ctx, s.t1.Receive(a.Data), s.hard)
	case err != nil:
		return nil, s.failed(err)
	}
	return s.response(append(dst, a.Data...), len(dst))
}

// entrySW is the status word for a PIN entry that came to nothing.
func entrySW(err error) (iso7816.SW, bool) {
	var failed *SlotError
	if errors.As(err, &failed) {
		switch failed.Code {
		case CodePINCancelled:
			return iso7816.SWCancelled, true
		case CodePINTimeout:
			return iso7816.SWExecution, true
		}
	}
	return 0, false
}

// Tags of the properties that PC/SC part 10 §2.6.14 defines.
const (
	tagLCDLayout      = 1
	tagEntryCondition = 2
	tagTimeOut2       = 3
	tagLCDCharacters  = 4
	tagLCDLines       = 5
	tagPPDUSupport    = 9
	tagMaxAPDUData    = 10
	tagVendor         = 11
	tagProduct        = 12
)

// PINProperties is PIN_PROPERTIES_STRUCTURE of PC/SC part 10: wLcdLayout,
// bEntryValidationCondition, bTimeOut2.
func (r *Reader) PINProperties() []byte {
	b := binary.LittleEndian.AppendUint16(nil, r.desc.LCDLayout)
	return append(b, r.entryConditions(), 0)
}

// entryConditions are the ways to end the entry that the reader may be given.
func (r *Reader) entryConditions() byte {
	if r.quirks.EntryByKey {
		return 0x02
	}
	return 0x07
}

// TLVProperties is the list of PC/SC part 10 FEATURE_GET_TLV_PROPERTIES as far
// as the reader is known. Numbers in it are little-endian.
func (s *Slot) TLVProperties() []byte {
	d, dev := &s.r.desc, s.r.device
	var b []byte
	add := func(tag byte, size int, v uint32) {
		b = append(b, tag, byte(size))
		for range size {
			b = append(b, byte(v))
			v >>= 8
		}
	}
	add(tagLCDLayout, 2, uint32(d.LCDLayout))
	add(tagEntryCondition, 1, uint32(s.r.entryConditions()))
	add(tagTimeOut2, 1, 0)
	add(tagLCDCharacters, 2, uint32(d.LCDLayout&0xFF))
	add(tagLCDLines, 2, uint32(d.LCDLayout>>8))
	add(tagPPDUSupport, 1, 0)
	long := uint32(0) // short APDUs only
	if s.chains || s.level <= usb.TPDU {
		long = 0x10000
	}
	add(tagMaxAPDUData, 4, long)
	if dev.Vendor != 0 {
		add(tagVendor, 2, uint32(dev.Vendor))
		add(tagProduct, 2, uint32(dev.Product))
	}
	return b
}
