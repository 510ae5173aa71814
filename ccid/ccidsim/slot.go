package ccidsim

import (
	"context"
	"time"

	"kaztoken/usb"
)

// extendEvery is how often a reader asks for more time while a card works.
const extendEvery = time.Second

type slotState byte

const (
	idle    slotState = iota
	working           // on a job
	hung              // on nothing, for ever: the Hang fault
)

// slot is one slot of the reader. The device's lock guards it.
type slot struct {
	d        *Device
	index    byte
	icc      *icc // nil: no card
	powered  bool
	changed  bool // since the last NotifySlotChange
	lost     bool // the card came or went behind the host's back
	executed int

	state     slotState
	seq, kind byte // of the last command
	job       *job

	aborting bool // the control request ABORT came
	abortSeq byte

	chain  chain
	params parameters

	// Character level: what the card sent and the host did not fetch, how many
	// NULL come before it, and how long the card takes with it.
	rx    []byte
	nulls int
	wait  time.Duration
}

// job is a command whose answer is not due yet.
type job struct {
	msg     []byte // the answer; nil while running
	icc     *icc   // the card it is for
	due     time.Time
	extend  time.Time // of the next time extension; zero: none
	running bool
	cancel  context.CancelFunc // of a running one
}

func (s *slot) insert(c Card) {
	s.icc = newICC(s, c)
	s.powered = false
	s.lost = true
	s.forget()
}

func (s *slot) remove() {
	s.icc = nil
	s.powered = false
	s.lost, s.changed = true, true
	s.forget()
	s.d.interrupt.signal()
	s.d.bulkIn.signal()
}

// forget drops what an exchange left behind.
func (s *slot) forget() {
	s.chain.reset()
	s.rx, s.nulls, s.wait = s.rx[:0], 0, 0
}

func (s *slot) powerOff() {
	s.powered = false
	s.forget()
}

// unplugged is the state after the device lost power.
func (s *slot) unplugged() {
	s.powerOff()
	s.state, s.job, s.aborting, s.lost = idle, nil, false, false
}

// status is bmICCStatus.
func (s *slot) status() byte {
	switch {
	case s.icc == nil:
		return iccAbsent
	case s.powered:
		return iccActive
	}
	return iccInactive
}

// rfuZero tells which of the message specific bytes of a command are reserved,
// bit i for byte 7+i (CCID rev 1.10 §6.1).
var rfuZero = map[byte]byte{
	typeSetParameters: 6, typeIccPowerOn: 6, typeIccPowerOff: 7, typeGetSlotStatus: 7, typeSecure: 0,
	typeT0APDU: 0, typeEscape: 7, typeGetParameters: 7, typeResetParameters: 7, typeIccClock: 6,
	typeXfrBlock: 0, typeMechanical: 6, typeAbort: 7, typeSetDataRateClock: 7,
}

