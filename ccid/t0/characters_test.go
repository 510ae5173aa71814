package t0

import (
	"bytes"
	"errors"
	"testing"
)

// chars is one turn: characters sent, number to read, characters that come.
type chars struct {
	send   string
	expect int
	come   string
}

func TestCharacters(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tpdu   string
		expect int
		turns  []chars
		want   string
		err    error
	}{
		{"in, NULL, all at once", "00 B0 00 00 04", 6, []chars{
			{"00 B0 00 00 04", 1, "60"},
			{"", 1, "B0"},
			{"", 6, "AA BB CC DD 90 00"},
		}, "AA BB CC DD 90 00", nil},
		{"in, INS^01", "00 B0 00 00 02", 4, []chars{{"00 B0 00 00 02", 1, "B1"}, {"", 4, "AA BB 90 00"}}, "AA BB 90 00", nil},
		{"in, byte by byte", "00 B0 00 00 02", 4, []chars{
			{"00 B0 00 00 02", 1, "4F"}, {"", 1, "AA"}, {"", 1, "4E"}, {"", 1, "BB"}, {"", 1, "90"}, {"", 1, "00"},
		}, "AA BB 90 00", nil},
		{"in, one byte, NULL, then the rest", "00 B0 00 00 03", 5, []chars{
			{"00 B0 00 00 03", 1, "4F"}, {"", 1, "AA"}, {"", 1, "60"}, {"", 1, "B0"}, {"", 4, "BB CC 90 00"},
		}, "AA BB CC 90 00", nil},
		{"in, data that look like procedure bytes", "00 B0 00 00 05", 7, []chars{
			{"00 B0 00 00 05", 1, "B0"}, {"", 7, "60 B0 61 90 4F 90 00"},
		}, "60 B0 61 90 4F 90 00", nil},
		{"in, one by one the same", "00 B0 00 00 02", 4, []chars{
			{"00 B0 00 00 02", 1, "4F"}, {"", 1, "60"}, {"", 1, "4F"}, {"", 1, "90"}, {"", 1, "90"}, {"", 1, "00"},
		}, "60 90 90 00", nil},
		{"in, NULL after the data", "00 B0 00 00 02", 4, []chars{
			{"00 B0 00 00 02", 1, "B0"}, {"", 4, "AA BB 60 90"}, {"", 1, "00"},
		}, "AA BB 90 00", nil},
		{"in, two NULL after the data", "00 B0 00 00 02", 4, []chars{
			{"00 B0 00 00 02", 1, "B0"}, {"", 4, "AA BB 60 60"}, {"", 1, "90"}, {"", 1, "00"},
		}, "AA BB 90 00", nil},
		{"in, reader gives less than asked for", "00 B0 00 00 04", 6, []chars{
			{"00 B0 00 00 04", 1, "B0"}, {"", 6, "AA"}, {"", 5, "BB CC DD 60"}, {"", 1, "90"}, {"", 1, "00"},
		}, "AA BB CC DD 90 00", nil},
		{"in, reader keeps back SW2", "00 B0 00 00 01", 3, []chars{
			{"00 B0 00 00 01", 1, "B0"}, {"", 3, "AA 90"}, {"", 1, "00"},
		}, "AA 90 00", nil},
		{"in, 256", "00 B0 00 00 00", 258, []chars{{"00 B0 00 00 00", 1, "B0"}, {"", 258, "256*33 90 00"}}, "256*33 90 00", nil},
		{"in, refused at once", "00 B0 00 00 00", 258, []chars{{"00 B0 00 00 00", 1, "6C"}, {"", 1, "04"}}, "6C 04", nil},
		{"in, ends early", "00 B0 00 00 03", 5, []chars{
			{"00 B0 00 00 03", 1, "4F"}, {"", 1, "AA"}, {"", 1, "62"}, {"", 1, "82"},
		}, "AA 62 82", nil},
		{"SW2 that looks like NULL", "00 B0 00 00 03", 5, []chars{{"00 B0 00 00 03", 1, "6C"}, {"", 1, "60"}}, "6C 60", nil},

		{"out, all at once", "00 D6 00 00 03 01 02 03", 2, []chars{
			{"00 D6 00 00 03", 1, "D6"}, {"01 02 03", 1, "90"}, {"", 1, "00"},
		}, "90 00", nil},
		{"out, INS^01", "00 D6 00 00 01 01", 2, []chars{{"00 D6 00 00 01", 1, "D7"}, {"01", 1, "90"}, {"", 1, "00"}}, "90 00", nil},
		{"out, byte by byte, NULL, the rest", "00 D6 00 00 04 01 02 03 04", 2, []chars{
			{"00 D6 00 00 04", 1, "29"}, {"01", 1, "60"}, {"", 1, "28"}, {"02", 1, "D6"}, {"03 04", 1, "60"}, {"", 1, "90"}, {"", 1, "00"},
		}, "90 00", nil},
		{"out, refused before the data", "00 D6 00 00 03 01 02 03", 2, []chars{{"00 D6 00 00 03", 1, "69"}, {"", 1, "82"}}, "69 82", nil},
		{"out, refused in the middle", "00 D6 00 00 03 01 02 03", 2, []chars{
			{"00 D6 00 00 03", 1, "29"}, {"01", 1, "67"}, {"", 1, "00"},
		}, "67 00", nil},
		{"no data", "00 44 00 00 00", 2, []chars{{"00 44 00 00 00", 1, "60"}, {"", 1, "90"}, {"", 1, "00"}}, "90 00", nil},

		{"acknowledged with no data to move", "00 44 00 00 00", 2, []chars{{"00 44 00 00 00", 1, "44"}}, "", ErrProtocol},
		{"acknowledged when all is sent", "00 D6 00 00 01 01", 2, []chars{{"00 D6 00 00 01", 1, "D6"}, {"01", 1, "D6"}}, "", ErrProtocol},
		{"acknowledged when all has come", "00 B0 00 00 01", 3, []chars{{"00 B0 00 00 01", 1, "B0"}, {"", 3, "AA B0 90"}}, "", ErrProtocol},
		{"one more acknowledged when all has come", "00 B0 00 00 01", 3, []chars{{"00 B0 00 00 01", 1, "4F"}, {"", 1, "AA"}, {"", 1, "4F"}}, "", ErrProtocol},
		{"procedure byte that is none", "00 B0 00 00 04", 6, []chars{{"00 B0 00 00 04", 1, "A4"}}, "", ErrProtocol},
		{"nothing came", "00 B0 00 00 04", 6, []chars{{"00 B0 00 00 04", 1, ""}}, "", ErrProtocol},
		{"more came than was asked for", "00 B0 00 00 04", 6, []chars{{"00 B0 00 00 04", 1, "B0 AA"}}, "", ErrProtocol},
		{"INS 6X", "00 6A 00 00 04", 6, nil, "", ErrINS},
		{"INS 9X", "00 9A 00 00 04", 6, nil, "", ErrINS},
		{"no header", "00 B0 00 00", 2, nil, "", ErrProtocol},
		{"P3 that does not fit", "00 D6 00 00 02 01", 2, nil, "", ErrProtocol},
		{"data both ways", "00 D6 00 00 01 01", 3, nil, "", ErrProtocol},
		{"no room for a status word", "00 B0 00 00 00", 1, nil, "", ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Characters
			s := c.Begin(hx("55"), hx(tt.tpdu), tt.expect)
			for i, w := range tt.turns {
				if s.Kind != Send || !bytes.Equal(s.Send, hx(w.send)) || s.Expect != w.expect {
					t.Fatalf("turn %d: got %v % X, %d (%v) want %s, %d", i, s.Kind, s.Send, s.Expect, s.Err, w.send, w.expect)
				}
				s = c.Receive(hx(w.come))
			}
			if s.Kind != Done || !errors.Is(s.Err, tt.err) {
				t.Fatalf("got %v, %v want %v", s.Kind, s.Err, tt.err)
			}
			if want := append(hx("55"), hx(tt.want)...); !bytes.Equal(s.Resp, want) {
				t.Errorf("got % X want % X", s.Resp, want)
			}
			if s := c.Receive(hx("90")); s.Kind != Done || !errors.Is(s.Err, ErrProtocol) {
				t.Errorf("characters without a command: got %+v", s)
			}
		})
	}
}

