package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"

	"kaztoken/bridge/wire"
	"kaztoken/firmware"
	"kaztoken/internal/secret"
)

const (
	// patience bounds how long a call waits for another program to let the card
	// go, where the library would wait for ever.
	patience = 30 * time.Second
	// pause is between two tries, as in the library. A service that keeps a refusal
	// back for that long is asked again at once.
	pause = 100 * time.Millisecond
	// parting bounds End, whose caller cannot wait for ever.
	parting = 5 * time.Second
)

// Card is a handle for a card. It is a firmware.Card and a firmware.Sharer.
// All methods are safe for concurrent use; transactions belong to the handle.
type Card struct {
	ctx    *Context
	reader string
	handle wire.Handle

	mu        sync.Mutex // guards all following fields; no I/O while held
	share     wire.ShareMode
	protocols wire.Protocol // acceptable
	active    wire.Protocol
	gone      bool // disconnected by this program
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

// do runs commands of this handle.
func (c *Card) do(ctx context.Context, run, undo func(*link) error) (sent bool, err error) {
	c.mu.Lock()
	gone := c.gone
	c.mu.Unlock()
	if gone {
		return false, ErrClosed
	}
	return c.ctx.conn.do(ctx, run, undo)
}

// exchange runs an exchange of this handle.
func (c *Card) exchange(ctx context.Context, x *exchange, undo func(*link) error) (sent bool, err error) {
	c.mu.Lock()
	gone := c.gone
	c.mu.Unlock()
	if gone {
		return false, ErrClosed
	}
	return c.ctx.conn.exchange(ctx, x, undo)
}

// own checks that an answer is for this handle, and gives its result.
func (l *link) own(asked, answered wire.Handle, result wire.Result) error {
	if asked != answered {
		return l.malformed("answer for another handle")
	}
	return result.Err()
}

// patiently repeats f while another program has the card. again says of which
// other errors it is repeated, too.
func patiently(ctx context.Context, f func() error, again ...wire.Result) error {
	again = append(again, wire.SharingViolation)
	for began := time.Now(); ; {
		tried := time.Now()
		err := f()
		var code wire.Result
		if !errors.As(err, &code) || !slices.Contains(again, code) || time.Since(began) >= patience {
			return err
		}
		if err := sleep(ctx, pause-time.Since(tried)); err != nil {
			return err
		}
	}
}

// Transmit sends one command APDU as it is and appends the response APDU to dst;
// 61xx is passed on like any other status word. While another program has a
// transaction it waits, up to 30 s.
//
// Codes: CardReset: somebody has reset the card, see [Card.Reconnect];
// CardRemoved, NoSmartcard: the card is gone; ReaderUnavailable, InvalidValue: the
// reader is; SharingViolation: the wait was in vain; NotTransacted: the exchange
// with the card failed.
func (c *Card) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	const op = "transmit"
	if len(apdu) == 0 || len(apdu) > wire.MaxData {
		return dst, &Error{Op: op, Code: wire.InvalidParameter, Err: fmt.Errorf("command APDU of %d bytes", len(apdu))}
	}
	var sent bool
	err := patiently(ctx, func() (err error) {
		dst, sent, err = c.transmit(ctx, dst, apdu)
		return err
	})
	if err != nil {
		err = Failed(op, err)
		var e *Error
		errors.As(err, &e)
		e.Sent = sent
	}
	return dst, err
}

// sizeofPCI is sizeof(SCARD_IO_REQUEST), two longs. The service gives it back.
const sizeofPCI = 2 * bits.UintSize / 8

// anyPCI stands for a program that does not ask which protocol was used.
const anyPCI = 3

