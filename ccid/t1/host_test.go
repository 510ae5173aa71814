package t1

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// turn is one event and what the Host has to do about it. in is typed hex of a
// block, whole or without its LRC (a trailing "+"), or one of the words of
// causes. out is the block to be sent, written the same way, or "done" or
// "reset".
type turn struct {
	in, out string
	wtx     byte
	errs    []error // with done and reset: each has to be found, none means success
	resp    string
}

var causes = map[string]Cause{
	"timeout": CauseTimeout, "parity": CauseParity, "overrun": CauseOverrun, "lost": CauseLost,
}

func bytesOf(s string) []byte {
	if p, ok := strings.CutSuffix(s, "+"); ok {
		return xor(p)
	}
	return hx(s)
}

// event hands the Host what s says.
func event(h *Host, s string) Step {
	if c, ok := causes[s]; ok {
		return h.Fail(c)
	}
	return h.Receive(bytesOf(s))
}

func play(t *testing.T, h *Host, s Step, first string, turns []turn) Step {
	t.Helper()
	check := func(s Step, w turn) {
		t.Helper()
		switch w.out {
		case "done", "reset":
			kind := Done
			if w.out == "reset" {
				kind = ResetCard
			}
			if s.Kind != kind {
				t.Fatalf("after %q: got %v % X (%v) want %s", w.in, s.Kind, s.Block, s.Err, w.out)
			}
			for _, e := range w.errs {
				if !errors.Is(s.Err, e) {
					t.Fatalf("after %q: error: got %v want %v", w.in, s.Err, e)
				}
			}
			if len(w.errs) == 0 && s.Err != nil {
				t.Fatalf("after %q: %v", w.in, s.Err)
			}
			if got := s.Resp; !bytes.Equal(got, hx(w.resp)) {
				t.Fatalf("after %q: response: got % X want %s", w.in, got, w.resp)
			}
			if (kind == ResetCard) != h.Dead() {
				t.Fatalf("after %q: Dead is %v", w.in, h.Dead())
			}
		default:
			if s.Kind != Send || !bytes.Equal(s.Block, bytesOf(w.out)) {
				t.Fatalf("after %q: got %v % X (%v) want % X", w.in, s.Kind, s.Block, s.Err, bytesOf(w.out))
			}
			if s.WTX != w.wtx {
				t.Fatalf("after %q: WTX: got %d want %d", w.in, s.WTX, w.wtx)
			}
		}
	}
	check(s, turn{in: "begin", out: first})
	for _, w := range turns {
		s = event(h, w.in)
		check(s, w)
	}
	return s
}

// The transcripts below are whole, code included: nothing is computed.

func TestIFSDNegotiation(t *testing.T) {
	for _, tt := range []struct {
		name           string
		p              Params
		first, in, bad string
	}{
		{"LRC", Params{}, "00 C1 01 FE 3E", "00 E1 01 FE 1E", ""},
		{"node addresses", Params{NAD: 0x10}, "10 C1 01 FE 2E", "01 E1 01 FE 1F", ""},
		{"CRC", Params{EDC: CRC}, "00 C1 01 FE 54 4E", "00 E1 01 FE 57 75", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHost(tt.p)
			if h.IFSD() != 32 || h.IFSC() != 32 {
				t.Fatalf("before: IFSD %d IFSC %d", h.IFSD(), h.IFSC())
			}
			play(t, h, h.BeginIFS(254), tt.first, []turn{{in: tt.in, out: "done"}})
			if h.IFSD() != 254 || h.IFSC() != 32 {
				t.Errorf("after: IFSD %d IFSC %d", h.IFSD(), h.IFSC())
			}
		})
	}
}

