package bridge

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/internal/nap"
)

// linger is how long a program is waited for in the thread that serves it.
const linger = 100 * time.Millisecond

// socket is a link whose program is waited for in the thread that serves it, as
// long as it asks one thing after the other; see package nap. One that is silent
// for longer is left to Go's network poller, so that it holds no thread.
//
// The poller is given a duplicate of the descriptor for that time only. Were it
// there always, each message would wake the poller's thread as well.
type socket struct {
	fd  int
	fds [1]unix.PollFd
}

// newLink makes a link of a connection, which it takes over, also if it fails.
func newLink(nc net.Conn) (link, error) {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return newNetLink(nc), nil
	}
	defer uc.Close()
	raw, err := uc.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &socket{fd: -1}
	failed := raw.Control(func(fd uintptr) { l.fd, err = duplicate(int(fd)) })
	if err := errors.Join(failed, err); err != nil {
		return nil, err
	}
	l.fds[0] = unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN}
	return l, nil
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

func (l *socket) read(b []byte, deadline time.Time) (int, error) {
	// Between two requests nothing is there yet. Within one the rest is, or the
	// program is just about to send it: the library sends a message in two or three
	// parts. Whoever sleeps then is woken by each of them, and takes the core away
	// from the program, so it is let go on first.
	between := deadline.IsZero()
	yielded, napped := between, between
	if between {
		if _, err := nap.Linger(l.fds[:], linger); err != nil {
			return 0, err
		}
	}
	for {
		n, err := syscall.Read(l.fd, b)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err == syscall.EINTR:
			continue
		case err != syscall.EAGAIN:
			return 0, os.NewSyscallError("read", err)
		}
		if !yielded {
			yielded = true
			nap.Yield()
			continue
		}
		if !napped {
			napped = true
			if ready, err := nap.Linger(l.fds[:], linger); ready || err != nil {
				continue // what is wrong, read says as well
			}
		}
		if err := l.park(unix.POLLIN, deadline); err != nil {
			return 0, err
		}
	}
}

func (l *socket) write(b []byte) error {
	var deadline time.Time
	for len(b) > 0 {
		n, err := syscall.Write(l.fd, b)
		switch {
		case err == nil:
			b = b[n:]
			continue
		case err == syscall.EINTR:
			continue
		case err != syscall.EAGAIN:
			return os.NewSyscallError("write", err)
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(stall)
		}
		if err := l.park(unix.POLLOUT, deadline); err != nil {
			return err
		}
	}
	return nil
}

// park waits in Go's network poller for one of events of poll(2).
func (l *socket) park(events int16, deadline time.Time) error {
	f, err := l.parked()
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
	return wait(func(fd uintptr) bool { return polled(fd, events) })
}

// parked gives the network poller a duplicate.
func (l *socket) parked() (*os.File, error) {
	fd, err := duplicate(l.fd)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

func (l *socket) watch() (gone <-chan struct{}, stop func()) {
	f, err := l.parked()
	if err != nil {
		return nil, func() {}
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, func() {}
	}
	gone, done := watchHangup(raw)
	return gone, func() {
		f.SetReadDeadline(past)
		<-done
		f.Close()
	}
}

// quit leaves it to the system to wake whoever waits, wherever it does.
func (l *socket) quit() { unix.Shutdown(l.fd, unix.SHUT_RD) }

func (l *socket) hangUp() { unix.Shutdown(l.fd, unix.SHUT_RDWR) }

func (l *socket) close() { unix.Close(l.fd) }
