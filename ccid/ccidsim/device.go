// Package ccidsim is a smart-card reader in software: descriptors, endpoints,
// slots, exchange levels and, behind them, any card.
//
// A [Device] has two faces. [Device.Pipe] is a usb.Pipe in process, with the
// packet semantics of a bus: packets of wMaxPacketSize, short packets that end a
// transfer, zero-length packets, stalls, partial reads. The methods Info,
// Control, Out, In, ClearHalt and Gone are what usb/usbip serves to a real
// kernel. Both drive the same state machine.
//
// The device follows CCID rev 1.10 and ICCD rev 1.0 to the letter, and it is
// pedantic: what a host does wrong is answered with the bError the specification
// has for it and is kept in [Device.Violations], which a test of a driver
// expects to be empty. Cards at TPDU and character level speak T=1 and T=0 (ISO
// 7816-3:2006) themselves, in code that shares nothing with the host's side but
// the form of a block. [Fault] makes any transfer go wrong.
//
// Everything is deterministic. No goroutine runs except for the commands of a
// [Timed] card; the work of a command is done in the call that brings it.
package ccidsim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kaztoken/usb"
)

// Card is a card that can be put into a slot. One slot calls it at a time.
type Card interface {
	// ATR is the answer to reset, up to 33 bytes.
	ATR() []byte
	// Reset is a cold or warm reset.
	Reset(cold bool)
	// Transmit appends the response APDU to a command APDU to dst. An error
	// makes the card mute.
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)
}

// Timed is what a Card may also be: one that takes its time. Duration says how
// long the card will work on a command. If that is not 0, readers at APDU level
// run Transmit on a goroutine of its own and send time extensions until the time
// has passed and Transmit has returned; T=1 cards ask for waiting time, T=0 cards
// send NULL.
type Timed interface {
	Duration(apdu []byte) time.Duration
}

// Directed is what a Card may also be: one that says in which direction the data
// of a T=0 command with P3 other than 00 go. Without it the instructions of ISO
// 7816-4 that bring data are taken to do so.
type Directed interface {
	Incoming(cla, ins byte) bool
}

// Device is one software reader. All methods are safe for concurrent use; one
// endpoint serves one caller at a time.
type Device struct {
	profile Profile
	usbInfo usb.Info

	// mu guards all that follows.
	mu         sync.Mutex
	gone       chan struct{}
	present    bool
	pipes      int
	slots      []*slot
	bulkIn     inbound
	interrupt  inbound
	outHalted  bool
	partial    []byte // of a message that comes in several transfers
	command    command
	seq        int // bSeq of the last command, -1 before the first
	faults     faults
	trace      func(Where, []byte)
	held       []heldMessage
	iccd       iccd
	violations []string
	ctx        context.Context // of the cards' work; ends with the device
	cancel     context.CancelFunc
	work       sync.WaitGroup // Timed commands under way
}

// heldMessage is an answer that a Delay fault keeps back.
type heldMessage struct {
	msg []byte
	due time.Time
}

// New makes a device of profile p, plugged in, with cards[i] in slot i; missing
// or nil cards leave the slot empty. It panics on more cards than slots, and on
// an empty slot of a device whose card cannot be removed.
func New(p Profile, cards ...Card) *Device {
	n := p.Interface.Reader.Slots()
	if len(cards) > n {
		panic(fmt.Sprintf("ccidsim: %d cards for %d slots", len(cards), n))
	}
	d := &Device{profile: p, usbInfo: p.info(), seq: -1}
	d.bulkIn = newInbound(p.Interface.BulkIn.MaxPacketSize)
	d.interrupt = newInbound(p.Interface.Interrupt.MaxPacketSize)
	for i := range n {
		s := &slot{d: d, index: byte(i)}
		d.slots = append(d.slots, s)
		if i < len(cards) && cards[i] != nil {
			s.insert(cards[i])
		} else if !p.Removable {
			panic("ccidsim: " + p.Name + " has its card built in")
		}
		s.changed = p.Removable && s.icc != nil
	}
	d.plug()
	return d
}

