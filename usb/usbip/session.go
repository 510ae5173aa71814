package usbip

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"kaztoken/usb"
)

// Limits on what a peer can make the server keep.
const (
	// MaxTransfer is the longest transfer served, in bytes: 16 times the longest
	// CCID message. Longer ones are answered -ENOMEM.
	MaxTransfer = 1 << 20

	maxPending = 256      // transfers queued in one session
	maxBytes   = 16 << 20 // OUT payloads queued in one session, as usbfs allows
	maxFree    = 16       // recycled urbs
	maxKept    = 128 << 10
)

// session is one imported device on one connection.
//
// The goroutine that runs it reads commands and puts transfers into the queue
// of their endpoint; one goroutine per endpoint serves its queue in order and
// writes the replies.
type session struct {
	device Device
	desc   *descriptors
	conn   net.Conn
	state  chapter9

	workers sync.WaitGroup
	ended   chan struct{} // closed when the session is over, workers included
	stop    chan struct{} // closed when it begins to end

	// wmu guards writing to conn, so that a reply is whole. It is taken before
	// mu and held from the moment a transfer is marked as completed to the
	// moment its reply is written: an unlink that finds the transfer completed
	// is answered after that reply and never before it. A kernel treats the
	// other order as a broken connection.
	wmu sync.Mutex

	mu        sync.Mutex // guards the following
	closed    bool
	cause     error // why it ended; nil when the peer just closed the connection
	endpoints [32]*endpoint
	free      []*urb
	pending   int // transfers in queues or with the device
	bytes     int // their OUT payloads
}

// endpoint is the queue of one endpoint and direction. Endpoint 0 has one for
// both directions: its transfers run in the order they came.
type endpoint struct {
	address byte
	wake    sync.Cond // on session.mu
	queue   []*urb
	active  *urb // with the device
	ctx     transferContext
}

func newSession(d Device, desc *descriptors, conn net.Conn) *session {
	return &session{
		device: d, desc: desc, conn: conn, state: chapter9{desc: desc},
		ended: make(chan struct{}), stop: make(chan struct{}),
	}
}

// run serves URB traffic until the connection or the device ends. It returns
// nil when the peer closed the connection between two messages, usb.ErrGone
// after an unplug.
func (s *session) run() error {
	defer close(s.ended)
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		select {
		case <-s.device.Gone():
			s.end(usb.ErrGone)
		case <-s.stop:
		}
	}()

	s.end(s.read())
	s.workers.Wait()
	return s.cause
}

// end closes the connection and makes all workers finish. It does not wait.
// The first cause counts: what follows it is the noise of closing.
func (s *session) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.cause = true, cause
	close(s.stop)
	s.conn.Close()
	for _, e := range s.endpoints {
		if e != nil {
			e.ctx.cancel()
			e.wake.Signal()
		}
	}
}

func (s *session) read() error {
	var (
		r      = bufio.NewReaderSize(s.conn, 16<<10)
		header [headerSize]byte
		c      command
	)
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := c.decode(header[:]); err != nil {
			return err
		}
		if c.code == cmdUnlink {
			if err := s.unlink(&c.unlink); err != nil {
				return err
			}
			continue
		}
		u, status := s.admit(&c.submit)
		if status != statusOK {
			if _, err := io.CopyN(io.Discard, r, int64(c.submit.payload())); err != nil {
				return err
			}
			if err := s.refuse(&c.submit, status); err != nil {
				return err
			}
			continue
		}
		if _, err := io.ReadFull(r, u.buf); err != nil {
			return err
		}
		s.enqueue(u)
	}
}

// admit finds room for a transfer, or says with which status to refuse it.
func (s *session) admit(m *submit) (*urb, int32) {
	if m.length > MaxTransfer {
		return nil, statusNoMemory
	}
	if m.ep != 0 && s.desc.endpoints&(1<<endpointIndex(m.address())) == 0 {
		return nil, statusNoEndpoint
	}
	n := int(m.payload())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == maxPending || s.bytes+n > maxBytes {
		return nil, statusNoMemory
	}
	s.pending++
	s.bytes += n
	var u *urb
	if last := len(s.free) - 1; last >= 0 {
		u, s.free = s.free[last], s.free[:last]
	} else {
		u = new(urb)
	}
	u.submit, u.unlinked = *m, false
	if cap(u.buf) < n {
		u.buf = make([]byte, n)
	}
	u.buf = u.buf[:n]
	return u, statusOK
}

// release takes a finished transfer back. The caller holds mu.
func (s *session) release(u *urb) {
	s.pending--
	s.bytes -= len(u.buf)
	if len(s.free) < maxFree && cap(u.buf) <= maxKept {
		s.free = append(s.free, u)
	}
}