func TestChainingTranscript(t *testing.T) {
	h := NewHost(Params{})
	apdu := hx("00 D6 00 00 28")
	for i := range 0x28 {
		apdu = append(apdu, byte(i))
	}
	s := h.Begin(nil, apdu)
	if h.LastBlockSent() {
		t.Error("last block sent before it was")
	}
	play(t, h, s, "00 20 20 00 D6 00 00 28 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A E5", []turn{
		{in: "00 90 00 90", out: "00 40 0D 1B 1C 1D 1E 1F 20 21 22 23 24 25 26 27 56"},
		{in: "00 C3 01 05 C7", out: "00 E3 01 05 E7", wtx: 5},
		{in: "00 00 02 90 00 92", out: "done", resp: "90 00"},
	})
	// The card's chain, in the state that the exchange above left.
	play(t, h, h.Begin(nil, hx("00 B0 00 00 30")), "00 00 05 00 B0 00 00 30 85", []turn{
		{in: "00 60 20 80 81 82 83 84 85 86 87 88 89 8A 8B 8C 8D 8E 8F 90 91 92 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F 40", out: "00 80 00 80"},
		{in: "00 00 12 A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 AA AB AC AD AE AF 90 00 82", out: "done",
			resp: "80 81 82 83 84 85 86 87 88 89 8A 8B 8C 8D 8E 8F 90 91 92 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 AA AB AC AD AE AF 90 00"},
	})
}

func TestRecoveryTranscript(t *testing.T) {
	h := NewHost(Params{})
	play(t, h, h.Begin(nil, hx("00 84 00 00 00")), "00 00 05 00 84 00 00 00 81", []turn{
		{in: "00 00 02 90 00 92", out: "done", resp: "90 00"},
	})
	// Host 1, card 1: bad LRC once.
	play(t, h, h.Begin(nil, hx("00 84 00 00 00")), "00 40 05 00 84 00 00 00 C1", []turn{
		{in: "00 40 02 90 00 D3", out: "00 91 00 91"},
		{in: "00 40 02 90 00 D2", out: "done", resp: "90 00"},
	})
	play(t, h, h.Begin(nil, hx("00 84 00 00 00")), "00 00 05 00 84 00 00 00 81", []turn{
		{in: "00 00 02 90 00 92", out: "done", resp: "90 00"},
	})
	// Wrong numbers up to RESYNCH: the card had the whole command.
	play(t, h, h.Begin(nil, hx("00 A4 04 00 06 11 22 33 44 55 66")), "00 40 0B 00 A4 04 00 06 11 22 33 44 55 66 9A", []turn{
		{in: "00 82 00 82", out: "00 92 00 92"},
		{in: "00 00 02 6D 00 6F", out: "00 92 00 92"},
		{in: "00 00 02 6D 00 6F", out: "00 C0 00 C0"},
		{in: "00 E0 00 E0", out: "done", errs: []error{ErrOutcomeUnknown}},
	})
	// And both sides count from 0 again.
	play(t, h, h.Begin(nil, hx("00 84 00 00 00")), "00 00 05 00 84 00 00 00 81", []turn{
		{in: "00 00 02 90 00 92", out: "done", resp: "90 00"},
	})
}

// A block at character level is read in two steps, first up to LEN.
func TestCharacterLevelPrologue(t *testing.T) {
	h := NewHost(Params{})
	play(t, h, h.BeginIFS(254), "00 C1 01 FE 3E", nil)
	first, rest := hx("00 E1 01"), hx("FE 1E")
	if len(first) != PrologueLen || int(first[2])+h.EDC().Len() != len(rest) {
		t.Fatal("sizes do not add up")
	}
	if s := h.Receive(append(first, rest...)); s.Kind != Done || s.Err != nil || h.IFSD() != 254 {
		t.Errorf("got %+v, IFSD %d", s, h.IFSD())
	}
}

