package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"kaztoken/bridge/wire"
)

// keeper is a service that answers every Transmit with the bytes it was sent and
// a status word, and keeps the buffers that it was handed.
type keeper struct {
	net.Conn
	answer  bytes.Buffer
	written [][]byte
	read    [][]byte
	closed  bool
}

func (k *keeper) Write(b []byte) (int, error) {
	k.written = append(k.written, b)
	m, err := wire.ParseTransmit(b[wire.HeaderSize : wire.HeaderSize+wire.TransmitSize])
	if err != nil {
		return 0, err
	}
	data := b[wire.HeaderSize+wire.TransmitSize:]
	m.RecvLength = uint32(len(data) + 2)
	k.answer.Write(m.AppendTo(nil))
	k.answer.Write(data)
	k.answer.Write([]byte{0x90, 0x00})
	return len(b), nil
}

func (k *keeper) Read(b []byte) (int, error) {
	n, err := k.answer.Read(b)
	k.read = append(k.read, b[:n])
	return n, err
}

func (k *keeper) Close() error {
	k.closed = true
	return nil
}

// TestBodiesAreWiped: no buffer of the client keeps a PIN or what a card
// answered.
func TestBodiesAreWiped(t *testing.T) {
	k := &keeper{}
	x := &Context{conn: newConn(&link{nc: k, minor: 6, dialect: wire.Array})}
	card := &Card{ctx: x, handle: 1, active: wire.ProtocolT1}
	pin := []byte("31415926")
	apdu := append([]byte{0x00, 0x20, 0x00, 0x02, 0x08}, pin...)
	for range 3 {
		resp, err := card.Transmit(t.Context(), nil, apdu)
		if err != nil || !bytes.Contains(resp, pin) {
			t.Fatalf("% x, %v", resp, err)
		}
	}
	// One whose turn never comes.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := card.Transmit(ctx, nil, apdu); err == nil {
		t.Error("sent after its context had ended")
	}
	x.conn.end()
	if len(k.written) != 3 || len(k.read) != 3 || !k.closed {
		t.Fatalf("%d written, %d read", len(k.written), len(k.read))
	}
	for _, b := range append(k.written, k.read...) {
		if bytes.Contains(b, pin) {
			t.Errorf("a buffer still has the PIN: % x", b)
		}
	}
	if !bytes.Contains(apdu, pin) {
		t.Error("the caller's own command was wiped")
	}
}

// playback answers from given bytes, whatever it is told.
type playback struct {
	net.Conn
	rest    []byte
	longest int // read at once
}

func (p *playback) Write(b []byte) (int, error) { return len(b), nil }

func (p *playback) Read(b []byte) (int, error) {
	p.longest = max(p.longest, len(b))
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *playback) Close() error                  { return nil }
func (p *playback) SetDeadline(_ time.Time) error { return nil }

func u32(numbers ...uint32) (b []byte) {
	for _, n := range numbers {
		b = binary.NativeEndian.AppendUint32(b, n)
	}
	return b
}
