package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kaztoken/bridge/wire"
)

// farewell is how long Close lets the service take to release a Context. Closing
// the connection has the same effect, a little later.
const farewell = time.Second

// Context is a connection to the service. All methods are safe for concurrent
// use.
type Context struct {
	conn   *conn
	number wire.Context
	again  func(context.Context) (*link, error) // makes the connection of a Wait

	once sync.Once // for Close
}

// Dial connects to the service that listens at a path; "" is that of [Path]. The
// service may be started by that, so it may take seconds.
func Dial(ctx context.Context, path string) (*Context, error) {
	if path == "" {
		path = Path()
	}
	c, err := open(ctx, func(ctx context.Context) (*link, error) { return dial(ctx, path) })
	return c, Failed("connect to the smart-card service at "+path, err)
}

func open(ctx context.Context, dial func(context.Context) (*link, error)) (*Context, error) {
	l, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &Context{conn: newConn(l), again: dial}
	_, err = c.conn.do(ctx, func(l *link) error {
		b, err := l.ask(wire.CmdEstablishContext, wire.Establish{Scope: wire.ScopeSystem}.AppendTo(nil), wire.EstablishSize)
		if err != nil {
			return err
		}
		m, err := wire.ParseEstablish(b)
		switch {
		case err != nil:
			return err
		case m.Result != wire.Success:
			return m.Result
		case m.Context == 0:
			return l.malformed("context 0")
		}
		c.number = m.Context
		return nil
	}, nil)
	if err != nil {
		c.conn.end()
		return nil, err
	}
	return c, nil
}

// Version is the protocol that the two sides agreed on.
func (c *Context) Version() wire.Version {
	return wire.Version{Major: wire.Major, Minor: c.conn.minor}
}

// Close disconnects every Card of the Context, of which one in a transaction is
// reset, and ends every call. It is idempotent.
func (c *Context) Close() error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		c.conn.do(ctx, func(l *link) error { // the connection ends anyway
			_, err := l.ask(wire.CmdReleaseContext, wire.Release{Context: c.number}.AppendTo(nil), wire.ReleaseSize)
			return err
		}, nil)
	})
	c.conn.end()
	return nil
}

// maxReaders bounds the array of readers that is taken from a service of
// protocol 4:6: 750 KB.
const maxReaders = 4096

// Readers lists the readers, in the order of the service. A reader whose name is
// not text that can be shown is left out.
func (c *Context) Readers(ctx context.Context) ([]Reader, error) {
	var all []Reader
	_, err := c.conn.do(ctx, func(l *link) (err error) {
		all, err = l.readers()
		return err
	}, nil)
	if err != nil {
		return nil, Failed("list readers", err)
	}
	return all, nil
}

// readers asks for the array that the protocol has.
func (l *link) readers() ([]Reader, error) {
	command, n := wire.CmdGetReadersState, wire.LegacyReaders
	if l.dialect == wire.Array {
		b, err := l.ask(wire.CmdGetReadersStateSize, nil, wire.ReadersSizeSize)
		if err != nil {
			return nil, err
		}
		if n, err = l.readersSize(b); err != nil {
			return nil, err
		}
		command = wire.CmdGetReadersStateArray
	}
	b, err := l.ask(command, nil, n*wire.ReaderSize)
	if err != nil {
		return nil, err
	}
	return parseReaders(b)
}

// readersSize reads the number of records in an array, which is never empty:
// pcscd begins with two.
func (l *link) readersSize(b []byte) (int, error) {
	n, err := wire.ParseReadersSize(b)
	if err != nil {
		return 0, err
	}
	if n < 1 || n > maxReaders {
		return 0, l.malformed("array of %d readers", n)
	}
	return int(n), nil
}

// Connect makes a handle for the card in a reader or, with [wire.ShareDirect],
// for the reader itself. protocols are those that may be used with the card;
// T=1 goes before T=0. While another program has a transaction, it waits.
//
// Codes: UnknownReader, ReaderUnavailable; NoSmartcard, UnpoweredCard,
// UnresponsiveCard; ProtoMismatch; SharingViolation: another program has the
// card for itself, or has it at all and share is ShareExclusive.
func (c *Context) Connect(ctx context.Context, reader string, share wire.ShareMode, protocols wire.Protocol) (*Card, error) {
	op := fmt.Sprintf("connect to reader %q", reader)
	name, err := wire.NameOf(reader)
	if err != nil {
		return nil, &Error{Op: op, Code: wire.InvalidParameter, Err: err}
	}
	card := &Card{ctx: c, reader: reader, share: share, protocols: protocols}
	_, err = c.conn.do(ctx, func(l *link) error {
		ask := wire.Connect{Context: c.number, Reader: name, Share: share, Preferred: protocols}
		b, err := l.ask(wire.CmdConnect, ask.AppendTo(nil), wire.ConnectSize)
		if err != nil {
			return err
		}
		m, err := wire.ParseConnect(b)
		switch {
		case err != nil:
			return err
		case m.Context != c.number || m.Reader != name:
			return l.malformed("connect: answer to another request")
		case m.Result != wire.Success:
			return m.Result
		case m.Handle == 0:
			return l.malformed("connect: handle 0")
		case !inForce(m.Active, share):
			return l.malformed("connect: protocol %v", m.Active)
		}
		card.handle, card.active = m.Handle, m.Active
		return nil
	}, func(l *link) error {
		_, err := l.disconnect(card.handle, wire.LeaveCard)
		return err
	})
	if err != nil {
		return nil, Failed(op, err)
	}
	return card, nil
}

// inForce reports whether p is one protocol, or none where there may be no card.
func inForce(p wire.Protocol, share wire.ShareMode) bool {
	switch p {
	case wire.ProtocolT0, wire.ProtocolT1, wire.ProtocolRaw:
		return true
	case wire.ProtocolUndefined:
		return share == wire.ShareDirect
	}
	return false
}
