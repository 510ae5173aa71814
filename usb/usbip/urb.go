package usbip

import (
	"context"
	"errors"
	"sync"
	"time"

	"kaztoken/usb"
)

// urb is one submitted transfer. Urbs are recycled by their session.
type urb struct {
	submit
	buf []byte // payload of an OUT transfer; empty for IN

	unlinked  bool   // a CMD_UNLINK came while the device had the transfer
	unlinkSeq uint32 // its seqnum
}

// transferContext is the context of the transfer an endpoint is busy with. It
// is reused from transfer to transfer and makes a new channel only after it
// was cancelled.
type transferContext struct {
	mu   sync.Mutex // guards the following
	done chan struct{}
	err  error
}

// start makes the context fit for the next transfer.
func (c *transferContext) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil || c.err != nil {
		c.done, c.err = make(chan struct{}), nil
	}
}

func (c *transferContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.done != nil {
		c.err = context.Canceled
		close(c.done)
	}
}

func (c *transferContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *transferContext) Value(any) any               { return nil }

func (c *transferContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

func (c *transferContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// statuses maps what a device can report to the status of its URB.
var statuses = []struct {
	err    error
	status int32
}{
	{usb.ErrStall, statusStall},
	{usb.ErrGone, statusShutdown},
	{usb.ErrClosed, statusShutdown},
	{usb.ErrOverflow, statusOverflow},
	{usb.ErrTimeout, statusTimedOut},
	{usb.ErrNoEndpoint, statusNoEndpoint},
	{usb.ErrShortWrite, statusShortPacket},
	{context.Canceled, statusConnReset},
	{context.DeadlineExceeded, statusTimedOut},
}

// statusOf gives -EPROTO for what it does not know: the wire is to blame.
func statusOf(err error) int32 {
	if err == nil {
		return statusOK
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return statusProtocol
}
