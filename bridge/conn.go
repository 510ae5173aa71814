package bridge

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
)

// conn is one connection of a program. One goroutine reads its requests and
// answers them; an event is sent by a goroutine of its own.
type conn struct {
	s      *Service
	link   link
	peer   Peer
	since  time.Time
	client *sharing.Client
	wake   chan struct{} // capacity 1: an operation that waited goes on

	in    []byte // what was read; in[at:end] is still to be looked at
	at    int
	end   int
	until time.Time // the limit for the message that is being read; zero if none is
	out   []byte    // the answer
	small int       // requests in a row that needed little room
	locks bool      // this goroutine holds s.mu

	// Of the request that is being answered.
	apdu []byte
	resp []byte // out from its start, with the response behind the structure
	code wire.ControlCode
	note Event

	net    *time.Timer // nil unless the client has asked for an event, and nothing since
	asked  uint64      // how often it has. Guarded by s.mu
	sendMu sync.Mutex  // held while writing, and taken before s.mu

	events   []wire.Event // to be sent. Guarded by s.mu
	sending  bool         // a goroutine is at it. Guarded by s.mu
	children sync.WaitGroup
}

// Room for requests and answers. Almost all need no more than the first; a
// connection that needed more keeps it for a while.
const (
	smallRoom = 1 << 10
	patience  = 64 // small requests until large room is given back
)

// Why the service ends a connection.
var (
	errProtocol = errors.New("not the protocol of pcsc-lite")
	errHandle   = errors.New("no handle of this connection")
	errHungUp   = errors.New("program is gone")
	errPanic    = errors.New("panic")
)

func newConn(s *Service, l link, peer Peer) *conn {
	return &conn{
		s: s, link: l, peer: peer, since: time.Now(), wake: make(chan struct{}, 1),
		in: make([]byte, smallRoom), out: make([]byte, 0, smallRoom),
	}
}

// serve answers requests until the connection ends.
func (c *conn) serve() {
	defer c.s.running.Done()
	err := c.guard(func() error {
		if !c.s.allows(c.peer) {
			return errDenied
		}
		c.s.trace(Event{Kind: EventConnected, Peer: c.peer})
		return c.converse()
	})
	c.stopNet()
	c.guard(func() error { c.s.leave(c); return nil })
	c.children.Wait() // an event on its way still goes out
	c.link.close()
	clear(c.in)
	clear(c.out[:cap(c.out)])
	switch err {
	case errDenied:
		c.s.trace(Event{Kind: EventRefused, Peer: c.peer, Err: err})
	case io.EOF:
		c.s.trace(Event{Kind: EventDisconnected, Peer: c.peer})
	default:
		c.s.trace(Event{Kind: EventDisconnected, Peer: c.peer, Err: err})
	}
}

// guard keeps a panic to this connection.
func (c *conn) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if c.locks {
				c.unlock()
			}
			err = fmt.Errorf("%w: %v", errPanic, p)
			c.s.trace(Event{Kind: EventPanic, Peer: c.peer, Err: err, Stack: debug.Stack()})
		}
	}()
	return f()
}

// apart is guard for what is done beside the goroutine of serve: a panic ends the
// connection by hanging it up. What f locks, it gives back by defer.
func (c *conn) apart(f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.s.trace(Event{Kind: EventPanic, Peer: c.peer, Err: fmt.Errorf("%w: %v", errPanic, p), Stack: debug.Stack()})
			c.s.hangUp(c)
		}
	}()
	f()
}

// lock takes the lock of the service, which unlock gives back.
func (c *conn) lock() {
	c.s.mu.Lock()
	c.locks = true
}

func (c *conn) unlock() {
	c.locks = false
	c.s.mu.Unlock()
}

// converse reads requests and answers them. The error is [io.EOF] if the program
// ends the connection between two requests.
func (c *conn) converse() error {
	for {
		b, err := c.next(wire.HeaderSize, true)
		if err != nil {
			return err
		}
		c.stopNet()
		h, err := wire.ParseHeader(b)
		if err != nil {
			return err
		}
		size, ok := h.Command.BodySize(c.client.Dialect())
		if !ok || int64(h.Size) != int64(size) {
			return fmt.Errorf("%w: %v of %d bytes", errProtocol, h.Command, h.Size)
		}
		body, err := c.next(size, false)
		if err != nil {
			return err
		}
		if err := c.answer(h.Command, body); err != nil {
			return fmt.Errorf("%v: %w", h.Command, err)
		}
	}
}

