package udev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The multicast groups of NETLINK_KOBJECT_UEVENT, as bits.
const (
	groupKernel = 1 << 0 // the kernel's reports
	groupUdev   = 1 << 1 // those of the udev daemon, when its rules have run
)

const (
	// maxUevent is more than the kernel (2 KiB of properties) or the daemon
	// (8 KiB message) ever send.
	maxUevent = 16 << 10
	// receiveBuffer takes a few thousand reports: a dock with everything on it
	// that comes and goes while this program is stopped in a debugger.
	receiveBuffer = 8 << 20
)

// Monitor receives the uevents of USB devices. One goroutine at a time calls
// Next; Close may come from any.
type Monitor struct {
	file   *os.File        // the netlink socket, in the runtime's poller
	conn   syscall.RawConn // of file
	closed atomic.Bool

	// recvmsg is unix.Recvmsg, or what a test puts in its place.
	recvmsg func(fd int, p, oob []byte, flags int) (n, oobn, recvflags int, from unix.Sockaddr, err error)

	buf [maxUevent]byte
	oob [128]byte // control messages: one set of credentials
}

// Listen subscribes to the reports of the kernel and, where one runs, of the
// udev daemon. It needs no privilege. Everything that happens after it returns
// is delivered by [Monitor.Next] or announced as lost.
func Listen() (*Monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK,
		unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("uevent socket: %w", err)
	}
	if err := configure(fd); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return newMonitor(fd, unix.Recvmsg)
}

func configure(fd int) error {
	// Past the system's limit with CAP_NET_ADMIN, up to it without.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return fmt.Errorf("uevent socket buffer: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("uevent sender credentials: %w", err)
	}
	addr := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel | groupUdev}
	if err := unix.Bind(fd, addr); err != nil {
		return fmt.Errorf("subscribe to uevents: %w", err)
	}
	return nil
}

// newMonitor takes over fd, which is non-blocking.
func newMonitor(fd int, recvmsg func(int, []byte, []byte, int) (int, int, int, unix.Sockaddr, error)) (*Monitor, error) {
	m := &Monitor{file: os.NewFile(uintptr(fd), "uevent"), recvmsg: recvmsg}
	conn, err := m.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, m.file.Close())
	}
	m.conn = conn
	return m, nil
}

// Next waits for the next event. It ends with [ErrOverrun] when events were
// lost, with ctx.Err() when ctx ends, and with an error that is [os.ErrClosed]
// after Close; only the last one, and any other error, are final.
func (m *Monitor) Next(ctx context.Context) (Event, error) {
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		// A file that is closed meanwhile ends the wait by itself.
		_ = m.file.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-interrupted
			_ = m.file.SetReadDeadline(time.Time{})
		}
	}()
	for {
		msg, parse, err := m.receive()
		switch {
		case m.closed.Load():
			return Event{}, fmt.Errorf("uevents: %w", os.ErrClosed)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Event{}, ctx.Err()
		case err != nil:
			return Event{}, err
		case parse == nil:
			continue
		}
		e, ok, err := parse(msg)
		if err != nil {
			return Event{}, fmt.Errorf("%w: %w", ErrOverrun, err)
		}
		if ok {
			e.Time = time.Now()
			return e, nil
		}
	}
}

// receive waits for one message. parse is nil if the sender is not to be
// believed. The message is good until the next call.
func (m *Monitor) receive() (msg []byte, parse func([]byte) (Event, bool, error), err error) {
	var (
		n, oobn, flags int
		from           unix.Sockaddr
		rerr           error
	)
	err = m.conn.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, from, rerr = m.recvmsg(int(fd), m.buf[:], m.oob[:], 0)
			if rerr != unix.EINTR {
				return rerr != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return nil, nil, err
	case rerr == unix.ENOBUFS:
		return nil, nil, ErrOverrun
	case rerr != nil:
		return nil, nil, fmt.Errorf("receive uevent: %w", rerr)
	}
	parse = parserFor(from, m.oob[:oobn])
	if parse != nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return nil, nil, fmt.Errorf("%w: message of more than %d bytes", ErrOverrun, len(m.buf))
	}
	return m.buf[:n], parse, nil
}

// parserFor tells who sent a message. Any process with CAP_NET_ADMIN in its
// own user namespace may try to send to our groups, and a unicast message needs
// not even that. The kernel is port 0, which no process can have; the daemon
// is a process of root. nil is for everybody else.
func parserFor(from unix.Sockaddr, oob []byte) func([]byte) (Event, bool, error) {
	addr, ok := from.(*unix.SockaddrNetlink)
	if !ok {
		return nil
	}
	cred := credentials(oob)
	switch {
	case cred == nil:
		return nil
	case addr.Groups == groupKernel && addr.Pid == 0 && cred.Pid == 0 && (cred.Uid == 0 || cred.Uid == overflowUID):
		return parseKernel
	case addr.Groups == groupUdev && addr.Pid != 0 && cred.Uid == 0:
		return parseUdev
	}
	return nil
}

// overflowUID is what root of the host looks like in a user namespace that
// does not map it, as in a rootless container on the host's network.
const overflowUID = 65534

func credentials(oob []byte) *unix.Ucred {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			return cred
		}
	}
	return nil
}

// Close ends a pending Next and releases the socket. It is idempotent.
func (m *Monitor) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	return m.file.Close()
}
