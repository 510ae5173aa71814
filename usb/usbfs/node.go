//go:build linux

package usbfs

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kaztoken/internal/nap"
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
	poll(step func() bool) error

	// setDeadline sets the deadline of the poll under way and of those to
	// come; the zero time is none. Any goroutine may call it.
	setDeadline(t time.Time)

	close() error
}

// node is the kernel behind a file of usbfs. The thread that wants to know of a
// URB sleeps in poll(2) itself, see package nap: the file is unknown to Go's
// network poller, which would wake a thread of its own for each URB as well.
type node struct {
	fd      int
	kicked  int // an eventfd: the deadline of the sleeper has changed
	fds     [2]unix.PollFd
	since   time.Time    // what deadlines are counted from
	alarm   atomic.Int64 // the deadline, ns; never for none
	polling atomic.Bool
}

const never = math.MaxInt64

func openNode(path string) (_ *node, err error) {
	n := &node{fd: -1, kicked: -1, since: time.Now()}
	n.alarm.Store(never)
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	n.fd, err = retry(func() (int, error) { return unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	// What can always be written to would never let poll sleep.
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFCHR && kind != unix.S_IFIFO {
		return nil, &os.PathError{Op: "open", Path: path, Err: errNotNode}
	}
	if n.kicked, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	// usbfs tells of reapable URBs as POLLOUT and of the end of the device as
	// POLLHUP, which nobody has to ask for.
	n.fds = [2]unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLOUT}, {Fd: int32(n.kicked), Events: unix.POLLIN}}
	return n, nil
}

// errNotNode: a file is none of usbfs.
var errNotNode = errors.New("not a device node of usbfs")

// retry makes a call again that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

func (n *node) ioctl(req uintptr, arg unsafe.Pointer) syscall.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), req, uintptr(arg))
	return errno
}

func (n *node) read(b []byte) (int, error) {
	return retry(func() (int, error) { return unix.Pread(n.fd, b, 0) })
}

func (n *node) poll(step func() bool) error {
	n.polling.Store(true) // before the deadline is looked at: who changes it later kicks
	defer n.polling.Store(false)
	for {
		limit := time.Duration(-1)
		if alarm := n.alarm.Load(); alarm != never {
			if limit = time.Duration(alarm) - time.Since(n.since); limit <= 0 {
				return os.ErrDeadlineExceeded
			}
		}
		if step() {
			return nil
		}
		if _, err := nap.Poll(n.fds[:], limit); err != nil {
			return err
		}
		if n.fds[1].Revents != 0 {
			var b [8]byte
			unix.Read(n.kicked, b[:]) // what fails is only that there is nothing any more
		}
	}
}

func (n *node) setDeadline(t time.Time) {
	alarm := int64(never)
	if !t.IsZero() {
		alarm = int64(t.Sub(n.since))
	}
	n.alarm.Store(alarm)
	if n.polling.Load() {
		unix.Write(n.kicked, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

func (n *node) close() error {
	var failures []error
	for _, fd := range []*int{&n.fd, &n.kicked} {
		if *fd >= 0 {
			failures = append(failures, os.NewSyscallError("close", unix.Close(*fd)))
			*fd = -1
		}
	}
	return errors.Join(failures...)
}
