package kzpki

import (
	"crypto/x509"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestDisplay(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"Kazakh", "ӘБДІҒАППАРҰЛЫ Ұ. қ", "ӘБДІҒАППАРҰЛЫ Ұ. қ"},
		{"quotes", `ТОО "Рога & копыта"`, `ТОО "Рога & копыта"`},
		{"emoji", "a😀", "a😀"},
		{"marks stay on their letters", "и\u0306", "и\u0306"},
		{"backslash", `a\u000a`, `a\\u000a`},
		{"line ends", "a\r\nb", `a\u000d\u000ab`},
		{"terminal", "\x1b[2Ja\x7f\u009b1m", `\u001b[2Ja\u007f\u009b1m`},
		{"zero", "a\x00", `a\u0000`},
		{"tab", "a\tb", `a\u0009b`},
		{"direction", "ab\u202egpj.exe\u2066x\u200f\u061c", `ab\u202egpj.exe\u2066x\u200f\u061c`},
		{"hidden letters", "a\u200bb\u2060\ufeff\u00ad\u3164\ufe0f", `a\u200bb\u2060\ufeff\u00ad\u3164\ufe0f`},
		{"tag letters", "a\U000e0041", `a\U000e0041`},
		{"line separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"space that keeps a line together", "№\u00a01", "№\u00a01"},
		{"other spaces", "a\u2003b\u3000", `a\u2003b\u3000`},
		{"private use", "\ue000", `\ue000`},
		{"not UTF-8", "a\xff\xc3(", `a\xff\xc3(`},
		{"replacement character", "\ufffd", "\ufffd"},
	} {
		if got := Display(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzDisplay(f *testing.F) {
	for _, s := range []string{"", "Ұлттық", "\x1b[2J", "\u202e", "a\\", "\xff\xfd", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Display(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) && r != '\u00a0' || unicode.In(r, unicode.Bidi_Control) {
				t.Fatalf("%q became %q, which has %U", s, got, r)
			}
		}
		// Nothing is lost: the escapes are those of Go.
		back, err := strconv.Unquote(`"` + strings.ReplaceAll(got, `"`, `\"`) + `"`)
		if err != nil || back != s {
			t.Fatalf("%q became %q, and back %q, %v", s, got, back, err)
		}
	})
}

func FuzzDescribe(f *testing.F) {
	f.Add(profile{usages: []string{signUsage, "1.2.398.3.3.4.1.2.1", "1.2.398.3.3.4.9"}, policies: []string{"1.2.398.3.3.2.1"},
		subject: []attribute{{"2.5.4.3", "X"}, {"2.5.4.5", "IIN123456789011"}, {"2.5.4.11", "BIN123456789021"}}}.der(f))
	f.Add(profile{key: "1.2.398.3.10.1.1.2.2.2", signature: "1.2.398.3.10.1.1.2.3.2", public: make([]byte, 131)}.der(f))
	f.Add(profile{isCA: true, keyUsage: x509.KeyUsageDigitalSignature, issuer: []attribute{{"2.5.4.3", "НУЦ РК"}}}.der(f))
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x05})
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			c = &x509.Certificate{Raw: der}
		}
		m := Describe(c)
		for _, v := range []keyed{m.Purpose, m.Holder, m.Algorithm.Family, m.Validity(notAfter)} {
			if !slices.Contains(Keys(), v.Key()) {
				t.Fatalf("%v has no word", v)
			}
		}
		for _, r := range m.Roles {
			if !slices.Contains(Keys(), r.Key()) {
				t.Fatalf("%v has no word", r)
			}
		}
		for _, p := range m.Policies {
			if !slices.Contains(Keys(), p.Key()) {
				t.Fatalf("%v has no word", p)
			}
		}
		if !slices.IsSorted(m.Roles) || len(slices.Compact(slices.Clone(m.Roles))) != len(m.Roles) {
			t.Fatalf("roles %v", m.Roles)
		}
		if (len(m.Roles) > 0 || len(m.Policies) > 0 || len(m.OtherOIDs) > 0) && !m.NCA {
			t.Fatal("something of the authority, and not of it")
		}
		for _, n := range []Number{m.IIN, m.BIN} {
			if n.WellFormed && (len(n.Text) != 12 || strings.Trim(n.Text, "0123456789") != "") || !n.WellFormed && n.Text != "" && !m.NCA {
				t.Fatalf("number %+v", n)
			}
		}
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}