// next takes n bytes out of what the program sends, and waits for them if it
// has to: between requests as long as it takes, within one no longer than
// [stall]. The bytes are valid until the next call.
func (c *conn) next(n int, between bool) ([]byte, error) {
	if between {
		c.shrink()
		c.until = time.Time{}
	}
	c.makeRoom(n)
	for c.end-c.at < n {
		within := !between || c.end > c.at
		if within && c.until.IsZero() {
			c.until = time.Now().Add(stall)
		}
		if c.s.isClosing() {
			return nil, ErrClosed
		}
		m, err := c.link.read(c.in[c.end:], c.until)
		c.end += m
		if c.end-c.at >= n {
			break
		}
		switch {
		case err == nil:
		case c.s.isClosing():
			return nil, ErrClosed
		case err == io.EOF && within:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
	b := c.in[c.at : c.at+n]
	c.at += n
	return b, nil
}

// makeRoom makes the next n bytes fit into in.
func (c *conn) makeRoom(n int) {
	if c.at == c.end {
		c.at, c.end = 0, 0
	}
	if n > smallRoom {
		c.small = 0
	}
	if c.at+n <= len(c.in) {
		return
	}
	c.move(max(n, len(c.in)))
}

// move moves what is still to be looked at to the front of a buffer of n bytes.
// Nothing stays behind: it may be a part of a PIN.
func (c *conn) move(n int) {
	from := c.in
	if n != len(from) {
		c.in = make([]byte, n)
		defer clear(from)
	}
	c.end = copy(c.in, from[c.at:c.end])
	c.at = 0
}

// shrink gives large room back that was not needed for a while.
func (c *conn) shrink() {
	if len(c.in) <= smallRoom && cap(c.out) <= smallRoom {
		return
	}
	if c.small++; c.small < patience {
		return
	}
	if c.end-c.at <= smallRoom {
		c.move(smallRoom)
	}
	c.out = make([]byte, 0, smallRoom)
	c.small = 0
}

// send writes b as one answer.
func (c *conn) send(b []byte) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	return c.write(b)
}

// write is send for a caller who holds sendMu.
func (c *conn) write(b []byte) error { return c.link.write(b) }

// post has an event sent. The caller holds s.mu.
func (c *conn) post(e wire.Event) {
	c.events = append(c.events, e)
	if !c.sending {
		c.sending = true
		c.children.Go(func() { c.apart(c.sendEvents) })
	}
}

// sendEvents sends the events that there are. An answer that is being made ready
// goes out before them.
func (c *conn) sendEvents() {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.write(c.takeEvents()); err != nil {
		c.link.hangUp() // its reader finds out
	}
}

// takeEvents is what is there to send.
func (c *conn) takeEvents() (b []byte) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, e := range c.events {
		b = e.AppendTo(b)
	}
	c.events, c.sending = c.events[:0], false
	return b
}

// await waits until op goes on. It is false if limit, where there is one, came
// first; an error says that nobody waits for op any more.
func (c *conn) await(op *sharing.Op, limit time.Duration) (bool, error) {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	gone, stop := c.link.watch()
	defer stop()
	select {
	case <-c.wake:
		return true, nil
	case <-over:
		return false, nil
	case <-gone:
	}
	select {
	case <-c.wake: // the service closes: first it ends op, then it quits the link
		return true, nil
	default:
		return false, errHungUp
	}
}

// startNet has the client told of a change if it does not ask for an array soon.
func (c *conn) startNet() {
	c.asked++
	asked := c.asked
	c.net = time.AfterFunc(overdue, func() {
		c.apart(func() {
			c.s.mu.Lock()
			defer c.s.mu.Unlock()
			if c.asked == asked {
				c.s.machine.Overdue(c.client)
				c.s.settle()
			}
		})
	})
}

// stopNet notes that the client has sent something.
func (c *conn) stopNet() {
	if c.net == nil {
		return
	}
	c.net.Stop()
	c.net = nil
	c.s.mu.Lock()
	c.asked++
	c.s.mu.Unlock()
}