func TestNullCeiling(t *testing.T) {
	for _, limit := range []int{0, 1, 10} {
		c := Characters{MaxNull: limit}
		if limit == 0 {
			limit = DefaultMaxNull
		}
		for range 2 { // the ceiling is of one TPDU
			s, n := c.Begin(nil, hx("00 B0 00 00 04"), 6), 0
			for s.Kind == Send && n <= limit {
				n++
				s = c.Receive(hx("60"))
			}
			if !errors.Is(s.Err, ErrEndless) || n != limit+1 {
				t.Errorf("limit %d: got %v after %d", limit, s.Err, n)
			}
		}
	}
}

// Host upon Characters: what a reader at character level runs.
func TestHostUponCharacters(t *testing.T) {
	h, c := NewHost(Options{AutoGetResponse: true}), new(Characters)
	card := []string{
		"A4", "61", "03", // SELECT: acknowledged, response waiting
		"60", "C0", "01 02 03 90 00", // GET RESPONSE
	}
	var wire []byte
	s := h.Begin(nil, hx("00 A4 04 00 02 3F 00 00"))
	for s.Kind == Send {
		cs := c.Begin(nil, s.Send, s.Expect)
		for cs.Kind == Send {
			wire = append(wire, cs.Send...)
			got := hx(card[0])
			card = card[1:]
			if len(got) != cs.Expect {
				t.Fatalf("asked for %d characters, the card has % X", cs.Expect, got)
			}
			cs = c.Receive(got)
		}
		if cs.Err != nil {
			t.Fatal(cs.Err)
		}
		s = h.Receive(cs.Resp)
	}
	if s.Err != nil || !bytes.Equal(s.Resp, hx("01 02 03 90 00")) {
		t.Errorf("got % X, %v", s.Resp, s.Err)
	}
	if want := hx("00 A4 04 00 02 3F 00 00 C0 00 00 03"); !bytes.Equal(wire, want) {
		t.Errorf("on the wire: got % X want % X", wire, want)
	}
}