// The first answer finds out the form of the CRC.
func TestCRCForms(t *testing.T) {
	t.Run("S(IFS) refused in the other form", func(t *testing.T) {
		h := NewHost(Params{EDC: CRC})
		play(t, h, h.BeginIFS(254), "00 C1 01 FE 54 4E", []turn{
			{in: hexOf(Block{PCB: 0x81}.AppendTo(nil, CRCInverted)), out: "00 C1 01 FE AB B1"},
			{in: hexOf(Block{PCB: 0xE1, INF: hx("FE")}.AppendTo(nil, CRCInverted)), out: "done"},
		})
		if h.EDC() != CRCInverted || h.IFSD() != 254 {
			t.Errorf("got %v, IFSD %d", h.EDC(), h.IFSD())
		}
	})
	t.Run("I-block refused in the other form", func(t *testing.T) {
		h := NewHost(Params{EDC: CRC})
		apdu := hx("00 84 00 00 08")
		play(t, h, h.Begin(nil, apdu), hexOf(Block{INF: apdu}.AppendTo(nil, CRC)), []turn{
			{in: hexOf(Block{PCB: 0x81}.AppendTo(nil, CRCInverted)), out: hexOf(Block{INF: apdu}.AppendTo(nil, CRCInverted))},
			{in: hexOf(Block{INF: hx("90 00")}.AppendTo(nil, CRCInverted)), out: "done", resp: "90 00"},
		})
	})
	t.Run("the usual form refused in the usual form is only a repeat", func(t *testing.T) {
		h := NewHost(Params{EDC: CRC})
		play(t, h, h.BeginIFS(254), "00 C1 01 FE 54 4E", []turn{
			{in: hexOf(Block{PCB: 0x81}.AppendTo(nil, CRC)), out: "00 C1 01 FE 54 4E"},
		})
	})
	t.Run("not after an error-free block", func(t *testing.T) {
		h := NewHost(Params{EDC: CRC})
		play(t, h, h.BeginIFS(254), "00 C1 01 FE 54 4E", []turn{
			{in: hexOf(Block{PCB: 0x81}.AppendTo(nil, CRC)), out: "00 C1 01 FE 54 4E"},
			{in: hexOf(Block{PCB: 0x81}.AppendTo(nil, CRCInverted)), out: "00 C1 01 FE 54 4E"},
		})
		if h.EDC() != CRC {
			t.Errorf("got %v", h.EDC())
		}
	})
}

