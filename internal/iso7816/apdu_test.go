package iso7816

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// pattern gives n bytes that tell their positions apart.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + 1)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// The encodings of ISO 7816-3:2006 §12.1.3, table 12.
var commandRows = []struct {
	name string
	wire []byte
	want Command
	n    int // the case
	str  string
}{
	{
		name: "1", wire: []byte{0x80, 0x40, 0x00, 0x00},
		want: Command{CLA: 0x80, INS: 0x40}, n: 1, str: "80 40 00 00",
	},
	{
		name: "2S", wire: []byte{0x00, 0x84, 0x00, 0x00, 0x08},
		want: Command{INS: 0x84, Ne: 8}, n: 2, str: "00 84 00 00 Ne=8",
	},
	{
		name: "2S with Le 00", wire: []byte{0x00, 0xB0, 0x01, 0x02, 0x00},
		want: Command{INS: 0xB0, P1: 1, P2: 2, Ne: 256}, n: 2, str: "00 B0 01 02 Ne=256",
	},
	{
		name: "3S", wire: []byte{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00},
		want: Command{INS: 0xA4, P2: 0x0C, Data: []byte{0x3F, 0x00}}, n: 3, str: "00 A4 00 0C Nc=2",
	},
	{
		name: "3S of one byte", wire: []byte{0x00, 0xDA, 0x00, 0x00, 0x01, 0xAA},
		want: Command{INS: 0xDA, Data: []byte{0xAA}}, n: 3, str: "00 DA 00 00 Nc=1",
	},
	{
		name: "3S of 255", wire: join([]byte{0x00, 0xD6, 0x00, 0x00, 0xFF}, pattern(255)),
		want: Command{INS: 0xD6, Data: pattern(255)}, n: 3, str: "00 D6 00 00 Nc=255",
	},
	{
		name: "4S", wire: []byte{0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00, 0x00},
		want: Command{INS: 0xA4, Data: []byte{0x3F, 0x00}, Ne: 256}, n: 4, str: "00 A4 00 00 Nc=2 Ne=256",
	},
	{
		name: "4S of 255 and 255", wire: join([]byte{0x00, 0x2A, 0x9E, 0x9A, 0xFF}, pattern(255), []byte{0xFF}),
		want: Command{INS: 0x2A, P1: 0x9E, P2: 0x9A, Data: pattern(255), Ne: 255}, n: 4, str: "00 2A 9E 9A Nc=255 Ne=255",
	},
	{
		name: "2E", wire: []byte{0x00, 0xB0, 0x00, 0x00, 0x00, 0x01, 0x01},
		want: Command{INS: 0xB0, Ne: 257, Extended: true}, n: 2, str: "00 B0 00 00 Ne=257 extended",
	},
	{
		name: "2E that 2S could say", wire: []byte{0x00, 0xB0, 0x00, 0x00, 0x00, 0x00, 0x01},
		want: Command{INS: 0xB0, Ne: 1, Extended: true}, n: 2, str: "00 B0 00 00 Ne=1 extended",
	},
	{
		name: "2E with Le 0000", wire: []byte{0x00, 0xB0, 0x00, 0x00, 0x00, 0x00, 0x00},
		want: Command{INS: 0xB0, Ne: 65536, Extended: true}, n: 2, str: "00 B0 00 00 Ne=65536 extended",
	},
	{
		name: "3E that 3S could say", wire: []byte{0x00, 0xDA, 0x00, 0x00, 0x00, 0x00, 0x01, 0xAA},
		want: Command{INS: 0xDA, Data: []byte{0xAA}, Extended: true}, n: 3, str: "00 DA 00 00 Nc=1 extended",
	},
	{
		name: "3E of 256", wire: join([]byte{0x00, 0xDA, 0x00, 0x00, 0x00, 0x01, 0x00}, pattern(256)),
		want: Command{INS: 0xDA, Data: pattern(256), Extended: true}, n: 3, str: "00 DA 00 00 Nc=256 extended",
	},
	{
		name: "3E of 65535", wire: join([]byte{0x00, 0xDA, 0x00, 0x00, 0x00, 0xFF, 0xFF}, pattern(65535)),
		want: Command{INS: 0xDA, Data: pattern(65535), Extended: true}, n: 3, str: "00 DA 00 00 Nc=65535 extended",
	},
	{
		name: "4E", wire: []byte{0x00, 0xCB, 0x3F, 0xFF, 0x00, 0x00, 0x02, 0x5C, 0x00, 0x00, 0x00},
		want: Command{INS: 0xCB, P1: 0x3F, P2: 0xFF, Data: []byte{0x5C, 0x00}, Ne: 65536, Extended: true}, n: 4,
		str: "00 CB 3F FF Nc=2 Ne=65536 extended",
	},
	{
		name: "4E, the longest", wire: join([]byte{0x00, 0xCB, 0, 0, 0x00, 0xFF, 0xFF}, pattern(65535), []byte{0xFF, 0xFF}),
		want: Command{INS: 0xCB, Data: pattern(65535), Ne: 65535, Extended: true}, n: 4,
		str: "00 CB 00 00 Nc=65535 Ne=65535 extended",
	},
}

