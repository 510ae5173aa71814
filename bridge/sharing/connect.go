package sharing

import (
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// spoken are the protocols that a client has to accept one of.
const spoken = wire.ProtocolT0 | wire.ProtocolT1 | wire.ProtocolRaw

// Connect makes a handle. It waits while a card is locked, however long that
// takes.
func (m *Machine) Connect(c *Client, q wire.Connect) *Op {
	op := c.begin(opConnect)
	op.share, op.protocols = q.Share, q.Preferred.Expand()
	switch {
	case m.closed:
		return m.finish(op, wire.ServiceStopped)
	case op.share != wire.ShareDirect && op.protocols&spoken == 0:
		return m.finish(op, wire.ProtoMismatch)
	case !op.share.Valid():
		return m.finish(op, wire.InvalidValue)
	case c.context == 0 || q.Context != c.context:
		return m.finish(op, wire.InvalidValue)
	}
	op.reader = m.byName(q.Reader)
	switch r := op.reader; {
	case r == nil:
		return m.finish(op, wire.UnknownReader)
	case r.failing():
		return m.finish(op, wire.ReaderUnavailable)
	case r.sharing < 0:
		return m.finish(op, wire.SharingViolation)
	case r.blocked(nil):
		if !m.await(op) {
			return m.finish(op, wire.SharingViolation)
		}
		return op
	}
	m.connectUnlocked(op)
	return op
}

// connectUnlocked goes on when the card is not locked. What needs nothing of the
// card does not wait for those who work with it.
func (m *Machine) connectUnlocked(op *Op) {
	if m.connectable(op) && !m.prepared(op) {
		op.unsettle() // so that those behind it stay there
		m.takeTurn(op)
	} else if op.state != Done {
		m.connected(op)
	}
}

// connectable checks what may have changed while op waited; it finishes op if
// that is so.
func (m *Machine) connectable(op *Op) bool {
	switch r := op.reader; {
	case r.failing():
		m.finish(op, wire.ReaderUnavailable)
	case r.sharing < 0:
		m.finish(op, wire.SharingViolation)
	case op.share != wire.ShareDirect && r.state&wire.StateAbsent != 0:
		m.finish(op, wire.NoSmartcard)
	default:
		return true
	}
	return false
}

// open reports that the protocol of the card may still be chosen by op. While
// somebody talks to it raw, it may not.
func (r *Reader) open(op *Op) bool {
	return r.protocol == wire.ProtocolUndefined || r.protocol == wire.ProtocolRaw && !r.used(op.handle)
}

// prepared reports whether power and protocol are as op wants them.
func (m *Machine) prepared(op *Op) bool {
	if op.share == wire.ShareDirect {
		return true
	}
	r := op.reader
	return r.power && (op.protocols&wire.ProtocolRaw != 0 || !r.open(op) && op.protocols&r.protocol != 0)
}

// prepare gives op the work that brings the card to where it is prepared, or
// finishes it. It is false if there is nothing to do.
func (m *Machine) prepare(op *Op) bool {
	r := op.reader
	switch {
	case m.prepared(op):
		return false
	case !r.power:
		op.work.Kind = PowerUp
		return true
	case !r.open(op):
		m.finish(op, wire.ProtoMismatch)
		return true
	}
	wanted := op.protocols &^ op.refused
	switch {
	case wanted&wire.ProtocolT1 != 0 && r.atr.Offers(iso7816.T1):
		op.work = Work{ProtocolWork, iso7816.T1}
	case wanted&wire.ProtocolT0 != 0 && r.atr.Offers(iso7816.T0):
		op.work = Work{ProtocolWork, iso7816.T0}
	default:
		m.finish(op, wire.ProtoMismatch)
	}
	return true
}

// donePrepare goes on after work of prepare, or finishes op. mute is the result
// for a card that could not be powered up.
func (m *Machine) donePrepare(op *Op, work Work, result, mute wire.Result) {
	switch {
	case result == wire.Success:
		m.step(op)
	case result == wire.NoSmartcard || result == wire.ReaderUnavailable:
		m.finish(op, result)
	case work.Kind != ProtocolWork:
		m.finish(op, mute)
	case result == wire.ProtoMismatch && work.Protocol == iso7816.T1 && op.protocols&wire.ProtocolT0 != 0 && op.reader.atr.Offers(iso7816.T0):
		// The reader does not speak T=1; the other protocol begins from a reset.
		op.refused |= wire.ProtocolT1
		m.step(op)
	case result == wire.ProtoMismatch:
		m.finish(op, wire.ProtoMismatch)
	default:
		m.finish(op, wire.UnresponsiveCard)
	}
}

func (m *Machine) stepConnect(op *Op) {
	if m.connectable(op) && !m.prepare(op) {
		m.connected(op)
	}
}

func (m *Machine) doneConnect(op *Op, work Work, result wire.Result) {
	m.donePrepare(op, work, result, wire.UnpoweredCard)
}

// connected makes the handle, if the others leave room for it.
func (m *Machine) connected(op *Op) {
	r, limits, mine := op.reader, &m.cfg.Limits, 0
	for _, h := range r.handles {
		if h.client.uid == op.client.uid {
			mine++
		}
	}
	switch {
	case op.share == wire.ShareExclusive && r.sharing != 0:
		m.finish(op, wire.SharingViolation)
	case len(r.handles) >= limits.HandlesPerReader:
		m.finish(op, wire.InternalError)
	case len(op.client.handles) >= limits.HandlesPerContext, mine >= limits.HandlesPerUser:
		m.finish(op, wire.NoMemory)
	default:
		h := m.add(op)
		if op.share == wire.ShareExclusive {
			r.sharing = wire.SharingExclusive
			m.take(h)
		} else {
			r.sharing++
		}
		op.newborn = h.number
		m.inForce(op)
		m.finish(op, wire.Success)
		m.signal()
	}
	m.rest(r)
}

// inForce gives op the protocol that is in force for it. Talking raw leaves the
// protocol that the others have as it is, and talking to the reader alone leaves
// it open; for pcscd either would make it raw for all.
func (m *Machine) inForce(op *Op) {
	r := op.reader
	if op.protocols&wire.ProtocolRaw == 0 {
		op.protocol = r.protocol
		return
	}
	op.protocol = wire.ProtocolRaw
	if r.protocol == wire.ProtocolUndefined && op.share != wire.ShareDirect {
		r.protocol = wire.ProtocolRaw
	}
}
