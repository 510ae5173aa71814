package ccidsim

import (
	"fmt"
	"slices"
	"time"
)

// Where says which transfers a [Fault] counts.
type Where byte

// The places of faults. Each counts from 1.
const (
	// Any counts the messages of both bulk endpoints and the control requests
	// together, in the order in which the device meets them.
	Any Where = iota
	// Out counts the messages that the host sends on bulk OUT.
	Out
	// In counts the messages that the device sends on bulk IN, time extensions
	// included.
	In
	// Control counts class requests on endpoint 0.
	Control
	// BlockOut counts what reaches the card's contacts: T=1 blocks, T=0 headers.
	BlockOut
	// BlockIn counts what the card sends: T=1 blocks, T=0 answers.
	BlockIn

	places
)

func (w Where) String() string {
	switch w {
	case Any:
		return "any"
	case Out:
		return "out"
	case In:
		return "in"
	case Control:
		return "control"
	case BlockOut:
		return "block out"
	case BlockIn:
		return "block in"
	}
	return fmt.Sprintf("Where(%d)", byte(w))
}

// FaultKind is what goes wrong.
type FaultKind byte

// Faults of the bus and of the reader. One that describes an answer, met on the
// way out, damages the next answer instead.
const (
	// Stall halts the endpoint in place of the transfer, which is lost; a
	// control request is refused.
	Stall FaultKind = iota + 1
	// NAK keeps the host waiting until it gives up. Out and control only; on
	// the way in it is Silence.
	NAK
	// Silence loses the message without a sign: on the way out the card never
	// sees the command, on the way in the host never sees the answer.
	Silence
	// Hang takes the command and never answers: the slot is busy until it is
	// aborted or the endpoint's halt is cleared. Out only.
	Hang
	// ShortWrite takes only a part of the message. Out only.
	ShortWrite
	// Short answers with five bytes.
	Short
	// Truncate leaves out the last byte of the answer.
	Truncate
	// Long sends Value (or 3) bytes of junk behind the answer.
	Long
	// ZLP sends a zero-length packet before the answer.
	ZLP
	// BadLength answers with dwLength FFFFFFFF.
	BadLength
	// WrongSeq, WrongSlot and WrongType answer with a bSeq or bSlot one too
	// high, or another bMessageType. A USB-ICC without bulk endpoints has no more
	// of this than a response type or status byte, which they all damage.
	WrongSeq
	WrongSlot
	WrongType
	// Garbage sends Value (or 16) bytes that mean nothing instead of the answer.
	Garbage
	// Duplicate sends the answer twice.
	Duplicate
	// Late holds the answer back and sends it right before the next one.
	Late
	// Overflow sends a packet larger than the host asked for, and the answer is
	// lost.
	Overflow
	// IOError is a bus error in place of the transfer, which is lost.
	IOError
	// Delay sends the answer after Value milliseconds.
	Delay
	// TimeExt sends a time extension with multiplier Value (or 1) before the
	// answer.
	TimeExt
	// ErrorCode answers with command status "failed" and bError Value. On the
	// way out the command is not carried out; on the way in it was.
	ErrorCode
	// CardOut pulls the card before the command is carried out, or before its
	// answer is sent. A card that is built in stays.
	CardOut
	// Unplug unplugs the device.
	Unplug
)

// Faults at the card's contacts.
const (
	// BadEDC damages the error detection code of a block, either way.
	BadEDC FaultKind = iota + 64
	// WrongNumber inverts N(S) or N(R) of the card's block. BlockIn only.
	WrongNumber
	// Lost loses a block, either way; the reader reports a mute card.
	Lost
	// RBlock sends an R-block "other error" in place of the card's block, with
	// the number of the I-block that the card expects. BlockIn only.
	RBlock
	// RNext is RBlock with the other number.
	RNext
	// WTX asks for Value (or 1) times the waiting time before the card's block;
	// at T=0 it sends a NULL. BlockIn only.
	WTX
	// IFSRequest announces the card's IFS as Value before its block. BlockIn only.
	IFSRequest
	// ResynchRequest sends S(RESYNCH request), which a card must not.
	ResynchRequest
	// AbortRequest aborts the chain in progress, or sends S(ABORT request)
	// where there is none. BlockIn only.
	AbortRequest
	// Refuse answers a S(IFS request) of the host with an R-block and leaves PPS1
	// out of a PPS reply; other blocks pass. BlockIn only.
	Refuse
	// WrongEcho answers a S request of the host with the wrong INF or kind.
	WrongEcho
	// Parity and Overrun make the reader report FD or FC in place of the block.
	Parity
	Overrun
	// BadProcedure sends a procedure byte that means nothing. T=0, BlockIn only.
	BadProcedure
	// OneByOne sends procedure bytes that ask for single bytes. T=0 at character
	// level, BlockIn only.
	OneByOne
)

