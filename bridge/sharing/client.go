package sharing

import (
	"slices"

	"kaztoken/bridge/wire"
)

// Client is one connection of a program. At most one of its requests is in
// progress at a time.
type Client struct {
	uid     uint32
	minor   int32 // of the protocol
	dialect wire.Dialect

	context wire.Context // 0 is none
	since   int64        // stamp of the context
	handles []*Handle
	op      Op

	watch     watch
	cancelled bool   // while the watch is pending
	missed    bool   // a change while the watch was pending
	seen      uint64 // changes that the last array of a client of 4:3 had in it
	pinned    int    // records announced, 0 for none
}

// Join makes a client of a user. It speaks protocol 4:6 until [Client.Speak]
// says otherwise.
func (m *Machine) Join(uid uint32) *Client {
	c := &Client{uid: uid, minor: wire.MaxMinor, dialect: wire.Array}
	c.op.client = c
	return c
}

// Speak sets the protocol of the client, 4:minor, which must be one that
// [wire.DialectOf] knows.
func (c *Client) Speak(minor int32) {
	c.minor = minor
	c.dialect, _ = wire.DialectOf(minor)
}

// Minor is the protocol of the client, 4:Minor.
func (c *Client) Minor() int32 { return c.minor }

// Dialect is the dialect of that protocol.
func (c *Client) Dialect() wire.Dialect { return c.dialect }

// UID is the user of the client.
func (c *Client) UID() uint32 { return c.uid }

// Context is the context of the client and the stamp of its making; 0 is none.
func (c *Client) Context() (wire.Context, int64) { return c.context, c.since }

// Handles are the handles of the client, the oldest first. The slice is the
// machine's own.
func (c *Client) Handles() []*Handle { return c.handles }

// Leave ends a client whose connection has ended. Nothing of it is left
// afterwards, except a reset of each card on which it held the lock. Work that it
// was doing counts as having failed in a way that nobody knows.
func (m *Machine) Leave(c *Client) {
	switch op := &c.op; op.state {
	case Waiting:
		m.withdraw(op)
	case Working:
		m.Done(op, Outcome{Result: wire.InternalError})
		m.distrust(op.reader)
	}
	m.unwatch(c)
	m.drop(c)
	delete(m.contexts, c.context)
	c.context = 0
}

// Establish makes the context of a client, or replaces its number.
func (m *Machine) Establish(c *Client, scope wire.Scope) (wire.Context, wire.Result) {
	switch {
	case m.closed:
		return 0, wire.ServiceStopped
	case !scope.Valid():
		return 0, wire.InvalidValue
	}
	delete(m.contexts, c.context)
	c.context = wire.Context(m.number(func(n uint32) bool { return m.contexts[wire.Context(n)] != nil }))
	c.since = m.Stamp
	m.contexts[c.context] = c
	return c.context, wire.Success
}

// Release ends the context of a client and all its handles.
func (m *Machine) Release(c *Client, context wire.Context) wire.Result {
	switch {
	case c.context == 0:
		return wire.InvalidHandle
	case context != c.context:
		return wire.InvalidValue
	}
	m.drop(c)
	delete(m.contexts, c.context)
	c.context = 0
	return wire.Success
}

// drop ends every handle of a client that did not end them itself. A card that
// it had locked is reset: what it had proved to the card must not be there for
// the next one. So does a handle whose card was reset or removed meanwhile end,
// but without another reset.
func (m *Machine) drop(c *Client) {
	for len(c.handles) > 0 {
		h := c.handles[len(c.handles)-1]
		if r := h.reader; !r.gone && r.lock == h && h.event == NoEvent {
			m.distrust(r)
		}
		m.remove(h)
	}
}

// find looks up a handle of a client. Other handles do not exist for it.
func (c *Client) find(number wire.Handle) *Handle {
	i := slices.IndexFunc(c.handles, func(h *Handle) bool { return h.number == number })
	if i < 0 {
		return nil
	}
	return c.handles[i]
}
