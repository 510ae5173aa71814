package sharing

import "kaztoken/bridge/wire"

// Begin locks the card for a handle, once more if it has it locked already. It
// waits while another has; see [Machine.Timeout]. It is nil if the client has no
// such handle.
func (m *Machine) Begin(c *Client, number wire.Handle) *Op {
	op := m.on(c, number, opBegin)
	if op == nil || op.state == Done {
		return op
	}
	h, r := op.handle, op.reader
	if result := first(h.healthy(), h.event.result()); result != wire.Success {
		return m.finish(op, result)
	}
	if r.lock != h && r.blocked(h) {
		if !m.await(op) {
			m.finish(op, wire.SharingViolation)
		}
		return op
	}
	m.lockFor(op)
	return op
}

// lockFor locks the card for op, unless something has happened to it while op
// waited.
func (m *Machine) lockFor(op *Op) {
	h := op.handle
	result := first(h.healthy(), h.event.result())
	if result == wire.Success {
		h.ticket = 0
		m.take(h)
	}
	m.finish(op, result)
}

// take locks the card for h once more.
func (m *Machine) take(h *Handle) {
	r := h.reader
	if r.lock == nil {
		r.lock, r.lockSince = h, m.Stamp
	}
	r.lockCount++
}

// Timeout ends a begin that has waited as long as a client may be kept waiting.
// When the handle asks again next thing it gets its old place in the queue.
// Others than a begin that waits are left alone.
func (m *Machine) Timeout(op *Op) {
	if op.state == Waiting && op.kind == opBegin {
		m.withdraw(op)
		m.finish(op, wire.SharingViolation)
	}
}

// End takes one lock back. It is nil if the client has no such handle.
func (m *Machine) End(c *Client, number wire.Handle, d wire.Disposition) *Op {
	op := m.on(c, number, opEnd)
	if op == nil || op.state == Done {
		return op
	}
	op.disposition = d
	h, r := op.handle, op.reader
	switch {
	case !d.Valid():
		return m.finish(op, wire.InvalidValue)
	case h.event != NoEvent:
		return m.finish(op, h.event.result())
	case r.lock == nil:
		return m.finish(op, wire.NotTransacted)
	case r.lock != h:
		return m.finish(op, wire.SharingViolation)
	case r.lockCount < 2 && r.sharing < 0:
		return m.finish(op, wire.NotTransacted) // the lock is that of the share mode
	}
	if d == wire.ResetCard || d == wire.UnpowerCard {
		return m.takeTurn(op)
	}
	m.finish(op, wire.Success)
	m.unlock(h)
	return op
}

func (m *Machine) stepEnd(op *Op) {
	r := op.reader
	switch {
	case r.state&(wire.StateAbsent|wire.StateUnknown) != 0:
		m.endReset(op)
	case op.disposition == wire.ResetCard && r.power:
		op.work.Kind = WarmReset
	default:
		op.work.Kind = PowerUp
	}
}

// endReset takes the lock back after the card was reset, or could not be. The
// handle itself gets to hear of the reset like all others.
func (m *Machine) endReset(op *Op) {
	m.mark(op.reader, CardWasReset)
	m.finish(op, wire.Success)
	m.unlock(op.handle)
}

// unlock takes one lock back, if h has it.
func (m *Machine) unlock(h *Handle) {
	r := h.reader
	if r.lock != h {
		return
	}
	if r.lockCount--; r.lockCount == 0 {
		r.lock = nil
		m.grant(r)
	}
}