var faultNames = map[FaultKind]string{
	Stall: "stall", NAK: "NAK", Silence: "silence", Hang: "hang", ShortWrite: "short write", Short: "short",
	Truncate: "truncate", Long: "long", ZLP: "ZLP", BadLength: "bad length", WrongSeq: "wrong sequence",
	WrongSlot: "wrong slot", WrongType: "wrong type", Garbage: "garbage", Duplicate: "duplicate", Late: "late",
	Overflow: "overflow", IOError: "I/O error", Delay: "delay", TimeExt: "time extension", ErrorCode: "error code",
	CardOut: "card out", Unplug: "unplug",
	BadEDC: "bad EDC", WrongNumber: "wrong number", Lost: "lost", RBlock: "R-block", RNext: "R-block, next number",
	WTX: "WTX", IFSRequest: "IFS request", ResynchRequest: "RESYNCH request", AbortRequest: "ABORT request",
	Refuse: "refuse", WrongEcho: "wrong echo", Parity: "parity", Overrun: "overrun",
	BadProcedure: "bad procedure byte", OneByOne: "one by one",
}

func (k FaultKind) String() string {
	if s, ok := faultNames[k]; ok {
		return s
	}
	return fmt.Sprintf("FaultKind(%d)", byte(k))
}

// BusFaults and BlockFaults list every kind.
func BusFaults() []FaultKind   { return kinds(Stall, Unplug) }
func BlockFaults() []FaultKind { return kinds(BadEDC, OneByOne) }

func kinds(from, to FaultKind) (l []FaultKind) {
	for k := from; k <= to; k++ {
		l = append(l, k)
	}
	return l
}

// Forever as [Fault.Times] never ends.
const Forever = -1

// Fault is one thing that goes wrong at a certain transfer.
type Fault struct {
	Where Where
	// At is the number of the first transfer it befalls, counted from 1 since
	// the device was made. 0 is the next one.
	At    int
	Kind  FaultKind
	Times int // transfers in a row; 0 is one, Forever all
	Value int // what the kind says: a code, a multiplier, a number of bytes
}

func (f Fault) String() string { return fmt.Sprintf("%v at %v %d", f.Kind, f.Where, f.At) }

// value is Value, or otherwise if that is 0.
func (f *Fault) value(otherwise int) int {
	if f.Value != 0 {
		return f.Value
	}
	return otherwise
}

// faults holds the counters and what is to go wrong. The device's lock guards it.
type faults struct {
	count   [places]int
	planned []Fault
	answer  Fault  // for the next answer; Kind 0: none
	late    []byte // an answer held back
}

// Inject plans faults. They may be planned at any time.
func (d *Device) Inject(list ...Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range list {
		if f.At == 0 {
			f.At = d.faults.count[f.Where] + 1
		}
		d.faults.planned = append(d.faults.planned, f)
	}
}

// ClearFaults forgets the planned faults; the counters go on.
func (d *Device) ClearFaults() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.planned = nil
	d.faults.answer = Fault{}
}

// Transfers is how many transfers were counted there so far.
func (d *Device) Transfers(w Where) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults.count[w]
}

// next counts a transfer and gives the fault that befalls it; Kind 0 is none.
func (f *faults) next(w Where) Fault {
	f.count[w]++
	overall := w == Out || w == In || w == Control
	if overall {
		f.count[Any]++
	}
	for _, p := range f.planned {
		n := f.count[p.Where]
		if p.Where != w && !(overall && p.Where == Any) {
			continue
		}
		if n >= p.At && (p.Times == Forever || n < p.At+max(p.Times, 1)) {
			return p
		}
	}
	return Fault{}
}

// forAnswer reports whether a fault met on the way out belongs to the answer.
func (k FaultKind) forAnswer() bool {
	switch k {
	case Short, Truncate, Long, ZLP, BadLength, WrongSeq, WrongSlot, WrongType, Garbage, Duplicate, Late, Overflow,
		Delay, TimeExt:
		return true
	}
	return false
}