// handle carries out one command of a valid slot.
func (s *slot) handle(c *command) {
	d := s.d
	rfu, known := rfuZero[c.kind]
	if !known {
		d.violation("unknown message type %02X", c.kind)
		d.refuse(c, errCmdNotSupported)
		return
	}
	for i, b := range c.param {
		if b != 0 && rfu&(1<<i) != 0 {
			d.violation("%02X: reserved byte %d is %02X", c.kind, 7+i, b)
			d.refuse(c, byte(7+i))
			return
		}
	}
	switch c.kind {
	case typeAbort:
		s.bulkAbort(c)
		return
	case typeGetSlotStatus:
	default:
		if d.bulkIn.owes(s.index) {
			d.violation("%02X: the answer to %02X was not fetched", c.kind, s.kind)
		}
	}
	switch {
	case s.aborting:
		d.refuse(c, errCmdAborted)
		return
	case s.state != idle || d.busy() >= int(d.profile.Interface.Reader.MaxBusySlots):
		if c.kind != typeGetSlotStatus {
			d.violation("%02X: slot %d is busy", c.kind, s.index)
		}
		d.refuse(c, errCmdSlotBusy)
		return
	}
	s.seq, s.kind = c.seq, c.kind
	if d.profile.has(usb.ICCDRequests) {
		switch c.kind {
		case typeIccPowerOn, typeIccPowerOff, typeGetSlotStatus, typeXfrBlock, typeGetParameters, typeEscape, typeSecure:
		default:
			d.violation("%02X: not for a USB-ICC", c.kind)
		}
	}

	switch c.kind {
	case typeSetParameters:
		s.setParameters(c)
		return
	case typeXfrBlock:
		s.xfrBlock(c)
		return
	case typeSetDataRateClock:
		s.setDataRate(c)
		return
	case typeEscape:
		if !d.profile.Escape {
			d.refuse(c, errCmdNotSupported)
			return
		}
		h := header(typeEscapeAnswer, c.slot, c.seq, s.status(), 0, 0)
		s.finish(append(append(d.bulkIn.buffer(), h[:]...), c.data...), 0)
		return
	case typeSecure, typeMechanical:
		d.refuse(c, errCmdNotSupported)
		return
	}
	if len(c.data) != 0 {
		d.violation("%02X: %d bytes of data", c.kind, len(c.data))
		d.refuse(c, errBadLength)
		return
	}
	switch c.kind {
	case typeIccPowerOn:
		s.powerOn(c)
	case typeIccPowerOff:
		s.powerOff()
		s.slotStatus(c)
	case typeGetSlotStatus:
		s.slotStatus(c)
	case typeGetParameters:
		s.parametersAnswer(c)
	case typeResetParameters:
		s.resetParameters(c)
	case typeIccClock:
		if !d.profile.has(usb.ClockStop) {
			d.refuse(c, errCmdNotSupported)
			return
		}
		s.slotStatus(c)
	case typeT0APDU:
		if d.profile.level() < usb.ShortAPDU || d.profile.has(usb.ICCDRequests) {
			d.refuse(c, errCmdNotSupported)
			return
		}
		s.slotStatus(c)
	}
}

// busy counts the slots with a command in progress.
func (d *Device) busy() (n int) {
	for _, s := range d.slots {
		if s.state != idle {
			n++
		}
	}
	return n
}

func (s *slot) slotStatus(c *command) {
	clock := byte(0)
	if !s.powered {
		clock = 1 // stopped low
	}
	h := header(typeSlotStatus, c.slot, c.seq, s.status(), 0, clock)
	s.finish(append(s.d.bulkIn.buffer(), h[:]...), 0)
}

// powerOn is IccPowerOn (CCID rev 1.10 §6.1.1).
func (s *slot) powerOn(c *command) {
	d := s.d
	reader := &d.profile.Interface.Reader
	volts := reader.Voltages
	switch sel := c.param[0]; {
	case sel > 3:
		d.violation("power select %d", sel)
		d.refuse(c, errPowerSelect)
		return
	case sel > 0:
		volts &= 1 << (sel - 1)
		if volts == 0 {
			d.violation("power select %d is not among the voltages %02X", sel, reader.Voltages)
			d.refuse(c, errPowerSelect)
			return
		}
	case !d.profile.has(usb.AutoVoltage) && !d.profile.has(usb.AutoActivation):
		d.refuse(c, errPowerSelect)
		return
	}
	if s.icc == nil {
		d.refuse(c, errICCMute)
		return
	}
	cold := !s.powered
	s.powerOff()
	atr := s.icc.reset(cold)
	if d.profile.CardVoltages != 0 && volts&d.profile.CardVoltages == 0 || len(atr) == 0 {
		d.refuse(c, errICCMute)
		return
	}
	s.powered, s.lost = true, false
	s.defaultParameters()
	h := header(typeDataBlock, c.slot, c.seq, s.status(), 0, 0)
	s.finish(append(append(d.bulkIn.buffer(), h[:]...), atr...), 0)
}