// transmit is one try. sent says that the card may have carried it out.
func (c *Card) transmit(ctx context.Context, dst, apdu []byte) (all []byte, sent bool, err error) {
	// The caller may be gone, and its buffer in use for something else, when the
	// turn of this command comes.
	ask := wire.Transmit{
		Handle: c.handle, SendProtocol: c.Protocol(), SendPCILength: sizeofPCI, SendLength: uint32(len(apdu)),
		RecvProtocol: anyPCI, RecvPCILength: sizeofPCI, RecvLength: wire.MaxData,
	}
	msg := make([]byte, 0, wire.HeaderSize+wire.TransmitSize+len(apdu))
	msg = append(ask.AppendTo(wire.Header{Size: wire.TransmitSize, Command: wire.CmdTransmit}.AppendTo(msg)), apdu...)
	var resp []byte
	sent, err = c.exchange(ctx, &exchange{msg, func(l *link, in []byte) (int, error) {
		b, err := head(in, wire.TransmitSize)
		if err != nil {
			return 0, err
		}
		m, err := wire.ParseTransmit(b)
		if err == nil {
			err = l.own(c.handle, m.Handle, m.Result)
		}
		if err != nil {
			return wire.TransmitSize, err
		}
		if m.RecvLength < 2 || m.RecvLength > wire.MaxData {
			return wire.TransmitSize, l.malformed("response APDU of %d bytes", m.RecvLength)
		}
		whole, err := head(in, wire.TransmitSize+int(m.RecvLength))
		if err != nil {
			return 0, err
		}
		resp = bytes.Clone(whole[wire.TransmitSize:])
		return len(whole), nil
	}}, func(*link) error {
		secret.Wipe(resp)
		return nil
	})
	if !sent {
		secret.Wipe(msg) // it never will be
	}
	if err != nil {
		var code wire.Result
		if errors.As(err, &code) {
			sent = CarriedOut(code)
		}
		return dst, sent, err
	}
	dst = append(dst, resp...)
	secret.Wipe(resp)
	return dst, false, nil
}

// Status is what is known of a handle and of the card.
type Status struct {
	Reader   string
	State    wire.ReaderState
	Protocol wire.Protocol
	ATR      []byte
}

// Status checks that the handle is still good and tells of the card. The codes
// are those of [Card.Transmit].
func (c *Card) Status(ctx context.Context) (Status, error) {
	const op = "ask for the card's status"
	var s Status
	err := patiently(ctx, func() error {
		_, err := c.do(ctx, func(l *link) error {
			all, err := l.readers()
			if err != nil {
				return err
			}
			i := slices.IndexFunc(all, func(r Reader) bool { return r.Name == c.reader })
			if i < 0 {
				return wire.ReaderUnavailable
			}
			b, err := l.ask(wire.CmdStatus, wire.Status{Handle: c.handle}.AppendTo(nil), wire.StatusSize)
			if err != nil {
				return err
			}
			m, err := wire.ParseStatus(b)
			if err == nil {
				err = l.own(c.handle, m.Handle, m.Result)
			}
			s = Status{Reader: all[i].Name, State: all[i].State, Protocol: all[i].Protocol, ATR: all[i].ATR}
			return err
		}, nil)
		return err
	})
	if err != nil {
		return Status{}, Failed(op, err)
	}
	return s, nil
}

// Control talks to the reader and appends its answer to dst. Codes:
// UnsupportedFeature for a code that the reader does not know.
func (c *Card) Control(ctx context.Context, dst []byte, code wire.ControlCode, in []byte) ([]byte, error) {
	op := fmt.Sprintf("control %v", code)
	if len(in) > wire.MaxData {
		return dst, &Error{Op: op, Code: wire.InvalidParameter, Err: fmt.Errorf("%d bytes for the reader", len(in))}
	}
	data := slices.Clone(in)
	var resp []byte
	sent, err := c.do(ctx, func(l *link) error {
		defer secret.Wipe(data)
		ask := wire.Control{Handle: c.handle, Code: code, SendLength: uint32(len(data)), RecvLength: wire.MaxData}
		b, err := l.ask(wire.CmdControl, ask.AppendTo(nil), wire.ControlSize, data...)
		if err != nil {
			return err
		}
		m, err := wire.ParseControl(b)
		if err == nil {
			err = l.own(c.handle, m.Handle, m.Result)
		}
		if err != nil {
			return err
		}
		if m.Returned > wire.MaxData {
			return l.malformed("answer to a control command of %d bytes", m.Returned)
		}
		resp, err = l.receive(int(m.Returned))
		return err
	}, func(*link) error {
		secret.Wipe(resp)
		return nil
	})
	if !sent {
		secret.Wipe(data) // it never will be
	}
	if err != nil {
		err = Failed(op, err)
		var e *Error
		errors.As(err, &e)
		e.Sent = sent && e.Err != nil
		return dst, err
	}
	dst = append(dst, resp...)
	secret.Wipe(resp)
	return dst, nil
}

