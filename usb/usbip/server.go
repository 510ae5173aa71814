package usbip

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"kaztoken/usb"
)

// ErrServerClosed is what Serve returns after Close, and Add too.
var ErrServerClosed = errors.New("USB/IP server is closed")

const (
	busNumber = 1

	// requestTimeout is how long a fresh connection may take to say what it wants.
	requestTimeout = 10 * time.Second
)

// Server exports software devices. The zero value is ready, and safe for
// concurrent use.
type Server struct {
	mu        sync.Mutex // guards the following
	closed    bool
	exports   []*export // in the order of their ports
	devnum    uint32    // of the device added last
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
	wg        sync.WaitGroup // connections
}

// export is one plugged device.
type export struct {
	port   int // the n of "1-n"
	device Device
	desc   *descriptors
	info   Exported

	claimed bool     // a connection is importing it or has it; guarded by Server.mu
	session *session // that import once it runs; guarded by Server.mu
	removed bool     // guarded by Server.mu
}

func (e *export) gone() bool {
	select {
	case <-e.device.Gone():
		return true
	default:
		return false
	}
}

// Add plugs d in and gives its bus id, "1-1" for the first: the lowest port
// that is free. It fails if the descriptors of d.Info() cannot be served.
func (s *Server) Add(d Device) (busID string, err error) {
	info := d.Info()
	desc, err := parseDescriptors(info)
	if err != nil {
		return "", fmt.Errorf("exporting %04x:%04x: %w", info.Vendor, info.Product, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", ErrServerClosed
	}
	s.sweep()
	at := 0
	for at < len(s.exports) && s.exports[at].port == at+1 {
		at++
	}
	s.devnum = s.devnum%0xffff + 1
	e := &export{port: at + 1, device: d, desc: desc}
	e.info = desc.exported(info, fmt.Sprintf("%d-%d", busNumber, e.port), busNumber, s.devnum)
	if _, err := e.info.appendTo(nil, true); err != nil {
		return "", fmt.Errorf("exporting %04x:%04x: %w", info.Vendor, info.Product, err)
	}
	s.exports = append(s.exports[:at], append([]*export{e}, s.exports[at:]...)...)
	return e.info.BusID, nil
}

// sweep forgets devices that are gone. The caller holds mu.
func (s *Server) sweep() {
	kept := s.exports[:0]
	for _, e := range s.exports {
		if !e.removed && !e.gone() {
			kept = append(kept, e)
		}
	}
	clear(s.exports[len(kept):])
	s.exports = kept
}

// Remove unplugs the device of that bus id: it is no longer exported, and its
// importer's connection is closed. When Remove returns, nothing of the server
// calls the device any more, so it must not be called from inside a method of
// the device. It reports whether there was such a device.
func (s *Server) Remove(busID string) bool {
	s.mu.Lock()
	s.sweep()
	e := s.find(busID)
	if e == nil {
		s.mu.Unlock()
		return false
	}
	e.removed = true
	session := e.session
	s.mu.Unlock()
	if session != nil {
		session.end(usb.ErrGone)
		<-session.ended
	}
	return true
}

// find gives nil if there is no such device. The caller holds mu.
func (s *Server) find(busID string) *export {
	for _, e := range s.exports {
		if e.info.BusID == busID {
			return e
		}
	}
	return nil
}

// Devices lists what is exported now, imported devices too.
func (s *Server) Devices() []Exported {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	list := make([]Exported, 0, len(s.exports))
	for _, e := range s.exports {
		list = append(list, e.info)
	}
	return list
}

// Serve accepts connections on l until l fails or Close is called, which makes
// it return ErrServerClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrServerClosed
	}
	if s.listeners == nil {
		s.listeners = map[net.Listener]struct{}{}
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	for {
		c, err := l.Accept()
		if err == nil {
			err = s.start(c)
		} else if s.isClosed() {
			err = ErrServerClosed
		}
		if err != nil {
			return err
		}
	}
}

