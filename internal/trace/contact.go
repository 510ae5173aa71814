package trace

import (
	"fmt"
	"strings"

	"kaztoken/ccid"
	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// contact follows which protocol is in force between a slot and its card. It
// matters where blocks are exchanged: at TPDU level.
type contact struct {
	protocol iso7816.Protocol
	known    bool
	power    [256]bool // bSeq of IccPowerOn
}

// sent takes note of a command.
func (c *contact) sent(m ccid.Message) {
	c.power[m.Seq] = m.Type == typePowerOn
	switch m.Type {
	case typePowerOn, typePowerOff:
		c.known = false
	case typeSetParameters:
		c.protocol, c.known = iso7816.Protocol(m.Specific[0]), true
	case typeXfrBlock:
		if p, err := iso7816.ParsePPS(m.Data); err == nil {
			c.protocol, c.known = p.Protocol, true
		}
	}
}

// answered takes note of an answer, and reports whether it is one to reset.
func (c *contact) answered(m ccid.Message) bool {
	if m.Type != typeDataBlock || !c.power[m.Seq] {
		return false
	}
	atr, err := iso7816.ParseATR(m.Data)
	if err != nil {
		return true
	}
	c.protocol, c.known = atr.Default(), true
	if p, _, ok := atr.Specific(); ok {
		c.protocol = p
	}
	return true
}

// Bytes are bytes of which some are not known.
type Bytes struct {
	Data   []byte
	Hidden []bool // as long as Data; true: not what went over the bus
}

// BytesOf marks what is masked in data, which it refers to.
func BytesOf(data []byte, masked []Span) Bytes {
	b := Bytes{data, make([]bool, len(data))}
	for _, s := range masked {
		for i := s.Offset; i < s.Offset+s.Length && i < len(data); i++ {
			b.Hidden[i] = true
		}
	}
	return b
}

// From is b without its first n bytes.
func (b Bytes) From(n int) Bytes {
	n = min(n, len(b.Data))
	return Bytes{b.Data[n:], b.Hidden[n:]}
}

func (b Bytes) slice(from, to int) Bytes { return Bytes{b.Data[from:to], b.Hidden[from:to]} }

// Hex spells bytes, and ** for one that is hidden.
func (b Bytes) Hex() string {
	var s strings.Builder
	for i, v := range b.Data {
		if b.Hidden[i] {
			s.WriteString("**")
		} else {
			fmt.Fprintf(&s, "%02X", v)
		}
	}
	return s.String()
}

// secret reports whether any byte is hidden.
func (b Bytes) secret() bool {
	for _, h := range b.Hidden {
		if h {
			return true
		}
	}
	return false
}

// add appends o, up to the longest APDU there is; the rest of a longer one is of
// no interest.
func (b *Bytes) add(o Bytes) {
	n := min(len(o.Data), iso7816.MaxExtendedResponse+iso7816.MaxShortCommand-len(b.Data))
	b.Data = append(b.Data, o.Data[:n]...)
	b.Hidden = append(b.Hidden, o.Hidden[:n]...)
}

// Joiner puts the APDUs of a slot together out of messages and blocks. It knows
// none at the character level.
type Joiner struct {
	contact
	level usb.Level

	command, response Bytes
	ns, nr            int // N(S) of the last I-block out and in, -1 for none
}

// NewJoiner makes a Joiner for a slot of a reader with that exchange level.
func NewJoiner(level usb.Level) *Joiner { return &Joiner{level: level, ns: -1, nr: -1} }

// Sent takes a message to the reader, and gives the command APDU that it ends.
func (j *Joiner) Sent(m ccid.Message, data Bytes) (apdu Bytes, whole bool) {
	j.sent(m)
	switch {
	case m.Type == typePowerOn || m.Type == typePowerOff:
		*j = Joiner{contact: j.contact, level: j.level, ns: -1, nr: -1}
		return Bytes{}, false
	case m.Type != typeXfrBlock:
		return Bytes{}, false
	case j.level == usb.Character:
		return Bytes{}, false
	case j.level == usb.TPDU:
		if _, err := iso7816.ParsePPS(m.Data); err == nil || !j.known {
			return Bytes{}, false
		}
		if j.protocol == iso7816.T1 {
			return j.block(data, &j.command, &j.ns)
		}
		return data, true
	}
	return j.chain(ccid.Chain(m.Specific[1]), data, &j.command)
}

// Answered takes a message of the reader, and gives the response APDU that
// it ends.
func (j *Joiner) Answered(m ccid.Message, data Bytes) (apdu Bytes, whole bool) {
	switch {
	case j.answered(m), m.Type != typeDataBlock, m.Status().Failed(), m.Status().TimeExtension(), j.level == usb.Character:
		return Bytes{}, false
	case j.level == usb.TPDU && (!j.known || len(m.Data) > 0 && m.Data[0] == 0xFF):
		return Bytes{}, false // a block cannot begin like that, nor a response
	case j.level == usb.TPDU && j.protocol == iso7816.T1:
		return j.block(data, &j.response, &j.nr)
	case j.level == usb.TPDU:
		return data, true
	}
	return j.chain(ccid.Chain(m.Specific[2]), data, &j.response)
}

// chain joins by the place in a chain of messages.
func (j *Joiner) chain(place ccid.Chain, data Bytes, into *Bytes) (Bytes, bool) {
	switch place {
	case ccid.ChainWhole:
		*into = Bytes{}
		return data, true
	case ccid.ChainFirst:
		*into = Bytes{}
	case ccid.ChainNext:
		return Bytes{}, false
	}
	into.add(data)
	if place != ccid.ChainLast {
		return Bytes{}, false
	}
	whole := *into
	*into = Bytes{}
	return whole, true
}

// block joins the I-blocks of T=1. One that is sent again is passed over.
func (j *Joiner) block(data Bytes, into *Bytes, ns *int) (Bytes, bool) {
	b, _, ok := parseBlock(data.Data)
	switch {
	case !ok:
		return Bytes{}, false
	case b.Kind() == t1.SBlock:
		switch b.PCB &^ t1.SResponse {
		case t1.Resynch:
			j.command, j.response, j.ns, j.nr = Bytes{}, Bytes{}, -1, -1
		case t1.AbortChain:
			j.command, j.response = Bytes{}, Bytes{}
		}
		return Bytes{}, false
	case b.Kind() != t1.IBlock, int(b.Seq()) == *ns:
		return Bytes{}, false
	}
	*ns = int(b.Seq())
	into.add(data.slice(t1.PrologueLen, t1.PrologueLen+len(b.INF)))
	if b.More() {
		return Bytes{}, false
	}
	whole := *into
	*into = Bytes{}
	return whole, true
}

// IsWTX reports whether the data of a message are a block of T=1 that asks for
// more time, or grants it.
func IsWTX(data []byte) bool {
	b, _, ok := parseBlock(data)
	return ok && b.Kind() == t1.SBlock && b.PCB&^t1.SResponse == t1.WTX
}
