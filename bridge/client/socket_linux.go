package client

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/internal/nap"
)

// linger is how long an answer is waited for in the thread that reads it.
const linger = 100 * time.Millisecond

// socket is a connection whose answers are waited for in the thread that asked;
// see package nap. What takes longer is left to Go's network poller, which is
// given a duplicate of the descriptor for that time only: were it there always,
// each answer would wake the poller's thread as well.
//
// Read and Write may not overlap; Close may come at any time.
type socket struct {
	fds [1]unix.PollFd

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
	defer uc.Close()
	raw, err := uc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	failed := raw.Control(func(old uintptr) { fd, err = duplicate(int(old)) })
	if err := errors.Join(failed, err); err != nil {
		return nil, err
	}
	return &socket{fds: [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}}, nil
}

// duplicate keeps that the descriptor does not block, which belongs to both.
func duplicate(fd int) (int, error) {
	for {
		d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != unix.EINTR {
			return d, os.NewSyscallError("fcntl", err)
		}
	}
}

func (s *socket) fd() int { return int(s.fds[0].Fd) }

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
		unix.Close(s.fd())
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
	unix.Shutdown(s.fd(), unix.SHUT_RDWR)
	if s.users == 0 {
		unix.Close(s.fd())
	}
	return nil
}

// readSoon is Read of what comes within the time of a nap. Without that, n is 0.
func (s *socket) readSoon(b []byte) (n int, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if ready, err := nap.Poll(s.fds[:], nap.Length); !ready || err != nil {
		return 0, err
	}
	n, err = receive(s.fd(), b)
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return n, err
}

func (s *socket) Read(b []byte) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if _, err := nap.Linger(s.fds[:], linger); err != nil {
		return 0, err
	}
	for {
		n, err := receive(s.fd(), b)
		if err != syscall.EAGAIN {
			return n, err
		}
		if err := s.park(unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

// receive reads what is there; the error is EAGAIN if nothing is.
func receive(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		switch {
		case n > 0:
			return n, nil
		case err == nil && len(b) > 0:
			return 0, io.EOF
		case err == nil || err == syscall.EAGAIN:
			return 0, err
		case err != syscall.EINTR:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// Write sends all of b. A service that has gone gives an error and no signal.
func (s *socket) Write(b []byte) (done int, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	for done < len(b) {
		n, err := unix.SendmsgN(s.fd(), b[done:], nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			done += n
		case unix.EINTR:
		case unix.EAGAIN:
			if err := s.park(unix.POLLOUT); err != nil {
				return done, err
			}
		default:
			return done, os.NewSyscallError("write", err)
		}
	}
	return done, nil
}

// park waits in Go's network poller for one of events of poll(2).
func (s *socket) park(events int16) error {
	fd, err := duplicate(s.fd())
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	wait := raw.Read
	if events == unix.POLLOUT {
		wait = raw.Write
	}
	return wait(func(fd uintptr) bool {
		fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(fds[:], 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}
