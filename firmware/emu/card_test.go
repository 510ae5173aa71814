package emu

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/iso7816"
)

// counting is a source of "random" bytes 00 01 02 …
type counting struct{ next byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c.next
		c.next++
	}
	return len(p), nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func spaced(b []byte) string { return strings.ToUpper(strings.TrimSpace(hexPairs(b))) }

func hexPairs(b []byte) string {
	var sb strings.Builder
	for _, x := range b {
		sb.WriteString(hex.EncodeToString([]byte{x}))
		sb.WriteByte(' ')
	}
	return sb.String()
}

// play sends commands and compares the answers: command, answer, command, answer.
// "reset" instead of a command resets the card, and its answer is empty.
func play(t *testing.T, c *Card, trace ...string) {
	t.Helper()
	for i := 0; i < len(trace); i += 2 {
		if trace[i] == "reset" {
			c.Reset(false)
			continue
		}
		if diff := cmp.Diff(trace[i+1], spaced(transmit(t, c, unhex(t, trace[i])))); diff != "" {
			t.Fatalf("line %d, %s: -want +got\n%s", i/2+1, trace[i], diff)
		}
	}
}

func transmit(t testing.TB, c *Card, apdu []byte) []byte {
	t.Helper()
	got, err := c.Transmit(t.Context(), nil, apdu)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// sessionTest is a row of the tables of commands: one card, from reset.
type sessionTest struct {
	name  string
	opts  []Option
	trace []string // as play takes it
}

func playAll(t *testing.T, tests []sessionTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { play(t, New(tt.opts...), tt.trace...) })
	}
}

const (
	verifyUser  = "00 20 00 02 08 31 32 33 34 35 36 37 38"
	verifyAdmin = "00 20 00 01 08 38 37 36 35 34 33 32 31"
	logout      = "80 40 00 00"
	done        = "90 00"
)

const (
	mfFCI      = "6F 1D 80 02 00 00 82 02 38 00 83 02 3F 00 86 0F 47 02 02 01 00 00 00 FF 00 00 00 00 00 00 00"
	scratchFCI = "6F 1D 80 02 04 00 82 02 01 00 83 02 5A FE 86 0F 43 00 00 00 00 00 00 FF 00 00 00 00 00 00 00"
)