func TestCharactersNoAllocations(t *testing.T) {
	var c Characters
	tpdu, dst := hx("00 B0 00 00 04"), make([]byte, 0, 6)
	ack, data := hx("B0"), hx("AA BB CC DD 90 00")
	n := testing.AllocsPerRun(100, func() {
		c.Begin(dst, tpdu, 6)
		c.Receive(ack)
		c.Receive(data)
	})
	if n != 0 {
		t.Errorf("%v allocations per TPDU", n)
	}
}

func BenchmarkCharacters(b *testing.B) {
	var c Characters
	tpdu, dst := hx("00 B0 00 00 FF"), make([]byte, 0, 257)
	ack, data := hx("B0"), hx("255*AA 90 00")
	b.ReportAllocs()
	for b.Loop() {
		c.Begin(dst, tpdu, 257)
		c.Receive(ack)
		c.Receive(data)
	}
}

// FuzzCharacters lets the input be the card, given in pieces as big as the
// reader likes. It ends within bounds; what is sent is the TPDU, each byte
// once, and what is delivered came from the card.
func FuzzCharacters(f *testing.F) {
	f.Add(hx("00 B0 00 00 04"), uint16(4), hx("60 B0 AA BB CC DD 90 00"), byte(0))
	f.Add(hx("00 D6 00 00 03 01 02 03"), uint16(0), hx("29 60 D6 90 00"), byte(0))
	f.Add(hx("00 B0 00 00 02"), uint16(2), hx("4F AA 4E BB 90 00"), byte(1))
	f.Add(hx("00 44 00 00 00"), uint16(0), hx("90 00"), byte(2))
	f.Fuzz(func(t *testing.T, tpdu []byte, ne uint16, card []byte, piece byte) {
		c := Characters{MaxNull: 50}
		card = bytes.Clone(card) // appended to below: the fuzzer's own slices share memory
		in := int(ne % 257)
		var sent []byte
		steps := 0
		s := c.Begin(nil, tpdu, in+2)
		for s.Kind == Send {
			if steps++; steps > len(tpdu)+2*in+50+16 {
				t.Fatalf("%d steps", steps)
			}
			if s.Expect < 1 || s.Expect > in+2 {
				t.Fatalf("expects %d with %d bytes of data to come", s.Expect, in)
			}
			sent = append(sent, s.Send...)
			n := s.Expect
			if piece > 0 {
				n = min(n, int(piece))
			}
			for len(card) < n {
				card = append(card, 0x60) // for ever, at the end of the input
			}
			s = c.Receive(card[:n])
			card = card[n:]
		}
		if !bytes.HasPrefix(tpdu, sent) {
			t.Fatalf("sent % X of % X", sent, tpdu)
		}
		switch {
		case s.Err == nil && (len(s.Resp) < 2 || len(s.Resp) > in+2):
			t.Fatalf("%d bytes for %d", len(s.Resp), in+2)
		case s.Err != nil && len(s.Resp) != 0:
			t.Fatalf("%d bytes beside %v", len(s.Resp), s.Err)
		}
	})
}
