package nap

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// linger is how long the other side is waited for in the thread that reads.
const linger = 100 * time.Millisecond

// A Socket is one side of a conversation. Its answers are waited for in the thread
// that asks, as long as they come one after the other. One that takes longer is left
// to Go's network poller, so that it holds no thread.
//
// The poller is given a duplicate of the descriptor for that time only. Were it
// there always, each message would wake the poller's thread as well.
//
// One goroutine at a time may read, one write; nobody while or after Close is called.
type Socket struct {
	fds [1]unix.PollFd
}

// Detach makes a socket of a connection, which it closes, also if it fails.
func Detach(c *net.UnixConn) (*Socket, error) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	failed := raw.Control(func(old uintptr) { fd, err = duplicate(int(old)) })
	if err := errors.Join(failed, err); err != nil {
		return nil, err
	}
	return &Socket{[1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}}, nil
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

func (s *Socket) fd() int { return int(s.fds[0].Fd) }

// Read waits for bytes, until deadline at the most; the zero time is for ever. With a
// deadline the rest of a message is waited for: it is there, or just about to be sent.
// Its errors are io.EOF, os.ErrDeadlineExceeded, or what the system says.
func (s *Socket) Read(b []byte, deadline time.Time) (int, error) {
	// A message may come in two or three parts. Whoever sleeps between them is woken
	// by each, and takes the core away from the sender, so it is let go on first.
	rest := !deadline.IsZero()
	yielded, napped := !rest, !rest
	if !rest {
		if _, err := Linger(s.fds[:], linger); err != nil {
			return 0, err
		}
	}
	for {
		n, err := s.receive(b)
		if err != unix.EAGAIN {
			return n, err
		}
		if !yielded {
			yielded = true
			Yield()
			continue
		}
		if !napped {
			napped = true
			if ready, err := Linger(s.fds[:], linger); ready || err != nil {
				continue // what is wrong, reading says as well
			}
		}
		if err := s.park(unix.POLLIN, deadline); err != nil {
			return 0, err
		}
	}
}

// ReadSoon is Read of what comes within [Length]. Without that, n is 0.
func (s *Socket) ReadSoon(b []byte) (n int, err error) {
	if ready, err := Poll(s.fds[:], Length); !ready || err != nil {
		return 0, err
	}
	n, err = s.receive(b)
	if err == unix.EAGAIN {
		return 0, nil
	}
	return n, err
}

// receive reads what is there; the error is EAGAIN if nothing is.
func (s *Socket) receive(b []byte) (int, error) {
	for {
		n, err := syscall.Read(s.fd(), b)
		switch {
		case n > 0:
			received()
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

// Write writes the whole of b. The other side may let it wait for stall in all; 0 is
// for ever. One that has gone gives an error and no signal.
func (s *Socket) Write(b []byte, stall time.Duration) (done int, err error) {
	sending()
	var deadline time.Time
	for done < len(b) {
		n, err := unix.SendmsgN(s.fd(), b[done:], nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			done += n
		case unix.EINTR:
		case unix.EAGAIN:
			if stall > 0 && deadline.IsZero() {
				deadline = time.Now().Add(stall)
			}
			if err := s.park(unix.POLLOUT, deadline); err != nil {
				return done, err
			}
		default:
			return done, os.NewSyscallError("write", err)
		}
	}
	return done, nil
}

// park waits in Go's network poller for one of events of poll(2).
func (s *Socket) park(events int16, deadline time.Time) error {
	f, err := s.Parked()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.SetDeadline(deadline); err != nil {
		return err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	wait := raw.Read
	if events == unix.POLLOUT {
		wait = raw.Write
	}
	return wait(func(fd uintptr) bool { return Ready(fd, events) })
}

// Parked is a duplicate that Go's network poller has. It belongs to the caller.
func (s *Socket) Parked() (*os.File, error) {
	fd, err := duplicate(s.fd())
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// Shutdown is shutdown(2): the system wakes whoever waits, wherever it does. It may be
// called at any time before Close.
func (s *Socket) Shutdown(how int) { unix.Shutdown(s.fd(), how) }

// Close gives the descriptor back.
func (s *Socket) Close() { unix.Close(s.fd()) }
