package pcapng_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/trace/pcapng"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of three blocks, typed from §4.1, §4.2 and §4.3.
const (
	sectionHex = `
		0A0D0D0A 28000000 4D3C2B1A 0100 0000 FFFFFFFFFFFFFFFF
		0400 0300 61622F 00  00000000 28000000`
	interfaceHex = `
		01000000 28000000 DC00 0000 00000000
		0200 0400 75736231  0900 0100 09 000000  00000000 28000000`
	// 0x17979CFE_362A0000 ns are 1700000000 s.
	packetHex = `
		06000000 34000000 00000000 FE9C9717 00002A36 05000000 05000000
		0102030405 000000  0100 0200 6869 0000  00000000 34000000`
)

func section() pcapng.Section {
	return pcapng.Section{Options: []pcapng.Option{{Code: pcapng.OptSectionUser, Value: []byte("ab/")}}}
}

func iface() pcapng.Interface {
	return pcapng.Interface{LinkType: 220, Options: []pcapng.Option{{Code: pcapng.OptInterfaceName, Value: []byte("usb1")}}}
}

func packet() pcapng.Packet {
	return pcapng.Packet{
		Time: time.Unix(1700000000, 0).UTC(), Original: 5, Data: []byte{1, 2, 3, 4, 5},
		Options: []pcapng.Option{{Code: pcapng.OptComment, Value: []byte("hi")}},
	}
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"section", section().AppendTo(nil), sectionHex},
		{"interface", iface().AppendTo(nil), interfaceHex},
		{"packet", packet().AppendTo(nil), packetHex},
	} {
		if diff := cmp.Diff(unhex(t, c.want), c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// blocks reads a file to its end. What it gives is its own.
func blocks(b []byte) (all []any, err error) {
	r := pcapng.NewReader(bytes.NewReader(b))
	for {
		block, err := r.Next()
		if err != nil {
			return all, err
		}
		own := func(o []pcapng.Option) (c []pcapng.Option) {
			for _, o := range o {
				c = append(c, pcapng.Option{Code: o.Code, Value: bytes.Clone(o.Value)})
			}
			return c
		}
		switch b := block.(type) {
		case *pcapng.Section:
			block = pcapng.Section{Options: own(b.Options)}
		case *pcapng.Interface:
			block = pcapng.Interface{LinkType: b.LinkType, SnapLen: b.SnapLen, Options: own(b.Options)}
		case *pcapng.Packet:
			p := *b
			p.Data, p.Options = bytes.Clone(b.Data), own(b.Options)
			block = p
		}
		all = append(all, block)
	}
}

func TestRead(t *testing.T) {
	other := unhex(t, "0500000010000000 DEADBEEF 10000000")
	file := append(packet().AppendTo(append(iface().AppendTo(section().AppendTo(nil)), other...)), other...)
	all, err := blocks(file)
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	described := iface()
	described.Options = append(described.Options, pcapng.Option{Code: pcapng.OptResolution, Value: []byte{9}})
	if diff := cmp.Diff([]any{section(), described, packet()}, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The file is of use up to the last whole block, wherever it is cut off.
	for n := range len(file) {
		_, err := blocks(file[:n])
		switch {
		case n == 0 && !errors.Is(err, io.EOF), n > 0 && n < 12 && !errors.Is(err, pcapng.ErrMalformed):
			t.Fatalf("cut after %d bytes: %v", n, err)
		case n >= 12 && !errors.Is(err, pcapng.ErrTruncated) && !errors.Is(err, io.EOF):
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestBigEndian(t *testing.T) {
	all, err := blocks(unhex(t, `
		0A0D0D0A 0000001C 1A2B3C4D 0001 0002 FFFFFFFFFFFFFFFF 0000001C
		00000001 00000014 00DC 0000 00040000 00000014
		00000006 0000002C 00000000 00060A24 181E4000 00000002 00000009 AABB 0000
		0001 0001 78 000000 0000002C`))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	// Microseconds, as nothing else is said.
	want := []any{
		pcapng.Section{}, pcapng.Interface{LinkType: 220, SnapLen: 0x40000},
		pcapng.Packet{
			Time: time.Unix(1700000000, 0).UTC(), Original: 9, Data: []byte{0xAA, 0xBB},
			Options: []pcapng.Option{{Code: pcapng.OptComment, Value: []byte("x")}},
		},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestResolution: the units of time stamps, with the code of §4.2 and a number
// of units.
func TestResolution(t *testing.T) {
	for _, c := range []struct {
		code  byte
		units uint64
		want  time.Time
	}{
		{0, 7, time.Unix(7, 0)},
		{3, 1500, time.Unix(1, 5e8)},
		{9, 1<<63 + 1, time.Unix(9223372036, 854775809)},
		{12, 1_000_000_001_999, time.Unix(1, 1)},
		{19, 15e18, time.Unix(1, 5e8)},
		{0x80, 7, time.Unix(7, 0)},
		{0x80 | 10, 1536, time.Unix(1, 5e8)},
		{0x80 | 32, 3<<32 | 1<<31, time.Unix(3, 5e8)},
		{0x80 | 63, 1<<63 + 1<<62, time.Unix(1, 5e8)},
	} {
		i := pcapng.Interface{Options: []pcapng.Option{{Code: pcapng.OptResolution, Value: []byte{0}}}}
		file := i.AppendTo(section().AppendTo(nil))
		at := len(file) - 12 // the value, three bytes of padding, the end of the options, the length
		file[at] = c.code
		p := pcapng.Packet{Time: time.Unix(0, 0)}.AppendTo(nil)
		for n := range 4 {
			p[12+n], p[16+n] = byte(c.units>>(32+8*n)), byte(c.units>>(8*n))
		}
		all, err := blocks(append(file, p...))
		if !errors.Is(err, io.EOF) || len(all) != 3 {
			t.Fatalf("%02X: %v", c.code, err)
		}
		if got := all[2].(pcapng.Packet).Time; !got.Equal(c.want) {
			t.Errorf("%02X: %d units are %v, want %v", c.code, c.units, got, c.want.UTC())
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, s := range map[string]string{
		"no section":              interfaceHex,
		"a text":                  "2320546869732069732061207465787420",
		"another magic":           strings.Replace(sectionHex, "4D3C2B1A", "4D3C2B1B", 1),
		"another version":         strings.Replace(sectionHex, "0100 0000 FF", "0200 0000 FF", 1),
		"lengths differ":          sectionHex[:len(sectionHex)-8] + "30000000",
		"length not of four":      "0A0D0D0A 1D000000 4D3C2B1A",
		"length too small":        "0A0D0D0A 08000000 4D3C2B1A",
		"length too large":        "0A0D0D0A 04001000 4D3C2B1A",
		"short section":           "0A0D0D0A 14000000 4D3C2B1A 01000000 14000000",
		"short interface":         sectionHex + "01000000 10000000 DC000000 10000000",
		"short packet":            sectionHex + interfaceHex + "06000000 10000000 00000000 10000000",
		"packet without":          sectionHex + packetHex,
		"packet beyond":           sectionHex + interfaceHex + strings.Replace(packetHex, "05000000", "FFFFFFFF", 1),
		"option beyond":           strings.Replace(sectionHex, "0400 0300", "0400 0900", 1),
		"rest of options":         sectionHex + "01000000 18000000 DC00 0000 00000000 0200 FF00 18000000",
		"resolution of two bytes": sectionHex + "01000000 1C000000 DC00 0000 00000000 0900 0200 09090000 1C000000",
		"resolution too fine":     sectionHex + "01000000 1C000000 DC00 0000 00000000 0900 0100 14000000 1C000000",
	} {
		if _, err := blocks(unhex(t, s)); !errors.Is(err, pcapng.ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, pcapng.ErrMalformed)
		}
	}
}

// FuzzReader: what is read is written and read again as the same, whatever the
// file was.
func FuzzReader(f *testing.F) {
	for _, s := range []string{sectionHex, sectionHex + interfaceHex + packetHex, packetHex, ""} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, _ := blocks(b)
		var file []byte
		for i, block := range first {
			switch block := block.(type) {
			case pcapng.Section:
				file = block.AppendTo(file)
			case pcapng.Interface:
				// Written time stamps are in nanoseconds, and the option says so at the end.
				var rest []pcapng.Option
				for _, o := range block.Options {
					if o.Code != pcapng.OptResolution {
						rest = append(rest, o)
					}
				}
				block.Options = rest
				file = block.AppendTo(file)
				block.Options = append(rest, pcapng.Option{Code: pcapng.OptResolution, Value: []byte{9}})
				first[i] = block
			case pcapng.Packet:
				if y := block.Time.Year(); y < 1970 || y > 2200 {
					block.Time = time.Unix(0, 0).UTC() // beyond what nanoseconds can say
					first[i] = block
				}
				file = block.AppendTo(file)
			}
			if len(first) > 0 {
				if _, ok := first[0].(pcapng.Section); !ok {
					t.Fatalf("%T before a section", first[0])
				}
			}
		}
		second, err := blocks(file)
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
