package cli

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"
	"testing"

	"kaztoken/internal/describe"
)

func TestParseSubject(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // DER of the name
		err  string
	}{
		// SEQUENCE { SET { SEQUENCE { 2.5.4.6 PrintableString KZ } } SET { SEQUENCE { 2.5.4.3 PrintableString x } } }
		{text: "CN=x,C=KZ", want: "3019" + "310b" + "3009" + "0603550406" + "13024b5a" + "310a" + "3008" + "0603550403" + "130178"},
		{text: " cn = x , c = KZ ", want: "3019" + "310b" + "3009" + "0603550406" + "13024b5a" + "310a" + "3008" + "0603550403" + "130178"},
		{text: "2.5.4.3=x", want: "300c" + "310a" + "3008" + "0603550403" + "130178"},
		{text: "CN=Ә", want: "300d" + "310b" + "3009" + "0603550403" + "0c02d398"}, // UTF8String
		{text: "E=a@b", want: "3014" + "3112" + "3010" + "06092a864886f70d010901" + "1603614062"},
		{text: `CN=a\,b\+c\\d`, want: "3012" + "3110" + "300e" + "0603550403" + "0c07612c622b635c64"},
		{text: `CN=\20a\ `, want: "300e" + "310c" + "300a" + "0603550403" + "1303206120"},
		{text: `CN=\D3\98`, want: "300d" + "310b" + "3009" + "0603550403" + "0c02d398"},
		{text: "CN=x+SN=y", want: "3016" + "3114" + "3008" + "0603550403" + "130178" + "3008" + "0603550404" + "130179"},
		{text: "CN=a=b#c", want: "3010" + "310e" + "300c" + "0603550403" + "0c05613d622363"},
		{text: "", err: "TYPE=VALUE"},
		{text: "CN", err: "TYPE=VALUE"},
		{text: "CN=x,", err: "TYPE=VALUE"},
		{text: "CN=x,,C=KZ", err: "unknown attribute"},
		{text: "=x", err: "TYPE=VALUE"},
		{text: "CN=", err: "no value"},
		{text: "CN=  ,C=KZ", err: "no value"},
		{text: "XX=x", err: "unknown attribute"},
		{text: "2.05=x", err: "unknown attribute"},
		{text: "3.5=x", err: "unknown attribute"},
		{text: "1.40=x", err: "unknown attribute"},
		{text: "2=x", err: "unknown attribute"},
		{text: "C=KAZ", err: "two letters"},
		{text: "E=ә@b", err: "not ASCII"},
		{text: `CN="x"`, err: `\ before it`},
		{text: "CN=#0401", err: `leading #`},
		{text: `CN=x\`, err: `\ at the end`},
		{text: `CN=\zz`, err: "no escape"},
		{text: `CN=\FF`, err: "not UTF-8"},
		{text: "CN=\xff", err: "not UTF-8"},
		{text: "CN=a\nb", err: "control character"},
		{text: "CN=" + strings.Repeat("x", maxSubject), err: "more than"},
		{text: strings.Repeat("O=x+", maxAttributes) + "O=x", err: "more than"},
	} {
		name, err := parseSubject(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want an error with %q", c.text, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		der, err := marshalSubject(name)
		if got := hex.EncodeToString(der); err != nil || got != c.want {
			t.Errorf("%q: %s, %v, want %s", c.text, got, err, c.want)
		}
	}
}

func TestFormatSubject(t *testing.T) {
	for text, want := range map[string]string{
		"c=KZ":                        "C=KZ",
		"surname=x, GIVENNAME=y":      "SN=x,GN=y",
		`CN=\#1\ ,O=a\,b`:             `CN=\#1\ ,O=a\,b`,
		"1.2.3=x+CN=y,serialNumber=1": "1.2.3=x+CN=y,serialNumber=1",
	} {
		name, err := parseSubject(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := formatSubject(name); got != want {
			t.Errorf("%q comes back as %q, want %q", text, got, want)
		}
	}
	// What is no text is spelled all the same.
	got := formatSubject(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: 5}}})
	if got != "CN=5" {
		t.Errorf("got %q", got)
	}
	if describe.Name([]byte{1}) != nil {
		t.Error("no name is read as one")
	}
}

// FuzzParseSubject: what parses is written as a text that parses to the same
// DER, and grows by less than the escapes can make it.
func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"CN=x,C=KZ", `CN=\#a\,b\20,O=x+OU=y`, "1.2.3=ә", "E=a@b", "DC=kz", "CN=\\", "=", "C=KZ,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := parseSubject(text)
		if err != nil {
			return
		}
		der, err := marshalSubject(name)
		if err != nil {
			t.Fatalf("%q does not encode: %v", text, err)
		}
		if len(der) > 32*len(text)+16 {
			t.Errorf("%d bytes of DER from %d", len(der), len(text))
		}
		back := formatSubject(describe.Name(der))
		again, err := parseSubject(back)
		if err != nil {
			t.Fatalf("%q comes back as %q: %v", text, back, err)
		}
		der2, err := marshalSubject(again)
		if err != nil || !bytes.Equal(der, der2) {
			t.Errorf("%q: %x, and from %q %x, %v", text, der, back, der2, err)
		}
	})
}
