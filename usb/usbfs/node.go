//go:build linux

package usbfs

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is an open device node. The pipe does all its dealings with the
// system through it.
type kernel interface {
	// ioctl makes one request of those in ioctl.go.
	ioctl(req uintptr, arg unsafe.Pointer) syscall.Errno

	// read gives the descriptors of the device, from the first one on.
	read(b []byte) (int, error)

	// poll calls step until it returns true, and sleeps after each false one
	// until the kernel tells of a completed URB or of the end of the device.
	// What was told before poll began is forgotten, what is told after that is
	// not, even during step. One goroutine at a time may be in it. It ends with
	// os.ErrDeadlineExceeded when the deadline passes, perhaps with no step.
	poll(step func(fd uintptr) bool) error

	// setDeadline sets the deadline of the poll under way and of those to
	// come; the zero time is none. Any goroutine may call it.
	setDeadline(t time.Time) error

	close() error
}

// node is the kernel behind a file of usbfs.
type node struct {
	file *os.File
	conn syscall.RawConn
	fd   uintptr // valid until close
}

func openNode(path string) (*node, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	n := &node{file: f}
	if err := n.init(); err != nil {
		f.Close()
		return nil, err
	}
	return n, nil
}

func (n *node) init() (err error) {
	// Files that the poller cannot wait for have no deadlines either.
	if err := n.setDeadline(time.Time{}); err != nil {
		return err
	}
	if n.conn, err = n.file.SyscallConn(); err != nil {
		return err
	}
	return n.conn.Control(func(fd uintptr) { n.fd = fd })
}

func (n *node) ioctl(req uintptr, arg unsafe.Pointer) syscall.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, n.fd, req, uintptr(arg))
	return errno
}

func (n *node) read(b []byte) (int, error) { return n.file.ReadAt(b, 0) }

// usbfs reports reapable URBs as EPOLLOUT and the end of the device as
// EPOLLHUP: both wake a writer.
func (n *node) poll(step func(fd uintptr) bool) error { return n.conn.Write(step) }

func (n *node) setDeadline(t time.Time) error { return n.file.SetWriteDeadline(t) }

func (n *node) close() error { return n.file.Close() }
