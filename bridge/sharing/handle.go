package sharing

import (
	"fmt"
	"slices"

	"kaztoken/bridge/wire"
)

// EventWord is what happened to the card of a handle since the handle was made
// or renewed. It is kept until a reconnect succeeds.
type EventWord byte

// The event words. A removal is not overwritten by a reset.
const (
	NoEvent EventWord = iota
	CardWasReset
	CardWasRemoved
)

func (e EventWord) String() string {
	switch e {
	case NoEvent:
		return "none"
	case CardWasReset:
		return "reset"
	case CardWasRemoved:
		return "removed"
	}
	return fmt.Sprintf("EventWord(%d)", byte(e))
}

// result is what a request gets to hear of an event word.
func (e EventWord) result() wire.Result {
	switch e {
	case CardWasReset:
		return wire.CardReset
	case CardWasRemoved:
		return wire.CardRemoved
	}
	return wire.Success
}

// Handle is a client's connection to a reader and the card in it.
type Handle struct {
	number wire.Handle
	client *Client
	reader *Reader
	share  wire.ShareMode
	event  EventWord
	ticket uint64 // its place in the queue for the lock while it asks again and again; 0 is none
	since  int64  // stamp of its making
}

// Client is who has the handle.
func (h *Handle) Client() *Client { return h.client }

// Reader is the reader. It may be gone.
func (h *Handle) Reader() *Reader { return h.reader }

// Share is the share mode.
func (h *Handle) Share() wire.ShareMode { return h.share }

// Event is the event word.
func (h *Handle) Event() EventWord { return h.event }

// Since is the stamp of the handle's making.
func (h *Handle) Since() int64 { return h.since }

// shared is the check of the sharing lock: nobody else may have it.
func (h *Handle) shared() wire.Result {
	if l := h.reader.lock; l != nil && l != h {
		return wire.SharingViolation
	}
	return wire.Success
}

// healthy is the check of the reader's health.
func (h *Handle) healthy() wire.Result {
	if h.reader.failing() {
		return wire.ReaderUnavailable
	}
	return wire.Success
}

// first gives the first result that is not success.
func first(results ...wire.Result) wire.Result {
	for _, r := range results {
		if r != wire.Success {
			return r
		}
	}
	return wire.Success
}

// add makes a handle for the client of op.
func (m *Machine) add(op *Op) *Handle {
	h := &Handle{
		number: wire.Handle(m.number(func(n uint32) bool { return m.handles[wire.Handle(n)] != nil })),
		client: op.client, reader: op.reader, share: op.share, since: m.Stamp,
	}
	m.handles[h.number] = h
	h.client.handles = append(h.client.handles, h)
	h.reader.handles = append(h.reader.handles, h)
	return h
}

// remove ends a handle, with what it has locked.
func (m *Machine) remove(h *Handle) {
	delete(m.handles, h.number)
	h.client.handles = without(h.client.handles, h)
	r := h.reader
	if r.gone {
		return
	}
	r.handles = without(r.handles, h)
	r.sharing = max(r.sharing-1, 0) // exclusive too becomes 0
	if r.lock == h {
		r.lock, r.lockCount = nil, 0
	}
	m.signal()
	m.rest(r)
	m.grant(r)
}

// without removes x from s in place.
func without[T comparable](s []T, x T) []T {
	i := slices.Index(s, x)
	if i < 0 {
		return s
	}
	return slices.Delete(s, i, i+1)
}

// mark gives every handle of a reader an event word. Who waits to lock the card
// hears of it at once.
func (m *Machine) mark(r *Reader, e EventWord) {
	for _, h := range r.handles {
		h.event = max(h.event, e)
	}
	r.waiters = slices.DeleteFunc(r.waiters, func(op *Op) bool {
		if op.kind != opBegin {
			return false
		}
		m.finish(op, op.handle.event.result())
		m.wake(op)
		return true
	})
}