// Each row is one card from reset; "reset" resets it.
func TestCommands(t *testing.T) {
	tests := []struct {
		name  string
		trace []string // command, answer, command, answer …
	}{
		{"select the MF", []string{
			"00 A4 00 00 02 3F 00 00", mfFCI + " 90 00",
			"00 A4 00 0C 02 3F 00", "90 00",
			"00 A4 00 0C 02 3F 00 00", "90 00",
		}},
		{"select without Le keeps the answer for GET RESPONSE", []string{
			"00 A4 00 00 02 3F 00", "61 1F",
			"00 C0 00 00 20", "6C 1F",
			"00 C0 00 00 1F", mfFCI + " 90 00",
			"00 C0 00 00 1F", "69 85",
		}},
		{"a short Le gives the beginning", []string{
			"00 A4 00 00 02 3F 00 04", "6F 1D 80 02 61 1B",
			"80 C0 00 00 04", "00 00 82 02 61 17",
			"00 C0 00 00 00", "38 00 83 02 3F 00 86 0F 47 02 02 01 00 00 00 FF 00 00 00 00 00 00 00 90 00",
		}},
		{"another command drops what was kept", []string{
			"00 A4 00 00 02 3F 00", "61 1F",
			"00 CA 01 81 08", "00 00 00 00 32 D1 8A 58 90 00",
			"00 C0 00 00 1F", "69 85",
		}},
		{"select by id, path and parent", []string{
			"00 A4 00 00 02 5A FE 00", scratchFCI + " 90 00",
			"00 A4 08 00 02 5A FE 00", scratchFCI + " 90 00",
			"00 A4 08 00 02 50 15 00", "6A 82",
			"00 A4 08 00 04 5A FE 00 01 00", "6A 82",
			"00 A4 08 00 03 5A FE 00 00", "67 00",
			"00 A4 00 00 01 3F 00", "67 00",
			"00 A4 03 00 00", "6A 82",
			"00 A4 04 00 02 A0 00 00", "6A 86",
			"00 A4 00 04 02 3F 00 00", "6A 86",
		}},
		{"read and update the scratch file", []string{
			"00 B0 00 00 04", "69 86",
			"00 A4 00 0C 02 5A FE", "90 00",
			"00 D6 00 02 04 DE AD BE EF", "90 00",
			"00 B0 00 00 08", "00 00 DE AD BE EF 00 00 90 00",
			"00 B0 03 FE 02", "00 00 90 00",
			"00 B0 03 FE 04", "00 00 62 82",
			"00 B0 03 FE 00", "00 00 90 00",
			"00 B0 04 00 01", "62 82",
			"00 B0 04 01 01", "6B 00",
			"00 B0 80 00 01", "6A 86",
			"00 B0 00 00", "67 00",
			"00 D6 03 FF 02 01 02", "6A 84",
			"00 B0 03 FF 01", "00 90 00",
			"00 D6 00 00", "67 00",
			"reset", "",
			"00 B0 00 00 04", "69 86",
			"00 A4 00 0C 02 5A FE", "90 00",
			"00 B0 00 02 04", "DE AD BE EF 90 00",
			"00 A4 00 0C 02 3F 00", "90 00",
			"00 B0 00 00 04", "69 86",
		}},
		{"token id", []string{
			"00 CA 01 81 00", "00 00 00 00 32 D1 8A 58 90 00",
			"00 CA 01 81 08", "00 00 00 00 32 D1 8A 58 90 00",
			"00 CA 01 82 00", "6A 88",
			"00 CA 01 81 01 00 00", "67 00",
		}},
		{"user PIN: wrong, query, right, twice, logout", []string{
			"00 20 00 02", "63 CA",
			"00 20 00 02 08 30 30 30 30 30 30 30 30", "63 00",
			"00 20 00 02", "63 C9",
			"00 20 00 02 08 31 32 33 34 35 36 37 38", "90 00",
			"00 20 00 02", "90 00",
			"00 20 00 02 08 31 32 33 34 35 36 37 38", "6F 86",
			"80 40 00 00", "90 00",
			"00 20 00 02", "63 CA",
			"00 20 00 02 08 31 32 33 34 35 36 37 38", "90 00",
			"reset", "",
			"00 20 00 02", "63 CA",
		}},
		{"user PIN blocks after ten misses and stays so", []string{
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02", "63 C1",
			"00 20 00 02 01 30", "63 00",
			"00 20 00 02", "69 83",
			"00 20 00 02 08 31 32 33 34 35 36 37 38", "69 83",
			"reset", "",
			"00 20 00 02", "69 83",
			"00 20 00 01", "63 CA",
		}},
		{"PINs are separate", []string{
			"00 20 00 01 08 38 37 36 35 34 33 32 31", "90 00",
			"00 20 00 02", "63 CA",
			"00 20 00 02 08 31 32 33 34 35 36 37 38", "90 00",
			"00 20 00 01", "90 00",
		}},
		{"VERIFY with wrong parameters costs no try", []string{
			"00 20 00 03 08 31 32 33 34 35 36 37 38", "6A 88",
			"00 20 01 02 08 31 32 33 34 35 36 37 38", "6A 86",
			"00 20 00 02 08 31 32 33 34 35 36 37 38 00", "67 00",
			"00 20 00 02", "63 CA",
			"80 40 01 00", "6A 86",
		}},
		{"challenge", []string{
			"00 84 00 00 08", "00 01 02 03 04 05 06 07 90 00",
			"00 84 00 00 02", "08 09 90 00",
			"00 84 01 00 02", "6A 86",
			"00 84 00 00", "67 00",
		}},
		{"echo with nothing remembered counts from P1 in steps of P2", []string{
			"80 EC FE 03 04", "FE 01 04 07 90 00",
			"80 EC 00 00", "90 00",
			"80 EC AA 00 02", "AA AA 90 00",
		}},
		{"echo repeats and cuts what it remembers", []string{
			"80 EC 00 00 03 0A 0B 0C", "90 00",
			"80 EC 00 00 08", "0A 0B 0C 0A 0B 0C 0A 0B 90 00",
			"80 EC 00 00 02 01 02 01", "01 90 00",
			"80 EC 00 00 00 00 03", "01 02 01 90 00",
			"80 EC 00 00 00 00 01 07 00 02", "07 07 90 00",
			"reset", "",
			"80 EC 05 01 02", "05 06 90 00",
		}},
		{"echo without Le, then GET RESPONSE", []string{
			"80 EC 00 00 03 0A 0B 0C", "90 00",
			"80 C0 00 00 05", "0A 0B 0C 0A 0B 90 00",
			"80 C0 00 00 05", "69 85",
		}},
		{"echo of data", []string{
			"80 EE 00 00 02 0A 0B", "90 00",
			"00 C0 00 00 03", "0A 0B 0A 90 00",
			"80 EE 00 00 02 0A 0B 03", "0A 0B 0A 90 00",
			"80 EE 00 00 00", "90 00",
			"80 EE 00 00", "90 00",
			"00 C0 00 00 03", "69 85",
			"80 EC 00 00 03", "0A 0B 0A 90 00",
		}},
		{"unknown", []string{
			"00 FF 00 00", "6D 00",
			"00 60 00 00", "6D 00",
			"80 A4 00 00", "6D 00",
			"00 EC 00 00", "6D 00",
			"A0 A4 00 00 02 3F 00", "6E 00",
			"FF CA 00 00 00", "6E 00",
			"00 C0 00 00 05", "69 85",
			"00 C0 00 01 05", "6A 86",
			"00 C0 00 00", "67 00",
		}},
		{"malformed", []string{
			"00", "67 00",
			"00 A4 00", "67 00",
			"00 A4 00 00 05 3F 00", "67 00",
			"00 A4 00 00 00 00", "67 00",
			"00 A4 00 00 00 00 05 3F 00", "67 00",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			play(t, New(WithRandom(new(counting)), WithScratchSize(1024)), tt.trace...)
		})
	}
}

