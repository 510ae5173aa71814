package pkcs15

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/iso7816"
)

// files are one of each kind, with everything in them.
var files = map[string]string{
	"DIR":       `61 21 4F 0C A0 00 00 00 63 "PKCS-15" 50 0B "My KAZTOKEN" 51 04 3F 00 50 00 61 07 4F 01 A0 73 02 30 00 00`,
	"ODF":       "A8 0A 30 08 04 06 3F 00 50 00 60 05 A5 10 30 0E 04 06 3F 00 50 00 44 05 02 01 20 80 01 40 A0 04 A0 02 30 00 00",
	"TokenInfo": `30 44 02 01 00 04 01 07 0C 01 "m" A0 05 0C 03 "abc" 03 02 05 60 30 05 30 03 02 01 01 A1 02 30 00 A2 04 30 02 05 00 83 02 "is" 84 02 "ho" 85 0F "20260131120000Z" 13 02 "kk" 86 00`,
	"PrKDF": keyEntry + `A4 25 30 00 30 06 04 01 42 03 01 00
		A1 19 30 17 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 04 02 01 02 02 01 03 02 01 04
		A0 17 30 03 14 01 E9 30 06 04 01 42 03 01 00 A1 08 30 06 30 00 02 02 01 00
		30 6E 30 1B 14 07 "gen2048" 03 02 06 C0 04 01 02 30 09 30 07 03 02 05 20 04 01 02
		30 16 04 01 42 03 02 02 74 01 01 FF 03 02 03 B8 02 01 81 A1 03 02 01 07
		A0 13 30 0F ` + name + ` A0 00
		A1 20 30 1C 30 13 04 0A 3F 00 10 00 10 00 60 02 00 81 02 01 05 80 02 00 C8 02 02 08 00 02 01 03 05 00
		86 00 00`,
	"PuKDF": `30 30 30 0D 0C 07 "gen2048" 03 02 06 40 30 0D 04 01 42 03 02 02 74 01 01 00 02 01 00
		A1 10 30 0E 30 08 04 06 3F 00 50 00 02 00 02 02 08 00
		30 32 30 0D 0C 07 "gen2048" 03 02 06 40 30 0D 04 01 42 03 02 02 74 01 01 00 02 01 00
		A1 12 30 10 A0 0A 30 08 02 01 23 02 03 01 00 01 02 02 08 00 A2 02 30 00`,
	"CDF": certEntry + `30 1C 30 0A 0C 04 "cert" 03 02 06 40 30 03 04 01 45 A1 09 30 07 A0 05 30 03 02 01 05 A0 00 FF`,
	"DODF": `30 2B 30 0D 0C 04 "note" 03 02 06 C0 04 01 02 30 0E 0C 04 "mail" 06 06 2A 83 0E 03 0A 01
		A1 0A 30 08 04 06 3F 00 50 00 05 02 30 0A 30 00 30 00 A1 04 A0 02 04 00`,
	"AODF": `30 3B 30 1A 0C 14 "Security Officer PIN" 03 02 06 C0 30 03 04 01 01
		A1 18 30 16 03 02 00 99 0A 01 01 02 01 08 02 01 20 02 01 20 80 01 01 04 01 00
		30 4C 30 13 0C 03 "PUK" 03 02 07 80 04 01 01 02 01 05 30 02 30 00 30 03 04 01 0A
		A1 30 30 2E 03 03 04 62 10 0A 01 02 02 01 06 02 01 10 02 01 10 80 01 83 04 01 FF
		18 0F "20260131120000Z" 30 04 04 02 50 00 00`,
}

