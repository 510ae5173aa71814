package t0

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"kaztoken/internal/iso7816"
)

// hx reads typed hex; spaces are for the reader. "NN*xx" is NN (decimal) times
// the byte xx.
func hx(s string) []byte {
	var out []byte
	for _, f := range strings.Fields(s) {
		n := 1
		if count, b, ok := strings.Cut(f, "*"); ok {
			n, f = 0, b
			for _, d := range count {
				n = 10*n + int(d-'0')
			}
		}
		b, err := hex.DecodeString(f)
		if err != nil {
			panic(err)
		}
		out = append(out, bytes.Repeat(b, n)...)
	}
	return out
}

// tpdu is one turn: what has to be sent, how much may come, what comes.
type tpdu struct {
	send   string
	expect int
	answer string
}

func TestMapping(t *testing.T) {
	auto := Options{AutoGetResponse: true}
	plain := Options{}
	for _, tt := range []struct {
		name  string
		opt   Options
		apdu  string
		turns []tpdu
		want  string
		err   error
	}{
		{"case 1", auto, "00 44 00 00", []tpdu{{"00 44 00 00 00", 2, "90 00"}}, "90 00", nil},
		{"case 1, 61xx as it is", auto, "00 44 00 00", []tpdu{{"00 44 00 00 00", 2, "61 05"}}, "61 05", nil},
		{"case 1, 6Cxx as it is", auto, "00 44 00 00", []tpdu{{"00 44 00 00 00", 2, "6C 05"}}, "6C 05", nil},

		{"2S", auto, "00 B0 00 00 04", []tpdu{{"00 B0 00 00 04", 6, "DE AD BE EF 90 00"}}, "DE AD BE EF 90 00", nil},
		{"2S of 256", auto, "00 B0 00 00 00", []tpdu{{"00 B0 00 00 00", 258, "256*A5 90 00"}}, "256*A5 90 00", nil},
		{"2S, 6Cxx: with the right length", auto, "00 B0 00 00 00", []tpdu{
			{"00 B0 00 00 00", 258, "6C 04"},
			{"00 B0 00 00 04", 6, "DE AD BE EF 90 00"},
		}, "DE AD BE EF 90 00", nil},
		{"2S, 6Cxx beyond Ne: cut", auto, "00 B0 00 00 02", []tpdu{
			{"00 B0 00 00 02", 4, "6C 04"},
			{"00 B0 00 00 04", 6, "DE AD BE EF 90 00"},
		}, "DE AD 90 00", nil},
		{"2S, 6C00 is 256", auto, "00 B0 00 00 02", []tpdu{
			{"00 B0 00 00 02", 4, "6C 00"},
			{"00 B0 00 00 00", 258, "256*11 90 00"},
		}, "11 11 90 00", nil},
		{"2S, 6Cxx once only", auto, "00 B0 00 00 00", []tpdu{
			{"00 B0 00 00 00", 258, "6C 04"},
			{"00 B0 00 00 04", 6, "6C 05"},
		}, "6C 05", nil},
		{"2S, 61xx", auto, "00 CA 00 66 00", []tpdu{
			{"00 CA 00 66 00", 258, "61 03"},
			{"00 C0 00 00 03", 5, "01 02 03 90 00"},
		}, "01 02 03 90 00", nil},
		{"2S, data and 61xx", auto, "00 CA 00 66 05", []tpdu{
			{"00 CA 00 66 05", 7, "01 02 03 61 10"},
			{"00 C0 00 00 02", 4, "04 05 90 00"},
		}, "01 02 03 04 05 90 00", nil},
		{"2S, 61xx when all is there", auto, "00 CA 00 66 02", []tpdu{{"00 CA 00 66 02", 4, "01 02 61 10"}}, "01 02 61 10", nil},
		{"2S, 6700", auto, "00 B0 00 00 00", []tpdu{{"00 B0 00 00 00", 258, "67 00"}}, "67 00", nil},
		{"2S, data with a warning", auto, "00 B0 00 00 04", []tpdu{{"00 B0 00 00 04", 6, "01 02 62 82"}}, "01 02 62 82", nil},

		{"3S", auto, "00 D6 00 00 02 AA BB", []tpdu{{"00 D6 00 00 02 AA BB", 2, "90 00"}}, "90 00", nil},
		{"3S of 255", auto, "00 D6 00 00 FF 255*AA", []tpdu{{"00 D6 00 00 FF 255*AA", 2, "90 00"}}, "90 00", nil},
		{"3S, 61xx as it is", auto, "00 A4 04 00 02 3F 00", []tpdu{{"00 A4 04 00 02 3F 00", 2, "61 0A"}}, "61 0A", nil},
		{"3S, tries left", auto, "00 20 00 02 04 31 32 33 34", []tpdu{{"00 20 00 02 04 31 32 33 34", 2, "63 C2"}}, "63 C2", nil},

		{"4S, 61xx", auto, "00 A4 04 00 08 31 32 33 34 35 36 37 38 00", []tpdu{
			{"00 A4 04 00 08 31 32 33 34 35 36 37 38", 2, "61 0A"},
			{"00 C0 00 00 0A", 12, "6F 08 84 06 A0 00 00 00 03 00 90 00"},
		}, "6F 08 84 06 A0 00 00 00 03 00 90 00", nil},
		{"4S, 61xx beyond Ne", auto, "00 A4 04 00 01 31 04", []tpdu{
			{"00 A4 04 00 01 31", 2, "61 0A"},
			{"00 C0 00 00 04", 6, "01 02 03 04 90 00"},
		}, "01 02 03 04 90 00", nil},
		{"4S, 6100 is 256", auto, "00 A4 04 00 01 31 00", []tpdu{
			{"00 A4 04 00 01 31", 2, "61 00"},
			{"00 C0 00 00 00", 258, "256*77 90 00"},
		}, "256*77 90 00", nil},
		{"4S, 61xx in steps", auto, "00 A4 04 00 01 31 00", []tpdu{
			{"00 A4 04 00 01 31", 2, "61 02"},
			{"00 C0 00 00 02", 4, "01 02 61 01"},
			{"00 C0 00 00 01", 3, "03 90 00"},
		}, "01 02 03 90 00", nil},
		{"4S, 9000: asked for unannounced", auto, "80 EC 00 00 01 31 10", []tpdu{
			{"80 EC 00 00 01 31", 2, "90 00"},
			{"80 C0 00 00 10", 18, "6C 03"},
			{"80 C0 00 00 03", 5, "01 02 03 90 00"},
		}, "01 02 03 90 00", nil},
		{"4S, 9000 and nothing to fetch", auto, "80 EC 00 00 01 31 10", []tpdu{
			{"80 EC 00 00 01 31", 2, "90 00"},
			{"80 C0 00 00 10", 18, "69 85"},
		}, "90 00", nil},
		{"4S, 9000, 6Cxx, and then nothing", auto, "80 EC 00 00 01 31 10", []tpdu{
			{"80 EC 00 00 01 31", 2, "90 00"},
			{"80 C0 00 00 10", 18, "6C 03"},
			{"80 C0 00 00 03", 5, "69 85"},
		}, "90 00", nil},
		{"4S, 9000, empty response", auto, "80 EC 00 00 01 31 10", []tpdu{
			{"80 EC 00 00 01 31", 2, "90 00"},
			{"80 C0 00 00 10", 18, "90 00"},
		}, "90 00", nil},
		{"4S, a warning before the response", auto, "00 A4 04 00 01 31 00", []tpdu{
			{"00 A4 04 00 01 31", 2, "62 83"},
			{"00 C0 00 00 00", 258, "6F 00 90 00"},
		}, "6F 00 90 00", nil},
		{"4S, tries left and no GET RESPONSE", auto, "00 20 00 02 01 31 00", []tpdu{
			{"00 20 00 02 01 31", 2, "63 C2"},
			{"00 C0 00 00 00", 258, "6D 00"},
		}, "63 C2", nil},
		{"4S, error", auto, "00 A4 04 00 01 31 00", []tpdu{{"00 A4 04 00 01 31", 2, "6A 82"}}, "6A 82", nil},
		{"4S, 6Cxx on the command as it is", auto, "00 A4 04 00 01 31 00", []tpdu{{"00 A4 04 00 01 31", 2, "6C 05"}}, "6C 05", nil},
		{"4S, GSM says 9Fxx as it is", auto, "A0 A4 00 00 02 3F 00 00", []tpdu{{"A0 A4 00 00 02 3F 00", 2, "9F 16"}}, "9F 16", nil},
		{"4S, error in GET RESPONSE after 61xx", auto, "00 A4 04 00 01 31 00", []tpdu{
			{"00 A4 04 00 01 31", 2, "61 05"},
			{"00 C0 00 00 05", 7, "6F 00"},
		}, "6F 00", nil},

		{"2E of 256 as 2S", auto, "00 B0 00 00 00 01 00", []tpdu{{"00 B0 00 00 00", 258, "256*11 90 00"}}, "256*11 90 00", nil},
		{"2E of 3 as 2S", auto, "00 B0 00 00 00 00 03", []tpdu{{"00 B0 00 00 03", 5, "01 02 03 90 00"}}, "01 02 03 90 00", nil},
		{"2E of 600", auto, "00 B0 00 00 00 02 58", []tpdu{
			{"00 B0 00 00 00", 258, "256*11 61 00"},
			{"00 C0 00 00 00", 258, "256*22 61 80"},
			{"00 C0 00 00 58", 90, "88*33 90 00"},
		}, "256*11 256*22 88*33 90 00", nil},
		{"2E of 600, the card has no more than 256", auto, "00 B0 00 00 00 02 58", []tpdu{
			{"00 B0 00 00 00", 258, "256*11 90 00"},
		}, "256*11 90 00", nil},
		{"2E of 600, 6Cxx", auto, "00 B0 00 00 00 02 58", []tpdu{
			{"00 B0 00 00 00", 258, "6C 02"},
			{"00 B0 00 00 02", 4, "01 02 90 00"},
		}, "01 02 90 00", nil},

		{"3E of 2 as 3S", auto, "00 D6 00 00 00 00 02 AA BB", []tpdu{{"00 D6 00 00 02 AA BB", 2, "90 00"}}, "90 00", nil},
		{"3E of 255 as 3S", auto, "00 D6 00 00 00 00 FF 255*AA", []tpdu{{"00 D6 00 00 FF 255*AA", 2, "90 00"}}, "90 00", nil},
		{"3E of 256", auto, "00 D6 00 00 00 01 00 256*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 01 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 08 8*AA", 2, "90 00"},
		}, "90 00", nil},
		{"3E of 503: two full pieces", auto, "00 D6 00 00 00 01 F7 503*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 01 F7 248*AA", 2, "90 00"},
			{"00 C2 00 00 FF 255*AA", 2, "90 00"},
		}, "90 00", nil},
		{"3E, the last piece brings the result", auto, "00 D6 00 00 00 01 00 256*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 01 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 08 8*AA", 2, "6A 82"},
		}, "6A 82", nil},
		{"3E, refused half-way", auto, "00 D6 00 00 00 02 00 512*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 02 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 FF 255*AA", 2, "67 00"},
		}, "67 00", nil},
		{"3E, 6D00 half-way is an answer", auto, "00 D6 00 00 00 02 00 512*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 02 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 FF 255*AA", 2, "6D 00"},
		}, "6D 00", nil},
		{"3E, no ENVELOPE", auto, "00 D6 00 00 00 01 00 256*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 01 00 248*AA", 2, "6D 00"},
		}, "", ErrNoEnvelope},
		{"3E, closed by an empty ENVELOPE", Options{CloseEnvelope: true}, "00 D6 00 00 00 01 00 256*AA", []tpdu{
			{"00 C2 00 00 FF 00 D6 00 00 00 01 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 08 8*AA", 2, "90 00"},
			{"00 C2 00 00 00", 2, "6A 84"},
		}, "6A 84", nil},
		{"4E of 1 as 4S", auto, "00 CB 00 00 00 00 01 AA 02 00", []tpdu{
			{"00 CB 00 00 01 AA", 2, "61 00"},
			{"00 C0 00 00 00", 258, "256*11 61 00"},
			{"00 C0 00 00 00", 258, "256*22 61 10"},
		}, "256*11 256*22 61 10", nil},
		{"4E of 256", auto, "00 CB 00 00 00 01 00 256*AA 00 05", []tpdu{
			{"00 C2 00 00 FF 00 CB 00 00 00 01 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 0A 8*AA 00 05", 2, "61 05"},
			{"00 C0 00 00 05", 7, "01 02 03 04 05 90 00"},
		}, "01 02 03 04 05 90 00", nil},
		{"4E of 256, unannounced, closed", Options{AutoGetResponse: true, CloseEnvelope: true}, "00 CB 00 00 00 01 00 256*AA 00 05", []tpdu{
			{"00 C2 00 00 FF 00 CB 00 00 00 01 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 0A 8*AA 00 05", 2, "90 00"},
			{"00 C2 00 00 00", 2, "90 00"},
			{"00 C0 00 00 05", 7, "01 02 03 90 00"},
		}, "01 02 03 90 00", nil},

		// The application fetches by itself.
		{"plain 2S, 6Cxx", plain, "00 B0 00 00 00", []tpdu{{"00 B0 00 00 00", 258, "6C 04"}}, "6C 04", nil},
		{"plain 2S, 61xx", plain, "00 CA 00 66 00", []tpdu{{"00 CA 00 66 00", 258, "01 61 03"}}, "01 61 03", nil},
		{"plain 4S, 61xx", plain, "00 A4 04 00 01 31 00", []tpdu{{"00 A4 04 00 01 31", 2, "61 0A"}}, "61 0A", nil},
		{"plain 4S, 9000", plain, "00 A4 04 00 01 31 00", []tpdu{{"00 A4 04 00 01 31", 2, "90 00"}}, "90 00", nil},
		{"plain GET RESPONSE", plain, "00 C0 00 00 0A", []tpdu{{"00 C0 00 00 0A", 12, "01 02 61 08"}}, "01 02 61 08", nil},
		{"plain 2E", plain, "00 B0 00 00 00 02 58", []tpdu{{"00 B0 00 00 00", 258, "256*11 61 00"}}, "256*11 61 00", nil},
		{"plain 4E of 256", plain, "00 CB 00 00 00 01 00 256*AA 00 05", []tpdu{
			{"00 C2 00 00 FF 00 CB 00 00 00 01 00 248*AA", 2, "90 00"},
			{"00 C2 00 00 0A 8*AA 00 05", 2, "61 05"},
		}, "61 05", nil},

		// Classes of GET RESPONSE and ENVELOPE.
		{"channel 2, secure messaging, chaining", auto, "1E CB 00 00 01 31 00", []tpdu{
			{"1E CB 00 00 01 31", 2, "61 01"}, {"02 C0 00 00 01", 3, "99 90 00"}}, "99 90 00", nil},
		{"channel 14, secure messaging, chaining", auto, "7A CB 00 00 01 31 00", []tpdu{
			{"7A CB 00 00 01 31", 2, "61 01"}, {"4A C0 00 00 01", 3, "99 90 00"}}, "99 90 00", nil},
		{"reserved class", auto, "2C CB 00 00 01 31 00", []tpdu{
			{"2C CB 00 00 01 31", 2, "61 01"}, {"2C C0 00 00 01", 3, "99 90 00"}}, "99 90 00", nil},
		{"proprietary class", auto, "8C CB 00 00 01 31 00", []tpdu{
			{"8C CB 00 00 01 31", 2, "61 01"}, {"8C C0 00 00 01", 3, "99 90 00"}}, "99 90 00", nil},
		{"GSM class", auto, "A0 CB 00 00 01 31 00", []tpdu{
			{"A0 CB 00 00 01 31", 2, "61 01"}, {"A0 C0 00 00 01", 3, "99 90 00"}}, "99 90 00", nil},
		{"ENVELOPE on channel 1", auto, "0D D6 00 00 00 01 00 256*AA", []tpdu{
			{"01 C2 00 00 FF 0D D6 00 00 00 01 00 248*AA", 2, "90 00"},
			{"01 C2 00 00 08 8*AA", 2, "90 00"},
		}, "90 00", nil},

		// Refused.
		{"no APDU", auto, "00 B0 00", nil, "", iso7816.ErrAPDU},
		{"INS 6X", auto, "00 6F 00 00", nil, "", ErrINS},
		{"INS 9X", auto, "00 90 00 00 05", nil, "", ErrINS},
		{"answer of no bytes", auto, "00 B0 00 00 04", []tpdu{{"00 B0 00 00 04", 6, ""}}, "", ErrProtocol},
		{"answer of one byte", auto, "00 B0 00 00 04", []tpdu{{"00 B0 00 00 04", 6, "90"}}, "", ErrProtocol},
		{"more than asked for", auto, "00 B0 00 00 01", []tpdu{{"00 B0 00 00 01", 3, "01 02 90 00"}}, "", ErrProtocol},
		{"data for case 3", auto, "00 D6 00 00 01 AA", []tpdu{{"00 D6 00 00 01 AA", 2, "01 90 00"}}, "", ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHost(tt.opt)
			apdu := hx(tt.apdu)
			s := h.Begin(hx("55"), apdu)
			for i, w := range tt.turns {
				if s.Kind != Send || !bytes.Equal(s.Send, hx(w.send)) || s.Expect != w.expect {
					t.Fatalf("turn %d: got %v % X, %d (%v) want %s, %d", i, s.Kind, s.Send, s.Expect, s.Err, w.send, w.expect)
				}
				s = h.Receive(hx(w.answer))
			}
			if s.Kind != Done || !errors.Is(s.Err, tt.err) {
				t.Fatalf("got %v, %v want %v", s.Kind, s.Err, tt.err)
			}
			if want := append(hx("55"), hx(tt.want)...); !bytes.Equal(s.Resp, want) {
				t.Errorf("got % X want % X", s.Resp, want)
			}
			if !bytes.Equal(apdu, hx(tt.apdu)) {
				t.Error("the APDU was changed")
			}
			if s := h.Receive(hx("90 00")); s.Kind != Done || !errors.Is(s.Err, ErrProtocol) {
				t.Errorf("answer without a command: got %+v", s)
			}
		})
	}
}

