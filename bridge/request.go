package bridge

import (
	"time"

	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// answer carries out one request and sends the answer. An error ends the
// connection, without an answer.
func (c *conn) answer(cmd wire.Command, body []byte) error {
	began := c.s.clock()
	c.note = Event{Kind: EventRequest, Peer: c.peer, Command: cmd}
	err := c.dispatch(cmd, body)
	if err == nil && c.s.cfg.Trace != nil {
		c.note.Dur = c.s.since(began)
		c.s.trace(c.note)
	}
	return err
}

func (c *conn) dispatch(cmd wire.Command, body []byte) error {
	switch cmd {
	case wire.CmdTransmit:
		return c.transmit(body)
	case wire.CmdVersion:
		return c.version(body)
	case wire.CmdEstablishContext:
		return c.establish(body)
	case wire.CmdReleaseContext:
		return c.release(body)
	case wire.CmdConnect:
		return c.connect(body)
	case wire.CmdReconnect:
		return c.reconnect(body)
	case wire.CmdDisconnect:
		return c.disconnect(body)
	case wire.CmdBeginTransaction:
		return c.beginTransaction(body)
	case wire.CmdEndTransaction:
		return c.endTransaction(body)
	case wire.CmdControl:
		return c.control(body)
	case wire.CmdStatus:
		return c.status(body)
	case wire.CmdCancel:
		return c.cancel(body)
	case wire.CmdGetAttribute, wire.CmdSetAttribute:
		return c.attribute(cmd, body)
	case wire.CmdGetReadersState:
		return c.array(func(b []byte) []byte { return c.s.machine.LegacyArray(c.client, b) })
	case wire.CmdWaitReaderStateChange:
		return c.wait()
	case wire.CmdStopWaiting:
		return c.stopWaiting()
	case wire.CmdGetReaderEvents:
		return c.readerEvents()
	case wire.CmdGetReadersStateSize:
		return c.arraySize()
	case wire.CmdGetReadersStateArray:
		return c.array(func(b []byte) []byte { return c.s.machine.Array(c.client, b) })
	}
	return errProtocol // BodySize does not know it either
}

// noted keeps a result for the trace.
func (c *conn) noted(result wire.Result) wire.Result {
	c.note.Result = result
	return result
}

// version settles the protocol of the connection. What it answers is the
// client's own number: some clients keep it.
func (c *conn) version(body []byte) error {
	m, err := wire.ParseVersion(body)
	if err != nil {
		return err
	}
	c.lock()
	if _, ok := wire.DialectOf(m.Minor); ok && m.Major == wire.Major {
		c.client.Speak(m.Minor)
		m.Result = wire.Success
	} else {
		// The newer clients ask again, for what this says.
		m.Major, m.Minor, m.Result = wire.Major, wire.MaxMinor, wire.ServiceStopped
	}
	c.unlock()
	c.noted(m.Result)
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) establish(body []byte) error {
	m, err := wire.ParseEstablish(body)
	if err != nil {
		return err
	}
	c.lock()
	c.s.stamp()
	m.Context, m.Result = c.s.machine.Establish(c.client, m.Scope)
	c.unlock()
	c.noted(m.Result)
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) release(body []byte) error {
	m, err := wire.ParseRelease(body)
	if err != nil {
		return err
	}
	c.lock()
	c.s.stamp()
	m.Result = c.noted(c.s.machine.Release(c.client, m.Context))
	c.s.settle()
	c.unlock()
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) cancel(body []byte) error {
	m, err := wire.ParseCancel(body)
	if err != nil {
		return err
	}
	c.lock()
	m.Result = c.noted(c.s.machine.Cancel(c.client, m.Context))
	c.s.settle()
	c.unlock()
	return c.send(m.AppendTo(c.out[:0]))
}

// run brings an operation to its end, with the lock of the service held, which
// it lets go. hold bounds how long the operation waits, 0 is as long as it takes.
// An op of nil is that of a handle that is not the client's. An error says that
// there is nobody to answer.
func (c *conn) run(op *sharing.Op, hold time.Duration) error {
	if op == nil {
		c.unlock()
		return errHandle
	}
	for {
		c.s.settle()
		switch op.State() {
		case sharing.Done:
			c.noted(op.Result())
			if r := op.Reader(); r != nil && c.s.cfg.Trace != nil {
				c.note.Reader = r.Name()
			}
			c.unlock()
			return nil
		case sharing.Waiting:
			select {
			case <-c.wake: // of something before
			default:
			}
			c.unlock()
			on, err := c.await(op, hold)
			if err != nil {
				return err
			}
			c.lock()
			c.s.stamp()
			if !on {
				c.s.machine.Timeout(op)
			}
		case sharing.Working:
			k := c.s.keepers[op.Reader()]
			if k == nil { // its turn came, and then the reader went
				c.s.machine.Done(op, sharing.Outcome{Result: wire.ReaderUnavailable})
				continue
			}
			k.calls.Add(1)
			work := op.Work()
			c.unlock()
			out := c.work(k, work)
			c.lock()
			if work.Kind != sharing.Transmit {
				c.s.stamp()
			}
			c.s.machine.Done(op, out)
		}
	}
}

// work does what an operation of a client has to do with the card. It is one of
// the calls that detach waits for.
func (c *conn) work(k *keeper, work sharing.Work) sharing.Outcome {
	defer k.calls.Done() // also if the slot panics
	var err error
	switch work.Kind {
	case sharing.Transmit:
		c.resp, err = k.slot.Transmit(k.ctx, c.out[:wire.TransmitSize], c.apdu)
		if n := len(c.resp) - wire.TransmitSize; err == nil && (n < 2 || n > wire.MaxData) {
			err = errLength
		}
	case sharing.Control:
		c.resp, err = k.slot.Control(k.ctx, c.code, c.out[:wire.ControlSize], c.apdu)
		if n := len(c.resp) - wire.ControlSize; err == nil && (n < 0 || n > wire.MaxData) {
			err = errLength
		}
	default:
		return k.power(work)
	}
	return sharing.Outcome{Result: resultOf(err)}
}

func (c *conn) connect(body []byte) error {
	m, err := wire.ParseConnect(body)
	if err != nil {
		return err
	}
	m.Handle, m.Active = 0, 0
	if err := c.awaitStart(); err != nil {
		return err
	}
	if !c.s.allows(c.peer) {
		m.Result = c.noted(wire.SecurityViolation)
		return c.send(m.AppendTo(c.out[:0]))
	}
	c.lock()
	c.s.stamp()
	op := c.s.machine.Connect(c.client, m)
	if err := c.run(op, 0); err != nil {
		return err
	}
	m.Handle, m.Active, m.Result = op.Handle(), op.Active(), op.Result()
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) reconnect(body []byte) error {
	m, err := wire.ParseReconnect(body)
	if err != nil {
		return err
	}
	c.lock()
	c.s.stamp()
	op := c.s.machine.Reconnect(c.client, m)
	if err := c.run(op, 0); err != nil {
		return err
	}
	m.Active, m.Result = op.Active(), op.Result()
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) disconnect(body []byte) error {
	m, err := wire.ParseDisconnect(body)
	if err != nil {
		return err
	}
	c.lock()
	c.s.stamp()
	op := c.s.machine.Disconnect(c.client, m.Handle, m.Disposition)
	if err := c.run(op, 0); err != nil {
		return err
	}
	m.Result = op.Result()
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) beginTransaction(body []byte) error {
	m, err := wire.ParseBeginTransaction(body)
	if err != nil {
		return err
	}
	c.lock()
	c.s.stamp()
	op := c.s.machine.Begin(c.client, m.Handle)
	if err := c.run(op, holdBegin); err != nil {
		return err
	}
	m.Result = op.Result()
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) endTransaction(body []byte) error {
	m, err := wire.ParseEndTransaction(body)
	if err != nil {
		return err
	}
	c.lock()
	c.s.stamp()
	op := c.s.machine.End(c.client, m.Handle, m.Disposition)
	if err := c.run(op, 0); err != nil {
		return err
	}
	m.Result = op.Result()
	return c.send(m.AppendTo(c.out[:0]))
}

func (c *conn) status(body []byte) error {
	m, err := wire.ParseStatus(body)
	if err != nil {
		return err
	}
	c.lock()
	result, ok := c.s.machine.Status(c.client, m.Handle)
	c.unlock()
	if !ok {
		return errHandle
	}
	m.Result = c.noted(result)
	return c.send(m.AppendTo(c.out[:0]))
}

// transmit is the road of an APDU. It allocates nothing unless room is missing.
func (c *conn) transmit(body []byte) error {
	m, err := wire.ParseTransmit(body)
	if err != nil {
		return err
	}
	if m.SendLength > wire.MaxData {
		return errProtocol
	}
	if c.apdu, err = c.next(int(m.SendLength), false); err != nil {
		return err
	}
	c.resp = c.out[:wire.TransmitSize]
	c.lock()
	op := c.s.machine.Transmit(c.client, m.Handle, m.SendProtocol, m.RecvLength)
	if err := c.run(op, 0); err != nil {
		return err
	}
	c.keep()
	n := 0
	if m.Result = op.Result(); m.Result == wire.Success {
		n = len(c.resp) - wire.TransmitSize
		if c.s.cfg.Trace != nil {
			c.note.SW = iso7816.SW(c.resp[len(c.resp)-2])<<8 | iso7816.SW(c.resp[len(c.resp)-1])
		}
		if uint64(n) > uint64(m.RecvLength) {
			m.Result = c.noted(wire.InsufficientBuffer) // and the card has done it
		}
	}
	if len(c.apdu) >= 4 {
		c.note.INS = c.apdu[1]
	}
	clear(c.apdu) // it may be a PIN
	m.RecvLength = uint32(n)
	if m.Result != wire.Success {
		n = 0
	}
	m.AppendTo(c.out[:0]) // in front of the response
	err = c.send(c.out[:wire.TransmitSize+n])
	clear(c.resp)
	return err
}

// keep takes over the room that a response has needed.
func (c *conn) keep() {
	if cap(c.resp) > cap(c.out) {
		c.out = c.resp[:0]
	}
	if len(c.resp) > smallRoom {
		c.small = 0
	}
}

// control answers what concerns the service, and sends the rest to the reader.
func (c *conn) control(body []byte) error {
	m, err := wire.ParseControl(body)
	if err != nil {
		return err
	}
	if m.SendLength > wire.MaxData {
		return errProtocol
	}
	if c.apdu, err = c.next(int(m.SendLength), false); err != nil {
		return err
	}
	c.code = m.Code
	c.resp = c.out[:wire.ControlSize]
	c.lock()
	if answer := ofReader(m.Code); answer != nil {
		r, result, ok := c.s.machine.Inquire(c.client, m.Handle)
		if !ok {
			return c.run(nil, 0)
		}
		m.Result = result
		if k := c.s.keepers[r]; k != nil && result == wire.Success {
			c.resp, m.Result = answer(k.info, c.resp)
		}
		c.unlock()
		c.noted(m.Result)
	} else {
		op := c.s.machine.Control(c.client, m.Handle)
		if err := c.run(op, 0); err != nil {
			return err
		}
		m.Result = op.Result()
	}
	clear(c.apdu)
	c.keep()
	n := 0
	if m.Result == wire.Success {
		if n = len(c.resp) - wire.ControlSize; uint64(n) > uint64(m.RecvLength) {
			m.Result = c.noted(wire.InsufficientBuffer)
		}
	}
	m.Returned = uint32(n)
	if m.Result != wire.Success {
		n = 0
	}
	m.AppendTo(c.out[:0])
	err = c.send(c.out[:wire.ControlSize+n])
	clear(c.resp)
	return err
}

func (c *conn) attribute(cmd wire.Command, body []byte) error {
	m, err := wire.ParseAttribute(body)
	if err != nil {
		return err
	}
	if m.Length > wire.MaxAttribute {
		return errProtocol
	}
	c.lock()
	r, result, ok := c.s.machine.Attribute(c.client, m.Handle)
	if !ok {
		return c.run(nil, 0)
	}
	switch k := c.s.keepers[r]; {
	case result != wire.Success || k == nil:
	case cmd == wire.CmdSetAttribute:
		result = wire.UnsupportedFeature
	default:
		value, known := attributeOf(m.ID, k.info, r)
		switch {
		case !known:
			result = wire.UnsupportedFeature
		case len(value) > int(m.Length):
			result, m.Length = wire.InsufficientBuffer, uint32(len(value))
		default:
			m.Value = [wire.MaxAttribute]byte{}
			m.Length = uint32(copy(m.Value[:], value))
		}
	}
	c.unlock()
	m.Result = c.noted(result)
	return c.send(m.AppendTo(c.out[:0]))
}
