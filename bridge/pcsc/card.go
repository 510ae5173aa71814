//go:build cgo && (linux || darwin)

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ebfe/scard"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/firmware"
	"kaztoken/internal/secret"
)

const (
	// patience bounds how long Begin waits for another program, and parting how
	// long End takes, as in bridge/client. The library would wait for ever.
	patience = 30 * time.Second
	parting  = 5 * time.Second
)

// Card is a handle for a card. It is a firmware.Card and a firmware.Sharer. All
// methods are safe for concurrent use; transactions belong to the handle.
type Card struct {
	ctx    *Context
	reader string

	// Of the line's goroutine; scard is set before anybody else has the Card.
	scard     *scard.Card
	share     scard.ShareMode
	protocols scard.Protocol // acceptable
	locks     int            // transactions begun and not ended

	mu     sync.Mutex // guards all following fields; no call of the library while held
	active wire.Protocol
	gone   bool // disconnected by this program
}

var _ interface {
	firmware.Card
	firmware.Sharer
} = (*Card)(nil)

// Reader is the name of the reader.
func (c *Card) Reader() string { return c.reader }

// Protocol is the one in force; ProtocolUndefined without a card.
func (c *Card) Protocol() wire.Protocol {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// note keeps the protocol that the library found.
func (c *Card) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = wire.Protocol(c.scard.ActiveProtocol())
}

// do runs calls on this handle.
func (c *Card) do(ctx context.Context, run func() error, undo func()) (begun bool, err error) {
	c.mu.Lock()
	gone := c.gone
	c.mu.Unlock()
	if gone {
		return false, client.ErrClosed
	}
	return c.ctx.line.Do(ctx, func() error { return coded(run()) }, undo)
}

// Transmit sends one command APDU as it is and appends the response APDU to dst;
// see [client.Card.Transmit]. While another program has a transaction the library
// waits, for as long as ctx allows.
func (c *Card) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	const op = "transmit"
	if len(apdu) == 0 || len(apdu) > wire.MaxData {
		return dst, &client.Error{Op: op, Code: wire.InvalidParameter, Err: fmt.Errorf("command APDU of %d bytes", len(apdu))}
	}
	// The caller may be gone, and its buffer in use for something else, when the
	// turn of this command comes.
	cmd := slices.Clone(apdu)
	var resp []byte
	wipe := func() { secret.Wipe(resp[:cap(resp)]) }
	sent, err := c.do(ctx, func() (err error) {
		defer secret.Wipe(cmd)
		switch c.scard.ActiveProtocol() {
		case scard.ProtocolT0, scard.ProtocolT1:
		default:
			return wire.ProtoMismatch
		}
		resp, err = c.scard.Transmit(cmd)
		return err
	}, wipe)
	if !sent {
		secret.Wipe(cmd) // it never will be
	}
	if err != nil {
		err = client.Failed(op, err)
		var e *client.Error
		if errors.As(err, &e) {
			e.Sent = sent && (e.Err != nil || client.CarriedOut(e.Code))
		}
		return dst, err
	}
	defer wipe()
	if len(resp) < 2 {
		return dst, &client.Error{
			Op: op, Code: wire.CommError, Sent: true, Err: fmt.Errorf("%w: response APDU of %d bytes", client.ErrAnswer, len(resp)),
		}
	}
	return append(dst, resp...), nil
}

// Begin begins a transaction; see [client.Card.Begin].
func (c *Card) Begin(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reset := false
	_, err := c.do(bounded, func() error {
		err := c.scard.BeginTransaction()
		if errors.Is(err, scard.ErrResetCard) {
			reset = true
			if err = c.scard.Reconnect(c.share, c.protocols, scard.LeaveCard); err != nil {
				return err
			}
			c.note()
			err = c.scard.BeginTransaction()
		}
		if err == nil {
			c.locks++
		}
		return err
	}, func() { c.unlock() }) // a lock that cannot be given back ends with the Context
	if err != nil {
		if bounded.Err() != nil && ctx.Err() == nil {
			err = wire.SharingViolation
		}
		return client.Failed("begin a transaction", err)
	}
	if reset {
		return firmware.ErrReset
	}
	return nil
}

