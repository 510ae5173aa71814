package ccidsim

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// parameters are the protocol data structure in force in a slot (CCID rev 1.10
// §6.2.3) and the speed that goes with it.
type parameters struct {
	protocol iso7816.Protocol
	data     [7]byte // of T=0: 5
	set      bool    // by the host, or by a reader that does it itself
	clock    uint32  // kHz
	rate     uint32  // bit/s; 0 follows clock and Fi/Di
}

func (p *parameters) len() int {
	if p.protocol == iso7816.T0 {
		return 5
	}
	return 7
}

// parametersFor gives the structure that an ATR asks for, at the default speed.
func parametersFor(atr iso7816.ATR, protocol iso7816.Protocol) (p [7]byte) {
	p[0] = iso7816.DefaultFiDi
	if atr.Inverse() {
		p[1] = 0x02
	}
	p[2] = atr.ExtraGuardTime()
	p[4] = byte(atr.ClockStop())
	if protocol == iso7816.T0 {
		p[3] = atr.WI()
		return p
	}
	p[1] |= 0x10
	if atr.CRC() {
		p[1] |= 0x01
	}
	p[3] = atr.BWI()<<4 | atr.CWI()
	p[5] = byte(atr.IFSC())
	return p
}

// defaultParameters is what a reset leaves.
func (s *slot) defaultParameters() {
	d := s.d
	reader := &d.profile.Interface.Reader
	s.params = parameters{clock: reader.DefaultClock, data: [7]byte{iso7816.DefaultFiDi, 0, 0, 0x0A, 0}}
	if !d.profile.has(usb.AutoBaudRate) {
		s.params.rate = reader.DataRate
	}
	if d.profile.has(usb.AutoParameters) || d.profile.has(usb.AutoNegotiation) {
		s.params.protocol = s.icc.atr.Default()
		s.params.data = parametersFor(s.icc.atr, s.params.protocol)
		s.params.set = true
	}
	if d.profile.has(usb.AutoNegotiation) {
		s.params.data[0] = s.icc.atr.FiDi()
		s.icc.fidi = s.params.data[0]
	}
	if d.profile.has(usb.AutoIFSD) {
		s.icc.t1.ifsd = int(reader.MaxIFSD)
	}
}

func (s *slot) parametersAnswer(c *command) {
	h := header(typeParameters, c.slot, c.seq, s.status(), 0, byte(s.params.protocol))
	msg := append(s.d.bulkIn.buffer(), h[:]...)
	s.finish(append(msg, s.params.data[:s.params.len()]...), 0)
}

// resetParameters is ResetParameters (CCID rev 1.10 §6.1.6).
func (s *slot) resetParameters(c *command) {
	if s.d.profile.has(usb.AutoNegotiation) {
		s.d.refuse(c, errCmdNotSupported)
		return
	}
	s.params.data = [7]byte{iso7816.DefaultFiDi, 0, 0, 0x0A, 0}
	s.params.protocol = iso7816.T0
	s.parametersAnswer(c)
}

// refuseParameter answers SetParameters with the offset of what is wrong.
func (s *slot) refuseParameter(c *command, offset byte) {
	h := header(typeParameters, c.slot, c.seq, failed|s.status(), offset, c.param[0])
	s.finish(append(s.d.bulkIn.buffer(), h[:]...), 0)
}

// setParameters is SetParameters (CCID rev 1.10 §6.1.7). The values have to be
// those of the ATR.
func (s *slot) setParameters(c *command) {
	d := s.d
	p := iso7816.Protocol(c.param[0])
	want := 7
	if p == iso7816.T0 {
		want = 5
	}
	switch {
	case p != iso7816.T0 && p != iso7816.T1:
		s.refuseParameter(c, 7)
		return
	case len(c.data) != want:
		s.badParameter(c, errBadLength, "protocol data structure of the wrong length")
		return
	case !s.powered:
		if !s.lost {
			d.violation("SetParameters without power")
		}
		d.refuse(c, errICCMute)
		return
	case d.profile.has(usb.AutoNegotiation):
		// Deployed drivers send it all the same, and such readers bear it.
		d.violation("SetParameters to a reader that negotiates by itself")
		s.parametersAnswer(c)
		return
	case d.profile.Interface.Reader.Protocols&(1<<p) == 0 || !s.icc.atr.Offers(p):
		d.violation("SetParameters for %v, which card and reader do not both have", p)
		s.refuseParameter(c, 7)
		return
	}
	var data [7]byte
	copy(data[:], c.data)
	fits := parametersFor(s.icc.atr, p)
	if p == iso7816.T1 {
		fits[5] = byte(s.icc.t1.ifsc) // the card may have changed it since
	}
	for i := 1; i < want; i++ {
		ok := data[i] == fits[i]
		switch {
		case i == 2 && p == iso7816.T0 && data[i]%0xFF == fits[i]%0xFF: // FF is 00
			ok = true
		case i == 4 && data[i] <= 3: // the host may use less than the card offers
			ok = true
		case i == 5 && data[i] == byte(s.icc.atr.IFSC()):
			ok = true
		case i == 6 && d.profile.has(usb.NAD):
			ok = data[i]&0x88 == 0
		}
		if !ok {
			d.violation("SetParameters: byte %02X is %02X, the ATR says %02X", headerLen+i, data[i], fits[i])
			s.refuseParameter(c, byte(headerLen+i))
			return
		}
	}
	if !s.canRun(data[0]) {
		s.refuseParameter(c, headerLen)
		return
	}
	if d.profile.has(usb.AutoPPS) && !s.icc.agree(p, data[0]) {
		d.refuse(c, errICCMute)
		return
	}
	s.params.protocol, s.params.data, s.params.set = p, data, true
	s.parametersAnswer(c)
}