func TestATR(t *testing.T) {
	if got, want := spaced(New().ATR()), "3B 88 01 4B 41 5A 54 4F 4B 45 4E 82"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	given := []byte{0x3B, 0x00}
	c := New(WithATR(given))
	given[0] = 0
	if got, want := spaced(c.ATR()), "3B 00"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOptions(t *testing.T) {
	c := New(
		WithPIN(2, []byte("1"), 1),
		WithTokenID([8]byte{1, 2, 3, 4, 5, 6, 7, 8}),
		WithScratchSize(3),
	)
	for _, step := range []struct{ in, want string }{
		{"00 20 00 02", "63 C1"},
		{"00 20 00 02 01 31", "90 00"},
		{"00 CA 01 81 00", "01 02 03 04 05 06 07 08 90 00"},
		{"00 A4 00 0C 02 5A FE", "90 00"},
		{"00 B0 00 00 00", "00 00 00 90 00"},
	} {
		got, err := c.Transmit(t.Context(), nil, unhex(t, step.in))
		if err != nil || spaced(got) != step.want {
			t.Errorf("%s: got %s, %v, want %s", step.in, spaced(got), err, step.want)
		}
	}
}

// An option outside its limits is a mistake of the program.
func TestOptionLimits(t *testing.T) {
	for name, option := range map[string]func() Option{
		"label":         func() Option { return WithLabel(strings.Repeat("n", 33)) },
		"PIN reference": func() Option { return WithPIN(3, []byte("123456"), 1) },
		"empty PIN":     func() Option { return WithPIN(1, nil, 1) },
		"long PIN":      func() Option { return WithPIN(1, make([]byte, 33), 1) },
		"no tries":      func() Option { return WithPIN(1, []byte("123456"), 0) },
		"11 tries":      func() Option { return WithPIN(1, []byte("123456"), 11) },
		"no minimum":    func() Option { return WithMinPINLength(1, 0) },
		"minimum 32":    func() Option { return WithMinPINLength(1, 32) },
		"minimum of 0":  func() Option { return WithMinPINLength(0, 6) },
		"policy 0":      func() Option { return WithPolicy(0) },
		"policy 4":      func() Option { return WithPolicy(4) },
		"scratch -1":    func() Option { return WithScratchSize(-1) },
		"scratch 32769": func() Option { return WithScratchSize(1<<15 + 1) },
		"memory -1":     func() Option { return WithFreeMemory(-1) },
		"memory 262145": func() Option { return WithFreeMemory(262145) },
		"data object":   func() Option { return WithDataObject(0x8B, make([]byte, 256)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was taken")
				}
			}()
			option()
		})
	}
}

