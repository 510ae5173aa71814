package ccidsim

import (
	"errors"
	"time"

	"kaztoken/ccid/t1"
	"kaztoken/usb"
)

// t1Card is the card's side of T=1 (ISO 7816-3:2006 §11), written from the rules
// for the card and not from the host's code.
type t1Card struct {
	icc  *icc
	edc  t1.EDC
	ifsc int // longest INF the card takes
	ifsd int // longest INF the host takes

	ns, nr  byte // number of the card's next or unacknowledged I-block; of the host's next one
	unacked bool // the I-block ns is out
	more    bool // and it has more behind it

	cmd  []byte // INF of the host's chain so far
	resp []byte // response APDU
	sent int    // of resp, unacknowledged block included

	last    []byte // block sent last, undamaged
	request byte   // PCB of the card's S request that waits for its response
	held    []byte // block that goes out after that
	wait    time.Duration
	faulty  bool // a fault was injected since the reset: the host may look wrong and be right

	wire []byte // damaged copy of last
}

func (t *t1Card) reset(i *icc) {
	t.icc = i
	t.edc = t1.LRC
	if i.atr.CRC() {
		t.edc = t1.CRC
	}
	t.ifsc, t.ifsd = i.atr.IFSC(), 32
	t.restart()
	t.last = t.last[:0]
	t.faulty = false
}

// restart is what RESYNCH does: numbers from 0, no chain, no open request.
func (t *t1Card) restart() {
	t.ns, t.nr = 0, 0
	t.unacked, t.more = false, false
	t.cmd, t.resp, t.sent = t.cmd[:0], t.resp[:0], 0
	t.request, t.held, t.wait = 0, t.held[:0], 0
}

func (t *t1Card) violation(format string, args ...any) {
	if !t.faulty {
		t.icc.s.d.violation("T=1: "+format, args...)
	}
}

// receive takes one block of the host and gives the card's.
func (t *t1Card) receive(raw []byte) reply {
	d := t.icc.s.d
	switch f := d.faults.next(BlockOut); f.Kind {
	case Lost:
		t.faulty = true
		return reply{code: errICCMute}
	case Parity:
		t.faulty = true
		return reply{code: errParity}
	case Overrun:
		t.faulty = true
		return reply{code: errOverrun}
	case BadEDC:
		t.faulty = true
		raw = append([]byte(nil), raw...)
		raw[len(raw)-1] ^= 0x01
	}
	b, err := t1.ParseBlock(raw, t.edc)
	switch {
	case err != nil:
		t.violation("block of %d bytes: %v", len(raw), err)
		code := byte(t1.ErrorOther)
		if errors.Is(err, t1.ErrEDC) {
			code = t1.ErrorEDC
		}
		return t.refuse(code)
	case len(raw) != 3+len(b.INF)+t.edc.Len():
		t.violation("%d bytes for a block of %d", len(raw), 3+len(b.INF)+t.edc.Len())
	case b.NAD != 0 && !d.profile.has(usb.NAD):
		t.violation("NAD %02X", b.NAD)
		return t.refuse(t1.ErrorOther)
	}
	switch b.Kind() {
	case t1.IBlock:
		return t.information(b)
	case t1.RBlock:
		return t.ready(b)
	}
	return t.supervisory(b)
}

// refuse answers what is no good: with the open request again, else with an
// R-block (rules 7.1, 7.3).
func (t *t1Card) refuse(code byte) reply {
	if t.request != 0 {
		return t.again()
	}
	return t.send(t1.RBlock|t.nr<<4|code, nil)
}

// again repeats the last block.
func (t *t1Card) again() reply {
	if len(t.last) == 0 {
		return t.send(t1.RBlock|t.nr<<4|t1.ErrorOther, nil)
	}
	return t.emit()
}

func (t *t1Card) information(b t1.Block) reply {
	switch {
	case t.request != 0:
		t.violation("%v where a S response was due", b)
		return t.again()
	case b.Seq() != t.nr:
		t.violation("%v, expected number %d", b, t.nr)
		if t.unacked {
			return t.again() // the host asks again for what it already gave
		}
		return t.refuse(t1.ErrorOther)
	case len(b.INF) > t.ifsc:
		t.violation("%v, IFSC is %d", b, t.ifsc)
		return t.refuse(t1.ErrorOther)
	case b.PCB&0x1F != 0:
		t.violation("reserved bits in PCB %02X", b.PCB)
	case t.unacked && t.more:
		t.violation("%v inside the card's chain", b)
		return t.refuse(t1.ErrorOther)
	}
	if t.unacked {
		t.ns ^= 1
		t.unacked = false
	}
	t.nr ^= 1
	if len(t.cmd)+len(b.INF) > maxAPDU {
		t.violation("command of more than %d bytes", maxAPDU)
		return reply{code: errICCMute}
	}
	t.cmd = append(t.cmd, b.INF...)
	if b.More() {
		if len(b.INF) == 0 {
			t.violation("%v: empty block inside a chain", b)
		}
		return t.send(t1.RBlock|t.nr<<4, nil)
	}
	return t.run()
}

