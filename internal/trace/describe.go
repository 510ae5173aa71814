package trace

import (
	"fmt"
	"time"

	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Line is one event in words, in English. Its JSON keys stay.
type Line struct {
	Packet  int       `json:"packet"`
	Time    time.Time `json:"time"`
	Device  int       `json:"device"` // counts the devices of the recording, from 0
	Kind    string    `json:"kind"`   // as Kind names it
	What    string    `json:"what"`   // name of the message or the request
	Slot    *int      `json:"slot"`   // null if it is not of one
	Seq     *int      `json:"seq"`
	Words   []string  `json:"words"` // what it says
	Block   string    `json:"block"` // of T=1; "" without
	Command *Command  `json:"command"`
	Answer  *Answer   `json:"answer"`
	Data    string    `json:"data"` // hexadecimal; ** is a byte that is hidden
	Hidden  int       `json:"hidden"`
	Lost    uint64    `json:"lost"` // packets left out of the recording before it
}

// Command is a command APDU, in the line of the message that ends it.
type Command struct {
	Header string `json:"header"` // CLA INS P1 P2
	Name   string `json:"name"`
	Data   string `json:"data"`
	Le     int    `json:"le"` // 0 for none
}

// Answer is a response APDU, in the line of the message that ends it.
type Answer struct {
	Data  string `json:"data"`
	SW    string `json:"sw"`
	Words string `json:"words"`
}

// Describer puts the events of one recording into words, in their order. It
// hides what a [Masker] hides whether the recording does or not.
type Describer struct {
	devices map[*Device]*described
}

type described struct {
	masker  *Masker
	joiners map[byte]*Joiner
}

func (d *Describer) of(dev *Device) *described {
	if d.devices == nil {
		d.devices = make(map[*Device]*described)
	}
	s := d.devices[dev]
	if s == nil {
		s = &described{NewMasker(dev.Interface), make(map[byte]*Joiner)}
		d.devices[dev] = s
	}
	return s
}

func (s *described) joiner(slot byte, level usb.Level) *Joiner {
	j := s.joiners[slot]
	if j == nil {
		j = NewJoiner(level)
		s.joiners[slot] = j
	}
	return j
}

// Describe puts an event into words. It changes e.Data: what has to be hidden is.
func (d *Describer) Describe(e Event) Line {
	s := d.of(e.Device)
	l := Line{Packet: e.Packet, Time: e.Time, Device: e.Device.Number, Kind: e.Kind.String(), Words: []string{}, Lost: e.Lost}
	switch e.Kind {
	case Sent:
		e.Masked = append(e.Masked, s.masker.Out(e.Data)...)
	case Answered:
		e.Masked = append(e.Masked, s.masker.In(e.Data)...)
	case Junk:
		e.Masked = hide(nil, e.Data, 0, len(e.Data))
	case Requested:
		if e.Status == statusOK && !e.Invented {
			e.Masked = append(e.Masked, s.masker.Control(e.Setup, e.Data)...)
		}
	}
	b := BytesOf(e.Data, e.Masked)
	l.Data = b.Hex()
	for _, h := range b.Hidden {
		if h {
			l.Hidden++
		}
	}
	switch e.Kind {
	case Opened:
		l.opened(e.Device)
	case Sent, Answered:
		l.message(e, s, b)
	case Requested:
		l.request(e, s, b)
	case Interrupted:
		l.interrupted(e.Data)
	case Failed:
		l.What = fmt.Sprintf("endpoint %02X", e.Endpoint)
		l.say("%s", statusName(e.Status))
	case Junk:
		l.What = "no message"
		l.say("%d bytes", len(e.Data))
	}
	return l
}

func (l *Line) say(format string, args ...any) {
	l.Words = append(l.Words, fmt.Sprintf(format, args...))
}

func (l *Line) opened(d *Device) {
	l.What, l.Data, l.Hidden = "device", "", 0
	i, r := d.Info, d.Interface
	l.say("%04x:%04x %s", i.Vendor, i.Product, i.ProductName)
	l.say("bus %d, address %d, interface %d", i.Bus, i.Addr, r.Number)
	l.say("%v, %v level, messages of up to %d bytes", r.Kind, r.Reader.Features.Level(), r.Reader.MaxMessageLength)
}

func (l *Line) message(e Event, s *described, b Bytes) {
	m, err := ccid.ParseMessage(e.Data)
	if err != nil {
		l.What = "malformed message"
		l.say("%d bytes", len(e.Data))
		return
	}
	slot, seq := int(m.Slot), int(m.Seq)
	l.What, l.Slot, l.Seq = m.Type.String(), &slot, &seq
	j := s.joiner(m.Slot, e.Device.Interface.Reader.Features.Level())
	data := b.From(headerLen)
	if e.Kind == Sent {
		apdu, whole := j.Sent(m, data)
		l.command(m, j, data)
		if whole {
			l.Command = commandOf(apdu)
		}
		return
	}
	atr := j.power[m.Seq] && m.Type == typeDataBlock
	apdu, whole := j.Answered(m, data)
	l.answer(m, j, data, atr)
	if whole {
		l.Answer = answerOf(apdu)
	}
}

// command says what the fields of a command mean.
func (l *Line) command(m ccid.Message, j *Joiner, data Bytes) {
	switch m.Type {
	case typePowerOn:
		l.say("%v", ccid.Voltage(m.Specific[0]))
	case typeSetParameters:
		l.say("T=%d", m.Specific[0])
	case typeXfrBlock:
		l.place(ccid.Chain(m.Specific[1]), j)
		l.block(j, data)
	}
}

// answer says what the fields of an answer mean.
func (l *Line) answer(m ccid.Message, j *Joiner, data Bytes, atr bool) {
	switch {
	case m.Status().TimeExtension():
		l.say("time extension %d", byte(m.Code()))
	case m.Status().Failed():
		l.say("failed: %v", m.Code())
	}
	if icc := m.Status().ICC(); icc != ccid.ICCActive {
		l.say("card %v", icc)
	}
	if m.Type != typeDataBlock {
		return
	}
	if atr {
		if a, err := iso7816.ParseATR(data.Data); err == nil {
			l.say("ATR %s", a)
		}
		return
	}
	l.place(ccid.Chain(m.Specific[2]), j)
	l.block(j, data)
}

// place tells the place in a chain of messages.
func (l *Line) place(c ccid.Chain, j *Joiner) {
	if j.level >= usb.ShortAPDU && c != ccid.ChainWhole {
		l.say("chain: %v", c)
	}
}

// block tells a block of T=1, or a PPS.
func (l *Line) block(j *Joiner, data Bytes) {
	if j.level >= usb.ShortAPDU || len(data.Data) == 0 {
		return
	}
	if p, err := iso7816.ParsePPS(data.Data); err == nil {
		l.say("PPS for T=%d", byte(p.Protocol))
		return
	}
	if j.level == usb.TPDU && j.known && j.protocol == iso7816.T1 {
		if b, _, ok := parseBlock(data.Data); ok {
			l.Block = b.String()
		} else {
			l.Block = "no block of T=1"
		}
	}
}

// request tells a control request. Those of ICCD carry what messages of CCID do.
func (l *Line) request(e Event, s *described, b Bytes) {
	l.What = requestName(e.Setup)
	if e.Status != statusOK {
		l.say("%s", statusName(e.Status))
		return
	}
	if e.Invented {
		l.say("not from the bus")
	}
	if e.Device.Interface.Kind != usb.ICCDB || e.Setup.RequestType&0x60 == 0 {
		return
	}
	j := s.joiner(0, max(usb.ShortAPDU, e.Device.Interface.Reader.Features.Level()))
	switch {
	case e.Setup.Request == iccdPowerOn:
		j.Sent(ccid.Message{Type: typePowerOn}, Bytes{})
	case e.Setup.Request == iccdXfrBlock && !e.Setup.In():
		m := ccid.Message{Type: typeXfrBlock, Specific: [3]byte{0, byte(e.Setup.Value >> 8)}, Data: e.Data}
		if apdu, whole := j.Sent(m, b); whole {
			l.Command = commandOf(apdu)
		}
	case e.Setup.Request == iccdDataBlock && e.Setup.In() && len(e.Data) > 0 && e.Data[0] < 0x40:
		m := ccid.Message{Type: typeDataBlock, Specific: [3]byte{2: e.Data[0]}, Data: e.Data[1:]}
		if apdu, whole := j.Answered(m, b.From(1)); whole {
			l.Answer = answerOf(apdu)
		}
	}
}

// interrupted tells a message on the interrupt endpoint (CCID rev 1.10 §6.3).
func (l *Line) interrupted(b []byte) {
	switch {
	case b[0] == 0x50:
		l.What = "NotifySlotChange"
		for i := range (len(b) - 1) * 4 {
			bits := b[1+i/4] >> (i % 4 * 2) & 3
			if bits&2 == 0 {
				continue
			}
			state := "card removed"
			if bits&1 != 0 {
				state = "card inserted"
			}
			l.say("slot %d: %s", i, state)
		}
	case b[0] == 0x51:
		l.What = "HardwareError"
	default:
		l.What = fmt.Sprintf("message %02X", b[0])
	}
}

// commandOf tells a command APDU, nil if there is no header.
func commandOf(b Bytes) *Command {
	if len(b.Data) < 4 {
		return nil
	}
	c := &Command{Header: b.slice(0, 4).Hex(), Name: CommandName(b.Data[0], b.Data[1])}
	parsed, err := iso7816.ParseCommand(b.Data)
	if err != nil {
		c.Data = b.From(4).Hex()
		return c
	}
	from := 5
	if parsed.Extended {
		from = 7
	}
	if n := len(parsed.Data); n > 0 {
		c.Data = b.slice(from, from+n).Hex()
	}
	c.Le = parsed.Ne
	return c
}

// answerOf tells a response APDU, nil if there is no status word.
func answerOf(b Bytes) *Answer {
	n := len(b.Data) - 2
	if n < 0 {
		return nil
	}
	a := &Answer{Data: b.slice(0, n).Hex()}
	if sw := b.From(n); !sw.secret() {
		v := iso7816.SW(sw.Data[0])<<8 | iso7816.SW(sw.Data[1])
		a.SW, a.Words = v.String(), statusWords(v)
	}
	return a
}
