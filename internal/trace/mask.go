package trace

import (
	"encoding/binary"

	"kaztoken/ccid"
	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Span is a stretch of the data of a transfer, or of a message, that was
// replaced.
type Span struct {
	Offset int `json:"offset"`
	Length int `json:"length"`
}

// maskByte stands where something is hidden.
const maskByte = '*'

// Masker hides what must not be kept of the traffic of one reader interface, in
// place: the bodies of commands that carry a PIN or a key, and the answers that
// bring what a key decrypted, by the rule of [iso7816.CarriesSecret] and
// [iso7816.BringsSecret]. It follows each slot through the exchange level of the
// reader: APDUs that are chained over several messages, blocks of T=1 and their
// chains, repeated blocks, T=0. Lengths, headers of APDUs and status words stay,
// and the error detection code of a block is made to fit again: the true one
// would tell of what was hidden.
//
// What cannot be followed is hidden whole: blocks that are none, ENVELOPE,
// the PIN pad's Secure, the character level, version A of ICCD, messages that
// come in several transfers.
//
// Calls must come in the order of the traffic; a Masker is not safe for
// concurrent use. The zero value hides everything that could be secret.
type Masker struct {
	kind  usb.Kind
	level usb.Level
	slots map[byte]*slotMask

	packet int // size of the packets of bulk IN

	// The message that bulk IN is in the middle of.
	rest   int // bytes to come
	secret bool
}

// NewMasker makes a Masker for an interface.
func NewMasker(ifc usb.Interface) *Masker {
	return &Masker{kind: ifc.Kind, level: ifc.Reader.Features.Level(), packet: ifc.BulkIn.MaxPacketSize}
}

// slotMask is what is known of one slot.
type slotMask struct {
	contact

	command stream // the command APDU on its way to the card
	before  stream // the same, before the last I-block
	ns      int    // N(S) of the last I-block, -1 for none

	secret bool      // the answer to the last command is
	bySeq  [256]bool // the same, by bSeq: answers may be late
}

// stream is a command APDU that is passing by.
type stream struct {
	at     int // bytes that have passed
	header [7]byte
}

// Message types and requests that matter here (CCID rev 1.10 §6, ICCD rev 1.0
// §8).
const (
	typeSetParameters = 0x61
	typePowerOn       = 0x62
	typePowerOff      = 0x63
	typeSecure        = 0x69
	typeXfrBlock      = 0x6F
	typeDataBlock     = 0x80

	iccdPowerOn   = 0x62
	iccdXfrBlock  = 0x65
	iccdDataBlock = 0x6F

	iccdaGetStatus = 0xA0
)

const headerLen = 10 // of a CCID message

const insEnvelope = 0xC2 // and C3

func (m *Masker) slot(n byte) *slotMask {
	s := m.slots[n]
	if s == nil {
		s = &slotMask{ns: -1}
		if m.slots == nil {
			m.slots = make(map[byte]*slotMask)
		}
		m.slots[n] = s
	}
	return s
}

// Out hides what is secret in a transfer to the bulk OUT endpoint.
func (m *Masker) Out(b []byte) []Span {
	if !m.secret {
		m.rest = 0 // what was cut off is not waited for
	}
	msg, err := ccid.ParseMessage(b)
	if err != nil {
		return hide(nil, b, min(len(b), headerLen), len(b))
	}
	s := m.slot(msg.Slot)
	s.sent(msg)
	switch msg.Type {
	case typePowerOn, typePowerOff:
		*s = slotMask{ns: -1, bySeq: s.bySeq, contact: s.contact}
		s.bySeq[msg.Seq] = false
	case typeSecure:
		s.secret = true
		s.bySeq[msg.Seq] = true
		return hide(nil, b, headerLen, len(b))
	case typeXfrBlock:
		spans := m.block(s, b[headerLen:], ccid.Chain(msg.Specific[1]))
		s.bySeq[msg.Seq] = s.secret
		return shift(spans, headerLen)
	}
	return nil
}

// block hides what is secret in the data of XfrBlock.
func (m *Masker) block(s *slotMask, b []byte, place ccid.Chain) []Span {
	switch {
	case m.level >= usb.ShortAPDU:
		return m.chained(s, b, place)
	case m.level == usb.Character:
		s.secret = true
		return hide(nil, b, 0, len(b))
	case len(b) > 0 && b[0] == 0xFF: // PPS
		if _, err := iso7816.ParsePPS(b); err == nil {
			return nil
		}
	case s.known && s.protocol == iso7816.T1:
		return s.t1Command(b)
	case s.known && s.protocol == iso7816.T0 && len(b) >= 5:
		s.command = stream{}
		if s.pass(b[:4]) {
			return hide(nil, b, 5, len(b))
		}
		return nil
	}
	s.secret = true
	return hide(nil, b, 0, len(b))
}

// chained hides what is secret in a part of an APDU (CCID rev 1.10 §3.2.3).
func (m *Masker) chained(s *slotMask, b []byte, place ccid.Chain) []Span {
	switch place {
	case ccid.ChainWhole:
		s.command = stream{}
		return s.whole(b)
	case ccid.ChainFirst:
		s.command = stream{}
	case ccid.ChainNext: // asks for more of the answer
		return hide(nil, b, 0, len(b))
	}
	return s.part(b)
}

// pass takes note of bytes of the command APDU, and reports whether its body is
// secret.
func (s *slotMask) pass(b []byte) bool {
	had := s.command.at
	for i := had; i < len(s.command.header) && i-had < len(b); i++ {
		s.command.header[i] = b[i-had]
	}
	s.command.at += len(b)
	h := s.command.header
	if had < 4 && s.command.at >= 4 {
		s.secret = iso7816.BringsSecret(h[1], h[2], s.secret) || h[1]&^1 == insEnvelope
	}
	return s.command.at < 4 || iso7816.CarriesSecret(h[1]) || h[1]&^1 == insEnvelope
}

// whole hides what is secret in a command APDU. Of one that is malformed,
// everything behind the header could be.
func (s *slotMask) whole(b []byte) []Span {
	if !s.pass(b) {
		return nil
	}
	c, err := iso7816.ParseCommand(b)
	if err != nil {
		return hide(nil, b, min(4, len(b)), len(b))
	}
	if len(c.Data) == 0 {
		return nil
	}
	from := 5
	if c.Extended {
		from = 7
	}
	return hide(nil, b, from, from+len(c.Data))
}

// part hides what is secret in a part of a command APDU: all but its header and
// its length field.
func (s *slotMask) part(b []byte) []Span {
	from := s.command.at
	if !s.pass(b) {
		return nil
	}
	shown := 5
	if s.command.at > 4 && s.command.header[4] == 0 {
		shown = 7
	}
	return hide(nil, b, min(max(shown-from, 0), len(b)), len(b))
}

// t1Command hides what is secret in a block to the card.
func (s *slotMask) t1Command(b []byte) []Span {
	block, edc, ok := parseBlock(b)
	if !ok {
		s.secret = true
		return hide(nil, b, 0, len(b))
	}
	switch block.Kind() {
	case t1.SBlock:
		if block.PCB&^t1.SResponse == t1.Resynch || block.PCB&^t1.SResponse == t1.AbortChain {
			s.command, s.before, s.ns = stream{}, stream{}, -1
		}
		return nil
	case t1.RBlock:
		return nil
	}
	if int(block.Seq()) == s.ns {
		s.command = s.before // sent again
	}
	s.before, s.ns = s.command, int(block.Seq())
	var spans []Span
	if s.command.at == 0 && !block.More() {
		spans = s.whole(block.INF)
	} else {
		spans = s.part(block.INF)
	}
	if !block.More() {
		s.command = stream{}
	}
	return fit(b, block, edc, spans)
}

// In hides what is secret in a transfer from the bulk IN endpoint.
func (m *Masker) In(b []byte) []Span {
	if m.rest > 0 {
		m.rest -= min(m.rest, len(b))
		if m.secret {
			return hide(nil, b, 0, len(b))
		}
		return nil
	}
	if len(b) < headerLen {
		return nil
	}
	s := m.slot(b[5])
	secret := false
	for _, any := range m.slots { // bSlot of an answer may be wrong
		secret = secret || any.secret || any.bySeq[b[6]]
	}
	length := headerLen + uint64(binary.LittleEndian.Uint32(b[1:]))
	msg, err := ccid.ParseMessage(b)
	// By its bSeq it may be an answer to reset, and that may be wrong.
	if err == nil && s.answered(msg) && !secret {
		return nil
	}
	switch {
	case err != nil:
		// A transfer that ends in a short packet ends the message, too.
		if length > uint64(len(b)) && length <= maxMessage && m.packet > 0 && len(b)%m.packet == 0 {
			m.rest, m.secret = int(length)-len(b), secret
		}
		if secret {
			return hide(nil, b, headerLen, len(b))
		}
		return nil
	case !secret:
		return nil
	case b[0] != typeDataBlock: // what has no data there, or says so wrongly
		return hide(nil, b, headerLen, len(b))
	}
	data := b[headerLen:]
	switch {
	case m.level == usb.Character, m.level == usb.TPDU && !s.known:
		return hide(nil, b, headerLen, len(b))
	case m.level == usb.TPDU && s.protocol == iso7816.T1:
		block, edc, ok := parseBlock(data)
		switch {
		case !ok:
			return hide(nil, b, headerLen, len(b))
		case block.Kind() != t1.IBlock:
			return nil
		}
		return shift(fit(data, block, edc, answer(block.INF, !block.More())), headerLen)
	}
	place := ccid.Chain(msg.Specific[2])
	last := m.level < usb.ShortAPDU || place == ccid.ChainWhole || place == ccid.ChainLast
	return shift(answer(data, last), headerLen)
}

// Control hides what is secret in the data stage of a request, which was
// made in if the data came from the device.
func (m *Masker) Control(setup usb.Setup, b []byte) []Span {
	s := m.slot(0)
	switch {
	case m.kind == usb.CCID || setup.RequestType&0x60 == 0: // no APDU goes this way; standard requests
		return nil
	case setup.Request == iccdPowerOn:
		*s = slotMask{ns: -1}
		return nil
	case m.kind == usb.ICCDA:
		if setup.Request == iccdaGetStatus {
			return nil
		}
		return hide(nil, b, 0, len(b))
	case !setup.In() && setup.Request == iccdXfrBlock:
		return m.chained(s, b, ccid.Chain(setup.Value>>8))
	case setup.In() && setup.Request == iccdDataBlock && s.secret && len(b) > 0 && b[0] < 0x40:
		place := ccid.Chain(b[0])
		return shift(answer(b[1:], place == ccid.ChainWhole || place == ccid.ChainLast), 1)
	}
	return nil
}

// answer hides response data; at their end is the status word.
func answer(b []byte, last bool) []Span {
	end := len(b)
	if last {
		end = max(0, end-2)
	}
	return hide(nil, b, 0, end)
}

// parseBlock reads a block with whichever code fits, and nothing behind it.
func parseBlock(b []byte) (t1.Block, t1.EDC, bool) {
	for _, edc := range []t1.EDC{t1.LRC, t1.CRC, t1.CRCInverted} {
		block, err := t1.ParseBlock(b, edc)
		if err == nil && t1.PrologueLen+len(block.INF)+edc.Len() == len(b) {
			return block, edc, true
		}
	}
	return t1.Block{}, 0, false
}

// fit makes the code of block b, whose INF has spans hidden, fit again.
func fit(b []byte, block t1.Block, edc t1.EDC, spans []Span) []Span {
	if len(spans) == 0 {
		return nil
	}
	block.AppendTo(b[:0], edc) // INF stays where it is
	return append(shift(spans, t1.PrologueLen), Span{len(b) - edc.Len(), edc.Len()})
}

// hide replaces b[from:to], and adds that to spans unless it is nothing.
func hide(spans []Span, b []byte, from, to int) []Span {
	if from >= to {
		return spans
	}
	for i := from; i < to; i++ {
		b[i] = maskByte
	}
	return append(spans, Span{from, to - from})
}

// shift moves spans by what stands before them.
func shift(spans []Span, by int) []Span {
	for i := range spans {
		spans[i].Offset += by
	}
	return spans
}
