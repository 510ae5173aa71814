package sharing

import (
	"fmt"
	"slices"

	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// OpState is where an operation stands.
type OpState byte

// The states of an operation.
const (
	Done    OpState = iota // Result is final
	Waiting                // for the lock or its turn; Effects.Woken will have it
	Working                // its caller does Work and reports by Machine.Done
)

func (s OpState) String() string {
	switch s {
	case Done:
		return "done"
	case Waiting:
		return "waiting"
	case Working:
		return "working"
	}
	return fmt.Sprintf("OpState(%d)", byte(s))
}

// WorkKind is something to do with a card.
type WorkKind byte

// The kinds of work.
const (
	NoWork       WorkKind = iota
	Transmit              // the APDU of the request
	Control               // the command to the reader of the request
	PowerUp               // cold reset, whether the card has power or not
	WarmReset             // reset with the power on
	PowerDown             // take the power away
	ProtocolWork          // select Work.Protocol
)

func (k WorkKind) String() string {
	names := [...]string{"none", "transmit", "control", "power up", "reset", "power down", "select protocol"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("WorkKind(%d)", byte(k))
}

// Work is what an operation has to do with the card.
type Work struct {
	Kind     WorkKind
	Protocol iso7816.Protocol // of ProtocolWork
}

// Outcome is how work ended.
type Outcome struct {
	// Result is Success, or the kind of failure: NoSmartcard and ReaderUnavailable
	// are believed, CardReset says that the card has lost what it knew without
	// having got the command, ProtoMismatch that card or reader cannot speak the
	// protocol, UnsupportedFeature and InsufficientBuffer answer Control. All
	// others are the same.
	Result wire.Result
	ATR    iso7816.ATR // of PowerUp and WarmReset
}

type opKind byte

const (
	opOwn opKind = iota // of the reader itself, see Reader.Own
	opConnect
	opReconnect
	opDisconnect
	opBegin
	opEnd
	opTransmit
	opControl
)

// Op is one request in progress. It belongs to its client, or to a reader, and
// is used again for the next request.
type Op struct {
	client *Client // nil if it is a reader's own
	kind   opKind
	state  OpState
	reader *Reader
	handle *Handle

	share       wire.ShareMode
	protocols   wire.Protocol // asked for
	disposition wire.Disposition
	pci         wire.Protocol // of an APDU

	work      Work
	epoch     uint64 // Reader.epoch when the work began
	ticket    uint64 // place in the queue for the lock
	unsettles bool   // it is counted in Reader.unsettled
	reset     bool   // the card has been reset as it was asked for
	refused   wire.Protocol
	result    wire.Result
	newborn   wire.Handle
	protocol  wire.Protocol
}

// State is where the operation stands.
func (op *Op) State() OpState { return op.state }

// Work is what to do, in state Working.
func (op *Op) Work() Work { return op.work }

// Reader is the reader that the operation is about; nil if it failed before it
// had one.
func (op *Op) Reader() *Reader { return op.reader }

// Client is who asked; nil if the operation is a reader's own.
func (op *Op) Client() *Client { return op.client }

// Result is the answer, in state Done.
func (op *Op) Result() wire.Result { return op.result }

// Handle is the handle that a connect made, 0 if it failed.
func (op *Op) Handle() wire.Handle { return op.newborn }

// Active is the protocol in force after a connect or reconnect; 0 if it failed.
func (op *Op) Active() wire.Protocol { return op.protocol }

// begin makes the client's operation a new request.
func (c *Client) begin(kind opKind) *Op {
	c.op = Op{client: c, kind: kind, state: Working}
	return &c.op
}

// on begins a request about a handle of the client. It is nil if the client has
// no such handle; the request must not be answered then.
func (m *Machine) on(c *Client, number wire.Handle, kind opKind) *Op {
	h := c.find(number)
	if h == nil {
		return nil
	}
	if kind != opBegin {
		h.ticket = 0
	}
	op := c.begin(kind)
	op.handle, op.reader = h, h.reader
	switch {
	case m.closed:
		m.finish(op, wire.ServiceStopped)
	case h.reader.gone && kind != opDisconnect:
		// For pcscd the handle is then a number that means nothing.
		m.finish(op, wire.InvalidValue)
	}
	return op
}

// finish ends an operation. One that has the turn still has to release it.
func (m *Machine) finish(op *Op, result wire.Result) *Op {
	op.state, op.result, op.work = Done, result, Work{}
	if op.unsettles {
		op.unsettles = false
		op.reader.unsettled--
	}
	return op
}

// wake tells the one who waits for op.
func (m *Machine) wake(op *Op) { m.effects.Woken = append(m.effects.Woken, op) }

// unsettle notes that op is going to change the power of the card or its
// protocol: nobody gets the lock or a handle until it has.
func (op *Op) unsettle() {
	if !op.unsettles {
		op.unsettles = true
		op.reader.unsettled++
	}
}

// blocked reports that an operation that wants the card unlocked has to wait.
func (r *Reader) blocked(h *Handle) bool {
	return r.unsettled > 0 || r.lock != nil && r.lock != h
}

// await puts an operation into the queue for the lock, behind those that came
// before it; false if the queue is full.
func (m *Machine) await(op *Op) bool {
	r := op.reader
	mine := 0
	for _, w := range r.waiters {
		if w.client.uid == op.client.uid {
			mine++
		}
	}
	if len(r.waiters) >= m.cfg.Limits.Waiters || mine >= m.cfg.Limits.WaitersPerUser {
		return false
	}
	if op.kind == opBegin {
		op.ticket = op.handle.ticket
	}
	if op.ticket == 0 {
		m.tickets++
		op.ticket = m.tickets
	}
	if op.kind == opBegin {
		op.handle.ticket = op.ticket
	}
	at := slices.IndexFunc(r.waiters, func(w *Op) bool { return w.ticket > op.ticket })
	if at < 0 {
		at = len(r.waiters)
	}
	r.waiters = slices.Insert(r.waiters, at, op)
	op.state = Waiting
	return true
}

// withdraw takes an operation that waits out of its queue.
func (m *Machine) withdraw(op *Op) {
	r := op.reader
	r.waiters = without(r.waiters, op)
	r.queue = without(r.queue, op)
	m.finish(op, wire.Cancelled)
	m.grant(r) // it may have been about to reset the card
}

// grant serves the queue for the lock as far as it can be served.
func (m *Machine) grant(r *Reader) {
	for len(r.waiters) > 0 && !r.gone && !r.blocked(nil) {
		op := r.waiters[0]
		r.waiters = slices.Delete(r.waiters, 0, 1)
		op.state = Working
		switch op.kind {
		case opBegin:
			m.lockFor(op)
		case opConnect:
			m.connectUnlocked(op)
		case opDisconnect:
			m.disconnectUnlocked(op)
		}
		if op.state != Waiting {
			m.wake(op)
		}
	}
}

// takeTurn lets op work with the card when those before it have.
func (m *Machine) takeTurn(op *Op) *Op {
	r := op.reader
	if r.busy != nil || len(r.queue) > 0 || r.due != 0 {
		op.state = Waiting
		r.queue = append(r.queue, op)
		return op
	}
	r.busy = op
	op.state = Working
	m.step(op)
	if op.state == Done {
		m.release(r)
	}
	return op
}

// step decides what an operation does next that has the turn and no work: it
// gets new work or is done.
func (m *Machine) step(op *Op) {
	r := op.reader
	op.work = Work{}
	if r.gone {
		m.finish(op, wire.ReaderUnavailable)
		return
	}
	switch op.kind {
	case opOwn:
		m.stepOwn(op)
	case opConnect:
		m.stepConnect(op)
	case opReconnect:
		m.stepReconnect(op)
	case opDisconnect:
		m.stepDisconnect(op)
	case opEnd:
		m.stepEnd(op)
	case opTransmit:
		m.stepTransmit(op)
	case opControl:
		m.stepControl(op)
	}
	op.epoch = r.epoch
}

// Done reports how the work of an operation ended. The operation goes on to new
// work or is done.
func (m *Machine) Done(op *Op, out Outcome) {
	r, work := op.reader, op.work
	op.work = Work{}
	exchange := work.Kind == Transmit || work.Kind == Control
	switch {
	case r.gone && exchange && out.Result == wire.Success:
		m.finish(op, wire.Success) // the card had answered before
	case r.gone:
		m.finish(op, wire.ReaderUnavailable)
	case exchange:
		m.doneExchange(op, work.Kind, out.Result)
	default:
		result := m.powered(op, work, out)
		switch op.kind {
		case opOwn:
			m.finish(op, result)
		case opConnect:
			m.doneConnect(op, work, result)
		case opReconnect:
			m.doneReconnect(op, work, result)
		case opDisconnect:
			m.disconnectReset(op)
		case opEnd:
			m.endReset(op)
		}
	}
	if op.state == Done {
		m.release(r)
	}
}

// release gives the turn to the next.
func (m *Machine) release(r *Reader) {
	r.busy = nil
	m.grant(r)
	for r.busy == nil {
		var op *Op
		switch {
		case r.gone:
			return // dismiss has emptied the queue
		case r.due != 0:
			op = &r.own
			*op = Op{reader: r, kind: opOwn}
		case len(r.queue) > 0:
			op = r.queue[0]
			r.queue = slices.Delete(r.queue, 0, 1)
		default:
			return
		}
		r.busy = op
		op.state = Working
		m.step(op)
		if op.kind == opOwn {
			if op.state == Working {
				m.effects.Readers = append(m.effects.Readers, r)
			}
		} else {
			m.wake(op)
		}
		if op.state == Done {
			r.busy = nil
			m.grant(r)
		}
	}
}

// dismiss ends everything that waits for a reader.
func (m *Machine) dismiss(r *Reader, result wire.Result) {
	waiting := append(slices.Clone(r.waiters), r.queue...)
	r.waiters, r.queue = nil, nil
	for _, op := range waiting {
		if op.kind == opDisconnect && r.gone {
			m.remove(op.handle)
			m.finish(op, wire.Success)
		} else {
			m.finish(op, result)
		}
		m.wake(op)
	}
}
