package vpcd

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// TestAcknowledge is a reader that writes length and body apart, through a TCP
// that waits, as vpcd does. An unacknowledged length costs 40 ms each time.
func TestAcknowledge(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			done <- err
			return
		}
		done <- Serve(context.Background(), conn, new(card))
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetNoDelay(false); err != nil {
		t.Fatal(err)
	}
	// The first ones are acknowledged at once in any case. After that each takes as
	// long as TCP waits, and on a machine that is busy one of many does not.
	const first, commands = 50, 100
	quickest := time.Hour
	answer := make([]byte, 4)
	for i := range commands {
		began := time.Now()
		for _, part := range []string{"0004", "00CA0181"} {
			if _, err := conn.Write(unhex(part)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			t.Fatal(err)
		}
		if i >= first {
			quickest = min(quickest, time.Since(began))
		}
	}
	if quickest > 20*time.Millisecond {
		t.Errorf("the quickest command took %v", quickest)
	}
	conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
