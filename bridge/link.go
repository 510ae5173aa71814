package bridge

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// link is the connection of a program. One goroutine at a time reads or watches,
// one at a time writes.
type link interface {
	// read waits for bytes, until deadline at the most; the zero time is for ever.
	// Its errors are io.EOF, os.ErrDeadlineExceeded, or what the system says.
	read(b []byte, deadline time.Time) (int, error)

	// write writes the whole of b. A program that takes nothing for [stall] fails
	// it.
	write(b []byte) error

	// watch gives a channel that is closed when the program leaves; nil if that is
	// not to be had. Nobody may read before stop has returned.
	watch() (gone <-chan struct{}, stop func())

	// quit ends the waiting for bytes, now and from now on. It may also pass for
	// the leaving of the program. Any goroutine may call it before close.
	quit()

	// hangUp is quit, and ends writing as well.
	hangUp()

	// close gives the connection back. Nobody may use it any more.
	close()
}

// netLink is a link over Go's network poller, which knows all systems and
// connections.
type netLink struct {
	nc      net.Conn
	raw     syscall.RawConn // nil if nc is not of the system
	until   time.Time       // the limit for reading that nc has
	quitted atomic.Bool
}

func newNetLink(nc net.Conn) *netLink {
	l := &netLink{nc: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	return l
}

func (l *netLink) read(b []byte, deadline time.Time) (int, error) {
	if deadline != l.until {
		if err := l.nc.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
		l.until = deadline
	}
	if l.quitted.Load() { // before the deadline was set
		return 0, os.ErrDeadlineExceeded
	}
	return l.nc.Read(b)
}

func (l *netLink) write(b []byte) error {
	if err := l.nc.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	_, err := l.nc.Write(b)
	l.nc.SetWriteDeadline(time.Time{}) // else it wakes somebody up some day
	return err
}

func (l *netLink) watch() (gone <-chan struct{}, stop func()) {
	if l.raw == nil {
		return nil, func() {}
	}
	gone, done := watchHangup(l.raw)
	return gone, func() {
		l.nc.SetReadDeadline(past)
		<-done
		l.nc.SetReadDeadline(time.Time{})
		l.until = time.Time{}
	}
}

// watchHangup closes gone when the program leaves, and done when it does not
// watch any more: for a deadline of reading ends it.
func watchHangup(raw syscall.RawConn) (gone, done <-chan struct{}) {
	hung, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		// The function is called at first and whenever the system has news of the
		// socket. Whether there is something to read does not matter.
		err := raw.Read(hungUp)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			close(hung)
		}
	}()
	return hung, over
}

func (l *netLink) quit() {
	l.quitted.Store(true)
	l.nc.SetReadDeadline(past)
}

func (l *netLink) hangUp() { l.nc.Close() }

func (l *netLink) close() { l.nc.Close() }
