package pkcs15

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"kaztoken/internal/iso7816"
)

const (
	keyEntry = `30 38 30 10 0C 07 "gen2048" 03 02 06 C0 04 01 02
		30 0E 04 01 42 03 02 02 74 03 02 03 B8 02 01 01
		A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 01 02 02 08 00`
	certEntry = `30 1F 30 0A 0C 04 "cert" 03 02 06 40 30 03 04 01 45 A1 0C 30 0A 30 08 04 06 3F 00 50 00 03 00`
)

func TestEnd(t *testing.T) {
	for _, r := range []struct {
		name, b  string
		n        int
		complete bool
		err      bool
	}{
		{"nothing", "", 0, false, false},
		{"empty file", "00 00 00", 0, true, false},
		{"erased file", "FF FF FF", 0, true, false},
		{"one entry and zeros", "30 01 AA 00", 3, true, false},
		{"one entry and erased memory", "30 01 AA FF", 3, true, false},
		{"two entries up to the end", "30 01 AA A0 00", 5, false, false},
		{"an entry cut in its value", "30 01 AA 30 02 BB", 3, false, false},
		{"an entry cut after its length", "30 01 AA 30 02", 3, false, false},
		{"an entry cut in its length", "30 01 AA 30 82 01", 3, false, false},
		{"an entry cut before its length", "30 01 AA 30", 3, false, false},
		{"an entry cut in its tag", "30 01 AA 7F", 3, false, false},
		{"a long tag cut", "30 01 AA 7F 81", 3, false, false},
		{"a long tag cut before its length", "30 01 AA 7F 81 01", 3, false, false},
		{"zeros inside an entry", "30 03 00 00 00 00", 5, true, false},
		{"indefinite length", "30 01 AA 30 80", 3, false, true},
		{"length of four bytes", "30 01 AA 30 84 01 01 01 01", 3, false, true},
		{"endless tag", "30 01 AA 7F 81 82 83 84", 3, false, true},
	} {
		t.Run(r.name, func(t *testing.T) {
			b := bytesOf(t, r.b)
			n, complete, err := End(b)
			if n != r.n || complete != r.complete || (err != nil) != r.err {
				t.Errorf("got %d, %v, %v", n, complete, err)
			}
			var syntax *SyntaxError
			if r.err && (!errors.As(err, &syntax) || syntax.Offset != r.n || !errors.Is(err, iso7816.ErrTLV)) {
				t.Errorf("got %#v", err)
			}

			// The parsers read the same entries; what runs over the end of a file
			// is an error for them.
			list, err := Entries(b)
			end := 0
			for _, e := range list {
				if e.Offset != end || e.Len != len(e.Raw) {
					t.Errorf("entry at %d, %d bytes, after %d", e.Offset, e.Len, end)
				}
				end += e.Len
			}
			bad := r.err || !r.complete && r.n < len(b)
			if end != r.n || (err != nil) != bad {
				t.Errorf("Entries: to %d, %v", end, err)
			}
			if bad && (!errors.As(err, &syntax) || syntax.Offset != r.n || !errors.Is(err, iso7816.ErrTLV)) {
				t.Errorf("Entries: got %v", err)
			}
		})
	}
}

// TestEndOfPart reads a file in pieces of every size, as from a card.
func TestEndOfPart(t *testing.T) {
	var file []byte
	for range 8 {
		file = append(file, bytesOf(t, keyEntry)...)
	}
	end := len(file)
	file = append(file, make([]byte, 512-end)...)
	for piece := 1; piece <= len(file); piece++ {
		read := 0
		for {
			read = min(read+piece, len(file))
			n, complete, err := End(file[:read])
			if err != nil || n > end {
				t.Fatalf("%d bytes: %d, %v", read, n, err)
			}
			if complete || read == len(file) {
				if n != end {
					t.Errorf("pieces of %d: end %d, want %d", piece, n, end)
				}
				break
			}
		}
	}
}

func TestErrorStopsAfterGoodEntries(t *testing.T) {
	good := bytesOf(t, keyEntry)
	keys, err := ParsePrKDF(append(bytes.Clone(good), 0x30, 0x20, 0x01))
	var syntax *SyntaxError
	if len(keys) != 1 || keys[0].Label != "gen2048" || !errors.As(err, &syntax) || syntax.Offset != len(good) {
		t.Errorf("got %d entries, %v", len(keys), err)
	}
	if !strings.Contains(err.Error(), "byte 58: ") {
		t.Errorf("got %q", err)
	}
	if ti, err := ParseTokenInfo(make([]byte, 128)); !errors.As(err, &syntax) || ti.Raw != nil {
		t.Errorf("empty TokenInfo: %v", err)
	}
}