func TestCommand(t *testing.T) {
	for _, r := range commandRows {
		t.Run(r.name, func(t *testing.T) {
			got, err := ParseCommand(r.wire)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.want, got); d != "" {
				t.Errorf("parsed (-want +got):\n%s", d)
			}
			wire, err := r.want.AppendTo([]byte{0xEE})
			if err != nil {
				t.Fatal(err)
			}
			if want := join([]byte{0xEE}, r.wire); !bytes.Equal(wire, want) {
				t.Errorf("encoded: got % X want % X", wire[:min(len(wire), 20)], want[:min(len(want), 20)])
			}
			if got.Case() != r.n {
				t.Errorf("case: got %d want %d", got.Case(), r.n)
			}
			if got.String() != r.str {
				t.Errorf("String: got %q want %q", got.String(), r.str)
			}
		})
	}
}

func TestParseCommandRefuses(t *testing.T) {
	for name, wire := range map[string][]byte{
		"nothing":                   {},
		"three bytes":               {0x00, 0xA4, 0x00},
		"Lc 2, one byte":            {0, 0xA4, 0, 0, 2, 0x3F},
		"Lc 2, four bytes":          {0, 0xA4, 0, 0, 2, 1, 2, 3, 4},
		"Lc 255, short by one":      join([]byte{0, 0xD6, 0, 0, 0xFF}, pattern(254)),
		"extended, two bytes":       {0, 0xB0, 0, 0, 0, 0},
		"extended Lc 0":             {0, 0xB0, 0, 0, 0, 0, 0, 1},
		"extended Lc 0, Le":         {0, 0xB0, 0, 0, 0, 0, 0, 1, 0},
		"extended Lc 2, one byte":   {0, 0xB0, 0, 0, 0, 0, 2, 1},
		"extended Lc 1, half an Le": {0, 0xB0, 0, 0, 0, 0, 1, 1, 0},
		"extended Lc 1, too much":   {0, 0xB0, 0, 0, 0, 0, 1, 1, 0, 0, 0},
		"extended 65536 bytes":      join([]byte{0, 0xB0, 0, 0, 0, 0xFF, 0xFF}, pattern(65536)),
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseCommand(wire); !errors.Is(err, ErrAPDU) {
				t.Errorf("got %v, %v, want ErrAPDU", c, err)
			}
		})
	}
}

func TestCommandAppendTo(t *testing.T) {
	long := Command{Data: pattern(256)}
	wire, err := long.AppendTo(nil)
	if err != nil || !bytes.Equal(wire[:7], []byte{0, 0, 0, 0, 0, 1, 0}) {
		t.Errorf("256 bytes of data without Extended: got % X, %v", wire[:7], err)
	}
	if !long.NeedsExtended() || (Command{Data: pattern(255), Ne: 256}).NeedsExtended() {
		t.Error("NeedsExtended is wrong at the limit of the short fields")
	}
	wire, err = Command{INS: 0x84, Extended: true}.AppendTo(nil)
	if err != nil || len(wire) != 4 {
		t.Errorf("case 1 with Extended: got % X, %v", wire, err)
	}
	for name, c := range map[string]Command{
		"Nc 65536":    {Data: make([]byte, 65536)},
		"Ne 65537":    {Ne: 65537},
		"negative Ne": {Ne: -1},
	} {
		if wire, err := c.AppendTo([]byte{1}); !errors.Is(err, ErrAPDU) || len(wire) != 1 {
			t.Errorf("%s: got %d bytes, %v, want dst as it was and ErrAPDU", name, len(wire), err)
		}
	}
}