// Info tells what an operating system would know of the device. Bus, address and
// port are 0.
func (d *Device) Info() usb.Info { return d.usbInfo }

// Profile is a copy of the profile the device was made of.
func (d *Device) Profile() Profile { return d.profile }

// Gone is closed when the device is unplugged. After [Device.Replug] it is
// another channel.
func (d *Device) Gone() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

// SetTrace has f called with every whole bulk message, [Out] and [In], before
// faults, in the order in which the device meets them; nil ends it. f must not
// keep the slice nor call the device.
func (d *Device) SetTrace(f func(w Where, msg []byte)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trace = f
}

func (d *Device) plug() {
	d.gone = make(chan struct{})
	d.present = true
	d.ctx, d.cancel = context.WithCancel(context.Background())
}

// Unplug pulls the device out: every transfer ends with ErrGone, the cards lose
// power. It waits for Timed commands under way. Unplugging twice does nothing.
func (d *Device) Unplug() {
	d.mu.Lock()
	d.unplug()
	d.mu.Unlock()
	d.work.Wait()
}

func (d *Device) unplug() {
	if !d.present {
		return
	}
	d.present = false
	close(d.gone)
	d.cancel()
}

// Replug plugs an unplugged device in again: a fresh device with the same cards,
// counters, planned faults and list of violations.
func (d *Device) Replug() {
	d.work.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.present {
		return
	}
	d.bulkIn.reset()
	d.interrupt.reset()
	d.outHalted, d.partial, d.held, d.seq = false, nil, nil, -1
	d.faults.late, d.faults.answer = nil, Fault{}
	d.iccd = iccd{}
	for _, s := range d.slots {
		s.unplugged()
		s.changed = d.profile.Removable && s.icc != nil
	}
	d.plug()
}

// InsertCard puts a card into an empty slot; it panics if the slot is taken.
func (d *Device) InsertCard(slot int, c Card) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[slot]
	if s.icc != nil {
		panic(fmt.Sprintf("ccidsim: slot %d has a card", slot))
	}
	s.insert(c)
	s.changed = true
	d.interrupt.signal()
}

// RemoveCard takes the card out of a slot, if there is one. The command it works
// on, if any, is answered ICC_MUTE with "no ICC present". It panics if the
// device has its card built in.
func (d *Device) RemoveCard(slot int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.profile.Removable {
		panic("ccidsim: " + d.profile.Name + " has its card built in")
	}
	d.slots[slot].pulled()
}

// Executed counts the APDUs that the card in a slot, and those before it, were
// given.
func (d *Device) Executed(slot int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.slots[slot].executed
}

// Violations lists what the host did against the specifications so far, at most
// 100 entries.
func (d *Device) Violations() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.violations...)
}

func (d *Device) violation(format string, args ...any) {
	if len(d.violations) < 100 {
		d.violations = append(d.violations, fmt.Sprintf(format, args...))
	}
}

// HardwareError sends an interrupt message of that kind about a slot and the
// command in progress there (CCID rev 1.10 §6.3.2). Its card loses power.
func (d *Device) HardwareError(slot int, code byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[slot]
	d.interrupt.push([]byte{interruptHardwareError, s.index, s.seq, code}, nil)
	s.powerOff()
}

// Interrupt message types (CCID rev 1.10 §6.3).
const (
	interruptSlotChange    = 0x50
	interruptHardwareError = 0x51
)

// notify queues a NotifySlotChange if a slot changed since the last one.
func (d *Device) notify() {
	if d.interrupt.mps == 0 {
		return
	}
	changed := false
	msg := make([]byte, 0, 1+(len(d.slots)+3)/4)
	msg = append(msg, interruptSlotChange)
	for i, s := range d.slots {
		if i%4 == 0 {
			msg = append(msg, 0)
		}
		bits := byte(0)
		if s.icc != nil {
			bits |= 1
		}
		if s.changed {
			bits |= 2
			s.changed, changed = false, true
		}
		msg[1+i/4] |= bits << (i % 4 * 2)
	}
	if changed {
		d.interrupt.push(msg, nil)
	}
}
