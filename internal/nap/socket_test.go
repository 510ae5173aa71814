//go:build linux

package nap

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sockets gives two ends of a conversation.
func sockets(t testing.TB) (a, b *Socket) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*Socket
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if ends[i], err = Detach(c.(*net.UnixConn)); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

// TestSocketRead reads what is there and what comes, at once and after the time for
// which a thread waits, between messages and within one.
func TestSocketRead(t *testing.T) {
	allow(t, func(t *testing.T) {
		for _, wait := range []time.Duration{0, time.Millisecond, linger + linger/2} {
			for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
				a, b := sockets(t)
				defer a.Close()
				defer b.Close()
				time.AfterFunc(wait, func() {
					if n, err := a.Write([]byte("abc"), 0); n != 3 || err != nil {
						t.Errorf("Write: %d, %v", n, err)
					}
				})
				got := make([]byte, 8)
				if n, err := b.Read(got, deadline); err != nil || string(got[:n]) != "abc" {
					t.Errorf("after %v, deadline %v: %q, %v", wait, deadline, got[:n], err)
				}
			}
		}
	})
}

func TestSocketReadEnds(t *testing.T) {
	one := make([]byte, 1)
	t.Run("deadline", func(t *testing.T) {
		a, b := sockets(t)
		defer a.Close()
		defer b.Close()
		for _, until := range []time.Duration{-time.Hour, time.Millisecond, linger + time.Millisecond} {
			if n, err := b.Read(one, time.Now().Add(until)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("until %v: %d, %v", until, n, err)
			}
		}
		if n, err := b.ReadSoon(one); n != 0 || err != nil {
			t.Errorf("ReadSoon of nothing: %d, %v", n, err)
		}
	})
	t.Run("other side leaves", func(t *testing.T) {
		a, b := sockets(t)
		defer b.Close()
		time.AfterFunc(2*linger, a.Close) // while the network poller waits
		if n, err := b.Read(one, time.Time{}); n != 0 || err != io.EOF {
			t.Errorf("Read: %d, %v", n, err)
		}
		if n, err := b.ReadSoon(one); n != 0 || err != io.EOF {
			t.Errorf("ReadSoon: %d, %v", n, err)
		}
		if n, err := b.Write(one, 0); n != 0 || !errors.Is(err, unix.EPIPE) {
			t.Errorf("Write: %d, %v", n, err)
		}
	})
	t.Run("shut down", func(t *testing.T) {
		for _, after := range []time.Duration{0, time.Millisecond, 2 * linger} {
			a, b := sockets(t)
			defer a.Close()
			defer b.Close()
			time.AfterFunc(after, func() { b.Shutdown(unix.SHUT_RD) })
			if n, err := b.Read(one, time.Time{}); n != 0 || err != io.EOF {
				t.Errorf("after %v: %d, %v", after, n, err)
			}
		}
	})
}

// TestSocketWrite writes more than the system keeps, to one that takes it and to one
// that does not.
func TestSocketWrite(t *testing.T) {
	large := make([]byte, 4<<20)
	a, b := sockets(t)
	defer a.Close()
	defer b.Close()
	n, err := a.Write(large, 10*time.Millisecond)
	if n == 0 || n == len(large) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nobody reads: %d, %v", n, err)
	}
	read := make(chan int)
	go func() {
		total, part := 0, make([]byte, 1<<16)
		for total < n+len(large) {
			got, err := b.Read(part, time.Time{})
			if err != nil {
				t.Error(err)
				break
			}
			total += got
		}
		read <- total
	}()
	m, err := a.Write(large, 0)
	if m != len(large) || err != nil {
		t.Errorf("somebody reads: %d, %v", m, err)
	}
	if total := <-read; total != n+m {
		t.Errorf("%d bytes read, %d written", total, n+m)
	}
}

// TestSocketClose gives back every descriptor of a conversation that is over.
func TestSocketClose(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	talk := func() {
		a, b := sockets(t)
		defer a.Close()
		defer b.Close()
		if _, err := b.Read(make([]byte, 1), time.Now().Add(-time.Hour)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
	talk() // the poller's own descriptors stay
	before := count()
	for range 10 {
		talk()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