// unlock ends one transaction.
func (c *Card) unlock() error {
	err := c.scard.EndTransaction(scard.LeaveCard)
	if errors.Is(err, scard.ErrResetCard) {
		// A handle that knows of the reset is not asked to acknowledge it first.
		if err = c.scard.Reconnect(c.share, c.protocols, scard.LeaveCard); err == nil {
			c.note()
			err = c.scard.EndTransaction(scard.LeaveCard)
		}
	}
	if err == nil {
		c.locks--
	}
	return err
}

// End ends the transaction and leaves the card as it is; see [client.Card.End].
func (c *Card) End(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, parting)
	defer cancel()
	_, err := c.do(ctx, c.unlock, nil)
	return client.Failed("end a transaction", err)
}

// Status checks that the handle is still good and tells of the card; see
// [client.Card.Status].
func (c *Card) Status(ctx context.Context) (client.Status, error) {
	var s client.Status
	_, err := c.do(ctx, func() error {
		m, err := c.scard.Status()
		if err != nil {
			return err
		}
		const counter = 16 // bits above the state, in pcsc-lite
		s = client.Status{
			Reader: m.Reader, State: wire.ReaderState(m.State) & (1<<counter - 1), Protocol: wire.Protocol(m.ActiveProtocol), ATR: m.Atr,
		}
		return nil
	}, nil)
	if err != nil {
		return client.Status{}, client.Failed("ask for the card's status", err)
	}
	return s, nil
}

// Control talks to the reader and appends its answer to dst.
func (c *Card) Control(ctx context.Context, dst []byte, code wire.ControlCode, in []byte) ([]byte, error) {
	op := fmt.Sprintf("control %v", code)
	if len(in) > wire.MaxData {
		return dst, &client.Error{Op: op, Code: wire.InvalidParameter, Err: fmt.Errorf("%d bytes for the reader", len(in))}
	}
	data := slices.Clone(in)
	var resp []byte
	wipe := func() { secret.Wipe(resp[:cap(resp)]) }
	sent, err := c.do(ctx, func() (err error) {
		defer secret.Wipe(data)
		resp, err = c.scard.Control(uint32(code), data)
		return err
	}, wipe)
	if !sent {
		secret.Wipe(data) // it never will be
	}
	if err != nil {
		return dst, client.Failed(op, err)
	}
	defer wipe()
	return append(dst, resp...), nil
}

// Attribute reads an attribute of the reader.
func (c *Card) Attribute(ctx context.Context, id wire.AttributeID) ([]byte, error) {
	var value []byte
	_, err := c.do(ctx, func() (err error) {
		value, err = c.scard.GetAttrib(scard.Attrib(id))
		return err
	}, nil)
	if err != nil {
		return nil, client.Failed(fmt.Sprintf("read attribute %v", id), err)
	}
	return value, nil
}

// Reconnect renews the handle; see [client.Card.Reconnect].
func (c *Card) Reconnect(ctx context.Context, share wire.ShareMode, protocols wire.Protocol, initialization wire.Disposition) error {
	_, err := c.do(ctx, func() error {
		err := c.scard.Reconnect(scard.ShareMode(share), scard.Protocol(protocols), scard.Disposition(initialization))
		if err == nil {
			c.share, c.protocols = scard.ShareMode(share), scard.Protocol(protocols)
			c.note()
		}
		return err
	}, nil)
	return client.Failed("reconnect", err)
}

// Disconnect ends the handle and does to the card what the disposition says. It
// is idempotent: of several calls the first counts.
func (c *Card) Disconnect(ctx context.Context, d wire.Disposition) error {
	c.mu.Lock()
	gone := c.gone
	c.gone = true
	c.mu.Unlock()
	if gone {
		return nil
	}
	_, err := c.ctx.line.Do(ctx, func() error { return coded(c.disconnect(scard.Disposition(d))) }, nil)
	return client.Failed("disconnect", err)
}

// disconnect runs on the line.
func (c *Card) disconnect(d scard.Disposition) error {
	c.ctx.cards = slices.DeleteFunc(c.ctx.cards, func(o *Card) bool { return o == c })
	return c.scard.Disconnect(d)
}
