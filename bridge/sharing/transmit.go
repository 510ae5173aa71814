package sharing

import "kaztoken/bridge/wire"

// Transmit sends an APDU. pci is the protocol that the client names, room is how
// many bytes of the response it takes. It is nil if the client has no such
// handle.
func (m *Machine) Transmit(c *Client, number wire.Handle, pci wire.Protocol, room uint32) *Op {
	op := m.on(c, number, opTransmit)
	if op == nil || op.state == Done {
		return op
	}
	op.pci = pci
	if room < 2 {
		return m.finish(op, wire.InsufficientBuffer)
	}
	if result := op.transmittable(); result != wire.Success {
		return m.finish(op, result)
	}
	return m.takeTurn(op)
}

// transmittable is the checks of Transmit, which have to hold when its turn has
// come as well.
func (op *Op) transmittable() wire.Result {
	h, r := op.handle, op.reader
	result := first(h.shared(), h.healthy(), h.event.result())
	switch {
	case result != wire.Success:
		return result
	case r.state&wire.StateAbsent != 0:
		return wire.NoSmartcard
	case op.pci != r.protocol && op.pci != wire.ProtocolRaw && op.pci != wire.ProtocolAnyOld:
		return wire.ProtoMismatch
	case !r.power:
		return wire.NotTransacted
	}
	return wire.Success
}

func (m *Machine) stepTransmit(op *Op) {
	if result := op.transmittable(); result != wire.Success {
		m.finish(op, result)
		return
	}
	op.work.Kind = Transmit
}

// Control sends a command to the reader. A reset of the card does not hinder it.
// It is nil if the client has no such handle.
func (m *Machine) Control(c *Client, number wire.Handle) *Op {
	op := m.on(c, number, opControl)
	if op == nil || op.state == Done {
		return op
	}
	if result := op.controllable(); result != wire.Success {
		return m.finish(op, result)
	}
	return m.takeTurn(op)
}

func (op *Op) controllable() wire.Result { return first(op.handle.shared(), op.handle.healthy()) }

func (m *Machine) stepControl(op *Op) {
	if result := op.controllable(); result != wire.Success {
		m.finish(op, result)
		return
	}
	op.work.Kind = Control
}

// doneExchange takes over how an APDU or a command to the reader ended.
func (m *Machine) doneExchange(op *Op, kind WorkKind, result wire.Result) {
	r := op.reader
	switch {
	case result == wire.Success, result == wire.ReaderUnavailable:
	case result == wire.NoSmartcard:
		if op.epoch == r.epoch {
			m.cardGone(r)
		}
	case kind == Control && (result == wire.UnsupportedFeature || result == wire.InsufficientBuffer):
	case op.epoch != r.epoch:
		result = wire.NoSmartcard // it left during the exchange, and that is why
	case result == wire.CardReset:
		r.power, r.idle = false, false // until somebody reconnects
		m.mark(r, CardWasReset)
	default:
		result = wire.NotTransacted
	}
	m.finish(op, result)
}

// Status says whether a handle is still good. It is false if the client has no
// such handle.
func (m *Machine) Status(c *Client, number wire.Handle) (wire.Result, bool) {
	return m.ask(c, number, func(h *Handle) wire.Result { return first(h.shared(), h.event.result(), h.healthy()) })
}

// Attribute says whether a handle may read or set an attribute of its reader. It
// is false if the client has no such handle.
func (m *Machine) Attribute(c *Client, number wire.Handle) (*Reader, wire.Result, bool) {
	result, ok := m.ask(c, number, func(h *Handle) wire.Result { return first(h.shared(), h.healthy(), h.event.result()) })
	return c.op.reader, result, ok
}

// Inquire is [Machine.Control] for what can be answered without the reader.
func (m *Machine) Inquire(c *Client, number wire.Handle) (*Reader, wire.Result, bool) {
	result, ok := m.ask(c, number, func(h *Handle) wire.Result { return first(h.shared(), h.healthy()) })
	return c.op.reader, result, ok
}

// ask makes a request that is answered at once.
func (m *Machine) ask(c *Client, number wire.Handle, check func(*Handle) wire.Result) (wire.Result, bool) {
	op := m.on(c, number, opControl)
	if op == nil {
		return 0, false
	}
	if op.state != Done {
		m.finish(op, check(op.handle))
	}
	return op.result, true
}
