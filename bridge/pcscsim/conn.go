package pcscsim

import (
	"io"
	"net"
	"slices"

	"kaztoken/bridge/wire"
)

// conn is the connection of one client.
type conn struct {
	s  *Service
	nc net.Conn

	// Guarded by Service.mu.
	dialect wire.Dialect
	context wire.Context
	handles []*handle
	waits   bool // for an event
	size    int  // of the array that was promised
}

// serve answers commands until the client or the service ends. Whoever dies in a
// transaction leaves a card that is reset.
func (c *conn) serve() {
	s := c.s
	defer func() {
		c.nc.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
		c.release()
	}()
	for {
		head, err := c.read(wire.HeaderSize)
		if err != nil {
			return
		}
		h, err := wire.ParseHeader(head)
		if err != nil {
			return
		}
		s.mu.Lock()
		size, ok := h.Command.BodySize(c.dialect)
		s.mu.Unlock()
		if !ok || int(h.Size) != size {
			return
		}
		body, err := c.read(size)
		if err != nil {
			return
		}
		if !c.command(h.Command, body) {
			return
		}
	}
}

func (c *conn) read(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c.nc, b)
	return b, err
}

// release ends the handles of the client. The caller holds mu.
func (c *conn) release() {
	for len(c.handles) > 0 {
		h, d := c.handles[0], wire.LeaveCard
		if h.reader.owner == h && h.event == wire.Success {
			d = wire.ResetCard
		}
		c.s.disconnect(h, d)
	}
	c.context = 0
}

// tell sends the event that the client waits for, if it does. The caller holds
// mu.
func (c *conn) tell(result wire.Result) {
	if c.waits {
		c.waits = false
		c.nc.Write(wire.Event{Timeout: c.s.events, Result: result}.AppendTo(nil)) // its own reader sees that it is gone
	}
}

// command answers one command, and reports whether the connection goes on.
func (c *conn) command(command wire.Command, body []byte) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.waiting(command) {
		return true
	}
	answer, ok := c.answer(command, body)
	if !ok {
		return false
	}
	for s.silent[command] && !s.closed {
		s.changed.Wait()
	}
	_, err := c.nc.Write(answer)
	return err == nil
}

// waiting answers the commands that look at readers. The caller holds mu.
func (c *conn) waiting(command wire.Command) bool {
	s := c.s
	var answer []byte
	switch command {
	case wire.CmdGetReadersState:
		answer = s.array(wire.LegacyReaders)
	case wire.CmdWaitReaderStateChange:
		// In 4:6 the event may come before or in the midst of what the client asks
		// next, as from pcscd.
		c.waits = true
		if c.dialect.WaitAnswers() {
			answer = s.array(wire.LegacyReaders)
		}
	case wire.CmdStopWaiting:
		if c.waits {
			c.waits, answer = false, wire.Event{}.AppendTo(nil)
		}
	case wire.CmdGetReaderEvents:
		answer = wire.ReaderEvents{Count: s.events}.AppendTo(nil)
	case wire.CmdGetReadersStateSize:
		c.size = max(wire.LegacyReaders, len(s.readers))
		answer = wire.ReadersSize(c.size).AppendTo(nil)
	case wire.CmdGetReadersStateArray:
		answer = s.array(c.size)
	default:
		return false
	}
	c.nc.Write(answer) // its own reader sees that it is gone
	return true
}

// fault takes the failure that a test has ordered. The caller holds mu.
func (s *Service) fault(command wire.Command) wire.Result {
	defer delete(s.faults, command)
	return s.faults[command]
}

// answer carries out the other commands. The caller holds mu.
func (c *conn) answer(command wire.Command, body []byte) (answer []byte, ok bool) {
	s := c.s
	note := Said{Command: command}
	defer func() { s.said = append(s.said, note) }()
	fault := s.fault(command)
	switch command {
	case wire.CmdVersion:
		m, err := wire.ParseVersion(body)
		d, known := wire.DialectOf(m.Minor)
		if m.Result = fault; known && m.Major == wire.Major && m.Minor <= s.minor && m.Minor >= 4 {
			c.dialect = d
		} else {
			m = wire.Version{Major: wire.Major, Minor: s.minor, Result: wire.ServiceStopped}
		}
		return m.AppendTo(nil), err == nil
	case wire.CmdEstablishContext:
		m, err := wire.ParseEstablish(body)
		if m.Result = fault; fault == wire.Success {
			s.numbers++
			c.context = wire.Context(s.numbers)
			m.Context = c.context
		}
		return m.AppendTo(nil), err == nil
	case wire.CmdReleaseContext:
		m, err := wire.ParseRelease(body)
		if m.Result = fault; fault == wire.Success {
			c.release()
		}
		return m.AppendTo(nil), err == nil
	case wire.CmdCancel:
		m, err := wire.ParseCancel(body)
		m.Result = wire.InvalidHandle
		for o := range s.conns {
			if o.context == m.Context && m.Context != 0 {
				o.tell(wire.Cancelled)
				m.Result = wire.Success
			}
		}
		return m.AppendTo(nil), err == nil
	case wire.CmdConnect:
		m, err := wire.ParseConnect(body)
		if m.Result = fault; fault == wire.Success {
			m.Result = s.connect(c, &m)
		}
		return m.AppendTo(nil), err == nil
	}
	answer, note.Disposition, ok = c.card(command, body, fault)
	return answer, ok
}

// handle finds a handle of this client. The caller holds mu.
func (c *conn) handle(number wire.Handle) *handle {
	i := slices.IndexFunc(c.handles, func(h *handle) bool { return h.number == number })
	if i < 0 {
		return nil
	}
	return c.handles[i]
}

// state is what a command on a handle meets before anything else. The caller
// holds mu.
func (h *handle) state(events bool) wire.Result {
	switch {
	case h.gone:
		return wire.ReaderUnavailable
	case h.reader.owner != nil && h.reader.owner != h:
		return wire.SharingViolation
	case events && h.event != wire.Success:
		return h.event
	}
	return wire.Success
}

// first gives the first of the codes that is not success.
func first(codes ...wire.Result) wire.Result {
	for _, c := range codes {
		if c != wire.Success {
			return c
		}
	}
	return wire.Success
}
