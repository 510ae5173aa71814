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
	const commands = 100
	began := time.Now()
	answer := make([]byte, 4)
	for range commands {
		for _, part := range []string{"0004", "00CA0181"} {
			if _, err := conn.Write(unhex(part)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > commands*20*time.Millisecond {
		t.Errorf("%d commands took %v", commands, took)
	}
	conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
