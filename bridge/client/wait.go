package client

import (
	"context"
	"slices"

	"kaztoken/bridge/wire"
)

// Wait waits until the readers are not as they were in known, the result of
// [Context.Readers] or of an earlier Wait, and returns them. What changes back
// between two calls is not seen, except that a card which came or went leaves a
// trace in Counter.
//
// It needs no transaction and disturbs nobody; other calls go on meanwhile.
func (c *Context) Wait(ctx context.Context, known []Reader) ([]Reader, error) {
	const op = "wait for a change of readers"
	now, err := c.Readers(ctx)
	if err != nil || !slices.EqualFunc(now, known, Reader.Equal) {
		return now, err
	}
	// Closing the Context ends the wait, too.
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.conn.Life(), cancel)()
	because := func(err error) error {
		switch { // what really happened, not that it closed the connection
		case ctx.Err() != nil:
			err = ctx.Err()
		case c.conn.Life().Err() != nil:
			err = context.Cause(c.conn.Life())
		}
		return Failed(op, err)
	}
	w, err := c.again(both)
	if err != nil {
		// A service that ends turns new clients away first.
		if _, ended := c.Readers(both); ended != nil {
			err = ended
		}
		return nil, because(err)
	}
	defer w.nc.Close()
	defer context.AfterFunc(both, func() { w.nc.Close() })()
	for {
		if err := w.register(); err != nil {
			return nil, because(err)
		}
		// From here on each change comes as an event.
		if now, err = c.Readers(both); err != nil {
			return nil, because(err)
		}
		if !slices.EqualFunc(now, known, Reader.Equal) {
			return now, nil
		}
		if err := w.event(); err != nil {
			return nil, because(err)
		}
	}
}

// register asks for one event and returns when the service has heard it.
//
// What the service answers is read, but not looked at: a daemon of pcsc-lite may
// send the event at any moment from here on, also in the midst of an answer. It
// is 8 bytes whenever it comes, so that 8 bytes after the answers are left for
// [link.event], which tell that something happened; what did, the other
// connection is asked.
func (l *link) register() error {
	if l.dialect != wire.Array {
		_, err := l.ask(wire.CmdWaitReaderStateChange, nil, wire.LegacyReaders*wire.ReaderSize)
		return err
	}
	// Waiting has no answer of its own: the next command's says that it was heard.
	if err := l.send(append(order(wire.CmdWaitReaderStateChange), order(wire.CmdGetReadersStateSize)...)); err != nil {
		return err
	}
	b, err := l.receive(wire.ReadersSizeSize)
	if err == nil && !slices.ContainsFunc(b, func(v byte) bool { return v != 0 }) {
		// No array is empty: this is the event, which begins with a zero.
		l.early = true
		if _, err = l.receive(wire.EventSize - len(b)); err == nil {
			b, err = l.receive(wire.ReadersSizeSize)
		}
	}
	if err != nil {
		return err
	}
	n, err := l.readersSize(b)
	if err != nil {
		return err
	}
	// Asked for although it is not needed: a service may begin to tell of changes
	// with the array, in which those before it are.
	_, err = l.ask(wire.CmdGetReadersStateArray, nil, n*wire.ReaderSize)
	return err
}

// event waits for the event that register asked for.
func (l *link) event() error {
	if l.early {
		l.early = false
		return nil
	}
	b, err := l.receive(wire.EventSize)
	if err != nil {
		return err
	}
	m, err := wire.ParseEvent(b)
	if err != nil {
		return err
	}
	// The end of a record, if the event came before it, is not a code.
	if m.Result >= wire.InternalError && m.Result <= wire.SecurityViolation {
		return m.Result
	}
	return nil
}