// The whole range that length fields can say.
func TestLongest(t *testing.T) {
	t.Run("65536 bytes in 256 answers", func(t *testing.T) {
		h := NewHost(Options{AutoGetResponse: true})
		s, n := h.Begin(nil, hx("00 B0 00 00 00 00 00")), 0
		for ; s.Kind == Send; n++ {
			s = h.Receive(hx("256*42 61 00"))
		}
		if s.Err != nil || len(s.Resp) != 65536+2 || n != 256 {
			t.Errorf("got %d bytes after %d answers, %v", len(s.Resp), n, s.Err)
		}
	})
	t.Run("65535 bytes in ENVELOPE", func(t *testing.T) {
		apdu := append(hx("00 D6 00 00 00 FF FF"), make([]byte, 65535)...)
		h := NewHost(Options{})
		var got []byte
		s := h.Begin(nil, apdu)
		for s.Kind == Send {
			if h.CommandSent() != (len(got)+len(s.Send)-5 == len(apdu)) {
				t.Fatalf("CommandSent is %v after %d bytes", h.CommandSent(), len(got))
			}
			got = append(got, s.Send[5:]...)
			s = h.Receive(hx("90 00"))
		}
		if s.Err != nil || !bytes.Equal(got, apdu) {
			t.Errorf("%d bytes sent, %v", len(got), s.Err)
		}
	})
}

