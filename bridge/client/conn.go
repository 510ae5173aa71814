package client

import (
	"context"
	"sync/atomic"
)

// conn runs the commands of a Context. Its goroutine owns the link and carries
// them out one after the other, also those whose caller does not wait any more:
// their answers have to be read before those of the next command.
type conn struct {
	link  *link
	minor int32
	calls chan *call
	done  chan struct{} // closed when the goroutine has ended

	life context.Context // ends when the connection is closed or breaks; its cause says which
	kill context.CancelCauseFunc
}

// call is one command, or several that belong together.
type call struct {
	run   func(*link) error
	undo  func(*link) error // nil, or takes back what run did for a caller who has left
	err   error             // of run; valid when done is closed
	done  chan struct{}
	state atomic.Int32
}

// The states of a call.
const (
	pending int32 = iota
	answered
	abandoned
)

func newConn(l *link) *conn {
	c := &conn{link: l, minor: l.minor, calls: make(chan *call), done: make(chan struct{})}
	c.life, c.kill = context.WithCancelCause(context.Background())
	go c.serve()
	return c
}

// serve is the goroutine.
func (c *conn) serve() {
	defer close(c.done)
	for {
		select {
		case cl := <-c.calls:
			cl.err = cl.run(c.link)
			if c.life.Err() != nil && c.link.broken != nil {
				cl.err = context.Cause(c.life) // not that the descriptor is closed
			}
			left := !cl.state.CompareAndSwap(pending, answered)
			close(cl.done)
			if left && cl.err == nil && cl.undo != nil {
				cl.undo(c.link) // what fails here has ended the link
			}
			if c.link.broken != nil {
				c.close(c.link.broken)
			}
		case <-c.life.Done():
			return
		}
	}
}

// do runs one call. sent says that it was begun, whatever became of it. run and
// undo must not use what the caller may change when do has returned, and the
// caller must not look at what run made unless err is nil or a wire.Result.
func (c *conn) do(ctx context.Context, run, undo func(*link) error) (sent bool, err error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	cl := &call{run: run, undo: undo, done: make(chan struct{})}
	select {
	case c.calls <- cl:
	case <-ctx.Done():
		return false, ctx.Err()
	case <-c.life.Done():
		return false, context.Cause(c.life)
	}
	select {
	case <-cl.done:
	case <-ctx.Done():
		if cl.state.CompareAndSwap(pending, abandoned) {
			return true, ctx.Err()
		}
		<-cl.done // the answer was there first
	}
	return true, cl.err
}

// close ends the connection, and whatever waits on it, for a reason.
func (c *conn) close(why error) {
	c.kill(why)
	c.link.nc.Close()
}

// end closes the connection and waits for the goroutine.
func (c *conn) end() {
	c.close(ErrClosed)
	<-c.done
}