// start serves c in its own goroutine.
func (s *Server) start(c net.Conn) error {
	if err := s.enter(c); err != nil {
		return err
	}
	go func() {
		// What ended one connection concerns its peer only.
		_ = s.serve(c)
		s.leave(c)
	}()
	return nil
}

// ServeConn serves one connection, of any kind, and closes it. It returns when
// the peer is done (nil), when the imported device was unplugged (usb.ErrGone),
// or with what the peer did wrong.
func (s *Server) ServeConn(c net.Conn) error {
	if err := s.enter(c); err != nil {
		return err
	}
	defer s.leave(c)
	return s.serve(c)
}

func (s *Server) enter(c net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return ErrServerClosed
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return nil
}

func (s *Server) leave(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close unplugs everything, ends all connections and waits for every goroutine
// of the server. Like Remove it must not be called from inside a device.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		l.Close()
	}
	for _, e := range s.exports {
		e.removed = true
		if e.session != nil {
			e.session.end(usb.ErrGone)
		}
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// serve handles one request for the list, or one import and what follows.
func (s *Server) serve(c net.Conn) error {
	if t, ok := c.(*net.TCPConn); ok {
		// Go's default, but the whole point here: every reply is one small
		// segment that somebody waits for.
		if err := t.SetNoDelay(true); err != nil {
			return err
		}
	}
	if err := c.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	var b [opHeaderSize + busIDSize]byte
	if _, err := io.ReadFull(c, b[:opHeaderSize]); err != nil {
		if err == io.EOF {
			return nil
		}
		return err
	}
	h, err := parseOpHeader(b[:opHeaderSize])
	if err != nil {
		return err
	}
	switch h.code {
	case opReqDevlist:
		reply, err := appendDevlist(nil, s.Devices())
		if err != nil {
			return err
		}
		_, err = c.Write(reply)
		return err
	case opReqImport:
		if _, err := io.ReadFull(c, b[opHeaderSize:]); err != nil {
			return err
		}
		id, err := parseString(b[opHeaderSize:])
		if err != nil {
			return err
		}
		return s.export(c, id)
	}
	return fmt.Errorf("USB/IP request %04x", h.code)
}

func appendDevlist(b []byte, list []Exported) ([]byte, error) {
	b = opHeader{version: version, code: opRepDevlist}.appendTo(b)
	n := len(list)
	b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	for _, e := range list {
		var err error
		if b, err = e.appendTo(b, true); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// export answers OP_REQ_IMPORT and serves the device until either side ends.
func (s *Server) export(c net.Conn, busID string) error {
	e := s.claim(busID)
	if e == nil {
		// The document has one code for "not exported" and "taken".
		if _, err := c.Write(opHeader{version: version, code: opRepImport, status: 1}.appendTo(nil)); err != nil {
			return err
		}
		return fmt.Errorf("import of %q: not exported, or imported by another", busID)
	}
	session := newSession(e.device, e.desc, c)
	defer s.unclaim(e)

	reply := opHeader{version: version, code: opRepImport}.appendTo(nil)
	reply, err := e.info.appendTo(reply, false)
	if err != nil {
		return err
	}
	if _, err := c.Write(reply); err != nil {
		return err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	s.mu.Lock()
	if e.removed || s.closed {
		s.mu.Unlock()
		return usb.ErrGone
	}
	e.session = session
	s.mu.Unlock()
	err = session.run()
	if errors.Is(err, usb.ErrGone) {
		s.mu.Lock()
		e.removed = true
		s.mu.Unlock()
	}
	return err
}

func (s *Server) claim(busID string) *export {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	e := s.find(busID)
	if e == nil || e.claimed {
		return nil
	}
	e.claimed = true
	return e
}

// unclaim makes the device free for the next import.
func (s *Server) unclaim(e *export) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.claimed, e.session = false, nil
}