func hexOf(b []byte) string {
	const digits = "0123456789ABCDEF"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestIFSCLimits(t *testing.T) {
	for _, tt := range []struct{ ifsc, maxINF, want int }{
		{0, 0, 32}, {1, 0, 1}, {32, 0, 32}, {254, 0, 254}, {255, 0, 32}, {-1, 0, 32},
		{254, 248, 248}, {32, 248, 32}, {254, 1, 1},
	} {
		h := NewHost(Params{IFSC: tt.ifsc, MaxINF: tt.maxINF})
		if s := h.Begin(nil, make([]byte, 300)); int(s.Block[2]) != tt.want {
			t.Errorf("IFSC %d cap %d: got a part of %d want %d", tt.ifsc, tt.maxINF, s.Block[2], tt.want)
		}
	}
}

func TestBeginIFSRange(t *testing.T) {
	for _, n := range []int{-1, 0, 255, 256} {
		h := NewHost(Params{})
		if s := h.BeginIFS(n); s.Kind != Done || s.Err == nil || h.Dead() {
			t.Errorf("IFSD %d: got %+v", n, s)
		}
	}
	for _, n := range []int{1, 254} {
		h := NewHost(Params{})
		if s := h.BeginIFS(n); s.Kind != Send || s.Block[3] != byte(n) {
			t.Errorf("IFSD %d: got %+v", n, s)
		}
	}
}

// A PIN pad reader sends the command itself; the numbers move only if it did.
func TestSecure(t *testing.T) {
	h := NewHost(Params{IFSC: 254})
	play(t, h, h.Begin(nil, hx("00 84 00 00 00")), "00 00 05 00 84 00 00 00 81", []turn{
		{in: "00 00 02 90 00 92", out: "done", resp: "90 00"},
	})
	// Cancelled at the keyboard: nothing reached the card.
	play(t, h, h.BeginSecure(nil, 13), "00 40 0D", nil)
	if !h.LastBlockSent() {
		t.Error("the reader may have sent it")
	}
	h.Withdraw()
	if h.LastBlockSent() {
		t.Error("withdrawn, so not sent")
	}
	// Sent, with a time extension, and with a bad answer once.
	play(t, h, h.BeginSecure(nil, 13), "00 40 0D", []turn{
		{in: "00 C3 01 02 C0", out: "00 E3 01 02 E0", wtx: 2},
		{in: "00 40 02 90 00 D3", out: "00 91 00 91"},
		{in: "00 40 02 63 C2 E3", out: "done", resp: "63 C2"},
	})
	// The card asks for a block that only the reader could repeat.
	play(t, h, h.BeginSecure(nil, 13), "00 00 0D", []turn{
		{in: "00 81 00 81", out: "00 C0 00 C0"},
		{in: "00 E0 00 E0", out: "done", errs: []error{ErrOutcomeUnknown}},
	})
	h.Withdraw() // nothing to withdraw
	play(t, h, h.BeginSecure(nil, 13), "00 00 0D", nil)

	h.Reset(Params{IFSC: 12})
	if s := h.BeginSecure(nil, 13); s.Kind != Done || !errors.Is(s.Err, ErrTooLong) {
		t.Errorf("13 bytes at IFSC 12: got %+v", s)
	}
	if s := h.BeginSecure(nil, 12); s.Kind != Send {
		t.Errorf("12 bytes at IFSC 12: got %+v", s)
	}
}

func TestOutputLimits(t *testing.T) {
	apdu := hx("00 B0 00 00 00")
	const first = "00 00 05 00 B0 00 00 00 B5"
	t.Run("appended to dst", func(t *testing.T) {
		h := NewHost(Params{})
		play(t, h, h.Begin(hx("AA BB"), apdu), first, []turn{
			{in: "00 00 02 90 00+", out: "done", resp: "AA BB 90 00"},
		})
	})
	t.Run("an error leaves dst as it was", func(t *testing.T) {
		h := NewHost(Params{})
		play(t, h, h.Begin(hx("AA BB"), apdu), first, []turn{
			{in: "00 20 02 01 02+", out: "00 90 00+"},
			{in: "lost", out: "reset", errs: []error{ErrDead, ErrOutcomeUnknown}, resp: "AA BB"},
		})
	})
	for _, tt := range []struct {
		name, in string
	}{
		{"one byte", "00 00 01 90+"},
		{"no byte", "00 00 00+"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHost(Params{})
			play(t, h, h.Begin(nil, apdu), first, []turn{
				{in: tt.in, out: "done", errs: []error{ErrShort, ErrOutcomeUnknown}},
			})
		})
	}
	t.Run("longer than MaxResponse is drained", func(t *testing.T) {
		h := NewHost(Params{MaxResponse: 4})
		play(t, h, h.Begin(nil, apdu), first, []turn{
			{in: "00 20 04 01 02 03 04+", out: "00 90 00+"},
			{in: "00 60 04 05 06 07 08+", out: "00 80 00+"},
			{in: "00 00 02 90 00+", out: "done", errs: []error{ErrTooLong, ErrOutcomeUnknown}},
		})
		play(t, h, h.Begin(nil, apdu), "00 40 05 00 B0 00 00 00+", []turn{
			{in: "00 40 04 01 02 90 00+", out: "done", resp: "01 02 90 00"},
		})
	})
	t.Run("65538 bytes pass", func(t *testing.T) {
		h := NewHost(Params{})
		s, n := h.Begin(nil, apdu), byte(0)
		for left := 65538; left > 0; n ^= 0x40 {
			part := min(left, 254)
			left -= part
			pcb := n
			if left > 0 {
				pcb |= 0x20
			}
			s = h.Receive(Block{PCB: pcb, INF: make([]byte, part)}.AppendTo(nil, LRC))
		}
		if s.Kind != Done || s.Err != nil || len(s.Resp) != 65538 {
			t.Errorf("got %v, %d bytes, %v", s.Kind, len(s.Resp), s.Err)
		}
	})
	t.Run("65539 do not", func(t *testing.T) {
		h := NewHost(Params{})
		s, n, rounds := h.Begin(nil, apdu), byte(0), 0
		for s.Kind == Send && s.Block[1] != Resynch {
			s = h.Receive(Block{PCB: n | More, INF: make([]byte, 254)}.AppendTo(nil, LRC))
			n ^= 0x40
			if rounds++; rounds > 65538/254+1 {
				t.Fatal("still receiving")
			}
		}
		s = h.Receive(hx("00 E0 00 E0"))
		if s.Kind != Done || !errors.Is(s.Err, ErrTooLong) || !errors.Is(s.Err, ErrOutcomeUnknown) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestDead(t *testing.T) {
	h := NewHost(Params{})
	h.Begin(nil, hx("00 84 00 00 00"))
	if s := h.Fail(CauseLost); s.Kind != ResetCard || !errors.Is(s.Err, ErrOutcomeUnknown) {
		t.Fatalf("got %+v", s)
	}
	for name, s := range map[string]Step{
		"Begin":    h.Begin(nil, hx("00 84 00 00 00")),
		"BeginIFS": h.BeginIFS(254),
		"Secure":   h.BeginSecure(nil, 13),
		"Receive":  h.Receive(hx("00 00 02 90 00 92")),
		"Fail":     h.Fail(CauseTimeout),
	} {
		if s.Kind != ResetCard || !errors.Is(s.Err, ErrDead) || errors.Is(s.Err, ErrOutcomeUnknown) {
			t.Errorf("%s: got %+v", name, s)
		}
	}
	h.Reset(Params{})
	if s := h.Begin(nil, hx("00 84 00 00 00")); s.Kind != Send {
		t.Errorf("after Reset: got %+v", s)
	}
	// Beginning twice loses track of the card.
	if s := h.Begin(nil, hx("00 84 00 00 00")); s.Kind != ResetCard || !errors.Is(s.Err, ErrDead) {
		t.Errorf("second Begin: got %+v", s)
	}
}

// No PIN stays in the Host once the exchange is over.
func TestBufferIsWiped(t *testing.T) {
	h := NewHost(Params{IFSC: 254})
	h.Begin(nil, hx("00 20 00 02 08 31 32 33 34 35 36 37 38"))
	h.Receive(hx("00 00 02 90 00 92"))
	if h.last != [MaxBlockLen]byte{} || h.apdu != nil || h.dst != nil {
		t.Errorf("left behind: % X", bytes.TrimRight(h.last[:], "\x00"))
	}
}

func TestNoAllocations(t *testing.T) {
	for _, edc := range []EDC{LRC, CRC} {
		run := echo(edc, 1000)
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%v: %v allocations per APDU", edc, n)
		}
	}
}

// echo makes a function that exchanges one APDU of n bytes with an answer of
// about the same length, both chained, without allocating itself.
func echo(edc EDC, n int) func() {
	h := NewHost(Params{EDC: edc, IFSC: 254})
	apdu := make([]byte, n)
	dst := make([]byte, 0, n+2)
	buf := make([]byte, 0, MaxBlockLen)
	var ns, nr byte
	return func() {
		left := n
		for s := h.Begin(dst, apdu); s.Kind == Send; s = h.Receive(buf) {
			if s.Block[1] < RBlock {
				nr ^= 1
			}
			if s.Block[1]&(RBlock|More) == More {
				buf = Block{PCB: RBlock | nr<<4}.AppendTo(buf[:0], edc)
				continue
			}
			b := Block{PCB: ns << 6, INF: apdu[:min(left, MaxINF)]}
			if left -= len(b.INF); left > 0 {
				b.PCB |= More
			}
			ns ^= 1
			buf = b.AppendTo(buf[:0], edc)
		}
	}
}

func BenchmarkAPDU(b *testing.B) {
	for _, tt := range []struct {
		name string
		edc  EDC
		n    int
	}{
		{"LRC/5", LRC, 5}, {"LRC/250", LRC, 250}, {"LRC/4096", LRC, 4096}, {"CRC/250", CRC, 250},
	} {
		b.Run(tt.name, func(b *testing.B) {
			run := echo(tt.edc, tt.n)
			b.ReportAllocs()
			b.SetBytes(int64(tt.n))
			for b.Loop() {
				run()
			}
		})
	}
}

func BenchmarkEDC(b *testing.B) {
	block := make([]byte, PrologueLen+MaxINF, MaxBlockLen)
	for _, e := range []EDC{LRC, CRC} {
		b.Run(e.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				e.appendTo(block, 0)
			}
		})
	}
}
