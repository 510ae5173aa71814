//go:build cgo && (linux || darwin)

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ebfe/scard"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/internal/turns"
)

// farewell is how long Close waits for a call of the library that goes on.
const farewell = time.Second

// Context is a context of the library. All methods are safe for concurrent use.
type Context struct {
	line *turns.Line // runs every call of the library but those of Wait

	// Of the line's goroutine.
	scard *scard.Context
	cards []*Card
}

// Dial makes a context. The library decides where the service is.
func Dial(ctx context.Context) (*Context, error) {
	c := &Context{}
	c.line = turns.New(c.release)
	_, err := c.line.Do(ctx, func() (err error) {
		c.scard, err = scard.EstablishContext()
		return coded(err)
	}, nil)
	if err != nil {
		c.line.End(err)
		return nil, client.Failed("connect to the smart-card service", err)
	}
	return c, nil
}

// coded turns an error of scard into the code that it is.
func coded(err error) error {
	var e scard.Error
	if errors.As(err, &e) {
		return resultOf(e)
	}
	return err
}

// release is the last call. The library of macOS leaves handles open.
func (c *Context) release() {
	if c.scard == nil {
		return
	}
	for _, card := range c.cards {
		d := scard.LeaveCard
		if card.locks > 0 {
			d = scard.ResetCard
		}
		card.scard.Disconnect(d) // the context ends anyway
	}
	c.scard.Release()
}

// Close disconnects every Card of the Context, of which one in a transaction is
// reset, and ends every call. It is idempotent. A call that the library does not
// return from keeps the cards for as long.
func (c *Context) Close() error {
	c.line.End(client.ErrClosed)
	t := time.NewTimer(farewell)
	defer t.Stop()
	select {
	case <-c.line.Done():
	case <-t.C:
	}
	return nil
}

// Readers lists the readers, in the order of the library. A reader whose name is
// not text that can be shown is left out.
func (c *Context) Readers(ctx context.Context) ([]client.Reader, error) {
	var all []client.Reader
	_, err := c.line.Do(ctx, func() error {
		states, err := list(c.scard)
		all = readersOf(states)
		return err
	}, nil)
	if err != nil {
		return nil, client.Failed("list readers", err)
	}
	return all, nil
}

// vanished is how often a list is made again because a reader on it was gone
// when its state was asked for.
const vanished = 10

// list asks for the state of every reader.
func list(x *scard.Context) ([]scard.ReaderState, error) {
	var err error
	for range vanished {
		var names []string
		names, err = x.ListReaders()
		if errors.Is(err, scard.ErrNoReadersAvailable) || err == nil && len(names) == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, coded(err)
		}
		var states []scard.ReaderState
		for _, name := range names {
			states = append(states, scard.ReaderState{Reader: name})
		}
		if err = x.GetStatusChange(states, 0); !errors.Is(err, scard.ErrUnknownReader) {
			return states, coded(err)
		}
	}
	return nil, coded(err)
}

// readersOf reads the states.
func readersOf(states []scard.ReaderState) []client.Reader {
	var all []client.Reader
	for _, s := range states {
		if !client.Printable(s.Reader) {
			continue
		}
		r := client.Reader{Name: s.Reader, State: stateOf(s.EventState), Counter: uint32(s.EventState) >> 16}
		switch {
		case s.EventState&scard.StateExclusive != 0:
			r.Sharing = wire.SharingExclusive
		case s.EventState&scard.StateInuse != 0:
			r.Sharing = 1
		}
		if r.State&wire.StatePresent != 0 && len(s.Atr) > 0 {
			r.ATR = s.Atr
		}
		all = append(all, r)
	}
	return all
}

// stateOf turns the state of SCardGetStatusChange into that of SCardStatus.
func stateOf(f scard.StateFlag) wire.ReaderState {
	switch {
	case f&(scard.StateUnknown|scard.StateUnavailable) != 0:
		return wire.ReaderFailing
	case f&scard.StateMute != 0:
		return wire.CardMute
	case f&scard.StatePresent == 0:
		return wire.NoCard
	case f&scard.StateUnpowered != 0:
		return wire.CardUnpowered
	}
	return wire.CardReady
}

