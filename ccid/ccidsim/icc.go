package ccidsim

import (
	"context"
	"time"

	"kaztoken/internal/iso7816"
)

// icc is a card at the contacts of a slot: what happens to it between reset and
// power off, below the APDU.
type icc struct {
	s        *slot
	card     Card
	timed    Timed    // or nil
	directed Directed // or nil
	atr      iso7816.ATR
	common   bool // card and reader have a protocol in common

	protocol iso7816.Protocol // in force
	fidi     byte             // speed in force
	ppsOpen  bool             // nothing was exchanged since the reset

	t1 t1Card
	t0 t0Card

	running chan struct{} // closed when a goroutine is done with card; nil: none
}

func newICC(s *slot, c Card) *icc {
	i := &icc{s: s, card: c}
	i.timed, _ = c.(Timed)
	i.directed, _ = c.(Directed)
	return i
}

// begin notes that a goroutine has the card until the channel is closed.
func (i *icc) begin() chan struct{} {
	i.s.executed++
	i.running = make(chan struct{})
	return i.running
}

// settle waits for a goroutine that still has the card. It is one whose command
// was aborted; its context has ended.
func (i *icc) settle() {
	if i.running != nil {
		<-i.running
		i.running = nil
	}
}

// reset resets the card and gives its ATR.
func (i *icc) reset(cold bool) []byte {
	i.settle()
	i.card.Reset(cold)
	raw := i.card.ATR()
	atr, err := iso7816.ParseATR(raw)
	if err != nil {
		return raw
	}
	i.atr = atr
	i.protocol = atr.Default()
	i.fidi = iso7816.DefaultFiDi
	i.ppsOpen = true
	i.common = false
	for _, p := range atr.Protocols() {
		i.common = i.common || i.s.d.profile.Interface.Reader.Protocols&(1<<p) != 0
	}
	if p, implicit, specific := atr.Specific(); specific {
		i.protocol = p
		i.ppsOpen = false
		if !implicit {
			i.fidi = atr.FiDi()
		}
	}
	i.t1.reset(i)
	i.t0.reset(i)
	return raw
}

// transmit has the card carry out one APDU.
func (i *icc) transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	i.settle()
	i.s.executed++
	return i.card.Transmit(ctx, dst, apdu)
}

func (i *icc) duration(apdu []byte) time.Duration {
	if i.timed == nil {
		return 0
	}
	return i.timed.Duration(apdu)
}

// incoming reports whether a T=0 command brings data to the card.
func (i *icc) incoming(cla, ins byte) bool {
	if ins == insEnvelope {
		return true
	}
	if i.directed != nil {
		return i.directed.Incoming(cla, ins)
	}
	switch ins {
	case 0x20, 0x22, 0x24, 0x2A, 0x2C, 0x82, 0x88, 0xA4, 0xD0, 0xD2, 0xD6, 0xDA, 0xDC, 0xE0, 0xE2, 0xE4:
		return true
	}
	return false
}

// pps is the card's side of protocol and parameters selection (ISO 7816-3:2006
// §9). A card that does not agree to the protocol, or was asked too late, is
// mute.
func (i *icc) pps(request []byte) reply {
	d := i.s.d
	in := d.faults.next(BlockOut)
	if in.Kind == Lost {
		return reply{code: errICCMute}
	}
	if !i.ppsOpen {
		d.violation("PPS after something else was exchanged, or in specific mode")
		return reply{code: errICCMute}
	}
	i.ppsOpen = false
	p, err := iso7816.ParsePPS(request)
	if err != nil || !i.atr.Offers(p.Protocol) {
		d.violation("PPS % X: the card does not understand it", request)
		return reply{code: errICCMute}
	}
	p.HasPPS2, p.HasPPS3 = false, false
	out := d.faults.next(BlockIn)
	if p.HasPPS1 && (out.Kind == Refuse || !i.accepts(p.PPS1)) {
		p.HasPPS1 = false
	}
	b := p.AppendTo(nil)
	switch out.Kind {
	case Lost:
		return reply{code: errICCMute}
	case Parity:
		return reply{code: errParity}
	case Overrun:
		return reply{code: errOverrun}
	case BadEDC:
		b[len(b)-1] ^= 1
	case WrongEcho:
		b[1] ^= 0x01
		b[len(b)-1] ^= 0x01
	}
	i.protocol, i.fidi = p.Protocol, p.FiDi()
	return reply{block: b}
}

// accepts reports whether a speed lies between the default and that of TA1.
func (i *icc) accepts(fidi byte) bool {
	if fidi == iso7816.DefaultFiDi {
		return true
	}
	ta1 := i.atr.FiDi()
	return fidi>>4 == ta1>>4 && iso7816.D(fidi&0xF) <= iso7816.D(ta1&0xF)
}

// agree is the PPS that a reader runs with the card by itself.
func (i *icc) agree(p iso7816.Protocol, fidi byte) bool {
	if p == i.protocol && fidi == i.fidi {
		return true
	}
	if !i.ppsOpen || !i.accepts(fidi) {
		return false
	}
	i.ppsOpen = false
	i.protocol, i.fidi = p, fidi
	return true
}

// blockWait is BWT (ISO 7816-3:2006 §11.4.3) at the clock of the slot.
func (i *icc) blockWait() time.Duration {
	return time.Duration(iso7816.Nanoseconds(11, i.fidi, i.s.params.clock) +
		iso7816.Nanoseconds(960<<i.atr.BWI(), iso7816.DefaultFiDi, i.s.params.clock))
}