// TestUnknown has entries that are data objects but not what the directory
// lists: each is marked and kept, and hides neither the entry before it nor
// the one after it.
func TestUnknown(t *testing.T) {
	const (
		common = "30 00 "
		key    = "30 06 04 01 42 03 01 00 "
		path   = "30 04 04 02 02 00 "
	)
	type reader func([]byte) (raws [][]byte, errs []error, labels []string, err error)
	reading := map[string]reader{
		"DIR": readerOf(ParseDIR, func(a Application) string { return a.Label }),
		"ODF": readerOf(ParseODF, func(ODFEntry) string { return "" }),
		"TokenInfo": readerOf(func(b []byte) ([]TokenInfo, error) {
			ti, err := ParseTokenInfo(b)
			if errors.Is(err, ErrUnknown) && errors.Is(ti.Err, ErrUnknown) {
				err = nil
			}
			return []TokenInfo{ti}, err
		}, func(ti TokenInfo) string { return ti.Label }),
		"PrKDF": readerOf(ParsePrKDF, func(k PrivateKey) string { return k.Label }),
		"PuKDF": readerOf(ParsePuKDF, func(k PublicKey) string { return k.Label }),
		"CDF":   readerOf(ParseCDF, func(x Certificate) string { return x.Label }),
		"DODF":  readerOf(ParseDODF, func(d Data) string { return d.Label }),
		"AODF":  readerOf(ParseAODF, func(p PIN) string { return p.Label }),
	}
	good := map[string]string{
		"DIR": `61 07 4F 01 A0 50 02 "ok"`, "ODF": "A0 06 30 04 04 02 60 02",
		"PrKDF": keyEntry, "PuKDF": "A0 14 " + common + key + "A1 08 30 06 30 04 04 02 02 00",
		"CDF": certEntry, "DODF": "30 0A 30 00 30 00 A1 04 A0 02 04 00",
		"AODF": `30 17 30 00 30 03 04 01 01 A1 0E 30 0C 03 01 00 0A 01 00 02 01 00 02 01 08`,
	}
	for _, r := range []struct{ file, name, wire, label string }{
		{"DIR", "another tag", "4F 01 A0", ""},
		{"DIR", "no identifier", "61 02 50 00", ""},
		{"DIR", "identifier at the end", `61 07 50 02 "ok" 4F 01 A0`, ""},
		{"DIR", "two labels", `61 0A 4F 01 A0 50 01 "a" 51 00 50 00`, "a"},
		{"ODF", "unknown kind", "A9 06 30 04 04 02 60 02", ""},
		{"ODF", "primitive", "80 02 60 02", ""},
		{"ODF", "objects in the ODF", "A0 04 A0 02 30 00", ""},
		{"ODF", "two paths", "A0 0C 30 04 04 02 60 02 30 04 04 02 60 03", ""},
		{"ODF", "index without length", "A0 09 30 07 04 02 60 02 02 01 00", ""},
		{"ODF", "length without index", "A0 09 30 07 04 02 60 02 80 01 10", ""},
		{"ODF", "part before the file", "A0 0C 30 0A 04 02 60 02 02 01 FF 80 01 10", ""},
		{"ODF", "part of no bytes", "A0 0C 30 0A 04 02 60 02 02 01 00 80 01 00", ""},
		{"ODF", "path with more elements", "A0 08 30 06 04 02 60 02 05 00", ""},
		{"TokenInfo", "another tag", "31 06 02 01 01 03 01 00", ""},
		{"TokenInfo", "no version", "30 03 03 01 00", ""},
		{"TokenInfo", "no flags", `30 07 02 01 00 80 02 "ok"`, "ok"},
		{"TokenInfo", "flags out of bounds", "30 07 02 01 00 03 02 09 00", ""},
		{"TokenInfo", "label with more than a text", `30 0D 02 01 00 A0 05 0C 01 "a" 05 00 03 01 00`, "a"},
		{"TokenInfo", "last update without a time", "30 0A 02 01 00 03 01 00 A5 02 05 00", ""},
		{"TokenInfo", "label at the end", `30 09 02 01 00 03 01 00 80 01 "a"`, ""},
		{"PrKDF", "DSA", "A2 13 30 05 0C 03 \"dsa\" " + key + "A1 02 30 00", "dsa"},
		{"PrKDF", "nothing", "30 00", ""},
		{"PrKDF", "common attributes only", `30 06 30 04 0C 02 "ok"`, "ok"},
		{"PrKDF", "label at the end", `30 1B 30 07 03 02 06 C0 0C 01 "a" ` + key + "A1 08 30 06 30 00 02 02 04 00", ""},
		{"PrKDF", "no identifier", `30 0B 30 04 0C 02 "ok" 30 03 03 01 00`, "ok"},
		{"PrKDF", "no usage", `30 0B 30 04 0C 02 "ok" 30 03 04 01 42`, "ok"},
		{"PrKDF", "native of two bytes", "30 0E " + common + "30 0A 04 01 42 03 01 00 01 02 FF FF", ""},
		{"PrKDF", "reference of five bytes", "30 11 " + common + "30 0D 04 01 42 03 01 00 02 05 00 00 00 00 01", ""},
		{"PrKDF", "no value", "30 0E " + common + key + "A1 02 30 00", ""},
		{"PrKDF", "no modulus length", "30 12 " + common + key + "A1 06 30 04 30 02 04 00", ""},
		{"PrKDF", "value in the entry", "30 14 " + common + key + "A1 08 30 06 A0 00 02 02 04 00", ""},
		{"PrKDF", "EC, two field sizes", "A0 16 " + common + key + "A1 0A 30 08 30 00 02 01 00 02 01 00", ""},
		{"PrKDF", "two type attributes", "30 16 " + common + key + "A1 08 30 06 30 00 02 02 04 00 A1 00", ""},
		{"PuKDF", "neither path nor value", "30 14 " + common + key + "A1 08 30 06 A1 00 02 02 04 00", ""},
		{"PuKDF", "GOST without parameters", "A4 14 " + common + key + "A1 08 30 06 30 04 04 02 02 00", ""},
		{"CDF", "attribute certificate", "A0 11 30 04 0C 02 \"ac\" 30 03 04 01 45 A1 04 30 02 30 00", "ac"},
		{"CDF", "no identifier", "30 04 " + common + "30 00", ""},
		{"CDF", "identifier twice", "30 10 " + common + "30 06 04 01 45 04 01 46 A1 04 30 02 30 00", ""},
		{"CDF", "two values", "30 11 " + common + "30 03 04 01 45 A1 08 30 02 30 00 30 02 30 00", ""},
		{"DODF", "external", "A0 0C " + common + "30 00 A1 06 " + path, ""},
		{"DODF", "object identifier first", `30 11 ` + common + `30 05 06 00 0C 01 "a" A1 06 ` + path, ""},
		{"DODF", "no value", "30 06 " + common + "30 00 A1 00", ""},
		{"AODF", "biometric template", "A0 0C 30 05 0C 03 \"bio\" 30 03 04 01 03", "bio"},
		{"AODF", "no PIN type", "30 0E " + common + "30 03 04 01 01 A1 05 30 03 03 01 00", ""},
		{"AODF", "no PIN flags", "30 0E " + common + "30 03 04 01 01 A1 05 30 03 0A 01 00", ""},
		{"AODF", "two references", "30 1D " + common + "30 03 04 01 01 A1 14 30 12 03 01 00 0A 01 00 02 01 00 02 01 08 80 01 01 80 01 02", ""},
	} {
		t.Run(r.file+" "+r.name, func(t *testing.T) {
			wire := bytesOf(t, r.wire)
			// The outer length is typed for reading; a wrong one would make this
			// another test.
			if int(wire[1]) != len(wire)-2 {
				t.Fatalf("length %02X, %d bytes", wire[1], len(wire)-2)
			}
			around := bytesOf(t, good[r.file])
			file := append(append(bytes.Clone(around), wire...), around...)
			raws, errs, labels, err := reading[r.file](file)
			at := 1
			if len(around) == 0 {
				at = 0
			}
			if err != nil || len(raws) != 2*at+1 {
				t.Fatalf("%d entries, %v", len(raws), err)
			}
			for i, err := range errs {
				if (err != nil) != (i == at) || err != nil && !errors.Is(err, ErrUnknown) {
					t.Errorf("entry %d: %v", i, err)
				}
			}
			if !bytes.Equal(bytes.Join(raws, nil), file) {
				t.Errorf("written as % X", bytes.Join(raws, nil))
			}
			if labels[at] != r.label {
				t.Errorf("label %q, want %q", labels[at], r.label)
			}
		})
	}
}

