package udev

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// delivery is what one receive call gives.
type delivery struct {
	msg   string
	from  unix.Sockaddr
	cred  *unix.Ucred
	flags int
	err   error
}

// fromKernel is msg as the kernel sends it.
func fromKernel(msg string) delivery {
	return delivery{msg: msg, from: &unix.SockaddrNetlink{Groups: groupKernel}, cred: &unix.Ucred{}}
}

// fakeSocket stands for the netlink socket: one end of a pair that wakes the
// poller, with deliveries in place of what is read.
type fakeSocket struct {
	peer int
	mu   sync.Mutex // guards all
	all  []delivery
}

func newFakeMonitor(t *testing.T) (*Monitor, *fakeSocket) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeSocket{peer: fds[1]}
	m, err := newMonitor(fds[0], s.recvmsg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), unix.Close(s.peer)); err != nil {
			t.Error(err)
		}
	})
	return m, s
}

func (s *fakeSocket) send(t *testing.T, d delivery) {
	t.Helper()
	s.mu.Lock()
	s.all = append(s.all, d)
	s.mu.Unlock()
	if _, err := unix.Write(s.peer, []byte{1}); err != nil {
		t.Error(err)
	}
}

func (s *fakeSocket) recvmsg(fd int, p, oob []byte, _ int) (int, int, int, unix.Sockaddr, error) {
	if _, err := unix.Read(fd, make([]byte, 1)); err != nil {
		return -1, 0, 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.all[0]
	s.all = s.all[1:]
	var control []byte
	if d.cred != nil {
		control = unix.UnixCredentials(d.cred)
	}
	return copy(p, d.msg), copy(oob, control), d.flags, d.from, d.err
}

func TestMonitor(t *testing.T) {
	m, s := newFakeMonitor(t)
	s.send(t, fromKernel(strings.Replace(kernelMessage, "SUBSYSTEM=usb", "SUBSYSTEM=net", 1)))
	s.send(t, delivery{err: unix.EINTR})
	s.send(t, fromKernel(kernelMessage))
	s.send(t, delivery{
		msg: string(udevMessage(kernelMessage)), from: &unix.SockaddrNetlink{Groups: groupUdev, Pid: 300}, cred: &unix.Ucred{Pid: 300},
	})

	before := time.Now()
	got, err := m.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Time.Before(before) || got.Time.After(time.Now()) {
		t.Errorf("received at %v", got.Time)
	}
	got.Time = time.Time{}
	if d := cmp.Diff(kernelEvent, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, err = m.Next(t.Context()); err != nil || !got.Settled || got.Seqnum != kernelEvent.Seqnum {
		t.Errorf("the daemon's report: %+v, %v", got, err)
	}
}

// After each kind of loss the monitor goes on.
func TestMonitorOverrun(t *testing.T) {
	m, s := newFakeMonitor(t)
	truncated := fromKernel(kernelMessage)
	truncated.flags = unix.MSG_TRUNC
	for name, d := range map[string]delivery{
		"the kernel's buffer was full": {err: unix.ENOBUFS},
		"cut message":                  truncated,
		"malformed message":            fromKernel(strings.Replace(kernelMessage, "BUSNUM", "BUSNO", 1)),
	} {
		s.send(t, d)
		if e, err := m.Next(t.Context()); !errors.Is(err, ErrOverrun) {
			t.Errorf("%s: got %+v, %v, want ErrOverrun", name, e, err)
		}
		s.send(t, fromKernel(kernelMessage))
		if e, err := m.Next(t.Context()); err != nil || e.Port != "1-1.4" {
			t.Errorf("after %s: got %+v, %v", name, e, err)
		}
	}
	s.send(t, delivery{err: unix.ENOMEM})
	if _, err := m.Next(t.Context()); !errors.Is(err, unix.ENOMEM) || errors.Is(err, ErrOverrun) {
		t.Errorf("got %v want ENOMEM", err)
	}
}

// Only the kernel and a daemon of root are believed; what others send is
// dropped without a word.
func TestMonitorSenders(t *testing.T) {
	kernel, udev := kernelMessage, string(udevMessage(kernelMessage))
	netlink := func(groups, pid uint32) unix.Sockaddr { return &unix.SockaddrNetlink{Groups: groups, Pid: pid} }
	for _, r := range []struct {
		name string
		d    delivery
		ok   bool
	}{
		{"kernel", delivery{msg: kernel, from: netlink(1, 0), cred: &unix.Ucred{}}, true},
		{"kernel, seen from a user namespace", delivery{msg: kernel, from: netlink(1, 0), cred: &unix.Ucred{Uid: 65534}}, true},
		{"daemon", delivery{msg: udev, from: netlink(2, 300), cred: &unix.Ucred{Pid: 300}}, true},
		{"root's process as kernel", delivery{msg: kernel, from: netlink(1, 300), cred: &unix.Ucred{Pid: 300}}, false},
		{"a process that claims port 0", delivery{msg: kernel, from: netlink(1, 0), cred: &unix.Ucred{Pid: 300, Uid: 1000}}, false},
		{"kernel without credentials", delivery{msg: kernel, from: netlink(1, 0)}, false},
		{"kernel as another user", delivery{msg: kernel, from: netlink(1, 0), cred: &unix.Ucred{Uid: 1000}}, false},
		{"a user as daemon", delivery{msg: udev, from: netlink(2, 300), cred: &unix.Ucred{Pid: 300, Uid: 1000}}, false},
		{"unmapped user as daemon", delivery{msg: udev, from: netlink(2, 300), cred: &unix.Ucred{Pid: 300, Uid: 65534}}, false},
		{"unicast", delivery{msg: kernel, from: netlink(0, 300), cred: &unix.Ucred{Pid: 300}}, false},
		{"no netlink address", delivery{msg: kernel, from: &unix.SockaddrUnix{}, cred: &unix.Ucred{}}, false},
		{"garbage of a stranger", delivery{msg: "add@", from: netlink(1, 9), cred: &unix.Ucred{Pid: 9}, flags: unix.MSG_TRUNC}, false},
	} {
		t.Run(r.name, func(t *testing.T) {
			m, s := newFakeMonitor(t)
			s.send(t, r.d)
			marker := fromKernel(strings.ReplaceAll(kernelMessage, "1-1.4", "9-9"))
			s.send(t, marker)
			e, err := m.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := e.Port == "1-1.4"; got != r.ok {
				t.Errorf("believed: %v", got)
			}
		})
	}
}

func TestMonitorContext(t *testing.T) {
	m, s := newFakeMonitor(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Next(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v", err)
	}
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := m.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled while waiting: got %v", err)
		}
		s.send(t, fromKernel(kernelMessage))
		if _, err := m.Next(t.Context()); err != nil {
			t.Fatalf("the wait after a cancelled one: %v", err)
		}
	}
}

func TestMonitorClose(t *testing.T) {
	for range 50 {
		m, _ := newFakeMonitor(t)
		done := make(chan error)
		go func() {
			_, err := m.Next(context.Background())
			done <- err
		}()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Fatalf("pending Next: got %v want os.ErrClosed", err)
		}
		if _, err := m.Next(t.Context()); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("Next after Close: got %v want os.ErrClosed", err)
		}
		if err := m.Close(); err != nil {
			t.Fatalf("second Close: %v", err)
		}
	}
}