// run carries out the command that is complete.
func (t *t1Card) run() reply {
	took := t.icc.duration(t.cmd)
	resp, err := t.icc.transmit(t.icc.s.d.ctx, t.resp[:0], t.cmd)
	t.cmd = t.cmd[:0]
	t.resp, t.sent = resp, 0
	if err != nil {
		return reply{code: errICCMute}
	}
	bwt := t.icc.blockWait()
	if took < bwt*9/10 {
		t.wait = took
		return t.nextI()
	}
	n := min((took+bwt-1)/bwt+1, 255)
	t.wait = min(took, (n-1)*bwt)
	t.encodeI()
	return t.ask(t1.WTX, byte(n), false)
}

// encodeI makes the next I-block of the response the last block.
func (t *t1Card) encodeI() {
	inf := t.resp[t.sent:]
	pcb := t.ns << 6
	t.more = len(inf) > t.ifsd
	if t.more {
		inf = inf[:t.ifsd]
		pcb |= t1.More
	}
	t.sent += len(inf)
	t.unacked = true
	t.last = t1.Block{PCB: pcb, INF: inf}.AppendTo(t.last[:0], t.edc)
}

func (t *t1Card) nextI() reply {
	t.encodeI()
	return t.emit()
}

func (t *t1Card) ready(b t1.Block) reply {
	switch {
	case t.request != 0:
		return t.again()
	case !t.unacked:
		// The last block was an R-block, or none was sent yet.
		if b.PCB&0x0F == 0 {
			t.violation("%v with nothing to acknowledge", b)
		}
		return t.again()
	case b.Seq() == t.ns:
		if b.PCB&0x0F == 0 {
			t.violation("%v asks for an error-free block again", b)
		}
		return t.again()
	case t.more:
		if b.PCB&0x0F != 0 {
			t.violation("%v as an acknowledgement", b)
		}
		t.ns ^= 1
		t.unacked = false
		return t.nextI()
	}
	// The host has the whole response and waits for another block: what it sent
	// since did not come here.
	t.violation("%v after the last block of a response", b)
	t.ns ^= 1
	t.unacked = false
	return t.send(t1.RBlock|t.nr<<4|t1.ErrorOther, nil)
}

func (t *t1Card) supervisory(b t1.Block) reply {
	if b.PCB&t1.SResponse != 0 {
		return t.answered(b)
	}
	switch b.PCB {
	case t1.Resynch:
		t.violation("RESYNCH with nothing wrong")
		t.restart()
		t.ifsc = min(t.ifsc, t.icc.atr.IFSC())
		return t.send(t1.Resynch|t1.SResponse, nil)
	case t1.IFS:
		if n := b.INF[0]; n == 0 || n == 0xFF {
			t.violation("S(IFS request %d)", n)
			return t.refuse(t1.ErrorOther)
		}
		if max := t.icc.s.d.profile.Interface.Reader.MaxIFSD; max > 0 && int(b.INF[0]) > int(max) {
			t.violation("S(IFS request %d), dwMaxIFSD is %d", b.INF[0], max)
		}
		t.ifsd = int(b.INF[0])
		return t.send(t1.IFS|t1.SResponse, b.INF)
	case t1.AbortChain:
		if t.unacked {
			t.ns ^= 1
			t.unacked = false
		}
		t.cmd, t.resp, t.sent = t.cmd[:0], t.resp[:0], 0
		return t.send(t1.AbortChain|t1.SResponse, nil)
	}
	t.violation("%v, which is the card's to send", b)
	return t.refuse(t1.ErrorOther)
}

