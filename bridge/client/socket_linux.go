package client

import (
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/internal/nap"
)

// socket is a connection whose answers are waited for in the thread that asked.
//
// Read and Write may not overlap; Close may come at any time.
type socket struct {
	s *nap.Socket

	mu     sync.Mutex // guards all following fields
	users  int        // calls that have the descriptor in use
	closed bool
}

// settle makes a socket of a connection to a service, which it takes over, also if
// it fails. Other connections stay as they are.
func settle(nc net.Conn) (io.ReadWriteCloser, error) {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return nc, nil
	}
	s, err := nap.Detach(uc)
	if err != nil {
		return nil, err
	}
	return &socket{s: s}, nil
}

// enter keeps the descriptor open until leave.
func (s *socket) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.users++
	return nil
}

func (s *socket) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.closed && s.users == 0 {
		s.s.Close()
	}
}

// Close wakes whoever waits. It is idempotent.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.s.Shutdown(unix.SHUT_RDWR)
	if s.users == 0 {
		s.s.Close()
	}
	return nil
}

// readSoon is Read of what comes within the time of a nap. Without that, n is 0.
func (s *socket) readSoon(b []byte) (n int, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.s.ReadSoon(b)
}

func (s *socket) Read(b []byte) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.s.Read(b, time.Time{})
}

func (s *socket) Write(b []byte) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.s.Write(b, 0)
}
