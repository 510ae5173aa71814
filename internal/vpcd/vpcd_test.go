package vpcd

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// card remembers what it is told and answers with what the test wants.
type card struct {
	atr   []byte
	calls []string
	reply func(ctx context.Context, dst, apdu []byte) ([]byte, error) // nil: 9000
}

var kaztoken = unhex("3B88014B415A544F4B454E82")

func (c *card) ATR() []byte {
	if c.atr == nil {
		return kaztoken
	}
	return c.atr
}

func (c *card) Reset(cold bool) {
	c.calls = append(c.calls, map[bool]string{true: "cold", false: "warm"}[cold])
}

func (c *card) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	c.calls = append(c.calls, fmt.Sprintf("%X", apdu))
	if c.reply == nil {
		return append(dst, 0x90, 0x00), nil
	}
	return c.reply(ctx, dst, apdu)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// stream is the card's end of a connection whose other end has already said all
// that it will, in pieces of at most size bytes.
type stream struct {
	in   []byte
	size int
	out  bytes.Buffer
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.size)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *stream) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *stream) Close() error                     { return nil }
func (s *stream) LocalAddr() net.Addr              { return nil }
func (s *stream) RemoteAddr() net.Addr             { return nil }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// TestMessages has the bytes of vpcd.c's sendToVICC and what recvFromVICC wants.
func TestMessages(t *testing.T) {
	echo := func(_ context.Context, dst, apdu []byte) ([]byte, error) {
		return append(append(dst, apdu...), 0x90, 0x00), nil
	}
	long := append(unhex("00D60000 00FFF8"), make([]byte, 0xFFF8)...) // 65535 bytes
	for _, c := range []struct {
		name    string
		in, out []byte
		calls   []string // after the first reset
		card    card
		err     error
	}{
		{name: "nothing"},
		{name: "power off", in: unhex("0001 00"), calls: []string{"cold"}},
		{name: "power on", in: unhex("0001 01"), calls: []string{"cold"}},
		{name: "reset", in: unhex("0001 02"), calls: []string{"warm"}},
		{name: "ATR", in: unhex("0001 04"), out: unhex("000C 3B88014B415A544F4B454E82")},
		{name: "longest ATR", in: unhex("0001 04"), card: card{atr: make([]byte, 33)}, out: append(unhex("0021"), make([]byte, 33)...)},
		{name: "APDU", in: unhex("0005 00CA018100"), out: unhex("0007 00CA018100 9000"), card: card{reply: echo}, calls: []string{"00CA018100"}},
		{name: "status word alone", in: unhex("0004 00200002"), out: unhex("0002 63C5"), calls: []string{"00200002"},
			card: card{reply: func(_ context.Context, dst, _ []byte) ([]byte, error) { return append(dst, 0x63, 0xC5), nil }}},
		{name: "one byte that is no word of the reader", in: unhex("0001 03 0001 FF"), out: unhex("0002 9000 0002 9000"), calls: []string{"03", "FF"}},
		// pcscd: is it there, power on, and the ATR again.
		{name: "a session", in: unhex("000104 000101 000104 0004 00A40000 000102 000104 000100"), calls: []string{"cold", "00A40000", "warm", "cold"},
			out: unhex("000C 3B88014B415A544F4B454E82 000C 3B88014B415A544F4B454E82 0002 9000 000C 3B88014B415A544F4B454E82")},
		{name: "longest command", in: append(unhex("FFFF"), long...), out: unhex("0002 9000"), calls: []string{fmt.Sprintf("%X", long)}},
		{name: "longest answer", in: unhex("0005 00B0000000"), out: append(unhex("FFFF"), make([]byte, 65535)...), calls: []string{"00B0000000"},
			card: card{reply: func(_ context.Context, dst, _ []byte) ([]byte, error) {
				return append(dst, make([]byte, 65535)...), nil
			}}},
		{name: "answer that no message can carry", in: unhex("0005 00B0000000"), out: unhex("0002 6700"), calls: []string{"00B0000000"},
			card: card{reply: func(_ context.Context, dst, _ []byte) ([]byte, error) {
				return append(dst, make([]byte, 65536)...), nil
			}}},

		{name: "length of 0", in: unhex("0000 000104"), err: ErrMessage},
		{name: "half a length", in: unhex("000102 00"), err: io.ErrUnexpectedEOF, calls: []string{"warm"}},
		{name: "no body", in: unhex("0005"), err: io.ErrUnexpectedEOF},
		{name: "half a body", in: unhex("0005 00CA"), err: io.ErrUnexpectedEOF},
		{name: "a giant that does not come", in: unhex("FFFF 00CA018100"), err: io.ErrUnexpectedEOF},
		{name: "no ATR", in: unhex("0001 04"), card: card{atr: []byte{}}, err: ErrCard},
		{name: "ATR that is none", in: unhex("0001 04"), card: card{atr: make([]byte, 34)}, err: ErrCard},
		{name: "mute", in: unhex("0004 00200002 000104"), err: errFull, calls: []string{"00200002"},
			card: card{reply: func(_ context.Context, dst, _ []byte) ([]byte, error) { return dst, errFull }}},
		{name: "one byte of an answer", in: unhex("0004 00200002"), err: ErrCard, calls: []string{"00200002"},
			card: card{reply: func(_ context.Context, dst, _ []byte) ([]byte, error) { return append(dst, 0x90), nil }}},
	} {
		// However the bytes come, they mean the same.
		for _, size := range []int{1, 3, 1 << 20} {
			t.Run(fmt.Sprintf("%s by %d", c.name, size), func(t *testing.T) {
				card := c.card
				s := &stream{in: c.in, size: size}
				if err := Serve(t.Context(), s, &card); !errors.Is(err, c.err) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				if !bytes.Equal(s.out.Bytes(), c.out) {
					t.Errorf("answers %.80X, want %.80X", s.out.Bytes(), c.out)
				}
				if diff := cmp.Diff(append([]string{"cold"}, c.calls...), card.calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		}
	}
	if err := fmt.Errorf("%w: %w", ErrCard, errFull); !errors.Is(err, ErrCard) || !errors.Is(err, errFull) {
		t.Error("a mute card's error is not both")
	}
}

// errFull is what makes a card mute.
var errFull = errors.New("the disk is full")

// TestSilence: a message that has begun has to come, and an answer has to be
// taken, within a time; a reader that says nothing is none of our business.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name string
		say  string
		wait time.Duration // before the rest comes
		rest string
		want error
	}{
		{"half a length", "00", 0, "", os.ErrDeadlineExceeded},
		{"half a body", "0005 00CA", 0, "", os.ErrDeadlineExceeded},
		{"half a giant", "FFFF 00CA", 0, "", os.ErrDeadlineExceeded},
		{"late rest", "0001", stall - time.Millisecond, "02", nil},
		{"answer not taken", "0001 04", 0, "", os.ErrDeadlineExceeded},
		{"hours between messages", "0001 02", 0, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mine, theirs := net.Pipe()
				done := make(chan error, 1)
				go func() { done <- Serve(t.Context(), mine, &card{}) }()
				if _, err := theirs.Write(unhex(c.say)); err != nil {
					t.Fatal(err)
				}
				if c.rest != "" {
					time.Sleep(c.wait)
					if _, err := theirs.Write(unhex(c.rest)); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				if c.want == nil {
					select {
					case err := <-done:
						t.Fatalf("ended with %v", err)
					case <-time.After(24 * time.Hour):
					}
					theirs.Close()
				}
				if err := <-done; !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				} else if took := time.Since(began); c.want != nil && took != stall {
					t.Errorf("ended after %v, want %v", took, stall)
				}
				theirs.Close()
			})
		})
	}
}