// finish gives the answer of the command in progress, now or when the delay has
// passed.
func (s *slot) finish(msg []byte, delay time.Duration) {
	if delay += s.d.profile.Latency; delay <= 0 {
		s.d.answer(msg)
		return
	}
	s.start(&job{msg: msg, icc: s.icc, due: time.Now().Add(delay)})
}

func (s *slot) start(j *job) {
	s.state, s.job = working, j
	s.d.bulkIn.signal()
}

// extending makes a job ask for more time while it lasts.
func (j *job) extending() *job {
	j.extend = time.Now().Add(extendEvery)
	return j
}

// promote sends what is due and gives the time of the next thing that will be,
// zero if there is none.
func (d *Device) promote() (next time.Time) {
	if len(d.held) == 0 && d.busy() == 0 {
		return next
	}
	now := time.Now()
	earliest := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	waiting := d.held[:0]
	for _, h := range d.held {
		if h.due.After(now) {
			waiting = append(waiting, h)
			earliest(h.due)
			continue
		}
		d.bulkIn.push(h.msg, nil)
	}
	d.held = waiting
	for _, s := range d.slots {
		j := s.job
		if s.state != working || j == nil {
			continue
		}
		if !j.running && !j.due.After(now) {
			s.conclude()
			continue
		}
		if !j.extend.IsZero() && !j.extend.After(now) {
			ext := header(typeDataBlock, s.index, s.seq, 0x80|s.status(), 1, 0)
			msg := append(d.bulkIn.buffer(), ext[:]...)
			if d.trace != nil {
				d.trace(In, msg)
			}
			d.send(msg, false)
			j.extend = now.Add(extendEvery)
		}
		earliest(j.extend)
		if !j.running {
			earliest(j.due)
		}
	}
	return next
}

// conclude sends the answer of a job that is done; if its card is no longer
// there, the answer is that.
func (s *slot) conclude() {
	j := s.job
	s.state, s.job = idle, nil
	if j.icc != s.icc {
		j.msg = j.msg[:headerLen]
		j.msg[7], j.msg[8] = failed|s.status(), errICCMute
	}
	s.d.answer(j.msg)
}

// drop ends the command in progress for an abort: it is answered CMD_ABORTED.
func (s *slot) drop() {
	if s.state == working {
		if s.job.cancel != nil {
			s.job.cancel()
		}
		if !s.d.profile.QuietAbort {
			h := header(responseType(s.kind), s.index, s.seq, failed|s.status(), errCmdAborted, 0)
			s.d.answer(append(s.d.bulkIn.buffer(), h[:]...))
		}
	}
	s.state, s.job = idle, nil
	s.forget()
}

// controlAbort is the first half of an abort (CCID rev 1.10 §5.3.1): until the
// second comes, every other command is refused.
func (s *slot) controlAbort(seq byte) {
	s.drop()
	s.aborting, s.abortSeq = true, seq
}

// bulkAbort is the second half (CCID rev 1.10 §6.1.13).
func (s *slot) bulkAbort(c *command) {
	d := s.d
	if len(c.data) != 0 {
		d.violation("Abort: %d bytes of data", len(c.data))
		d.refuse(c, errBadLength)
		return
	}
	switch {
	case !d.profile.Abort:
		d.refuse(c, errCmdNotSupported)
		return
	case s.aborting && s.abortSeq != c.seq:
		d.violation("Abort with bSeq %02X, the control request had %02X", c.seq, s.abortSeq)
		d.refuse(c, errCmdAborted)
		return
	case !s.aborting:
		d.violation("Abort without the control request")
		s.drop()
	}
	s.aborting = false
	h := header(typeSlotStatus, c.slot, c.seq, s.status(), 0, 0)
	d.answer(append(d.bulkIn.buffer(), h[:]...))
	d.bulkIn.excuse()
}