// The kernel's own message, as it comes through the real socket: any device
// will do, and every machine has /dev/null.
func TestListenToKernel(t *testing.T) {
	m, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.WriteFile("/sys/class/mem/null/uevent", []byte("change"), 0); err != nil {
		t.Skipf("SKIPPED: this user may not ask the kernel for a uevent (%v): the real socket is tested as root only", err)
	}
	if err := m.file.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		msg, parse, err := m.receive()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(msg, []byte("change@/devices/virtual/mem/null\x00")) {
			continue // something else that happens on this machine
		}
		if parse == nil {
			t.Fatal("the kernel's message was not believed")
		}
		if _, ok, err := parse(msg); ok || err != nil {
			t.Fatalf("/dev/null is a USB device: %v, %v", ok, err)
		}
		return
	}
}

// A process of root may speak as the udev daemon, and nobody as the kernel.
func TestListenToProcess(t *testing.T) {
	m, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	forged := strings.ReplaceAll(kernelMessage, "add", "remove")
	err = errors.Join(
		unix.Sendto(fd, []byte(forged), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel}),
		unix.Sendto(fd, udevMessage(kernelMessage), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupUdev}),
	)
	if err != nil {
		t.Skipf("SKIPPED: this user may not send to uevent groups (%v): the real socket is tested as root only", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := m.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := kernelEvent
	want.Settled, want.Time = true, got.Time
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A buffer that is too small overruns in the kernel; what still fitted comes
// after the loss was announced.
func TestListenOverrun(t *testing.T) {
	m, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var serr error
	if err := m.conn.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 0) // the system's least
	}); err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupUdev}
	for range 100 {
		switch err := unix.Sendto(fd, udevMessage(kernelMessage), 0, to); {
		case errors.Is(err, unix.EPERM):
			t.Skipf("SKIPPED: this user may not send to uevent groups (%v): the real overrun is tested as root only", err)
		case err != nil && err != unix.ENOBUFS:
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if e, err := m.Next(ctx); !errors.Is(err, ErrOverrun) {
		t.Fatalf("got %+v, %v, want ErrOverrun", e, err)
	}
	if e, err := m.Next(ctx); err != nil || e.Port != "1-1.4" {
		t.Errorf("after the overrun: got %+v, %v", e, err)
	}
}