// readerOf makes one function type of all the parsers: what each entry is
// written as, its error and its label.
func readerOf[T anEntry](parse func([]byte) ([]T, error), label func(T) string) func([]byte) ([][]byte, []error, []string, error) {
	return func(b []byte) (raws [][]byte, errs []error, labels []string, err error) {
		list, err := parse(b)
		for _, v := range list {
			raws = append(raws, v.AppendTo(nil))
			errs = append(errs, v.entry().Err)
			labels = append(labels, label(v))
		}
		return raws, errs, labels, err
	}
}

// TestEdit changes an entry with parts that have no field: they stay.
func TestEdit(t *testing.T) {
	t.Run("private key", func(t *testing.T) {
		// accessControlRules, algReference [1], the double subject with
		// keyIdentifiers [0] after it, keyInfo, and more after each level
		keys, err := ParsePrKDF(bytesOf(t, `30 6E
			30 1B 14 07 "gen2048" 03 02 06 C0 04 01 02 30 09 30 07 03 02 05 20 04 01 02
			30 16 04 01 42 03 02 02 74 01 01 FF 03 02 03 B8 02 01 81 A1 03 02 01 07
			A0 13 30 0F `+name+` A0 00
			A1 20 30 1C 30 13 04 0A 3F 00 10 00 10 00 60 02 00 81 02 01 05 80 02 00 C8 02 02 08 00 02 01 03 05 00
			86 00`))
		if err != nil || len(keys) != 1 || keys[0].Err != nil {
			t.Fatalf("%v, %v", keys, err)
		}
		k := keys[0]
		if k.Reference != 0x81 || k.Part != (Part{5, 200}) || !bytes.Equal(k.Subject, bytesOf(t, name)) {
			t.Errorf("got %+v", k)
		}
		k.Label = "ключ"
		want := bytesOf(t, `30 6D
			30 1C 0C 08 "ключ" 03 02 06 C0 04 01 02 30 09 30 07 03 02 05 20 04 01 02
			30 14 04 01 42 03 02 02 74 03 02 03 B8 02 02 00 81 A1 03 02 01 07
			A0 13 30 0F `+name+` A0 00
			A1 20 30 1C 30 13 04 0A 3F 00 10 00 10 00 60 02 00 81 02 01 05 80 02 00 C8 02 02 08 00 02 01 03 05 00
			86 00`)
		if got := k.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("got\n% X, want\n% X", got, want)
		}
		k.Label = "gen2048"
		if got := k.AppendTo(nil); !bytes.Equal(got, k.Raw) {
			t.Errorf("changed back: got % X", got)
		}
		k.Subject, k.Part = nil, Part{}
		if got := k.AppendTo(nil); !bytes.Contains(got, bytesOf(t, "A0 02 A0 00 A1 19 30 15 30 0C")) {
			t.Errorf("without its subject: % X", got)
		}
	})
	t.Run("certificate", func(t *testing.T) {
		// identifier (requestId), certHash [0]; subject [none], serialNumber; an
		// unknown subclass
		const rest = "30 05 02 01 01 04 00 A0 00"
		list, err := ParseCDF(bytesOf(t, `30 2E 30 06 0C 04 "cert" 30 0C 04 01 45 `+rest+`
			A0 02 05 00 A1 0F 30 0B 30 04 04 02 03 00 02 01 09 05 00 80 00 81 01 AA`))
		if err != nil || len(list) != 1 || list[0].Err != nil {
			t.Fatalf("%v, %v", list, err)
		}
		x := list[0]
		x.ID, x.Authority = []byte{0x46, 0x47}, true
		want := bytesOf(t, `30 32 30 06 0C 04 "cert" 30 10 04 02 46 47 01 01 FF `+rest+`
			A0 02 05 00 A1 0F 30 0B 30 04 04 02 03 00 02 01 09 05 00 80 00 81 01 AA`)
		if got := x.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("got\n% X, want\n% X", got, want)
		}
	})
	t.Run("data object", func(t *testing.T) {
		list, err := ParseDODF(bytesOf(t, `30 1B 30 02 0C 00 30 05 0C 01 "a" 05 00 A1 0C 30 08 04 06 3F 00 50 00 04 01 05 00 82 00`))
		if err != nil || len(list) != 1 || list[0].Err != nil {
			t.Fatalf("%v, %v", list, err)
		}
		d := list[0]
		d.Application, d.Path = "", AppPath(0x0402)
		want := bytesOf(t, `30 16 30 00 30 02 05 00 A1 0C 30 08 04 06 3F 00 50 00 04 02 05 00 82 00`)
		if got := d.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("got\n% X, want\n% X", got, want)
		}
	})
	t.Run("PIN", func(t *testing.T) {
		list, err := ParseAODF(bytesOf(t, `30 21 30 00 30 05 04 01 01 05 00 A1 14 30 10 03 01 00 0A 01 00 02 01 00 02 01 08 05 00 A1 00 05 00 84 00`))
		if err != nil || len(list) != 1 || list[0].Err != nil {
			t.Fatalf("%v, %v", list, err)
		}
		p := list[0]
		p.MinLength, p.MaxLength, p.Reference = 6, 200, 3
		want := bytesOf(t, `30 28 30 00 30 05 04 01 01 05 00 A1 1B 30 17 03 01 00 0A 01 00 02 01 06 02 01 08 02 02 00 C8 80 01 03 05 00 A1 00 05 00 84 00`)
		if got := p.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("got\n% X, want\n% X", got, want)
		}
	})
	t.Run("application", func(t *testing.T) {
		list, err := ParseDIR(bytesOf(t, `61 0D 4F 01 A0 50 02 "ok" 73 04 30 00 05 00`))
		if err != nil || len(list) != 1 || list[0].Err != nil {
			t.Fatalf("%v, %v", list, err)
		}
		a := list[0]
		a.Label, a.Path = "", AppPath()
		want := bytesOf(t, `61 0F 4F 01 A0 51 04 3F 00 50 00 73 04 30 00 05 00`)
		if got := a.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("got\n% X, want\n% X", got, want)
		}
	})
	t.Run("TokenInfo", func(t *testing.T) {
		ti, err := ParseTokenInfo(bytesOf(t, `30 1B 02 01 00 13 01 "m" 03 01 00 30 00 84 02 "ho" A5 06 18 04 "2026" 13 02 "kk" 00 00`))
		if err != nil || ti.Len != 29 {
			t.Fatalf("%d bytes, %v", ti.Len, err)
		}
		ti.Label, ti.LastUpdate = "имя", "2027"
		want := bytesOf(t, `30 23 02 01 00 0C 01 "m" 80 06 "имя" 03 01 00 30 00 84 02 "ho" A5 06 18 04 "2027" 13 02 "kk"`)
		if got := ti.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("got\n% X, want\n% X", got, want)
		}
	})
}

