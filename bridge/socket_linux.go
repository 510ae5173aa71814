package bridge

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/internal/nap"
)

// socket is a link whose program is waited for in the thread that serves it.
type socket struct{ *nap.Socket }

// newLink makes a link of a connection, which it takes over, also if it fails.
func newLink(nc net.Conn) (link, error) {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return newNetLink(nc), nil
	}
	s, err := nap.Detach(uc)
	if err != nil {
		return nil, err
	}
	return socket{s}, nil
}

// read has no deadline between two requests, and one within a request.
func (l socket) read(b []byte, deadline time.Time) (int, error) { return l.Read(b, deadline) }

func (l socket) write(b []byte) error {
	_, err := l.Write(b, stall)
	return err
}

func (l socket) watch() (gone <-chan struct{}, stop func()) {
	f, err := l.Parked()
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

func (l socket) quit() { l.Shutdown(unix.SHUT_RD) }

func (l socket) hangUp() { l.Shutdown(unix.SHUT_RDWR) }

func (l socket) close() { l.Close() }