func TestGetResponseCeiling(t *testing.T) {
	for _, answer := range []string{"61 01", "61 00", "01 61 01"} {
		h := NewHost(Options{AutoGetResponse: true})
		s, n := h.Begin(nil, hx("00 CB 00 00 00 00 01 AA 00 00")), 0
		if s = h.Receive(hx("61 01")); s.Kind != Send {
			t.Fatalf("got %+v", s)
		}
		for ; s.Kind == Send && n <= 256; n++ {
			s = h.Receive(hx(answer))
		}
		if !errors.Is(s.Err, ErrEndless) || n != 256 || len(s.Resp) != 0 {
			t.Errorf("%s: got %v after %d GET RESPONSE", answer, s.Err, n)
		}
	}
}

func TestCommandSent(t *testing.T) {
	h := NewHost(Options{})
	if h.Begin(nil, hx("00 B0 00 00 04")); !h.CommandSent() {
		t.Error("short command: it went out whole")
	}
	if h.Begin(nil, hx("00 6F 00 00")); h.CommandSent() {
		t.Error("refused: nothing went out")
	}
	h.Begin(nil, hx("00 D6 00 00 00 01 00 256*AA"))
	if h.CommandSent() {
		t.Error("first of two ENVELOPE")
	}
	if s := h.Receive(hx("6D 00")); !errors.Is(s.Err, ErrNoEnvelope) || h.CommandSent() {
		t.Errorf("refused: got %v", s.Err)
	}
}