// TestForeignRaw has Raw that was not read for the entry: it is not written.
func TestForeignRaw(t *testing.T) {
	want := NewODFEntry(CDF).AppendTo(nil)
	for _, raw := range []string{"", "05 00", "A0 00", "30", "A0 06 30 04 04 02 60 02"} {
		o := NewODFEntry(CDF)
		o.Raw = bytesOf(t, raw)
		if got := o.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("raw %s: got % X", raw, got)
		}
	}
}

// TestOwnCopy changes the bytes that were parsed: the entries do not.
func TestOwnCopy(t *testing.T) {
	b := bytesOf(t, keyEntry)
	keys, err := ParsePrKDF(b)
	if err != nil {
		t.Fatal(err)
	}
	tokenInfo := NewTokenInfo("x", []byte{1, 2}, "").AppendTo(nil)
	ti, err := ParseTokenInfo(tokenInfo)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	clear(tokenInfo)
	if k := keys[0]; k.ID[0] != 0x42 || !bytes.Equal(k.AppendTo(nil), bytesOf(t, keyEntry)) {
		t.Errorf("got %+v", k)
	}
	if !bytes.Equal(ti.Serial, []byte{1, 2}) {
		t.Errorf("got serial % X", ti.Serial)
	}
}

// TestMemory parses files that claim much or hold the most entries: memory
// follows the bytes that are there.
func TestMemory(t *testing.T) {
	for _, r := range []struct {
		name string
		b    []byte
		most uint64 // bytes allocated
	}{
		{"16 MiB claimed", []byte{0x30, 0x83, 0xFF, 0xFF, 0xFF, 0x30, 0x00}, 4 << 10},
		{"16 MiB claimed inside", []byte{0x30, 0x07, 0x30, 0x83, 0xFF, 0xFF, 0xFF, 0x30, 0x00}, 8 << 10},
		{"2048 empty entries", bytes.Repeat([]byte{0x30, 0x00}, 2048), 8 << 20},
	} {
		t.Run(r.name, func(t *testing.T) {
			used := ^uint64(0)
			for range 10 { // the count is that of the whole process
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				ParsePrKDF(r.b)
				runtime.ReadMemStats(&after)
				used = min(used, after.TotalAlloc-before.TotalAlloc)
			}
			if used > r.most {
				t.Errorf("%d bytes for %d", used, len(r.b))
			}
		})
	}
}
