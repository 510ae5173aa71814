//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kaztoken/usb"
)

// errDeadline is the end of a call by its deadline.
var errDeadline = fmt.Errorf("%w: %w", usb.ErrTimeout, context.DeadlineExceeded)

// call is the context that gousb sees in the transfers of one endpoint. Its
// Done channel closes at the caller's deadline, when the caller's context is
// cancelled, or when the pipe ends the call, whichever is first.
//
// It is reused from transfer to transfer, and makes a new channel only after
// the old one was closed. begin, end and the transfer between them are one
// goroutine's; hold, resume and terminate may come from any.
type call struct {
	mu       sync.Mutex // guards the following
	done     chan struct{}
	cause    error // why done is closed, nil while it is open
	ended    error // why no call may begin any more
	held     error // why none may begin for now
	active   bool
	deadline time.Time // of the active call, zero if it has none
	timer    *time.Timer
	alarm    time.Time // when timer fires, zero if it is not set
	serial   uint64    // of the call, so that a late AfterFunc does not hit the next
	unhook   func() bool
}

// begin starts a call, or says why it may not start.
func (c *call) begin(ctx context.Context) error {
	left, limited, err := timeLeft(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	if c.held != nil {
		return c.held
	}
	if c.done == nil || c.cause != nil {
		c.done, c.cause = make(chan struct{}), nil
	}
	c.active = true
	c.deadline, _ = ctx.Deadline()
	c.serial++
	if limited {
		if c.timer == nil {
			c.timer = time.AfterFunc(left, c.expire)
		} else {
			c.timer.Reset(left)
		}
	}
	if ctx.Done() != nil {
		serial := c.serial
		c.unhook = context.AfterFunc(ctx, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.serial == serial {
				c.close(causeOf(ctx.Err()))
			}
		})
	}
	return nil
}

// end finishes the call and tells why it was cancelled, nil if it was not.
func (c *call) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unhook != nil {
		c.unhook()
		c.unhook = nil
	}
	c.active, c.deadline = false, time.Time{}
	return c.cause
}

// hold ends the active call, if there is one, and lets none begin until resume.
func (c *call) hold(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = cause
	c.close(cause)
}

func (c *call) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = nil
}

// terminate ends the active call and lets no other begin.
func (c *call) terminate(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = cause
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.close(cause)
}

// arm makes the timer fire at the deadline, or before: an earlier alarm of a
// call that has ended stays set and is sorted out by expire. Setting a timer
// anew for each transfer would wake a thread of Go's poller each time, which
// costs more than the transfer does of ours. It is called with mu held.
func (c *call) arm(left time.Duration) {
	if !c.alarm.IsZero() && !c.deadline.Before(c.alarm) {
		return
	}
	c.alarm = c.deadline
	if c.timer == nil {
		c.timer = time.AfterFunc(left, c.expire)
	} else {
		c.timer.Reset(left)
	}
}

// expire is the timer's. It goes by the deadline of the call that it finds,
// which need not be the one that it was set for. The last alarm finds none.
func (c *call) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm = time.Time{}
	if c.deadline.IsZero() || c.cause != nil || c.ended != nil {
		return
	}
	if left := time.Until(c.deadline); left > 0 {
		c.arm(left)
	} else {
		c.close(errDeadline)
	}
}

// close is called with mu held.
func (c *call) close(cause error) {
	if c.active && c.cause == nil {
		c.cause = cause
		close(c.done)
	}
}

// timeLeft says whether and how long a caller's context still allows a call.
func timeLeft(ctx context.Context) (left time.Duration, limited bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, causeOf(err)
	}
	deadline, limited := ctx.Deadline()
	if !limited {
		return 0, false, nil
	}
	if left = time.Until(deadline); left <= 0 {
		return 0, true, errDeadline
	}
	return left, true, nil
}

// causeOf words the end of a caller's context as Pipe promises it.
func causeOf(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errDeadline
	}
	return err
}

// Done is called by the goroutine between begin and end.
func (c *call) Done() <-chan struct{} { return c.done }

func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *call) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deadline, !c.deadline.IsZero()
}

func (c *call) Value(any) any { return nil }

var _ context.Context = (*call)(nil)
