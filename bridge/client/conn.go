package client

import (
	"context"
	"sync"

	"kaztoken/internal/turns"
)

// conn runs the commands of a Context, one after the other: the answer to one
// has to be read before that of the next, also if nobody waits for it any more.
type conn struct {
	*turns.Line
	minor int32

	turn sync.Mutex // held by who uses the link; guards link and rest
	link *link
	rest *rest          // of the last exchange: to be read before the link is used again
	late sync.WaitGroup // goroutines that wait for it
}

func newConn(l *link) *conn {
	return &conn{Line: turns.New(nil), link: l, minor: l.minor}
}

// do runs one command, or several that belong together; see [turns.Line.Do].
// Whatever breaks the link ends the connection.
func (c *conn) do(ctx context.Context, run, undo func(*link) error) (begun bool, err error) {
	attempt := func(f func(*link) error) error {
		c.turn.Lock()
		defer c.turn.Unlock()
		c.settleRest()
		return c.attempt(f)
	}
	var takeBack func()
	if undo != nil {
		takeBack = func() { attempt(undo) } // what fails here ends the connection
	}
	return c.Do(ctx, func() error { return attempt(run) }, takeBack)
}

// attempt uses the link. The caller has the turn.
func (c *conn) attempt(f func(*link) error) error {
	err := f(c.link)
	if c.link.broken != nil {
		c.close(c.link.broken)
		err = context.Cause(c.Life()) // it may have been closed before
	}
	return err
}

// close ends the connection, and whatever waits on it, for a reason.
func (c *conn) close(why error) {
	c.End(why)
	c.link.nc.Close()
}

// end closes the connection and waits until nothing uses it.
func (c *conn) end() {
	c.close(ErrClosed)
	<-c.Done()
	c.turn.Lock()   // whoever has it was woken, and nobody begins anything afterwards
	c.turn.Unlock() //lint:ignore SA2001 it is waited for
	c.late.Wait()
}