// Attribute reads an attribute of the reader. Codes: UnsupportedFeature for one
// that it does not have.
func (c *Card) Attribute(ctx context.Context, id wire.AttributeID) ([]byte, error) {
	var value []byte
	_, err := c.do(ctx, func(l *link) error {
		// The library asks with this result, which is what a service that falls
		// silent would leave there.
		ask := wire.Attribute{Handle: c.handle, ID: id, Length: wire.MaxAttribute, Result: wire.NoService}
		b, err := l.ask(wire.CmdGetAttribute, ask.AppendTo(nil), wire.AttributeSize)
		if err != nil {
			return err
		}
		m, err := wire.ParseAttribute(b)
		if err == nil {
			err = l.own(c.handle, m.Handle, m.Result)
		}
		if err != nil {
			return err
		}
		if m.ID != id || m.Length > wire.MaxAttribute {
			return l.malformed("attribute %v of %d bytes", m.ID, m.Length)
		}
		value = slices.Clone(m.Value[:m.Length])
		return nil
	}, nil)
	if err != nil {
		return nil, Failed(fmt.Sprintf("read attribute %v", id), err)
	}
	return value, nil
}

// Reconnect renews the handle, which ends CardReset and CardRemoved:
// [wire.LeaveCard] takes the card as it is, [wire.ResetCard] and
// [wire.UnpowerCard] reset it first, for all programs. While another program has
// a transaction it waits, up to 30 s. The codes are those of [Context.Connect].
func (c *Card) Reconnect(ctx context.Context, share wire.ShareMode, protocols wire.Protocol, initialization wire.Disposition) error {
	return Failed("reconnect", patiently(ctx, func() error { return c.reconnect(ctx, share, protocols, initialization) }))
}

func (c *Card) reconnect(ctx context.Context, share wire.ShareMode, protocols wire.Protocol, initialization wire.Disposition) error {
	_, err := c.do(ctx, func(l *link) error {
		ask := wire.Reconnect{Handle: c.handle, Share: share, Preferred: protocols, Initialization: initialization}
		b, err := l.ask(wire.CmdReconnect, ask.AppendTo(nil), wire.ReconnectSize)
		if err != nil {
			return err
		}
		m, err := wire.ParseReconnect(b)
		if err == nil {
			err = l.own(c.handle, m.Handle, m.Result)
		}
		if err != nil {
			return err
		}
		if !inForce(m.Active, share) {
			return l.malformed("reconnect: protocol %v", m.Active)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.share, c.protocols, c.active = share, protocols, m.Active
		return nil
	}, nil)
	return err
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
	_, err := c.ctx.conn.do(ctx, func(l *link) error {
		result, err := l.disconnect(c.handle, d)
		if err != nil {
			return err
		}
		return result.Err()
	}, nil)
	return Failed("disconnect", err)
}

func (l *link) disconnect(h wire.Handle, d wire.Disposition) (wire.Result, error) {
	b, err := l.ask(wire.CmdDisconnect, wire.Disconnect{Handle: h, Disposition: d}.AppendTo(nil), wire.DisconnectSize)
	if err != nil {
		return 0, err
	}
	m, err := wire.ParseDisconnect(b)
	if err != nil {
		return 0, err
	}
	if m.Handle != h {
		return 0, l.malformed("answer for another handle")
	}
	return m.Result, nil
}