func TestErrorsCarryNoData(t *testing.T) {
	secret := []byte{0, 0x20, 0, 2, 9, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38}
	_, err := ParseCommand(secret)
	if err == nil || strings.Contains(err.Error(), "31") || strings.Contains(err.Error(), "1234") {
		t.Errorf("got %v", err)
	}
	c := Command{INS: 0x20, P2: 2, Data: secret[5:]}
	if s := c.String(); s != "00 20 00 02 Nc=8" {
		t.Errorf("got %q", s)
	}
}

func TestResponse(t *testing.T) {
	for _, r := range []struct {
		wire []byte
		want Response
	}{
		{[]byte{0x90, 0x00}, Response{SW: 0x9000}},
		{[]byte{0x4B, 0x5A, 0x63, 0xC2}, Response{Data: []byte{0x4B, 0x5A}, SW: 0x63C2}},
		{join(pattern(65536), []byte{0x61, 0x00}), Response{Data: pattern(65536), SW: 0x6100}},
	} {
		got, err := ParseResponse(r.wire)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r.want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if wire := r.want.AppendTo(nil); !bytes.Equal(wire, r.wire) {
			t.Errorf("encoded %d bytes, want %d", len(wire), len(r.wire))
		}
	}
	for _, n := range []int{0, 1, MaxExtendedResponse + 1} {
		if _, err := ParseResponse(make([]byte, n)); !errors.Is(err, ErrAPDU) {
			t.Errorf("%d bytes: got %v, want ErrAPDU", n, err)
		}
	}
}

// Appending to what ParseCommand and ParseResponse returned must not write over
// the bytes behind it.
func TestParsedDataHasNoRoom(t *testing.T) {
	wire := []byte{0, 0xA4, 0, 0, 2, 0x3F, 0x00, 0x10}
	c, err := ParseCommand(wire)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(c.Data, 0xFF)
	r, err := ParseResponse(wire)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(r.Data, 0xFF, 0xFF)
	if want := []byte{0, 0xA4, 0, 0, 2, 0x3F, 0x00, 0x10}; !bytes.Equal(wire, want) {
		t.Errorf("got % X want % X", wire, want)
	}
}

// What is accepted encodes back to the same bytes.
func FuzzParseCommand(f *testing.F) {
	for _, r := range commandRows {
		if len(r.wire) < 1024 {
			f.Add(r.wire)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCommand(b)
		if err != nil {
			if !errors.Is(err, ErrAPDU) {
				t.Fatalf("error %v is not ErrAPDU", err)
			}
			return
		}
		if c.Ne < 0 || c.Ne > MaxExtendedNe || len(c.Data) > MaxExtendedNc || len(b) > MaxExtendedCommand {
			t.Fatalf("%v is out of bounds", c)
		}
		got, err := c.AppendTo(nil)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%v: % X became % X, %v", c, b, got, err)
		}
		if !c.Extended && (c.NeedsExtended() || len(b) > MaxShortCommand) {
			t.Fatalf("%v was read as short", c)
		}
	})
}

func TestAPDUAllocations(t *testing.T) {
	wire := join([]byte{0x00, 0xD6, 0x00, 0x00, 0xFF}, pattern(255))
	dst := make([]byte, 0, MaxShortCommand)
	n := testing.AllocsPerRun(100, func() {
		c, err := ParseCommand(wire)
		if err != nil {
			t.Fatal(err)
		}
		if dst, err = c.AppendTo(dst[:0]); err != nil {
			t.Fatal(err)
		}
		r, err := ParseResponse(wire)
		if err != nil || r.SW.OK() {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations per APDU, want none", n)
	}
}

func BenchmarkParseCommand(b *testing.B) {
	wire := join([]byte{0x00, 0xD6, 0x00, 0x00, 0xFF}, pattern(255))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCommand(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommandAppendTo(b *testing.B) {
	c := Command{INS: 0xD6, Data: pattern(255)}
	dst := make([]byte, 0, MaxShortCommand)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = c.AppendTo(dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