func (s *session) enqueue(u *urb) {
	address := u.address()
	if u.ep == 0 {
		address = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	slot := &s.endpoints[endpointIndex(address)]
	if *slot == nil {
		e := &endpoint{address: address}
		e.wake.L = &s.mu
		*slot = e
		s.workers.Add(1)
		go s.serve(e)
	}
	e := *slot
	e.queue = append(e.queue, u)
	e.wake.Signal()
}

// unlink withdraws a transfer (usbip_protocol.rst, "USBIP_CMD_UNLINK").
func (s *session) unlink(m *unlink) error {
	var reply [headerSize]byte
	s.wmu.Lock()
	defer s.wmu.Unlock()
	status, later := s.withdraw(m)
	if later {
		return nil
	}
	putRetUnlink(reply[:], m.seq, status)
	_, err := s.conn.Write(reply[:])
	return err
}

// withdraw finds the victim. If the device has it, the endpoint's goroutine
// replies when the device has let go of it: later is true.
func (s *session) withdraw(m *unlink) (status int32, later bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		if e == nil {
			continue
		}
		if e.active != nil && e.active.seq == m.victim {
			e.active.unlinked, e.active.unlinkSeq = true, m.seq
			e.ctx.cancel()
			return 0, true
		}
		for i, u := range e.queue {
			if u.seq == m.victim {
				e.queue = append(e.queue[:i], e.queue[i+1:]...)
				s.release(u)
				return statusConnReset, false
			}
		}
	}
	return statusOK, false // completed; its reply is on the wire
}

// refuse answers a transfer that was never queued.
func (s *session) refuse(m *submit, status int32) error {
	var reply [headerSize]byte
	putRetSubmit(reply[:], m, status, 0)
	s.wmu.Lock()
	defer s.wmu.Unlock()
	_, err := s.conn.Write(reply[:])
	return err
}

// next takes the transfer at the head of the queue, or nil at the end.
func (s *session) next(e *endpoint) *urb {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(e.queue) == 0 && !s.closed {
		e.wake.Wait()
	}
	if s.closed {
		return nil
	}
	u := e.queue[0]
	e.queue = e.queue[:copy(e.queue, e.queue[1:])]
	e.active = u
	e.ctx.start()
	return u
}

// serve is the goroutine of one endpoint.
func (s *session) serve(e *endpoint) {
	defer s.workers.Done()
	reply := make([]byte, 2*headerSize, 1024) // room for a RET_UNLINK behind the data
	for {
		u := s.next(e)
		if u == nil {
			return
		}
		room := headerSize + headerSize
		if u.in {
			room += int(u.length)
		}
		if cap(reply) < room {
			reply = make([]byte, room)
		}
		reply = reply[:room]
		n, err := s.transfer(e, u, reply[headerSize:room-headerSize])
		if errors.Is(err, usb.ErrGone) {
			s.end(usb.ErrGone)
			return
		}
		if err := s.complete(e, u, reply, n, err); err != nil {
			s.end(err)
			return
		}
		if cap(reply) > maxKept {
			reply = make([]byte, 2*headerSize, 1024)
		}
	}
}

// transfer lets the device have u. data is the room for an IN transfer.
func (s *session) transfer(e *endpoint, u *urb, data []byte) (n int, err error) {
	if e.address == 0 {
		return s.control(e, u, data)
	}
	if s.state.isHalted(e.address) {
		return 0, usb.ErrStall
	}
	if u.in {
		n, err = s.device.In(&e.ctx, e.address, data)
		if n < 0 || n > len(data) {
			return 0, fmt.Errorf("device gave %d bytes for %d", n, len(data))
		}
	} else if err = s.device.Out(&e.ctx, e.address, u.buf); err == nil {
		n = len(u.buf)
	}
	if errors.Is(err, usb.ErrStall) {
		s.state.halt(e.address)
	}
	return n, err
}

// control runs a request on endpoint 0. Its stall ends with the request.
func (s *session) control(e *endpoint, u *urb, data []byte) (int, error) {
	setup, length := u.request()
	if setup.In() != u.in && length != 0 {
		return 0, usb.ErrStall // the data stage runs against the request
	}
	if !u.in {
		data = u.buf
	}
	data = data[:min(len(data), length)]
	kind := setup.RequestType & 0x60
	if setup.RequestType == 0x81 && setup.Request == reqGetDescriptor {
		kind = 0x20 // of an interface: the class defines what there is (USB 2.0 §9.4.3)
	}
	switch kind {
	case 0x00: // standard
		n, cleared, ok := s.state.handle(setup, data)
		for _, address := range cleared {
			s.device.ClearHalt(address)
		}
		if !ok {
			return 0, usb.ErrStall
		}
		return n, nil
	case 0x20, 0x40: // class, vendor
		n, err := s.device.Control(&e.ctx, setup, data)
		if !u.in {
			n = len(data)
		}
		if err != nil && !u.in || n < 0 || n > len(data) {
			n = 0
		}
		return n, err
	}
	return 0, usb.ErrStall
}

// complete replies to u. reply has room for the header, then the data where
// the device put it, then one header more.
func (s *session) complete(e *endpoint, u *urb, reply []byte, n int, err error) error {
	status := statusOf(err)
	if status == statusOK && u.in && e.address != 0 && u.flags&flagShortNotOK != 0 && n < int(u.length) {
		status = statusShortPacket
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.mu.Lock()
	e.active = nil
	unlinked, unlinkSeq := u.unlinked, u.unlinkSeq
	m := u.submit
	s.release(u)
	s.mu.Unlock()

	length := 0
	withdrawn := unlinked && n == 0 && errors.Is(err, context.Canceled)
	if !withdrawn {
		// A transfer with bytes in it is completed even if it was cancelled half
		// way: the kernel hands them to the driver beside the cancellation.
		putRetSubmit(reply, &m, status, n)
		length = headerSize
		if m.in {
			length += n
		}
	}
	if unlinked {
		status := statusOK
		if withdrawn {
			status = statusConnReset
		}
		putRetUnlink(reply[length:], unlinkSeq, status)
		length += headerSize
	}
	_, werr := s.conn.Write(reply[:length])
	return werr
}