// fuzz checks what holds for any bytes: the entries and what follows them are
// the bytes parsed, in their order; an entry is written as it was read; one
// that is understood and changed reads as what it was changed to, and nothing
// else in it moves; labels are text; memory follows the bytes.
func fuzz[T anEntry](f *testing.F, file string, parse func([]byte) ([]T, error), entry func(*T) *Entry, label func(*T) *string) {
	seed := bytesOf(f, files[file])
	f.Add(seed)
	for _, n := range []int{0, 1, len(seed) / 2, len(seed) - 1} {
		f.Add(seed[:n])
	}
	f.Add(append(bytes.Clone(seed), 0x30))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parse(b)
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || !errors.Is(err, iso7816.ErrTLV)) {
			t.Fatalf("error %v", err)
		}
		n := 0
		for i := range list {
			v := &list[i]
			e := entry(v)
			if e.Offset != n || e.Len != len(e.Raw) || e.Len < 2 || cap(e.Raw) != e.Len {
				t.Fatalf("entry %d at %d, %d bytes, after %d", i, e.Offset, e.Len, n)
			}
			n += e.Len
			if !bytes.Equal((*v).AppendTo(nil), b[e.Offset:n]) {
				t.Fatalf("entry %d: % X written as % X", i, e.Raw, (*v).AppendTo(nil))
			}
			if label != nil && (!utf8.ValidString(*label(v)) || len(*label(v)) > 3*e.Len) {
				t.Fatalf("entry %d: label %q", i, *label(v))
			}
			if e.Err != nil {
				if !errors.Is(e.Err, ErrUnknown) {
					t.Fatalf("entry %d: %v", i, e.Err)
				}
				continue
			}
			changed := *v
			if label != nil {
				*label(&changed) = "changed"
			} else {
				entry(&changed).Raw = nil
			}
			again, err := parse(changed.AppendTo(nil))
			if err != nil || len(again) != 1 || entry(&again[0]).Err != nil {
				t.Fatalf("entry %d: % X changed to % X, read as %d entries, %v", i, e.Raw, changed.AppendTo(nil), len(again), err)
			}
			if diff := cmp.Diff(changed, again[0], fields); diff != "" {
				t.Fatalf("entry %d: % X, -changed +read:\n%s", i, e.Raw, diff)
			}
			if made := again[0].encode(nil); !bytes.Equal(made, changed.encode(nil)) {
				t.Fatalf("entry %d: % X, and then % X", i, changed.encode(nil), made)
			}
		}
		end, complete, endErr := End(b)
		if end != n || complete && err != nil || endErr != nil && err == nil {
			t.Fatalf("entries to %d, %v; end %d, %v, %v", n, err, end, complete, endErr)
		}
		if err != nil && syntax.Offset != n {
			t.Fatalf("entries to %d, %v", n, err)
		}
	})
}

func FuzzDIR(f *testing.F) {
	fuzz(f, "DIR", ParseDIR, func(a *Application) *Entry { return &a.Entry }, func(a *Application) *string { return &a.Label })
}

func FuzzODF(f *testing.F) {
	fuzz(f, "ODF", ParseODF, func(o *ODFEntry) *Entry { return &o.Entry }, nil)
}

func FuzzPrKDF(f *testing.F) {
	fuzz(f, "PrKDF", ParsePrKDF, func(k *PrivateKey) *Entry { return &k.Entry }, func(k *PrivateKey) *string { return &k.Label })
}

func FuzzPuKDF(f *testing.F) {
	fuzz(f, "PuKDF", ParsePuKDF, func(k *PublicKey) *Entry { return &k.Entry }, func(k *PublicKey) *string { return &k.Label })
}

func FuzzCDF(f *testing.F) {
	fuzz(f, "CDF", ParseCDF, func(x *Certificate) *Entry { return &x.Entry }, func(x *Certificate) *string { return &x.Label })
}

func FuzzDODF(f *testing.F) {
	fuzz(f, "DODF", ParseDODF, func(d *Data) *Entry { return &d.Entry }, func(d *Data) *string { return &d.Label })
}

func FuzzAODF(f *testing.F) {
	fuzz(f, "AODF", ParseAODF, func(p *PIN) *Entry { return &p.Entry }, func(p *PIN) *string { return &p.Label })
}

func FuzzTokenInfo(f *testing.F) {
	seed := bytesOf(f, files["TokenInfo"])
	f.Add(seed)
	f.Add(append(NewTokenInfo("My KAZTOKEN", []byte{0x32, 0xD1, 0x8A, 0x58}, "20260131120000.5Z").AppendTo(nil), 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		ti, err := ParseTokenInfo(b)
		if !bytes.HasPrefix(b, ti.Raw) || ti.Len != len(ti.Raw) || !bytes.Equal(ti.AppendTo(nil), ti.Raw) && ti.Raw != nil {
			t.Fatalf("written as % X, raw % X", ti.AppendTo(nil), ti.Raw)
		}
		if err != nil {
			if !errors.Is(err, ErrUnknown) && !errors.Is(err, iso7816.ErrTLV) {
				t.Fatalf("error %v", err)
			}
			return
		}
		changed := ti
		changed.Label, changed.LastUpdate = "changed", "20270131120000Z"
		again, err := ParseTokenInfo(changed.AppendTo(nil))
		if err != nil {
			t.Fatalf("% X changed to % X: %v", ti.Raw, changed.AppendTo(nil), err)
		}
		if diff := cmp.Diff(changed, again, fields); diff != "" {
			t.Fatalf("% X, -changed +read:\n%s", ti.Raw, diff)
		}
	})
}

func FuzzOID(f *testing.F) {
	f.Add("1.2.398.3.10.1", []byte{0x2A, 0x83, 0x0E})
	f.Add("2.999.3", []byte{0x88, 0x37, 0x80})
	f.Fuzz(func(t *testing.T, s string, b []byte) {
		if o, err := ParseOID(s); err == nil && o.String() != s {
			t.Fatalf("%q read as % X, which is %q", s, []byte(o), o)
		}
		if o, err := ParseOID(OID(b).String()); err == nil && !bytes.Equal(o, b) {
			t.Fatalf("% X is %q, which is % X", b, OID(b), []byte(o))
		}
	})
}
