// Package turns runs calls that must not overlap and cannot be interrupted, for
// callers who may leave before their call has ended.
package turns

import (
	"context"
	"sync/atomic"
)

// Line runs calls one after the other in a goroutine of its own, also those
// whose caller does not wait any more.
type Line struct {
	calls chan *call
	done  chan struct{} // closed when the goroutine has ended

	life context.Context // ends with End; its cause says why
	kill context.CancelCauseFunc
}

type call struct {
	run   func() error
	undo  func()
	err   error         // of run; valid when done is closed
	done  chan struct{} // closed when run has returned
	state atomic.Int32
}

// The states of a call.
const (
	pending int32 = iota
	answered
	abandoned
)

// New makes a line, which [Line.End] ends. last, if it is not nil, is called by
// its goroutine when no call runs any more.
func New(last func()) *Line {
	l := &Line{calls: make(chan *call), done: make(chan struct{})}
	l.life, l.kill = context.WithCancelCause(context.Background())
	go l.serve(last)
	return l
}

func (l *Line) serve(last func()) {
	defer close(l.done)
	if last != nil {
		defer last()
	}
	for l.life.Err() == nil {
		select {
		case c := <-l.calls:
			c.err = c.run()
			stayed := c.state.CompareAndSwap(pending, answered)
			close(c.done)
			if !stayed && c.err == nil && c.undo != nil {
				c.undo()
			}
		case <-l.life.Done():
		}
	}
}

// Do runs a call when its turn comes, and returns its error. If ctx or the line
// ends first, Do returns the reason at once; a call that was begun goes on, and
// undo, if it is not nil, is called when it succeeds after all. begun says
// whether it was.
//
// run and undo must not use what the caller may change when Do has returned, and
// the caller must not look at what run made if Do returns another error than
// that of run.
func (l *Line) Do(ctx context.Context, run func() error, undo func()) (begun bool, err error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	c := &call{run: run, undo: undo, done: make(chan struct{})}
	select {
	case l.calls <- c:
	case <-ctx.Done():
		return false, ctx.Err()
	case <-l.life.Done():
		return false, context.Cause(l.life)
	}
	select {
	case <-c.done:
		return true, c.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.life.Done():
		err = context.Cause(l.life)
	}
	if c.state.CompareAndSwap(pending, abandoned) {
		return true, err
	}
	<-c.done // the call was quicker
	return true, c.err
}

// End lets no further call begin, and everybody who waits go, for a reason. The
// first reason counts.
func (l *Line) End(why error) { l.kill(why) }

// Life ends with End; its cause is the reason.
func (l *Line) Life() context.Context { return l.life }

// Done is closed when the line has ended and no call runs any more.
func (l *Line) Done() <-chan struct{} { return l.done }
