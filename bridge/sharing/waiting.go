package sharing

import (
	"fmt"
	"slices"

	"kaztoken/bridge/wire"
)

// watch is whether a client is registered for the next change of a reader.
type watch byte

const (
	unwatched watch = iota
	// pending: a client of 4:6 has asked, and not yet fetched the array. An event
	// now would be taken for the size of it; what changes is in it anyway.
	pending
	armed
)

func (w watch) String() string {
	names := [...]string{"none", "pending", "armed"}
	if int(w) < len(names) {
		return names[w]
	}
	return fmt.Sprintf("watch(%d)", byte(w))
}

// Watching reports whether the client is registered for a change.
func (c *Client) Watching() bool { return c.watch != unwatched }

// Pending reports whether the client has asked for an event and not fetched the
// array that belongs to it.
func (c *Client) Pending() bool { return c.watch == pending }

// signal tells every client that is registered that something changed.
func (m *Machine) signal() {
	m.changes++
	for i := 0; i < len(m.watching); {
		switch c := m.watching[i]; c.watch {
		case armed:
			m.tell(c, wire.Success)
		default:
			c.missed = true
			i++
		}
	}
}

// tell sends the one event of a registration and ends it.
func (m *Machine) tell(c *Client, result wire.Result) {
	told := c.watch == armed
	m.unwatch(c)
	if !told {
		return
	}
	e := wire.Event{Result: result}
	if c.minor >= 5 {
		// Where it crosses with a request for this number, the client takes one for
		// the other.
		e.Timeout = m.readerEvents
	}
	m.effects.Notices = append(m.effects.Notices, Notice{c, e})
}

func (m *Machine) register(c *Client, w watch) {
	if c.watch == unwatched {
		m.watching = append(m.watching, c)
		c.missed, c.cancelled = false, false
	}
	c.watch = max(c.watch, w)
}

func (m *Machine) unwatch(c *Client) {
	if c.watch != unwatched {
		m.watching = without(m.watching, c)
		c.watch = unwatched
	}
}

// Wait registers a client for the next change and appends to dst what answers it
// at once: the array for 4:4 and 4:5, nothing for others.
func (m *Machine) Wait(c *Client, dst []byte) []byte {
	switch c.dialect {
	case wire.Array:
		m.register(c, pending)
	case wire.Legacy:
		m.register(c, armed)
		dst = m.legacyArray(dst)
	case wire.Old:
		m.register(c, armed)
		if c.seen != m.changes {
			// What it looked at before has changed, and it must not wait for more.
			c.seen = m.changes
			m.tell(c, wire.Success)
		}
	}
	if m.closed {
		m.tell(c, wire.ServiceStopped)
	}
	return dst
}

// Overdue says that a client has asked for an event, and then for nothing for so
// long that it is not going to fetch an array.
func (m *Machine) Overdue(c *Client) {
	if c.watch != pending {
		return
	}
	c.watch = armed
	switch {
	case c.cancelled:
		m.tell(c, wire.Cancelled)
	case c.missed:
		m.tell(c, wire.Success)
	}
}

// Stop ends the registration of a client. It is false if there is nothing to
// answer: the event is on its way, and the client takes it for the answer.
func (m *Machine) Stop(c *Client) (answer bool) {
	answer = c.watch != unwatched || c.dialect.StopAlwaysAnswers()
	m.unwatch(c)
	return answer
}

// Cancel ends the wait of the client that has a context, as another connection
// of the same user asks for.
func (m *Machine) Cancel(by *Client, context wire.Context) wire.Result {
	c := m.contexts[context]
	if c == nil || by.uid != 0 && by.uid != c.uid {
		return wire.InvalidHandle
	}
	switch c.watch {
	case pending:
		c.cancelled = true
	case armed:
		m.tell(c, wire.Cancelled)
	}
	return wire.Success
}

// ReaderEvents is the number of reader events.
func (m *Machine) ReaderEvents() wire.ReaderEvents {
	return wire.ReaderEvents{Count: m.readerEvents}
}

// LegacyArray appends the fixed array to dst.
func (m *Machine) LegacyArray(c *Client, dst []byte) []byte {
	c.seen = m.changes
	return m.legacyArray(dst)
}

func (m *Machine) legacyArray(dst []byte) []byte { return m.records(dst, m.cfg.LegacyRecords) }

// records appends the first n places of the array.
func (m *Machine) records(dst []byte, n int) []byte {
	dst = slices.Grow(dst, n*wire.ReaderSize)
	var none wire.Reader
	for i := range n {
		rec := none
		if r := m.seen(i); r != nil {
			rec = r.Record()
		}
		dst = rec.AppendTo(dst)
	}
	return dst
}

// ArraySize announces the size of the array to a client of 4:6, records.
func (m *Machine) ArraySize(c *Client) wire.ReadersSize {
	used := len(m.places)
	for used > 0 && m.seen(used-1) == nil {
		used--
	}
	for m.arraySize < used {
		m.arraySize += arrayStep
	}
	c.pinned = m.arraySize
	return wire.ReadersSize(c.pinned)
}

// Array appends the array of 4:6 to dst, in the size that was announced to the
// client. A client that has asked for an event has one due from then on.
func (m *Machine) Array(c *Client, dst []byte) []byte {
	n := c.pinned
	if n == 0 {
		n = int(m.ArraySize(c))
	}
	c.pinned = 0
	dst = m.records(dst, n)
	if c.watch == pending {
		c.watch = armed
		switch {
		case c.cancelled:
			m.tell(c, wire.Cancelled)
		case int(m.ArraySize(c)) != n:
			m.tell(c, wire.Success) // a reader came for which there was no record
		}
		c.pinned = 0
	}
	return dst
}