// What the caller gave to an option stays the caller's.
func TestOptionsCopy(t *testing.T) {
	pin, value := []byte("secret"), []byte{1, 2}
	opts := []Option{WithPIN(2, pin, 3), WithDataObject(0x8B, value)}
	clear(pin)
	clear(value)
	play(t, New(opts...),
		"00 20 00 02 06 73 65 63 72 65 74", done,
		"00 CA 01 8B 00", "01 02 90 00")
}

// A label, PIN lengths and policy are in the files and in what PKCS #15 says of
// them.
func TestFactoryOptions(t *testing.T) {
	c := New(WithLabel("Ключ"), WithMinPINLength(1, 7), WithMinPINLength(2, 12), WithPIN(2, []byte("123"), 4), WithPolicy(2))
	play(t, c,
		"00 A4 08 00 06 10 00 10 00 00 01 00", fcp("00 08", "10 00", "00 01", "01 07 01 AA 00 00", "43 FF 01 00 00 00 00 FF")+" 90 00",
		"00 A4 08 00 06 10 00 10 00 00 02 00", fcp("00 03", "10 00", "00 02", "01 03 01 44 00 00", "43 01 02 00 00 00 00 FF")+" 90 00",
		"00 A4 00 0C 02 3F 00", done,
		"00 A4 00 0C 02 2F 00", done,
		"00 B0 00 00 20", "61 1E 4F 0C A0 00 00 00 63 50 4B 43 53 2D 31 35 50 08 D0 9A D0 BB D1 8E D1 87 51 04 3F 00 50 00 90 00",
		"00 A4 08 0C 04 50 00 60 05", done,
		"00 B0 00 2E 03", "02 01 07 90 00",
		"00 B0 00 5F 03", "02 01 03 90 00",
		"00 A4 08 0C 04 50 00 50 32", done,
		"00 B0 00 0F 15", "0C 09 41 6B 74 69 76 20 43 6F 2E 80 08 D0 9A D0 BB D1 8E D1 87 90 00",
	)
}