const (
	// arrivals is the name that stands for readers that come (PC/SC of Windows
	// and pcsc-lite).
	arrivals = `\\?PnP?\Notification`
	// Readers are listed again after these times: the library of macOS does not
	// know that name, and no library tells of a reader that came between a list
	// and the wait for its changes.
	listInterval = time.Second
	lookAgain    = 10 * time.Second
	// cancelAgain is between two tries to end a wait: one that comes before the
	// wait has begun has no effect.
	cancelAgain = 20 * time.Millisecond
)

// Wait waits until the readers are not as they were in known, the result of
// [Context.Readers] or of an earlier Wait, and returns them. It has a context of
// the library for itself, so that other calls go on meanwhile.
func (c *Context) Wait(ctx context.Context, known []client.Reader) ([]client.Reader, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.line.Life(), func() { cancel(context.Cause(c.line.Life())) })()
	all, err := wait(ctx, known)
	if ctx.Err() != nil {
		all, err = nil, context.Cause(ctx)
	}
	return all, client.Failed("wait for a change of readers", err)
}

func wait(ctx context.Context, known []client.Reader) ([]client.Reader, error) {
	x, err := scard.EstablishContext()
	if err != nil {
		return nil, coded(err)
	}
	defer x.Release() // what fails here leaves nothing behind
	over := make(chan struct{})
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		tick := time.NewTicker(cancelAgain)
		defer tick.Stop()
		for {
			x.Cancel() // fails only if there is nothing to cancel
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	})
	defer func() {
		close(over)
		if !stop() {
			<-cancelled
		}
	}()
	plug := []scard.ReaderState{{Reader: arrivals}}
	for ctx.Err() == nil {
		// Its state comes before the list, so that no arrival falls between.
		interval := lookAgain
		if err := x.GetStatusChange(plug, 0); err != nil && !errors.Is(err, scard.ErrTimeout) || plug[0].EventState&scard.StateUnknown != 0 {
			plug, interval = nil, listInterval
		}
		states, err := list(x)
		if err != nil {
			return nil, err
		}
		if now := readersOf(states); !slices.EqualFunc(now, known, client.Reader.Equal) {
			return now, nil
		}
		states = append(states, plug...)
		if len(states) == 0 {
			if err := sleep(ctx, interval); err != nil {
				return nil, err
			}
			continue
		}
		for i := range states {
			states[i].CurrentState = states[i].EventState &^ scard.StateChanged
		}
		err = x.GetStatusChange(states, interval)
		switch {
		case err == nil, errors.Is(err, scard.ErrTimeout), errors.Is(err, scard.ErrUnknownReader):
		default:
			return nil, coded(err)
		}
		if plug == nil {
			plug = []scard.ReaderState{{Reader: arrivals}}
		}
		plug[0].CurrentState, plug[0].EventState = scard.StateUnaware, scard.StateUnaware
	}
	return nil, ctx.Err()
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Connect makes a handle for the card in a reader or, with [wire.ShareDirect],
// for the reader itself; see [client.Context.Connect].
func (c *Context) Connect(ctx context.Context, reader string, share wire.ShareMode, protocols wire.Protocol) (*Card, error) {
	op := fmt.Sprintf("connect to reader %q", reader)
	if _, err := wire.NameOf(reader); err != nil {
		return nil, &client.Error{Op: op, Code: wire.InvalidParameter, Err: err}
	}
	card := &Card{ctx: c, reader: reader, share: scard.ShareMode(share), protocols: scard.Protocol(protocols)}
	_, err := c.line.Do(ctx, func() error {
		x, err := c.scard.Connect(reader, card.share, card.protocols)
		if err != nil {
			return coded(err)
		}
		card.scard = x
		c.cards = append(c.cards, card)
		card.note()
		return nil
	}, func() { card.disconnect(scard.LeaveCard) })
	if err != nil {
		return nil, client.Failed(op, err)
	}
	return card, nil
}
