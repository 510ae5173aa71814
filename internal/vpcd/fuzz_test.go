package vpcd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// FuzzReader: the messages that are taken out of a stream are its bytes, up to
// what ends it; no more is kept than the longest message.
func FuzzReader(f *testing.F) {
	f.Add(unhex("000104 000101 0005 00CA018100 000100"), uint8(1))
	f.Add(unhex("0000"), uint8(7))
	f.Add(unhex("FFFF 00"), uint8(255))
	f.Add(unhex("000102 00"), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		r := newReader(&stream{in: b, size: int(size) + 1})
		var again []byte
		for {
			msg, err := r.next()
			if err == nil {
				again = append(binary.BigEndian.AppendUint16(again, uint16(len(msg))), msg...)
				continue
			}
			rest := b[len(again):]
			var want error
			switch {
			case len(rest) == 0:
				want = io.EOF
			case len(rest) == 1 || int(binary.BigEndian.Uint16(rest)) > len(rest)-2:
				want = io.ErrUnexpectedEOF
			case rest[0] == 0 && rest[1] == 0:
				want = ErrMessage
			}
			if !errors.Is(err, want) {
				t.Fatalf("%v with % X left, want %v", err, rest, want)
			}
			break
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("% X became % X", b, again)
		}
		if cap(r.body) > maxBody {
			t.Fatalf("keeps %d bytes", cap(r.body))
		}
	})
}

// FuzzServe: every command has exactly one answer, in order, and the reader's
// own words have those of the table.
func FuzzServe(f *testing.F) {
	f.Add(unhex("000104 000101 000104 0004 00A40000 000102 000104 000100"), uint8(3))
	f.Add(unhex("0001 03 0002 0001 0000"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		c := &card{reply: func(_ context.Context, dst, apdu []byte) ([]byte, error) {
			return append(dst, byte(len(apdu)>>8), byte(len(apdu))), nil
		}}
		s := &stream{in: b, size: int(size) + 1}
		err := Serve(t.Context(), s, c)
		var want []byte
		resets := 1
		for r := newReader(&stream{in: b, size: 1 << 20}); ; {
			msg, end := r.next()
			if end != nil {
				if end == io.EOF {
					end = nil
				}
				if (end == nil) != (err == nil) {
					t.Fatalf("error %v, the stream ends with %v", err, end)
				}
				break
			}
			switch {
			case len(msg) == 1 && msg[0] <= 2:
				resets++
			case len(msg) == 1 && msg[0] == 4:
				want = append(append(want, 0, 12), kaztoken...)
			default:
				want = append(want, 0, 2, byte(len(msg)>>8), byte(len(msg)))
			}
		}
		if !bytes.Equal(s.out.Bytes(), want) {
			t.Fatalf("answers % X, want % X", s.out.Bytes(), want)
		}
		for _, call := range c.calls {
			if call == "cold" || call == "warm" {
				resets--
			}
		}
		if resets != 0 {
			t.Fatalf("resets differ by %d: %v", resets, c.calls)
		}
	})
}
