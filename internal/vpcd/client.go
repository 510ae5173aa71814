package vpcd

import (
	"context"
	"errors"
	"net"
	"time"
)

// A reader that is not there is tried again after these times, doubled each
// time. pcscd starts when an application wants it and ends when none does, and
// nothing tells of either.
const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 1 * time.Second
)

// Client keeps a card in a reader.
type Client struct {
	Addr string // of the reader, HOST:PORT
	Card Card
	// Notify, if not nil, is told when the reader has taken the card (true, nil)
	// and when the card is not in it: at the start, or no longer (false, and why;
	// nil if the reader let it go). It is told once for each change, by the
	// goroutine of Run.
	Notify func(inside bool, why error)
	// Dial connects; nil is the dialer of package net.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Run puts the card into the reader, and again whenever the reader comes back,
// until ctx ends, which it returns the error of. Waiting for a reader that is
// not there is the normal case: pcscd may be started later than the card. What
// waiting cannot cure ends Run too: a host that does not exist, until the
// reader was there once.
func (c *Client) Run(ctx context.Context) error {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	var state struct{ known, inside bool }
	tell := func(inside bool, why error) {
		if c.Notify != nil && (!state.known || state.inside != inside) {
			c.Notify(inside, why)
		}
		state.known, state.inside = true, inside
	}
	met := false
	for delay := backoffMin; ; delay = min(2*delay, backoffMax) {
		conn, err := dial(ctx, "tcp", c.Addr)
		if err == nil {
			err = serve(ctx, conn, c.Card, func() {
				met = true
				delay = backoffMin
				tell(true, nil)
			})
		} else if !met && hopeless(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tell(false, err)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hopeless reports whether dialling will not go better later.
func hopeless(err error) bool {
	var (
		address *net.AddrError
		name    *net.DNSError
	)
	return errors.As(err, &address) || errors.As(err, &name) && name.IsNotFound
}
