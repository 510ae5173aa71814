package ccidsim

import (
	"bytes"
	"context"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// maxAPDU bounds a chained command: the longest extended APDU.
const maxAPDU = iso7816.MaxExtendedCommand

// Chaining codes of wLevelParameter and bChainParameter at extended APDU level
// (CCID rev 1.10 §6.1.4, §6.2.1), and of ICCD version B.
const (
	chainWhole    = 0x00
	chainFirst    = 0x01
	chainLast     = 0x02
	chainMiddle   = 0x03
	chainContinue = 0x10
)

// chain is an APDU that travels in parts.
type chain struct {
	cmd       []byte // so far
	receiving bool
	resp      []byte
	sent      int // of resp
	sending   bool
}

func (c *chain) reset() {
	c.cmd, c.resp = c.cmd[:0], c.resp[:0]
	c.sent = 0
	c.receiving, c.sending = false, false
}

// part is the next part of the response, of at most max bytes, and its code.
func (c *chain) part(max int) (data []byte, code byte) {
	first := c.sent == 0
	data = c.resp[c.sent:]
	last := len(data) <= max
	if !last {
		data = data[:max]
	}
	c.sent += len(data)
	c.sending = !last
	switch {
	case first && last:
		return data, chainWhole
	case first:
		return data, chainFirst
	case last:
		return data, chainLast
	}
	return data, chainMiddle
}

// take adds a part of a command. It gives the whole APDU once it is there; more
// says that the next part is to come. A refusal is a reason.
func (c *chain) take(code int, data []byte) (apdu []byte, more bool, refusal string) {
	switch code {
	case chainWhole, chainFirst:
		if c.receiving {
			refusal = "a command begins inside another"
		}
		if c.sending {
			refusal = "a command begins before the response ended"
		}
		c.reset()
		if refusal != "" {
			return nil, false, refusal
		}
		if code == chainWhole {
			return data, false, ""
		}
		c.cmd = append(c.cmd, data...)
		c.receiving = true
	case chainMiddle, chainLast:
		if !c.receiving {
			return nil, false, "a part of a command that was not begun"
		}
		if len(c.cmd)+len(data) > maxAPDU {
			c.reset()
			return nil, false, "command too long"
		}
		c.cmd = append(c.cmd, data...)
		if code == chainLast {
			c.receiving = false
			return c.cmd, false, ""
		}
	default:
		return nil, false, "unknown chaining code"
	}
	if len(data) == 0 {
		c.reset()
		return nil, false, "an empty part of a command"
	}
	return nil, true, ""
}

// xfrBlock is XfrBlock (CCID rev 1.10 §6.1.4) at the level of the device.
func (s *slot) xfrBlock(c *command) {
	if !s.powered {
		if !s.lost {
			s.d.violation("XfrBlock without power")
		}
		s.d.refuse(c, errICCMute)
		return
	}
	switch s.d.profile.level() {
	case usb.ShortAPDU, usb.ExtendedAPDU:
		s.xfrAPDU(c)
	case usb.TPDU:
		s.xfrTPDU(c)
	default:
		s.xfrCharacters(c)
	}
}

// badParameter refuses a command for the byte at an offset of its header.
func (s *slot) badParameter(c *command, offset byte, what string) {
	s.d.violation("%02X: %s (%02X %02X %02X)", c.kind, what, c.param[0], c.param[1], c.param[2])
	s.d.refuse(c, offset)
}

func (s *slot) xfrAPDU(c *command) {
	d := s.d
	level := c.level()
	switch {
	case c.param[0] != 0:
		s.badParameter(c, 7, "bBWI at APDU level")
		return
	case d.profile.level() == usb.ShortAPDU && level != 0:
		s.badParameter(c, 8, "wLevelParameter at short APDU level")
		return
	case level == chainContinue:
		switch {
		case !s.chain.sending:
			s.badParameter(c, 8, "nothing to continue")
		case len(c.data) != 0:
			s.badParameter(c, errBadLength, "data in a continuation")
		default:
			s.respond(c.seq)
		}
		return
	}
	apdu, more, refusal := s.chain.take(level, c.data)
	switch {
	case refusal != "":
		s.badParameter(c, 8, refusal)
		return
	case more:
		h := header(typeDataBlock, c.slot, c.seq, s.status(), 0, chainContinue)
		s.finish(append(d.bulkIn.buffer(), h[:]...), 0)
		return
	case len(apdu) < 4:
		s.badParameter(c, errBadLength, "APDU of less than four bytes")
		return
	case d.profile.level() == usb.ShortAPDU && (len(apdu) > iso7816.MaxShortCommand || len(apdu) > 5 && apdu[4] == 0):
		s.badParameter(c, errProtocol, "extended APDU at short APDU level")
		return
	case !s.icc.common:
		d.refuse(c, errProtocol)
		return
	}
	if t := s.icc.duration(apdu); t > 0 {
		s.runTimed(apdu, t)
		return
	}
	h := header(typeDataBlock, c.slot, c.seq, 0, 0, 0)
	msg, err := s.icc.transmit(d.ctx, append(d.bulkIn.buffer(), h[:]...), apdu)
	s.finish(s.complete(msg, err), 0)
}

// complete turns header and response APDU into the answer, chained if it is too
// long for one message.
func (s *slot) complete(msg []byte, err error) []byte {
	msg[7] = s.status()
	if err != nil {
		msg = msg[:headerLen]
		msg[7], msg[8] = failed|s.status(), errICCMute
		return msg
	}
	limit := s.d.profile.payload()
	if len(msg)-headerLen <= limit {
		return msg
	}
	if s.d.profile.level() == usb.ShortAPDU {
		msg = msg[:headerLen]
		msg[7], msg[8] = failed|s.status(), errOverrun
		return msg
	}
	s.chain.reset()
	s.chain.resp = append(s.chain.resp, msg[headerLen:]...)
	data, code := s.chain.part(limit)
	msg = append(msg[:headerLen], data...)
	msg[9] = code
	return msg
}

// respond sends the next part of a response.
func (s *slot) respond(seq byte) {
	data, code := s.chain.part(s.d.profile.payload())
	h := header(typeDataBlock, s.index, seq, s.status(), 0, code)
	s.finish(append(append(s.d.bulkIn.buffer(), h[:]...), data...), 0)
}

// runTimed lets a card work on a goroutine for at least t.
func (s *slot) runTimed(apdu []byte, t time.Duration) {
	d, card := s.d, s.icc
	ctx, cancel := context.WithCancel(d.ctx)
	j := &job{icc: card, due: time.Now().Add(t + d.profile.Latency), running: true, cancel: cancel}
	s.start(j.extending())
	apdu = bytes.Clone(apdu)
	h := header(typeDataBlock, s.index, s.seq, 0, 0, 0)
	finished := card.begin()
	d.work.Go(func() {
		defer cancel()
		msg, err := card.card.Transmit(ctx, h[:], apdu)
		close(finished)
		d.mu.Lock()
		defer d.mu.Unlock()
		if s.job == j {
			j.msg, j.running = s.complete(msg, err), false
			d.bulkIn.signal()
		}
	})
}

// xfrTPDU exchanges one T=0 TPDU, T=1 block or PPS.
func (s *slot) xfrTPDU(c *command) {
	switch {
	case c.level() != 0:
		s.badParameter(c, 8, "wLevelParameter at TPDU level")
		return
	case len(c.data) == 0:
		s.badParameter(c, errBadLength, "XfrBlock without data at TPDU level")
		return
	}
	if s.isPPS(c.data) {
		s.pps(c, func(reply []byte) { s.block(c, reply, 0) })
		return
	}
	if !s.tuned(c) {
		return
	}
	if s.params.protocol == iso7816.T1 {
		r := s.icc.t1.receive(c.data)
		if r.code != 0 {
			s.cardError(c, r)
			return
		}
		s.block(c, r.block, r.wait)
		return
	}
	switch {
	case len(c.data) < 5, len(c.data) > 5 && len(c.data) != 5+int(c.data[4]):
		s.badParameter(c, errBadLength, "not a TPDU of T=0")
		return
	case c.data[1]>>4 == 6 || c.data[1]>>4 == 9:
		s.badParameter(c, 11, "INS 6X or 9X at T=0")
		return
	}
	r := s.icc.t0.exchange(c.data)
	if r.code != 0 {
		s.cardError(c, r)
		return
	}
	s.block(c, r.block, r.wait)
}

// reply is what came from the card's contacts: a block, or a bError of the
// reader in place of one.
type reply struct {
	block []byte
	code  byte          // 0: block is good
	wait  time.Duration // how long the card took
	nulls int           // T=0 at character level: so many NULL come first
}

// cardError answers that the exchange with the card failed.
func (s *slot) cardError(c *command, r reply) {
	h := header(typeDataBlock, c.slot, c.seq, failed|s.status(), r.code, 0)
	s.finish(append(s.d.bulkIn.buffer(), h[:]...), r.wait)
}

// block answers with what the card sent. A wait longer than extendEvery at T=0
// shows as time extensions, since the reader eats the NULL bytes.
func (s *slot) block(c *command, data []byte, wait time.Duration) {
	h := header(typeDataBlock, c.slot, c.seq, s.status(), 0, 0)
	msg := append(append(s.d.bulkIn.buffer(), h[:]...), data...)
	if wait > extendEvery && s.params.protocol == iso7816.T0 {
		s.start((&job{msg: msg, icc: s.icc, due: time.Now().Add(wait + s.d.profile.Latency)}).extending())
		return
	}
	s.finish(msg, wait)
}

// xfrCharacters sends characters and fetches as many as wLevelParameter says.
func (s *slot) xfrCharacters(c *command) {
	want := c.level()
	if want > s.d.profile.payload() {
		s.badParameter(c, 8, "more characters than a message carries")
		return
	}
	if len(c.data) > 0 {
		if len(s.rx) > 0 {
			s.d.violation("characters sent while %d from the card wait", len(s.rx))
			s.rx = s.rx[:0]
		}
		if s.isPPS(c.data) {
			s.pps(c, func(reply []byte) {
				s.rx = append(s.rx, reply...)
				s.fetch(c, want)
			})
			return
		}
		if !s.tuned(c) {
			return
		}
		var r reply
		if s.params.protocol == iso7816.T1 {
			r = s.icc.t1.receive(c.data)
		} else {
			r = s.icc.t0.characters(c.data)
		}
		if r.code != 0 {
			s.cardError(c, r)
			return
		}
		s.rx = append(s.rx, r.block...)
		s.nulls, s.wait = r.nulls, r.wait
	}
	s.fetch(c, want)
}

// fetch answers with want characters; fewer are answered as they are, and none
// is a mute card. Each NULL of a T=0 card comes alone.
func (s *slot) fetch(c *command, want int) {
	h := header(typeDataBlock, c.slot, c.seq, s.status(), 0, 0)
	msg := append(s.d.bulkIn.buffer(), h[:]...)
	if want > 0 && s.nulls > 0 {
		s.nulls--
		s.finish(append(msg, 0x60), nullEvery)
		return
	}
	n := min(want, len(s.rx))
	if want > 0 && n == 0 {
		s.cardError(c, reply{code: errICCMute})
		return
	}
	msg = append(msg, s.rx[:n]...)
	s.rx = s.rx[:copy(s.rx, s.rx[n:])]
	wait := s.wait
	s.wait = 0
	s.finish(msg, wait)
}
