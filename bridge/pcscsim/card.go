package pcscsim

import (
	"kaztoken/bridge/wire"
)

// card carries out the commands on a handle. A handle of somebody else ends the
// connection. The caller holds mu.
func (c *conn) card(command wire.Command, body []byte, fault wire.Result) (answer []byte, d wire.Disposition, ok bool) {
	s := c.s
	switch command {
	case wire.CmdReconnect:
		m, err := wire.ParseReconnect(body)
		h := c.handle(m.Handle)
		if err != nil || h == nil {
			return nil, 0, false
		}
		if m.Result = first(fault, h.state(false)); m.Result == wire.Success {
			m.Result = s.reconnect(h, &m)
		}
		return m.AppendTo(nil), m.Initialization, true
	case wire.CmdDisconnect:
		m, err := wire.ParseDisconnect(body)
		h := c.handle(m.Handle)
		if err != nil || h == nil {
			return nil, 0, false
		}
		if m.Result = fault; fault == wire.Success {
			s.disconnect(h, m.Disposition)
		}
		return m.AppendTo(nil), m.Disposition, true
	case wire.CmdBeginTransaction:
		m, err := wire.ParseBeginTransaction(body)
		h := c.handle(m.Handle)
		if err != nil || h == nil {
			return nil, 0, false
		}
		if m.Result = first(fault, h.state(true)); m.Result == wire.Success {
			h.reader.owner = h
			h.reader.depth++
		}
		return m.AppendTo(nil), 0, true
	case wire.CmdEndTransaction:
		m, err := wire.ParseEndTransaction(body)
		h := c.handle(m.Handle)
		if err != nil || h == nil {
			return nil, 0, false
		}
		if m.Result = first(fault, h.state(true)); m.Result == wire.Success {
			m.Result = s.end(h, m.Disposition)
		}
		return m.AppendTo(nil), m.Disposition, true
	case wire.CmdStatus:
		m, err := wire.ParseStatus(body)
		h := c.handle(m.Handle)
		if err != nil || h == nil {
			return nil, 0, false
		}
		m.Result = first(fault, h.state(true))
		return m.AppendTo(nil), 0, true
	case wire.CmdTransmit:
		answer, ok = c.transmit(body, fault)
		return answer, 0, ok
	case wire.CmdControl:
		answer, ok = c.control(body, fault)
		return answer, 0, ok
	case wire.CmdGetAttribute, wire.CmdSetAttribute:
		m, err := wire.ParseAttribute(body)
		h := c.handle(m.Handle)
		if err != nil || h == nil {
			return nil, 0, false
		}
		if m.Result = first(fault, h.state(true)); m.Result == wire.Success {
			value, known := h.reader.Attributes[m.ID]
			if m.Result = wire.UnsupportedFeature; known && command == wire.CmdGetAttribute {
				m.Result, m.Length = wire.Success, uint32(copy(m.Value[:], value))
			}
		}
		return m.AppendTo(nil), 0, true
	}
	return nil, 0, false
}

// reconnect renews a handle. The caller holds mu.
func (s *Service) reconnect(h *handle, m *wire.Reconnect) wire.Result {
	r := h.reader
	if m.Initialization != wire.LeaveCard && r.Card != nil {
		r.reset()
	}
	if result := r.protocol(m.Share, m.Preferred, &m.Active); result != wire.Success {
		return result
	}
	h.event = wire.Success
	return wire.Success
}

// end takes one lock back. The caller holds mu.
func (s *Service) end(h *handle, d wire.Disposition) wire.Result {
	r := h.reader
	if r.owner == nil {
		return wire.NotTransacted
	}
	if r.depth--; r.depth == 0 {
		r.owner = nil
	}
	if d != wire.LeaveCard {
		r.reset()
	}
	s.changed.Broadcast()
	return wire.Success
}

// transmit has the card carry a command out. The caller holds mu, which it gives
// up for that.
func (c *conn) transmit(body []byte, fault wire.Result) ([]byte, bool) {
	m, err := wire.ParseTransmit(body)
	if err != nil || m.SendLength > wire.MaxData {
		return nil, false
	}
	c.s.mu.Unlock()
	apdu, err := c.read(int(m.SendLength))
	c.s.mu.Lock()
	h := c.handle(m.Handle)
	if err != nil || h == nil {
		return nil, false
	}
	r, room := h.reader, m.RecvLength
	m.RecvLength = 0
	switch m.Result = first(fault, h.state(true)); {
	case m.Result != wire.Success:
	case r.Card == nil:
		m.Result = wire.NoSmartcard
	case m.SendProtocol != r.active:
		m.Result = wire.ProtoMismatch
	}
	if m.Result != wire.Success {
		return m.AppendTo(nil), true
	}
	card := r.Card
	c.s.mu.Unlock()
	r.atWork.Lock()
	resp, err := card.Transmit(c.s.ctx, nil, apdu)
	r.atWork.Unlock()
	c.s.mu.Lock()
	switch {
	case h.gone:
		m.Result = wire.ReaderUnavailable
	case err != nil:
		m.Result = wire.NotTransacted
	case len(resp) > int(room):
		m.Result, m.RecvLength = wire.InsufficientBuffer, uint32(len(resp))
	default:
		m.RecvLength = uint32(len(resp))
		return append(m.AppendTo(nil), resp...), true
	}
	return m.AppendTo(nil), true
}

// control has the reader answer. The caller holds mu, which it gives up for
// reading.
func (c *conn) control(body []byte, fault wire.Result) ([]byte, bool) {
	m, err := wire.ParseControl(body)
	if err != nil || m.SendLength > wire.MaxData {
		return nil, false
	}
	c.s.mu.Unlock()
	_, err = c.read(int(m.SendLength))
	c.s.mu.Lock()
	h := c.handle(m.Handle)
	if err != nil || h == nil {
		return nil, false
	}
	if m.Result = first(fault, h.state(false)); m.Result != wire.Success {
		return m.AppendTo(nil), true
	}
	resp, known := h.reader.Control[m.Code]
	switch {
	case !known:
		m.Result = wire.UnsupportedFeature
	case len(resp) > int(m.RecvLength):
		m.Result, m.Returned = wire.InsufficientBuffer, uint32(len(resp))
	default:
		m.Returned = uint32(len(resp))
		return append(m.AppendTo(nil), resp...), true
	}
	return m.AppendTo(nil), true
}
