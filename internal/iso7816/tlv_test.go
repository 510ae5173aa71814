package iso7816

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTLV(t *testing.T) {
	for _, r := range []struct {
		name string
		wire []byte
		tag  uint32
		n    int // bytes of value
		der  bool
	}{
		{"empty value", []byte{0x5C, 0x00}, 0x5C, 0, true},
		{"one byte", []byte{0x80, 0x01, 0xAA}, 0x80, 1, true},
		{"127", join([]byte{0x04, 0x7F}, pattern(127)), 0x04, 127, true},
		{"128", join([]byte{0x04, 0x81, 0x80}, pattern(128)), 0x04, 128, true},
		{"255", join([]byte{0x04, 0x81, 0xFF}, pattern(255)), 0x04, 255, true},
		{"256", join([]byte{0x04, 0x82, 0x01, 0x00}, pattern(256)), 0x04, 256, true},
		{"65535", join([]byte{0x04, 0x82, 0xFF, 0xFF}, pattern(65535)), 0x04, 65535, true},
		{"65536", join([]byte{0x04, 0x83, 0x01, 0x00, 0x00}, pattern(65536)), 0x04, 65536, true},
		{"tag of two bytes", []byte{0x5F, 0x2D, 0x02, 0x6B, 0x6B}, 0x5F2D, 2, true},
		{"tag of three bytes", []byte{0x5F, 0x81, 0x01, 0x00}, 0x5F8101, 0, true},
		{"tag of four bytes", []byte{0xBF, 0x81, 0x82, 0x03, 0x00}, 0xBF818203, 0, true},
		{"smallest tag of two bytes", []byte{0x7F, 0x1F, 0x00}, 0x7F1F, 0, true},
		{"private tag FE", []byte{0xFE, 0x00}, 0xFE, 0, true},
		{"length 81 of a short value", []byte{0x04, 0x81, 0x01, 0xAA}, 0x04, 1, false},
		{"length 82 of a short value", []byte{0x04, 0x82, 0x00, 0x80}, 0x04, 128, false},
		{"length 83 of nothing", []byte{0x04, 0x83, 0x00, 0x00, 0x00}, 0x04, 0, false},
		{"tag of two bytes for one", []byte{0x5F, 0x1E, 0x00}, 0x5F1E, 0, false},
		{"tag with leading zeros", []byte{0x5F, 0x80, 0x20, 0x00}, 0x5F8020, 0, false},
	} {
		t.Run(r.name, func(t *testing.T) {
			wire := r.wire
			if r.name == "length 82 of a short value" {
				wire = join(wire, pattern(128))
			}
			got, rest, err := ParseTLV(join(wire, []byte{0xEE}))
			if err != nil {
				t.Fatal(err)
			}
			value := wire[len(wire)-r.n:]
			if got.Tag != r.tag || !bytes.Equal(got.Value, value) || !bytes.Equal(rest, []byte{0xEE}) {
				t.Errorf("got tag %X, %d bytes, rest % X", got.Tag, len(got.Value), rest)
			}
			_, _, err = ParseDER(wire)
			if r.der != (err == nil) || err != nil && !errors.Is(err, ErrTLV) {
				t.Errorf("ParseDER: %v", err)
			}
			if enc := AppendTLV([]byte{1}, r.tag, value); r.der && !bytes.Equal(enc[1:], wire) {
				t.Errorf("encoded % X…", enc[1:min(len(enc), 8)])
			}
		})
	}
}

func TestParseTLVRefuses(t *testing.T) {
	for name, wire := range map[string][]byte{
		"nothing":                {},
		"tag 00":                 {0x00, 0x00},
		"no length":              {0x6F},
		"tag without end":        {0x5F, 0x81},
		"tag of five bytes":      {0x5F, 0x81, 0x81, 0x81, 0x01, 0x00},
		"indefinite length":      {0x30, 0x80, 0x00, 0x00},
		"length of four bytes":   {0x04, 0x84, 0x00, 0x00, 0x00, 0x00},
		"length field cut":       {0x04, 0x82, 0x01},
		"value cut":              {0x04, 0x02, 0xAA},
		"value cut, long length": {0x04, 0x83, 0xFF, 0xFF, 0xFF, 0x00},
		"reserved length FF":     {0x04, 0xFF},
	} {
		if got, _, err := ParseTLV(wire); !errors.Is(err, ErrTLV) {
			t.Errorf("%s: got %+v, %v, want ErrTLV", name, got, err)
		}
	}
}

func TestAppendTLVPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"tag 0":           func() { AppendTLV(nil, 0, nil) },
		"half a tag":      func() { AppendTLV(nil, 0x5F, nil) },
		"two tags":        func() { AppendTLV(nil, 0x8081, nil) },
		"tag and a half":  func() { AppendTLV(nil, 0x5F2D5F, nil) },
		"value of 16 MiB": func() { AppendTLV(nil, 0x04, make([]byte, 1<<24)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// The FCP template that SELECT gives for the MF of a token.
const fcp = "6F 1D 80 02 00 00 82 02 38 00 83 02 3F 00 86 0F 47 02 02 01 00 00 00 FF 00 00 00 00 00 00 00"

func TestTLVs(t *testing.T) {
	mf, rest, err := ParseDER(unhex(t, fcp))
	if err != nil || len(rest) != 0 || mf.Tag != 0x6F || !mf.Constructed() {
		t.Fatalf("%X, rest %d, %v", mf.Tag, len(rest), err)
	}
	var tags []uint32
	for o, err := range TLVs(mf.Value) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Constructed() {
			t.Errorf("%X is constructed", o.Tag)
		}
		tags = append(tags, o.Tag)
	}
	if d := cmp.Diff([]uint32{0x80, 0x82, 0x83, 0x86}, tags); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if enc := mf.AppendTo(nil); !bytes.Equal(enc, unhex(t, fcp)) {
		t.Errorf("encoded % X", enc)
	}

	var errs []error
	tags = nil
	for o, err := range TLVs([]byte{0x00, 0x80, 0x01, 0xAA, 0x00, 0x00, 0x81, 0x05, 0x01}) {
		tags, errs = append(tags, o.Tag), append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], ErrTLV) || tags[0] != 0x80 {
		t.Errorf("padding, then an object cut short: %X, %v", tags, errs)
	}
	for range TLVs(mf.Value) {
		break // a consumer that stops early
	}
}

func TestFindTLV(t *testing.T) {
	b := unhex(t, fcp)
	for _, r := range []struct {
		path []uint32
		want []byte // nil: not there
	}{
		{[]uint32{0x6F, 0x83}, []byte{0x3F, 0x00}},
		{[]uint32{0x6F, 0x82}, []byte{0x38, 0x00}},
		{[]uint32{0x6F, 0x85}, nil},
		{[]uint32{0x62, 0x83}, nil},
		{[]uint32{0x83}, nil},
		{nil, nil},
	} {
		got, ok := FindTLV(b, r.path...)
		if ok != (r.want != nil) || ok && !bytes.Equal(got, r.want) {
			t.Errorf("%X: got % X, %v", r.path, got, ok)
		}
	}
	if _, ok := FindTLV([]byte{0x80, 0x05, 0x01}, 0x80); ok {
		t.Error("found an object that is cut short")
	}
}

func TestConstructed(t *testing.T) {
	for tag, want := range map[uint32]bool{
		0x6F: true, 0x30: true, 0x7F4E: true, 0xBF818203: true, 0x80: false, 0x5F2D: false, 0x5F8120: false,
	} {
		if got := (TLV{Tag: tag}).Constructed(); got != want {
			t.Errorf("%X: got %v", tag, got)
		}
	}
}

// What ParseDER takes encodes back to the same bytes; what only ParseTLV takes
// has an encoding that ParseDER takes, or a tag that could be shorter. Going
// through a whole buffer always ends.
func FuzzParseTLV(f *testing.F) {
	f.Add(unhex(f, fcp))
	f.Add([]byte{0x5F, 0x2D, 0x82, 0x00, 0x02, 0x6B, 0x6B, 0x00})
	f.Add([]byte{0xBF, 0x81, 0x82, 0x03, 0x81, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		loose, rest, err := ParseTLV(b)
		strict, strictRest, strictErr := ParseDER(b)
		if err != nil {
			if !errors.Is(err, ErrTLV) || strictErr == nil {
				t.Fatalf("% X: %v, strict %v", b, err, strictErr)
			}
		} else {
			if len(loose.Value)+len(rest) > len(b)-2 {
				t.Fatalf("% X: value and rest are more than there is", b)
			}
			enc := loose.AppendTo(nil)
			if again, _, err := ParseTLV(enc); err != nil || again.Tag != loose.Tag || !bytes.Equal(again.Value, loose.Value) {
				t.Fatalf("% X: encoded as % X, read as %+v, %v", b, enc, again, err)
			}
			if canonical := bytes.Equal(enc, b[:len(b)-len(rest)]); strictErr == nil && !canonical {
				t.Fatalf("% X: strict, but encodes as % X", b, enc)
			}
		}
		if strictErr == nil && (strict.Tag != loose.Tag || len(strictRest) != len(rest)) {
			t.Fatalf("% X: strict %+v, loose %+v", b, strict, loose)
		}
		n := 0
		for o, err := range TLVs(b) {
			n++
			if err == nil {
				n += len(o.Value)
			}
		}
		if n > len(b)+1 {
			t.Fatalf("% X: %d bytes of values", b, n)
		}
	})
}
