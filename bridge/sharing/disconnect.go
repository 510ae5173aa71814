package sharing

import "kaztoken/bridge/wire"

// Disconnect ends a handle. A disposition that touches the card waits for a lock
// of another. It is nil if the client has no such handle.
func (m *Machine) Disconnect(c *Client, number wire.Handle, d wire.Disposition) *Op {
	op := m.on(c, number, opDisconnect)
	if op == nil || op.state == Done {
		return op
	}
	op.disposition = d
	h, r := op.handle, op.reader
	switch {
	case !d.Valid():
		return m.finish(op, wire.InvalidValue)
	case r.gone:
		m.remove(h)
		return m.finish(op, wire.Success)
	case d != wire.LeaveCard && r.lock != h && r.blocked(h):
		if !m.await(op) {
			return m.finish(op, wire.SharingViolation)
		}
		return op
	}
	m.disconnectUnlocked(op)
	return op
}

func (m *Machine) disconnectUnlocked(op *Op) {
	if op.disposition == wire.ResetCard || op.disposition == wire.UnpowerCard {
		// The lock is kept until then: nobody may come between.
		op.unsettle()
		m.takeTurn(op)
		return
	}
	m.finish(op, wire.Success) // nothing here can eject a card
	m.remove(op.handle)
}

func (m *Machine) stepDisconnect(op *Op) {
	r := op.reader
	switch {
	case r.state&(wire.StateAbsent|wire.StateUnknown) != 0:
	case op.disposition == wire.UnpowerCard && r.power:
		op.work.Kind = PowerDown
		return
	case op.disposition == wire.ResetCard && r.power:
		op.work.Kind = WarmReset
		return
	case op.disposition == wire.ResetCard:
		op.work.Kind = PowerUp
		return
	}
	m.disconnectReset(op)
}

// disconnectReset ends the handle after the card was reset or switched off, or
// could not be, which makes no difference for the handle.
func (m *Machine) disconnectReset(op *Op) {
	r := op.reader
	m.mark(r, CardWasReset)
	if op.disposition == wire.UnpowerCard && r.state&wire.StatePresent != 0 {
		m.setState(r, wire.CardUnpowered, r.atr)
	}
	m.finish(op, wire.Success)
	m.remove(op.handle)
}
