package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"kaztoken/internal/secret"
)

// exchange is a message to the service and what it answers, apart from who waits
// for it: whoever has begun one may leave, and another then reads its answer.
type exchange struct {
	msg []byte // wiped when it was sent
	// parse reads the answer at the beginning of in and tells how long it is; it is
	// errShort until all of it is there. It is called with the link that answers.
	parse func(l *link, in []byte) (n int, err error)
}

// errShort: an answer is not complete yet.
var errShort = errors.New("the answer goes on")

// exchange carries one out.
func (l *link) exchange(x *exchange) error {
	defer secret.Wipe(x.msg)
	if err := l.send(x.msg); err != nil {
		return err
	}
	return l.finish(x)
}

// finish reads the answer of an exchange.
func (l *link) finish(x *exchange) error {
	for {
		if whole, err := l.look(x); whole {
			return err
		}
		n, err := l.nc.Read(l.room())
		l.got(n, err)
	}
}

// got notes what was read.
func (l *link) got(n int, err error) {
	l.end += n
	if err == io.EOF && l.end > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && n == 0 {
		l.broken = err
	}
}

// look reports whether the answer of an exchange is there, or none will come.
func (l *link) look(x *exchange) (whole bool, err error) {
	if l.broken != nil {
		l.forget()
		return true, l.broken
	}
	n, err := x.parse(l, l.in[:l.end])
	if err == errShort {
		return false, nil
	}
	rest := copy(l.in, l.in[n:l.end]) // there is none in a service's own answers
	secret.Wipe(l.in[rest:l.end])
	if l.end = rest; rest == 0 && len(l.in) > keptRoom {
		l.in = nil
	}
	return true, err
}

// Room for answers. Almost all need no more than the first, and no more than the
// second is kept.
const leastRoom, keptRoom = 1 << 10, 1 << 12

// room is where the next bytes go.
func (l *link) room() []byte {
	if len(l.in)-l.end < leastRoom/2 {
		grown := make([]byte, max(leastRoom, 2*len(l.in)))
		copy(grown, l.in[:l.end])
		secret.Wipe(l.in)
		l.in = grown
	}
	return l.in[l.end:]
}

func (l *link) forget() {
	secret.Wipe(l.in)
	l.end = 0
}

// readsSoon is a connection that gives what comes at once without a word to Go's
// scheduler; without that, n is 0.
type readsSoon interface {
	readSoon(b []byte) (n int, err error)
}

// soon is exchange for an answer that comes at once: if none does, whole is false,
// and finish reads it.
func (l *link) soon(ctx context.Context, x *exchange, from readsSoon) (whole bool, err error) {
	defer secret.Wipe(x.msg)
	if err := l.send(x.msg); err != nil {
		return true, err
	}
	for ctx.Err() == nil {
		n, err := from.readSoon(l.room())
		l.got(n, err)
		if whole, err := l.look(x); whole {
			return true, err
		}
		if n == 0 {
			break
		}
	}
	return false, nil
}

// rest is an exchange whose answer is still to come.
type rest struct {
	x     *exchange
	undo  func(*link) error // nil for nothing
	err   error             // valid when done is closed
	done  chan struct{}
	state atomic.Int32
}

// The states of a rest.
const (
	awaited int32 = iota
	answered
	abandoned
)

// exchange runs one exchange of a handle, as do runs commands. An answer that
// comes at once is read in the thread that asks, so that nobody else is woken; for
// another one it is waited elsewhere.
func (c *conn) exchange(ctx context.Context, x *exchange, undo func(*link) error) (begun bool, err error) {
	from, quick := c.link.nc.(readsSoon)
	if !quick || !c.turn.TryLock() {
		return c.do(ctx, func(l *link) error { return l.exchange(x) }, undo)
	}
	if c.rest != nil || ctx.Err() != nil || c.Life().Err() != nil {
		c.turn.Unlock()
		return c.do(ctx, func(l *link) error { return l.exchange(x) }, undo)
	}
	var whole bool
	err = c.attempt(func(l *link) (err error) { whole, err = l.soon(ctx, x, from); return err })
	if whole {
		c.turn.Unlock()
		return true, err
	}
	r := &rest{x: x, undo: undo, done: make(chan struct{})}
	c.rest = r
	c.late.Go(func() { // before end waits: it takes the turn first
		c.turn.Lock()
		defer c.turn.Unlock()
		c.settleRest()
	})
	c.turn.Unlock()
	select {
	case <-r.done:
		return true, r.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.Life().Done():
		err = context.Cause(c.Life())
	}
	if r.state.CompareAndSwap(awaited, abandoned) {
		return true, err
	}
	<-r.done // the answer was quicker
	return true, r.err
}

// settleRest reads an answer that is still to come. The caller has the turn.
func (c *conn) settleRest() {
	r := c.rest
	if r == nil {
		return
	}
	c.rest = nil
	r.err = c.attempt(func(l *link) error { return l.finish(r.x) })
	stayed := r.state.CompareAndSwap(awaited, answered)
	close(r.done)
	if !stayed && r.err == nil && r.undo != nil {
		c.attempt(r.undo) // what fails here ends the connection
	}
}

// head is the structure at the beginning of an answer.
func head(in []byte, size int) ([]byte, error) {
	if len(in) < size {
		return nil, errShort
	}
	return slices.Clip(in[:size]), nil
}