// answered takes the host's response to a request of the card.
func (t *t1Card) answered(b t1.Block) reply {
	if t.request == 0 || b.PCB != t.request|t1.SResponse {
		t.violation("%v was not asked for", b)
		return t.refuse(t1.ErrorOther)
	}
	if len(b.INF) == 1 && b.INF[0] != t.last[3] {
		t.violation("%v, the request had %d", b, t.last[3])
		return t.again()
	}
	t.request = 0
	t.last = append(t.last[:0], t.held...)
	return t.emit()
}

// ask sends a S request and holds the last block back until it is answered. A
// bare one has no INF.
func (t *t1Card) ask(pcb, inf byte, bare bool) reply {
	t.held = append(t.held[:0], t.last...)
	t.request = pcb
	b := t1.Block{PCB: pcb, INF: []byte{inf}}
	if bare {
		b.INF = nil
	}
	t.last = b.AppendTo(t.last[:0], t.edc)
	return reply{block: t.last, wait: t.pause()}
}

// pause is how long the card takes with a block that a fault makes it send: a
// host that such blocks go round in circles with has to see time pass.
func (t *t1Card) pause() time.Duration {
	if !t.faulty {
		return 0
	}
	return t.icc.blockWait() / 2
}

func (t *t1Card) send(pcb byte, inf []byte) reply {
	t.last = t1.Block{PCB: pcb, INF: inf}.AppendTo(t.last[:0], t.edc)
	return t.emit()
}

// emit sends the last block, or what a fault makes of it.
func (t *t1Card) emit() reply {
	wait := t.wait
	t.wait = 0
	if t.request != 0 {
		wait = t.pause()
	}
	f := t.icc.s.d.faults.next(BlockIn)
	if f.Kind == 0 {
		return reply{block: t.last, wait: wait}
	}
	t.faulty = true
	own := t1.Block{PCB: t.last[1]}
	if t.request != 0 && (f.Kind == WTX || f.Kind == IFSRequest || f.Kind == AbortRequest) {
		return reply{block: t.last, wait: t.pause()} // a repeated request; one at a time
	}
	switch f.Kind {
	case BadEDC:
		t.wire = append(t.wire[:0], t.last...)
		t.wire[len(t.wire)-1] ^= 0x01
		return reply{block: t.wire}
	case WrongNumber:
		bit := byte(t1.SendSequence)
		switch own.Kind() {
		case t1.RBlock:
			bit = t1.ReceiveSequence
		case t1.SBlock:
			return reply{block: t.last}
		}
		return t.forge(own.PCB^bit, t.last[3:len(t.last)-t.edc.Len()])
	case Garbage:
		return reply{block: []byte{0x5A, 0xA5, 0x00, 0xFF, 0x13}}
	case Lost:
		return reply{code: errICCMute}
	case Parity:
		return reply{code: errParity}
	case Overrun:
		return reply{code: errOverrun}
	case RBlock:
		return t.forge(t1.RBlock|t.nr<<4|t1.ErrorOther, nil)
	case RNext:
		return t.forge(t1.RBlock|(t.nr^1)<<4|t1.ErrorOther, nil)
	case ResynchRequest:
		return t.forge(t1.Resynch, nil)
	case WTX:
		return t.ask(t1.WTX, byte(f.value(1)), false)
	case IFSRequest:
		if f.Value >= 1 && f.Value <= t1.MaxINF {
			t.ifsc = f.Value
		}
		return t.ask(t1.IFS, byte(f.Value), false)
	case AbortRequest:
		switch {
		case own.Kind() == t1.RBlock:
			t.cmd = t.cmd[:0] // the host's chain
		case own.Kind() == t1.IBlock && (t.more || t.sent > int(t.last[2])):
			t.resp, t.sent = append(t.resp[:0], 0x6F, 0x00), 0
			t.encodeI()
		}
		return t.ask(t1.AbortChain, 0, true)
	case Refuse:
		if own.PCB == t1.IFS|t1.SResponse {
			return t.forge(t1.RBlock|t.nr<<4|t1.ErrorOther, nil)
		}
	case WrongEcho:
		switch own.PCB {
		case t1.IFS | t1.SResponse:
			return t.forge(own.PCB, []byte{t.last[3] ^ 0x01})
		case t1.Resynch | t1.SResponse:
			return t.forge(t1.AbortChain|t1.SResponse, nil)
		}
	}
	return reply{block: t.last, wait: wait}
}

// forge sends a block other than the last, which stays what will be repeated.
func (t *t1Card) forge(pcb byte, inf []byte) reply {
	t.wire = t1.Block{PCB: pcb, INF: inf}.AppendTo(t.wire[:0], t.edc)
	return reply{block: t.wire}
}