// send counts one bulk-IN message and queues it as the fault, if any, has it.
// final marks the answer of a command, as against a time extension. The caller
// holds the lock and gives msg away.
func (d *Device) send(msg []byte, final bool) {
	f := d.faults.next(In)
	if f.Kind == 0 && final {
		f, d.faults.answer = d.faults.answer, Fault{}
	}
	if d.faults.late != nil {
		d.bulkIn.push(d.faults.late, nil)
		d.faults.late = nil
	}
	switch f.Kind {
	case Stall:
		d.bulkIn.halted = true
		d.bulkIn.discard(msg)
	case NAK, Silence, Hang:
		d.bulkIn.discard(msg)
	case Short:
		d.bulkIn.push(msg[:5], nil)
	case Truncate:
		d.bulkIn.push(msg[:len(msg)-1], nil)
	case Long:
		for i := range f.value(3) {
			msg = append(msg, byte(0xE0+i))
		}
		d.bulkIn.push(msg, nil)
	case ZLP:
		d.bulkIn.push(nil, nil)
		d.bulkIn.push(msg, nil)
	case BadLength:
		copy(msg[1:5], []byte{0xFF, 0xFF, 0xFF, 0xFF})
		d.bulkIn.push(msg, nil)
	case WrongSeq:
		msg[6]++
		d.bulkIn.push(msg, nil)
	case WrongSlot:
		msg[5]++
		d.bulkIn.push(msg, nil)
	case WrongType:
		if msg[0] == typeDataBlock {
			msg[0] = typeParameters
		} else {
			msg[0] = typeDataBlock
		}
		d.bulkIn.push(msg, nil)
	case Garbage:
		msg = msg[:0]
		for i := range f.value(16) {
			msg = append(msg, byte(0xA5^i*29))
		}
		d.bulkIn.push(msg, nil)
	case Duplicate:
		twice := slices.Clone(msg)
		d.bulkIn.push(msg, nil)
		d.bulkIn.push(twice, nil)
	case Late:
		d.faults.late = slices.Clone(msg)
		d.bulkIn.discard(msg)
	case Overflow:
		d.bulkIn.discard(msg)
		d.bulkIn.push(nil, errOverflow)
	case IOError:
		d.bulkIn.discard(msg)
		d.bulkIn.push(nil, errIO)
	case Delay:
		d.held = append(d.held, heldMessage{msg, time.Now().Add(time.Duration(f.Value) * time.Millisecond)})
		d.bulkIn.signal()
	case TimeExt:
		ext := header(typeDataBlock, msg[5], msg[6], 0x80|msg[7]&0x03, byte(f.value(1)), 0)
		d.bulkIn.push(append(d.bulkIn.buffer(), ext[:]...), nil)
		d.bulkIn.push(msg, nil)
	case ErrorCode:
		d.slots[int(msg[5])%len(d.slots)].upset()
		msg = msg[:headerLen]
		clear(msg[1:5])
		msg[7], msg[8], msg[9] = 0x40|msg[7]&0x03, byte(f.Value), 0
		d.bulkIn.push(msg, nil)
	case CardOut:
		s := d.slots[int(msg[5])%len(d.slots)]
		if !s.pulled() {
			d.deliver(msg, final)
			return
		}
		msg = msg[:headerLen]
		clear(msg[1:5])
		msg[7], msg[8], msg[9] = 0x42, errICCMute, 0
		d.bulkIn.push(msg, nil)
	case Unplug:
		d.bulkIn.discard(msg)
		d.unplug()
	default:
		d.deliver(msg, final)
	}
}

// upset is what an error that the reader made up leaves: an exchange in parts is
// over, and the card hears things that it did not expect.
func (s *slot) upset() {
	s.forget()
	if s.icc != nil {
		s.icc.t1.faulty = true
	}
}

// deliver queues an undamaged message.
func (d *Device) deliver(msg []byte, final bool) {
	d.bulkIn.push(msg, nil)
	d.bulkIn.queue[len(d.bulkIn.queue)-1].final = final
}

// pulled pulls the card out, if there is one that can be.
func (s *slot) pulled() bool {
	if s.icc == nil || !s.d.profile.Removable {
		return false
	}
	s.remove()
	return true
}
