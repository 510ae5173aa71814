package pkcs15

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"kaztoken/internal/iso7816"
)

// bytesOf reads hexadecimal digits with spaces and line ends between them, and
// text between quotes.
func bytesOf(t testing.TB, s string) []byte {
	t.Helper()
	var b []byte
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			b = append(b, part...)
			continue
		}
		digits, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatalf("%q: %v", part, err)
		}
		b = append(b, digits...)
	}
	return b
}

func TestBits(t *testing.T) {
	for _, r := range []struct {
		wire string
		n    uint32
		der  bool
	}{
		{"03 01 00", 0, true},
		{"03 02 07 80", 1, true},
		{"03 02 00 01", 0x80, true},
		{"03 02 06 C0", 3, true},
		{"03 02 02 74", 0x2E, true},
		{"03 02 03 B8", 0x1D, true},
		{"03 02 04 10", 0x08, true},
		{"03 03 07 00 80", 0x100, true},
		{"03 03 06 00 40", 0x200, true},
		{"03 05 00 80 00 00 01", 0x80000001, true},
		{"03 02 00 00", 0, false},
		{"03 02 00 C0", 3, false},
		{"03 02 06 FF", 3, false}, // unused bits that are set
		{"03 03 00 C0 00", 3, false},
	} {
		wire := bytesOf(t, r.wire)
		c := cursor{b: wire}
		n, ok := c.bits("flags")
		if !ok || c.err != nil || n != r.n || len(c.b) > 0 {
			t.Errorf("%s: got %#x, %v, %v", r.wire, n, ok, c.err)
		}
		if got := appendBits(nil, n); bytes.Equal(got, wire) != r.der {
			t.Errorf("%s: written as % X", r.wire, got)
		}
	}
	for _, wire := range []string{"03 00", "03 02 08 00", "03 01 01", "03 06 00 00 00 00 00 00"} {
		c := cursor{b: bytesOf(t, wire)}
		if n, _ := c.bits("flags"); !errors.Is(c.err, ErrUnknown) {
			t.Errorf("%s: got %#x, %v", wire, n, c.err)
		}
	}
}

func TestInteger(t *testing.T) {
	for _, r := range []struct {
		wire string
		n    int
		der  bool
	}{
		{"02 01 00", 0, true},
		{"02 01 7F", 127, true},
		{"02 02 00 80", 128, true},
		{"02 02 00 FF", 255, true},
		{"02 02 08 00", 2048, true},
		{"02 04 7F FF FF FF", 1<<31 - 1, true},
		{"02 01 FF", -1, true},
		{"02 01 80", -128, true},
		{"02 02 FF 7F", -129, true},
		{"02 04 80 00 00 00", -1 << 31, true},
		{"02 02 00 01", 1, false},
		{"02 03 FF FF 80", -128, false},
	} {
		wire := bytesOf(t, r.wire)
		c := cursor{b: wire}
		n := c.needInteger("number", tagInteger)
		if c.err != nil || n != r.n || len(c.b) > 0 {
			t.Errorf("%s: got %d, %v", r.wire, n, c.err)
		}
		if got := appendInteger(nil, tagInteger, n); bytes.Equal(got, wire) != r.der {
			t.Errorf("%s: written as % X", r.wire, got)
		}
	}
	for _, wire := range []string{"02 00", "02 05 00 00 00 00 01", "04 01 00", ""} {
		c := cursor{b: bytesOf(t, wire)}
		if n := c.needInteger("number", tagInteger); !errors.Is(c.err, ErrUnknown) || n != 0 {
			t.Errorf("%s: got %d, %v", wire, n, c.err)
		}
	}
}

func TestReference(t *testing.T) {
	for _, r := range []struct {
		wire string
		n    int
	}{
		{"", NoReference},
		{"02 01 01", 1},
		{"02 01 7F", 127},
		{"02 02 00 81", 129},
		{"02 01 81", 129}, // as OpenSC 0.11.4 wrote it
		{"02 01 80", 128},
		{"02 01 FE", 254},
	} {
		c := cursor{b: bytesOf(t, r.wire)}
		if n := c.reference("reference", tagInteger, NoReference); n != r.n || c.err != nil {
			t.Errorf("%q: got %d, %v, want %d", r.wire, n, c.err, r.n)
		}
	}
	c := cursor{b: bytesOf(t, "02 02 FF 7F")}
	if n := c.reference("reference", tagInteger, NoReference); !errors.Is(c.err, ErrUnknown) {
		t.Errorf("got %d, %v", n, c.err)
	}
}

func TestText(t *testing.T) {
	for _, r := range []struct{ wire, want string }{
		{`0C 03 "abc"`, "abc"},
		{`0C 00`, ""},
		{`0C 08 D2 9A D0 BE D0 BB D1 82`, "Қолт"},
		{`0C 04 "a" FF FE "b"`, "a\uFFFDb"},
		{`13 03 "abc"`, "abc"},
		{`16 03 "a@b"`, "a@b"},
		{`1A 03 "a b"`, "a b"},
		{`14 02 E9 "t"`, "ét"},
		{`1E 04 04 1F 04 3E`, "По"},
		{`1E 05 00 61 D8 3D DE`, "a\uFFFD"},               // half a pair, half a unit
		{`1E 04 D8 3D DE 00`, "\U0001F600"},               // a surrogate pair
		{`80 03 "not a string"`, ""},                      // absent
		{`0C 7F "runs over the end"`, ""},                 // absent
		{`0C 02 C3 28`, "\uFFFD("},                        // a broken pair
		{`0C 0A "five" 00 "zero" 00`, "five\x00zero\x00"}, // zeros are the label's own
	} {
		c := cursor{b: bytesOf(t, r.wire)}
		if got := c.text(); got != r.want {
			t.Errorf("%s: got %q, want %q", r.wire, got, r.want)
		}
	}
	if got := appendText(nil, tagUTF8String, "a\xFFb"); !bytes.Equal(got, bytesOf(t, `0C 05 "a" EF BF BD "b"`)) {
		t.Errorf("written as % X", got)
	}
}

func TestWrap(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 255, 256, 65536} {
		value := bytes.Repeat([]byte{0x5A}, n)
		got := wrap(append([]byte{1, 2}, value...), tagSequence, 2)
		if want := iso7816.AppendTLV([]byte{1, 2}, tagSequence, value); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got % X…", n, got[:min(len(got), 8)])
		}
	}
}
