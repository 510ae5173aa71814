// Package vpcd puts a card in software into vpcd, the virtual reader of the
// vsmartcard project. vpcd is a driver of pcscd: it listens on TCP, whoever
// connects is the card, and every application of the machine then has a reader
// with that card in it.
//
// A message is two bytes of length, high byte first, and as many bytes. The
// reader speaks, the card answers (vsmartcard, virtualsmartcard/src/vpcd/vpcd.h
// and vpcd.c):
//
//	00 01 00      power off                       no answer
//	00 01 01      power on                        no answer
//	00 01 02      reset                           no answer
//	00 01 04      the answer to reset, please     ATR
//	nn nn APDU    a command APDU                  the response APDU
//
// A fresh connection is a card that is put in, and its end a card that is taken
// out: there is no message for either. The reader asks for the ATR two or three
// times a second to see whether the card is still there.
//
// The format knows no peer and no password: whoever can connect to the reader
// can be its card, and whoever is the reader can use the card.
package vpcd

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"kaztoken/internal/iso7816"
)

// Port is the TCP port of the reader's first slot (vpcd.h, VPCDPORT). The second
// slot, which the package of Debian has too, is one port above.
const Port = 35963

// maxBody is the longest body of a message, bytes. The longest command APDU has
// nine bytes more and the longest response three: vpcd cannot carry them.
const maxBody = 0xFFFF

// maxATR is the longest answer to reset, bytes (ISO 7816-3:2006 §8.2.1).
const maxATR = 33

// stall is how long a message may take that has begun, either way. Between
// messages there is no limit: a reader that nobody looks at says nothing.
const stall = 10 * time.Second

// The one-byte messages (vpcd.h, VPCD_CTRL_*).
const (
	powerOff = 0x00
	powerOn  = 0x01
	reset    = 0x02
	getATR   = 0x04
)

var (
	// ErrMessage: the peer sent what no reader sends, so it is none.
	ErrMessage = errors.New("malformed message")
	// ErrCard: the card has no answer to reset, or none to a command. The reader
	// has no word for that but a card that is gone.
	ErrCard = errors.New("card is mute")
)

// Card is a card in software. One goroutine calls it at a time.
type Card interface {
	// ATR is the answer to reset, 1 to 33 bytes.
	ATR() []byte
	// Reset is a cold or warm reset.
	Reset(cold bool)
	// Transmit appends the response APDU to a command APDU to dst; it may not
	// keep either. What an application sends comes as it is, down to a single
	// byte. An error means that there is no answer.
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)
}

// Serve is the card at the other end of conn, which it closes. It begins with a
// cold reset: what was verified before does not hold in another reader.
//
// It returns nil when the reader closed the connection between two messages,
// ctx.Err() when ctx ended, and otherwise [ErrMessage], [ErrCard],
// [io.ErrUnexpectedEOF] within a message or an error of conn. A command that the
// card has begun is waited for in any case. No APDU costs an allocation.
func Serve(ctx context.Context, conn net.Conn, card Card) error {
	return serve(ctx, conn, card, func() {})
}

// serve is Serve; it calls began when the first message has come, before it is
// answered. A connection alone means little: the system takes it for a reader
// that has another card, or for one that is busy.
func serve(ctx context.Context, conn net.Conn, card Card, began func()) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	err := converse(ctx, conn, card, began)
	if ctx.Err() != nil {
		return ctx.Err() // and err is the noise of closing
	}
	return err
}

func converse(ctx context.Context, conn net.Conn, card Card, began func()) error {
	card.Reset(true)
	var (
		in    = newReader(conn)
		out   = make([]byte, headLen, headLen+iso7816.MaxShortResponse)
		first = true
	)
	for {
		msg, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			began()
			first = false
		}
		out, err = answer(ctx, out[:headLen], card, msg)
		if err != nil {
			return err
		}
		if len(out) == headLen {
			continue // there is nothing to say
		}
		binary.BigEndian.PutUint16(out, uint16(len(out)-headLen))
		if err := conn.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return err
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}

// answer carries out one message and appends the body of its answer to dst, or
// nothing if it has none. The answer fits into a message.
func answer(ctx context.Context, dst []byte, card Card, msg []byte) ([]byte, error) {
	if len(msg) == 1 {
		switch msg[0] {
		case powerOff, powerOn:
			// Off does it too: nothing that was verified may wait for the next on.
			card.Reset(true)
			return dst, nil
		case reset:
			card.Reset(false)
			return dst, nil
		case getATR:
			atr := card.ATR()
			if len(atr) == 0 || len(atr) > maxATR {
				return dst, fmt.Errorf("answer to reset of %d bytes: %w", len(atr), ErrCard)
			}
			return append(dst, atr...), nil
		}
		// Any other byte is what an application sent as its whole command: the
		// reader waits for the answer.
	}
	start := len(dst)
	dst, err := card.Transmit(ctx, dst, msg)
	n := len(dst) - start
	switch {
	case err != nil:
		return dst, fmt.Errorf("%w: %w", ErrCard, err)
	case n < 2:
		return dst, fmt.Errorf("response of %d bytes: %w", n, ErrCard)
	case n > maxBody:
		// The command asked for more than a message can carry.
		return iso7816.SWWrongLength.AppendTo(dst[:start]), nil
	}
	return dst, nil
}

const headLen = 2

// reader takes messages out of a connection.
type reader struct {
	conn net.Conn
	buf  *bufio.Reader
	body []byte // of the last message

	acknowledge func() // that a part of a message has come
}

func newReader(conn net.Conn) *reader {
	return &reader{
		conn: conn, buf: bufio.NewReaderSize(conn, 4<<10), body: make([]byte, iso7816.MaxShortCommand),
		acknowledge: newAcknowledge(conn),
	}
}

// next gives the body of the next message, 1 to 65535 bytes, which is valid
// until the call after it. It waits for the first byte as long as it takes, and
// for the rest no longer than [stall]. The error is [io.EOF] between two
// messages, [io.ErrUnexpectedEOF] within one, [ErrMessage] or one of the
// connection.
func (r *reader) next() ([]byte, error) {
	if _, err := r.buf.Peek(1); err != nil {
		return nil, err
	}
	// Mostly the whole message has come at once, and no clock is needed.
	timed := false
	whole := func(n int) error {
		if timed || r.buf.Buffered() >= n {
			return nil
		}
		timed = true
		return r.conn.SetReadDeadline(time.Now().Add(stall))
	}
	if err := whole(headLen); err != nil {
		return nil, err
	}
	head, err := r.buf.Peek(headLen)
	if err != nil {
		return nil, inside(err)
	}
	n := int(binary.BigEndian.Uint16(head))
	if n == 0 {
		return nil, fmt.Errorf("%w of 0 bytes", ErrMessage)
	}
	if r.buf.Buffered() < headLen+n {
		r.acknowledge()
	}
	if err := whole(headLen + n); err != nil {
		return nil, err
	}
	if _, err := r.buf.Discard(headLen); err != nil {
		return nil, err
	}
	if cap(r.body) < n {
		r.body = make([]byte, n)
	}
	r.body = r.body[:n]
	if _, err := io.ReadFull(r.buf, r.body); err != nil {
		return nil, inside(err)
	}
	if timed {
		if err := r.conn.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
	}
	return r.body, nil
}

// inside makes the end of the stream one within a message.
func inside(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