func TestBufferIsWiped(t *testing.T) {
	h := NewHost(Options{})
	h.Begin(nil, hx("00 20 00 02 08 31 32 33 34 35 36 37 38"))
	h.Receive(hx("90 00"))
	if h.tpdu != [headerLen + maxPiece]byte{} || h.apdu != nil || h.cmd.Data != nil || h.dst != nil {
		t.Error("command data stayed behind")
	}
}

// exchange runs a case 4 APDU with n bytes both ways; it does not allocate.
func exchange(n int) func() {
	h := NewHost(Options{AutoGetResponse: true})
	apdu := append(append([]byte{0, 0xEC, 0, 0, byte(n)}, make([]byte, n)...), byte(n))
	dst := make([]byte, 0, n+2)
	answer := append(make([]byte, n), 0x90, 0)
	more := []byte{0x61, byte(n)}
	return func() {
		for s := h.Begin(dst, apdu); s.Kind == Send; {
			if s.Send[1] == 0xC0 {
				s = h.Receive(answer)
			} else {
				s = h.Receive(more)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	run := exchange(250)
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations per APDU", n)
	}
}

func BenchmarkAPDU(b *testing.B) {
	run := exchange(250)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

// FuzzHost lets the input be the command and then the card. Whatever comes, it
// ends within the ceilings and never delivers more than Ne bytes.
func FuzzHost(f *testing.F) {
	for _, s := range []struct{ apdu, card string }{
		{"00 A4 04 00 02 3F 00 00", "02 61 0A 0C 6F 08 84 06 A0 00 00 00 03 00 90 00"},
		{"00 B0 00 00 00", "02 6C 04 06 DE AD BE EF 90 00"},
		{"00 B0 00 00 00 02 58", "04 01 02 61 00 02 61 00"},
		{"00 44 00 00", "02 90 00"},
	} {
		f.Add(hx(s.apdu), hx(s.card), byte(3))
		f.Add(hx(s.apdu), hx(s.card), byte(0))
	}
	f.Add(hx("00 D6 00 00 00 01 00 256*AA"), hx("02 90 00 02 90 00"), byte(2))
	f.Fuzz(func(t *testing.T, apdu, card []byte, mode byte) {
		h := NewHost(Options{AutoGetResponse: mode&1 != 0, CloseEnvelope: mode&2 != 0})
		cmd, perr := iso7816.ParseCommand(apdu)
		s := h.Begin(nil, apdu)
		if perr != nil && (s.Kind != Done || !errors.Is(s.Err, iso7816.ErrAPDU)) {
			t.Fatalf("% X: got %+v", apdu, s)
		}
		steps := 0
		for s.Kind == Send {
			if n := len(s.Send); n < 5 || n > 260 || n > 5 && n != 5+int(s.Send[4]) || s.Expect < 2 || s.Expect > 258 || n > 5 && s.Expect != 2 {
				t.Fatalf("TPDU % X expecting %d", s.Send, s.Expect)
			}
			if steps++; steps > len(apdu)/255+2+2+2*256 {
				t.Fatalf("%d steps", steps)
			}
			answer := hx("61 00") // for ever, at the end of the input
			if len(card) > 0 {
				n := min(int(card[0]), len(card)-1)
				answer, card = card[1:1+n], card[1+n:]
			}
			s = h.Receive(answer)
		}
		switch {
		case s.Err == nil && (len(s.Resp) < 2 || len(s.Resp) > cmd.Ne+2):
			t.Fatalf("%d bytes for Ne %d", len(s.Resp), cmd.Ne)
		case s.Err != nil && len(s.Resp) != 0:
			t.Fatalf("%d bytes beside %v", len(s.Resp), s.Err)
		}
	})
}

func TestStepKindString(t *testing.T) {
	for want, k := range map[string]StepKind{"Send": Send, "Done": Done, "StepKind(9)": StepKind(9)} {
		if k.String() != want {
			t.Errorf("got %s want %s", k, want)
		}
	}
}