// TestContext ends the context at every stage of a conversation.
func TestContext(t *testing.T) {
	for _, c := range []struct {
		name string
		say  string
		card func(cancel func(), ended *bool) *card
	}{
		{name: "before anything"},
		{name: "within a message", say: "0005 00"},
		{name: "while the answer is not taken", say: "0001 04"},
		{name: "while the card works", say: "0004 00200002", card: func(cancel func(), ended *bool) *card {
			return &card{reply: func(ctx context.Context, dst, _ []byte) ([]byte, error) {
				cancel()
				<-ctx.Done()
				*ended = true
				return append(dst, 0x90, 0x00), nil
			}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				mine, theirs := net.Pipe()
				ended := c.card == nil
				card := &card{}
				if c.card != nil {
					card = c.card(cancel, &ended)
				}
				done := make(chan error, 1)
				go func() { done <- Serve(ctx, mine, card) }()
				if c.say != "" {
					if _, err := theirs.Write(unhex(c.say)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				cancel()
				if err := <-done; err != context.Canceled {
					t.Errorf("error %v, want the context's", err)
				}
				if !ended {
					t.Error("the card's command was not waited for")
				}
				if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("the connection is left open: %v", err)
				}
			})
		})
	}
}

// loopback is a connection over TCP.
func loopback(tb testing.TB) (mine, theirs net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if mine, err = net.Dial("tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { theirs.Close() })
	return mine, theirs
}

// quiet is a card that allocates nothing.
type quiet struct{ answer []byte }

func (q quiet) ATR() []byte { return kaztoken }
func (q quiet) Reset(bool)  {}
func (q quiet) Transmit(_ context.Context, dst, _ []byte) ([]byte, error) {
	return append(dst, q.answer...), nil
}

// pair makes a function that sends one command of n bytes and takes the answer
// of as many.
func pair(tb testing.TB, n int) func() {
	mine, theirs := loopback(tb)
	done := make(chan error, 1)
	go func() { done <- Serve(tb.Context(), mine, quiet{make([]byte, n)}) }()
	tb.Cleanup(func() {
		theirs.Close()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			tb.Error(err)
		}
	})
	msg := append([]byte{byte(n >> 8), byte(n)}, make([]byte, n)...)
	got := make([]byte, len(msg))
	return func() {
		if _, err := theirs.Write(msg); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, msg) {
			tb.Fatalf("answer %.20X, %v", got, err)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, n := range []int{5, 261, 5000, 65535} {
		run := pair(t, n)
		run()
		if got := testing.AllocsPerRun(100, run); got != 0 {
			t.Errorf("%d bytes: %v allocations per APDU", n, got)
		}
	}
}

func BenchmarkAPDU(b *testing.B) {
	run := pair(b, 261)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}