// canRun reports whether the reader has the bit rate of fidi.
func (s *slot) canRun(fidi byte) bool {
	if fidi == iso7816.DefaultFiDi {
		return true
	}
	rate := iso7816.Rate(fidi, s.params.clock)
	if rate > s.d.profile.Interface.Reader.MaxDataRate+2 {
		return false
	}
	if s.d.profile.DataRates == nil {
		return true
	}
	for _, r := range s.d.profile.DataRates {
		if near(rate, r) {
			return true
		}
	}
	return false
}

// near compares bit rates as UARTs do: within one per cent.
func near(a, b uint32) bool { return 100*max(a, b) <= 101*min(a, b) }

// setDataRate is SetDataRateAndClockFrequency (CCID rev 1.10 §6.1.14).
func (s *slot) setDataRate(c *command) {
	d := s.d
	if d.profile.has(usb.AutoBaudRate | usb.AutoClock) {
		d.refuse(c, errCmdNotSupported)
		return
	}
	if len(c.data) != 8 {
		s.badParameter(c, errBadLength, "SetDataRateAndClockFrequency of the wrong length")
		return
	}
	clock, rate := binary.LittleEndian.Uint32(c.data), binary.LittleEndian.Uint32(c.data[4:])
	reader := &d.profile.Interface.Reader
	if clock < reader.DefaultClock || clock > reader.MaximumClock {
		s.badParameter(c, headerLen, "clock out of range")
		return
	}
	known := rate <= reader.MaxDataRate && d.profile.DataRates == nil
	for _, r := range d.profile.DataRates {
		known = known || near(rate, r)
	}
	if !known {
		s.badParameter(c, headerLen+4, "bit rate out of range")
		return
	}
	s.params.clock, s.params.rate = clock, rate
	h := header(typeDataRateClock, c.slot, c.seq, s.status(), 0, 0)
	msg := append(append(d.bulkIn.buffer(), h[:]...), c.data...)
	s.finish(msg, 0)
}

// tuned reports whether reader and card understand each other, and answers the
// command if they do not. It also looks at bBWI, which belongs to the block.
func (s *slot) tuned(c *command) bool {
	d := s.d
	bwi := byte(0)
	if s.params.protocol == iso7816.T1 && len(c.data) > 3 && c.data[1] == 0xE3 {
		bwi = c.data[3]
	}
	if c.param[0] != bwi {
		d.violation("bBWI is %d, expected %d", c.param[0], bwi)
	}
	if s.params.protocol != s.icc.protocol {
		d.violation("the reader is set to %v, the card speaks %v", s.params.protocol, s.icc.protocol)
		d.refuse(c, errProtocol)
		return false
	}
	if !s.params.set {
		d.violation("exchange before SetParameters")
	}
	rate := s.params.rate
	if d.profile.has(usb.AutoBaudRate) {
		rate = iso7816.Rate(s.params.data[0], s.params.clock)
	}
	if card := iso7816.Rate(s.icc.fidi, s.params.clock); !near(rate, card) {
		d.violation("the reader sends at %d bit/s, the card at %d", rate, card)
		d.refuse(c, errICCMute)
		return false
	}
	s.icc.ppsOpen = false
	return true
}

// isPPS tells a PPS request from a block or TPDU: FF is neither a NAD nor a CLA.
// The data of a T=0 command may begin with it.
func (s *slot) isPPS(data []byte) bool { return data[0] == 0xFF && s.icc.t0.need == 0 }

// pps brings a PPS request to the card and gives its reply to deliver.
func (s *slot) pps(c *command, deliver func(reply []byte)) {
	d := s.d
	if d.profile.has(usb.AutoPPS) || d.profile.has(usb.AutoNegotiation) {
		d.violation("PPS to a reader that does it itself")
		d.refuse(c, errProtocol)
		return
	}
	if c.param[0] != 0 {
		d.violation("bBWI is %d with a PPS", c.param[0])
	}
	r := s.icc.pps(c.data)
	if r.code != 0 {
		s.cardError(c, r)
		return
	}
	deliver(r.block)
}
