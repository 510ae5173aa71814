package vpcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slot is a reader that comes and goes, in a bubble of fake time.
type slot struct {
	calls chan net.Conn
	start time.Time
	err   error // of a dial while it is not open

	mu     sync.Mutex // guards the following
	open   bool
	dialed []time.Duration // since the start
}

func (s *slot) set(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = open
}

func (s *slot) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s.mu.Lock()
	s.dialed = append(s.dialed, time.Since(s.start))
	open := s.open
	s.mu.Unlock()
	if network != "tcp" || addr != "reader:35963" {
		return nil, fmt.Errorf("dials %s %s", network, addr)
	}
	if !open {
		return nil, s.err
	}
	mine, theirs := net.Pipe()
	s.calls <- theirs
	return mine, nil
}

// ask is the reader's look at whether the card is there.
func ask(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write(unhex("0001 04")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 14)
	if _, err := io.ReadFull(c, got); err != nil || string(got[2:]) != string(kaztoken) {
		t.Fatalf("ATR % X, %v", got, err)
	}
}

func TestClientComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slot{calls: make(chan net.Conn, 1), start: time.Now(), err: syscall.ECONNREFUSED}
		var told []string
		card := &card{}
		client := &Client{
			Addr: "reader:35963", Card: card, Dial: s.dial,
			Notify: func(inside bool, why error) { told = append(told, fmt.Sprintf("%v: %v", inside, why)) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- client.Run(ctx) }()

		// pcscd is started after the card.
		time.Sleep(5 * time.Second)
		synctest.Wait()
		var waits []time.Duration
		for i := 1; i < len(s.dialed); i++ {
			waits = append(waits, (s.dialed[i]-s.dialed[i-1])/time.Millisecond)
		}
		if diff := cmp.Diff([]time.Duration{50, 100, 200, 400, 800, 1000, 1000, 1000}, waits); diff != "" {
			t.Errorf("waits, ms (-want +got):\n%s", diff)
		}
		if s.dialed[0] != 0 {
			t.Errorf("first dialled after %v", s.dialed[0])
		}
		s.set(true)
		conn := <-s.calls
		synctest.Wait()
		if diff := cmp.Diff([]string{"false: connection refused"}, told); diff != "" {
			t.Errorf("told before the reader spoke (-want +got):\n%s", diff)
		}
		ask(t, conn)
		ask(t, conn)
		synctest.Wait()

		// pcscd is restarted: the card is back soon, and cold.
		s.set(false)
		conn.Close()
		time.Sleep(200 * time.Millisecond)
		s.set(true)
		left := time.Now()
		conn = <-s.calls
		if took := time.Since(left); took > 200*time.Millisecond {
			t.Errorf("back after %v", took)
		}
		ask(t, conn)
		// What is no reader is let go of, and tried again.
		if _, err := conn.Write(unhex("0000")); err != nil {
			t.Fatal(err)
		}
		conn = <-s.calls
		ask(t, conn)
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("error %v, want the context's", err)
		}
		want := []string{
			"false: connection refused", "true: <nil>", "false: <nil>", "true: <nil>", "false: malformed message of 0 bytes", "true: <nil>",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"cold", "cold", "cold"}, card.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		conn.Close()
	})
}

// TestClientEnds: a context ends the client at any time, and what waiting
// cannot cure does at the start.
func TestClientEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		ends bool
	}{
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, true},
		{"no such port", &net.OpError{Op: "dial", Err: &net.AddrError{Err: "invalid port"}}, true},
		{"name server is down", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, false},
		{"refused", syscall.ECONNREFUSED, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slot{calls: make(chan net.Conn, 1), start: time.Now(), err: c.err}
				client := &Client{Addr: "reader:35963", Card: &card{}, Dial: s.dial}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err := client.Run(ctx)
				if c.ends && !errors.Is(err, c.err) || !c.ends && err != context.DeadlineExceeded {
					t.Errorf("error %v", err)
				}
				if took := time.Since(s.start); took != map[bool]time.Duration{true: 0, false: 10 * time.Second}[c.ends] {
					t.Errorf("ended after %v", took)
				}
			})
		})
	}
	// A reader that was there once comes back, even if its name does not for a while.
	synctest.Test(t, func(t *testing.T) {
		s := &slot{calls: make(chan net.Conn, 1), open: true, err: &net.DNSError{IsNotFound: true}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&Client{Addr: "reader:35963", Card: &card{}, Dial: s.dial}).Run(ctx) }()
		conn := <-s.calls
		ask(t, conn)
		s.set(false)
		conn.Close()
		time.Sleep(time.Minute)
		s.set(true)
		conn = <-s.calls
		ask(t, conn)
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("error %v", err)
		}
		conn.Close()
	})
}

// TestClientDials goes over a real socket.
func TestClientDials(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&Client{Addr: l.Addr().String(), Card: &card{}}).Run(ctx) }()
	for range 3 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ask(t, conn)
		conn.Close()
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("error %v, want the context's", err)
	}
	err = (&Client{Addr: "127.0.0.1:no-port", Card: &card{}}).Run(t.Context())
	if err == nil || !hopeless(err) {
		t.Errorf("a port that does not exist: %v", err)
	}
}
