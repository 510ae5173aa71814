package client

import (
	"context"
	"errors"

	"kaztoken/bridge/wire"
	"kaztoken/firmware"
)

// Begin begins a transaction: until End, other programs wait for the card. While
// one of them has a transaction, Begin waits, up to 30 s, and then returns
// SharingViolation. If somebody has reset the card since its last use through
// this handle, the transaction is begun all the same and the error is
// firmware.ErrReset. The other codes are those of [Card.Transmit].
func (c *Card) Begin(ctx context.Context) error {
	reset := false
	err := patiently(ctx, func() error {
		err := c.begin(ctx)
		if !errors.Is(err, wire.CardReset) {
			return err
		}
		reset = true
		c.mu.Lock()
		share, protocols := c.share, c.protocols
		c.mu.Unlock()
		if err := c.reconnect(ctx, share, protocols, wire.LeaveCard); err != nil {
			return err
		}
		return c.begin(ctx)
	}, wire.CardReset)
	if err != nil {
		return Failed("begin a transaction", err)
	}
	if reset {
		return firmware.ErrReset
	}
	return nil
}

func (c *Card) begin(ctx context.Context) error {
	msg := wire.Header{Size: wire.BeginTransactionSize, Command: wire.CmdBeginTransaction}.AppendTo(nil)
	_, err := c.exchange(ctx, &exchange{wire.BeginTransaction{Handle: c.handle}.AppendTo(msg), func(l *link, in []byte) (int, error) {
		b, err := head(in, wire.BeginTransactionSize)
		if err != nil {
			return 0, err
		}
		m, err := wire.ParseBeginTransaction(b)
		if err != nil {
			return len(b), err
		}
		return len(b), l.own(c.handle, m.Handle, m.Result)
	}}, func(l *link) error { return l.exchange(c.unlock()) })
	return err
}

// unlock is one EndTransaction.
func (c *Card) unlock() *exchange {
	msg := wire.Header{Size: wire.EndTransactionSize, Command: wire.CmdEndTransaction}.AppendTo(nil)
	return &exchange{wire.EndTransaction{Handle: c.handle, Disposition: wire.LeaveCard}.AppendTo(msg), func(l *link, in []byte) (int, error) {
		b, err := head(in, wire.EndTransactionSize)
		if err != nil {
			return 0, err
		}
		m, err := wire.ParseEndTransaction(b)
		if err != nil {
			return len(b), err
		}
		return len(b), l.own(c.handle, m.Handle, m.Result)
	}}
}

// End ends the transaction and leaves the card as it is. It takes 5 s at the
// most, whatever ctx allows; closing the Context frees the card then, and resets
// it. A card that has been reset in the transaction is let go all the same.
func (c *Card) End(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, parting)
	defer cancel()
	end := func() error {
		_, err := c.exchange(ctx, c.unlock(), nil)
		return err
	}
	err := end()
	if errors.Is(err, wire.CardReset) {
		// A handle that knows of the reset is not asked to acknowledge it first.
		c.mu.Lock()
		share, protocols := c.share, c.protocols
		c.mu.Unlock()
		if err = c.reconnect(ctx, share, protocols, wire.LeaveCard); err == nil {
			err = end()
		}
	}
	return Failed("end a transaction", err)
}