// The sizes at which length fields and packets change.
func TestEchoSizes(t *testing.T) {
	c := New()
	for _, nc := range []int{0, 1, 63, 64, 254, 255, 256, 257, 65535} {
		for _, ne := range []int{0, 1, 63, 64, 254, 255, 256, 257, 65535, 65536} {
			data := make([]byte, nc)
			for i := range data {
				data[i] = byte(i*7 + nc)
			}
			in, err := iso7816.Command{CLA: 0x80, INS: 0xEC, Data: data, Ne: ne}.AppendTo(nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Reset(true)
			got, err := c.Transmit(t.Context(), []byte("kept"), in)
			if err != nil {
				t.Fatal(err)
			}
			want := []byte("kept")
			for i := range ne {
				if nc == 0 {
					want = append(want, 0)
				} else {
					want = append(want, data[i%nc])
				}
			}
			want = append(want, 0x90, 0x00)
			if !bytes.Equal(got, want) {
				t.Errorf("Nc %d Ne %d: answer of %d bytes is not the echo", nc, ne, len(got))
			}
		}
	}
}

func TestIncoming(t *testing.T) {
	for _, tt := range []struct {
		cla, ins byte
		want     bool
	}{
		{0x00, 0xA4, true}, {0x00, 0xD6, true}, {0x00, 0x20, true}, {0x80, 0xEE, true},
		{0x00, 0x22, true}, {0x00, 0x24, true}, {0x10, 0x24, true}, {0x00, 0x2A, true}, {0x10, 0x2A, true},
		{0x00, 0x46, true}, {0x00, 0xE0, true}, {0x00, 0xE4, true},
		{0x00, 0x2C, false}, {0x00, 0x84, false}, {0x80, 0x8A, false}, {0x00, 0xC0, false},
		{0x00, 0xB0, false}, {0x00, 0xCA, false}, {0x80, 0xEC, false}, {0x80, 0xA4, false}, {0xA0, 0xA4, false},
	} {
		if got := New().Incoming(tt.cla, tt.ins); got != tt.want {
			t.Errorf("%02X %02X: got %v, want %v", tt.cla, tt.ins, got, tt.want)
		}
	}
}

func TestAccessRules(t *testing.T) {
	c := New()
	c.mf.addEF(0x0001, []byte{0x03, userPIN, either}, 1, nil)
	c.mf.addEF(0x0002, []byte{0x01, never, always}, 1, nil)
	for _, step := range []struct{ in, want string }{
		{"00 A4 00 0C 02 00 01", "90 00"},
		{"00 B0 00 00 01", "69 82"},
		{"00 20 00 01 08 38 37 36 35 34 33 32 31", "90 00"},
		{"00 B0 00 00 01", "69 82"},
		{"00 D6 00 00 01 07", "90 00"},
		{"00 20 00 02 08 31 32 33 34 35 36 37 38", "90 00"},
		{"00 B0 00 00 01", "07 90 00"},
		{"80 40 00 00", "90 00"},
		{"00 D6 00 00 01 08", "69 82"},
		{"00 A4 00 0C 02 00 02", "90 00"},
		{"00 B0 00 00 01", "69 82"},
		{"00 D6 00 00 01 08", "69 82"}, // access mode bit clear: no rule, never
	} {
		got, err := c.Transmit(t.Context(), nil, unhex(t, step.in))
		if err != nil || spaced(got) != step.want {
			t.Errorf("%s: got %s, %v, want %s", step.in, spaced(got), err, step.want)
		}
	}
}

func TestTransmitAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := New().Transmit(ctx, nil, unhex(t, "00 CA 01 81 00"))
	if !errors.Is(err, context.Canceled) || len(got) != 0 {
		t.Errorf("got %x, %v, want nothing and context.Canceled", got, err)
	}
}

func TestEchoDoesNotAllocate(t *testing.T) {
	c := New()
	ctx := t.Context()
	in, err := iso7816.Command{CLA: 0x80, INS: 0xEC, Data: make([]byte, 250), Ne: 250}.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 258)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Transmit(ctx, buf, in); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per echo, want 0", n)
	}
}

// Whatever comes, the answer ends in a status word, is never longer than asked
// for, and leaves what was in dst alone.
func FuzzTransmit(f *testing.F) {
	for _, s := range []string{
		"00A40000023F0000", "80EC000003010203FF", "80EC0000000001000000", "00B0000000", "00D6000001AA",
		"00200002083132333435363738", "00C0000000", "008400000000FF", "00", "",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c := New()
		for _, in := range [][]byte{first, second} {
			got, err := c.Transmit(t.Context(), []byte{0x42}, in)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) < 3 || got[0] != 0x42 {
				t.Fatalf("answer %x", got)
			}
			sw1 := got[len(got)-2]
			if sw1>>4 != 9 && (sw1>>4 != 6 || sw1 == 0x60) {
				t.Fatalf("status word of %x", got[len(got)-2:])
			}
			ne := 0
			if cmd, err := iso7816.ParseCommand(in); err == nil {
				ne = cmd.Ne
			}
			if len(got)-3 > ne {
				t.Fatalf("%d bytes for Ne %d", len(got)-3, ne)
			}
		}
	})
}

func BenchmarkEcho(b *testing.B) {
	c := New()
	ctx := b.Context()
	in, err := iso7816.Command{CLA: 0x80, INS: 0xEC, Data: make([]byte, 250), Ne: 250}.AppendTo(nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 258)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Transmit(ctx, buf, in); err != nil {
			b.Fatal(err)
		}
	}
}
