package sharing

import "kaztoken/bridge/wire"

// Reconnect renews a handle: its share mode, the protocol, and its event word,
// which a success clears. It is nil if the client has no such handle.
func (m *Machine) Reconnect(c *Client, q wire.Reconnect) *Op {
	op := m.on(c, q.Handle, opReconnect)
	if op == nil || op.state == Done {
		return op
	}
	op.share, op.protocols, op.disposition = q.Share, q.Preferred.Expand(), q.Initialization
	switch {
	case op.disposition > wire.UnpowerCard, !op.share.Valid():
		return m.finish(op, wire.InvalidValue)
	case op.share != wire.ShareDirect && op.protocols&spoken == 0:
		return m.finish(op, wire.ProtoMismatch)
	}
	if !m.reconnectable(op) {
		return op
	}
	// Behind somebody who is at a reset, it has to wait for what comes out.
	if op.disposition != wire.LeaveCard || !m.prepared(op) || op.reader.unsettled > 0 {
		op.unsettle()
		return m.takeTurn(op)
	}
	m.reconnected(op)
	return op
}

// reconnectable finishes op if reader, lock or card forbid to go on.
func (m *Machine) reconnectable(op *Op) bool {
	h, r := op.handle, op.reader
	switch result := first(h.healthy(), h.shared()); {
	case result != wire.Success:
		m.finish(op, result)
	case op.disposition != wire.LeaveCard:
		return true
	case r.state&wire.StateAbsent != 0:
		m.finish(op, wire.NoSmartcard)
	case r.state&wire.StateSwallowed != 0:
		m.finish(op, wire.UnresponsiveCard)
	default:
		return true
	}
	return false
}

func (m *Machine) stepReconnect(op *Op) {
	r := op.reader
	switch {
	case !m.reconnectable(op):
	case op.disposition == wire.LeaveCard || op.reset:
		if !m.prepare(op) {
			m.reconnected(op)
		}
	case r.state&wire.StateAbsent != 0:
		m.finish(op, wire.NoSmartcard)
	case op.disposition == wire.ResetCard && r.power:
		op.work.Kind = WarmReset
	default:
		op.work.Kind = PowerUp
	}
}

func (m *Machine) doneReconnect(op *Op, work Work, result wire.Result) {
	if op.disposition != wire.LeaveCard && !op.reset {
		op.reset = true
		m.mark(op.reader, CardWasReset)
	}
	m.donePrepare(op, work, result, wire.UnresponsiveCard)
}

// reconnected changes the share mode. A transaction that the handle has stays.
func (m *Machine) reconnected(op *Op) {
	h, r := op.handle, op.reader
	was := r.sharing
	switch {
	case op.share == wire.ShareExclusive && r.sharing > 1:
		m.finish(op, wire.SharingViolation)
		return
	case op.share == wire.ShareExclusive && r.sharing == 1:
		r.sharing = wire.SharingExclusive
		m.take(h)
	case op.share == wire.ShareExclusive && r.lock == nil: // a removal had unlocked it
		m.take(h)
	case op.share != wire.ShareExclusive && r.sharing < 0:
		r.sharing = 1
		m.unlock(h)
	}
	h.share, h.event = op.share, NoEvent
	m.inForce(op)
	m.finish(op, wire.Success)
	if r.sharing != was {
		m.signal()
	}
	m.rest(r)
	m.grant(r)
}
