package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kaztoken/usb"
)

// Kind is what an [Event] reports.
type Kind byte

// The kinds of event.
const (
	// Arrived: a reader was opened and powered up; Reader is set.
	Arrived Kind = iota
	// Removed: a reader that had arrived is gone; Reader is set and already
	// ended, Err says how: [usb.ErrGone] for an unplug.
	Removed
	// Failed: a reader is plugged in and cannot be used; Err says why and, where
	// something can be done about it, [Hint] says what. The supervisor goes on
	// trying. An equal failure of the same reader is not repeated.
	Failed
	// Overrun: the subscriber was too slow and events were dropped. What it knew
	// is void; what a new subscriber is told follows.
	Overrun
)

func (k Kind) String() string {
	switch k {
	case Arrived:
		return "arrived"
	case Removed:
		return "removed"
	case Failed:
		return "failed"
	case Overrun:
		return "overrun"
	}
	return fmt.Sprintf("Kind(%#02x)", byte(k))
}

// Event is one thing that happened to a reader.
type Event struct {
	Kind   Kind
	Name   string   // the reader's name, without a slot number
	Device usb.Info // zero for Overrun
	Reader *Reader  // for Arrived and Removed
	Err    error    // for Removed and Failed

	// Reported is when the system reported the change that led to the event;
	// zero if no report did: the reader was there at the start, a transfer
	// failed before the report came, or it was a later try.
	Reported time.Time
	Time     time.Time // when the event was made
}

// ErrClosed ends a [Subscription]: it or the supervisor was closed.
var ErrClosed = errors.New("supervisor is closed")

// queueLimit bounds the events that wait for one subscriber. It holds several
// plugs and unplugs of every port of a large hub.
const queueLimit = 256

// Subscription is one subscriber's queue of events. Next belongs to one
// goroutine; Close may come from any other.
type Subscription struct {
	wake chan struct{} // capacity 1: there may be something to take

	mu     sync.Mutex // guards all following fields
	queue  []Event
	closed bool
}

// Next waits for the next event. The error is [ErrClosed] or that of ctx.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			ev := s.queue[0]
			s.queue[0] = Event{}
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return ev, nil
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return Event{}, ErrClosed
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// Close ends the subscription. Events that wait are dropped.
func (s *Subscription) Close() {
	s.end(true)
}

// end closes the queue; what waits in it is dropped or can still be taken.
func (s *Subscription) end(drop bool) {
	s.mu.Lock()
	s.closed = true
	if drop {
		s.queue = nil
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// post queues ev. If the queue is full it is replaced by an Overrun and what
// current returns. It reports whether the subscription is still open.
func (s *Subscription) post(ev Event, current func() []Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if len(s.queue) < queueLimit {
		s.queue = append(s.queue, ev)
	} else {
		s.queue = append([]Event{{Kind: Overrun, Time: ev.Time}}, current()...)
	}
	s.signal()
	return true
}
