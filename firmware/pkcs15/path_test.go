package pkcs15

import (
	"bytes"
	"testing"
)

func TestPath(t *testing.T) {
	app := AppPath()
	for _, r := range []struct {
		p        Path
		text     string
		absolute string
		id       uint16
	}{
		{nil, "", "", 0},
		{NewPath(0x3F00), "3F00", "3F00", 0x3F00},
		{app, "3F00/5000", "3F00/5000", 0x5000},
		{AppPath(0x0300), "3F00/5000/0300", "3F00/5000/0300", 0x0300},
		{NewPath(0x0300), "0300", "3F00/5000/0300", 0x0300},
		{NewPath(0x4401, 0x0300), "4401/0300", "3F00/5000/4401/0300", 0x0300},
		{PrivateKeyPath(0xFF), "3F00/1000/1000/6002/00FF", "3F00/1000/1000/6002/00FF", 0xFF},
		{PublicKeyPath(1), "3F00/1000/1000/6001/0001", "3F00/1000/1000/6001/0001", 1},
		{Path{0x3F}, "3F", "3F00/5000/3F", 0},
		{Path{0x03, 0x00, 0x0A}, "0300/0A", "3F00/5000/0300/0A", 0x000A},
	} {
		if got := r.p.String(); got != r.text {
			t.Errorf("got %q, want %q", got, r.text)
		}
		if got := r.p.Absolute(app).String(); got != r.absolute {
			t.Errorf("%v: absolute %q, want %q", r.p, got, r.absolute)
		}
		if got := r.p.ID(); r.text != "0300/0A" && got != r.id {
			t.Errorf("%v: last identifier %04X, want %04X", r.p, got, r.id)
		}
	}
	if !bytes.Equal(app, []byte{0x3F, 0x00, 0x50, 0x00}) {
		t.Errorf("the application is at % X", []byte(app))
	}
}

// TestPathAppend makes two paths of one: they share nothing.
func TestPathAppend(t *testing.T) {
	p := append(make(Path, 0, 64), NewPath(0x3F00, 0x5000)...)
	a, b := p.Append(0x0300), p.Append(0x0301)
	rel := NewPath(0x0400).Absolute(p)
	if a.ID() != 0x0300 || b.ID() != 0x0301 || rel.ID() != 0x0400 || a.Equal(b) || !a.Equal(NewPath(0x3F00, 0x5000, 0x0300)) {
		t.Errorf("got %v, %v, %v", a, b, rel)
	}
}

func TestOID(t *testing.T) {
	for _, r := range []struct{ text, wire string }{
		{"0.0", "00"},
		{"1.2.398.3.10.1", "2A 83 0E 03 0A 01"},
		{"1.39", "4F"},
		{"2.0", "50"},
		{"2.999.3", "88 37 03"},
		{"2.5.29.15", "55 1D 0F"},
		{"1.2.840.113549", "2A 86 48 86 F7 0D"},
		{"1.2.4294967295", "2A 8F FF FF FF 7F"},
		{"2.4294967295", "90 80 80 80 4F"},
	} {
		wire := bytesOf(t, r.wire)
		o, err := ParseOID(r.text)
		if err != nil || !bytes.Equal(o, wire) {
			t.Errorf("%s: got % X, %v", r.text, []byte(o), err)
		}
		if got := OID(wire).String(); got != r.text {
			t.Errorf("% X: got %q, want %q", wire, got, r.text)
		}
	}
	for _, text := range []string{"", "1", "3.1", "1.40", "0.40", "1.", ".1", "1..2", "1.2.x", "1.-2", "1.+2", "1.02", "01.2", "1.2.4294967296", "1 .2"} {
		if o, err := ParseOID(text); err != ErrOID {
			t.Errorf("%q: got % X, %v", text, []byte(o), err)
		}
	}
	for _, r := range []struct{ wire, text string }{
		{"", ""},
		{"2A 83", "#2A83"},      // the last arc has no end
		{"2A 80 01", "#2A8001"}, // an arc with a leading zero
		{"2A FF FF FF FF FF FF FF FF FF 7F", "#2AFFFFFFFFFFFFFFFFFF7F"}, // an arc of 70 bits
	} {
		if got := OID(bytesOf(t, r.wire)).String(); got != r.text {
			t.Errorf("%s: got %q, want %q", r.wire, got, r.text)
		}
	}
}

func TestNames(t *testing.T) {
	for _, r := range []struct{ got, want string }{
		{PrKDF.String(), "PrKDF"},
		{AODF.String(), "AODF"},
		{DirType(0xA9).String(), "DirType(0xa9)"},
		{DirType(0).String(), "DirType(0x00)"},
		{KeyUnknown.String(), "unknown"},
		{KeyRSA.String(), "RSA"},
		{KeyGOST.String(), "GOST R 34.10-2001"},
		{KeyEC.String(), "EC"},
		{KeyKind(9).String(), "KeyKind(9)"},
		{CommonFlags(0).String(), ""},
		{(Private | Modifiable | 4).String(), "private, modifiable, bit 2"},
		{DefaultUsage(KeyRSA).String(), "decrypt, sign, signRecover, unwrap"},
		{DefaultUsage(KeyRSA).Public().String(), "encrypt, wrap, verify, verifyRecover"},
		{DefaultUsage(KeyGOST).Public().String(), "verify"},
		{DefaultUsage(KeyUnknown).String(), ""},
		{(UsageDerive | UsageNonRepudiation | UsageEncrypt).Public().String(), "derive, nonRepudiation"},
		{AccessGenerated.String(), "sensitive, alwaysSensitive, neverExtractable, local"},
		{AccessImported.String(), "sensitive"},
		{AdminPIN(8).Flags.String(), "case-sensitive, unblock-disabled, initialized, soPin"},
		{UserPIN(6).Flags.String(), "case-sensitive, unblock-disabled, initialized"},
		{PINFlags(1 << 31).String(), "bit 31"},
		{PINBCD.String(), "bcd"},
		{UserPIN(6).Type.String(), "ascii-numeric"},
		{PINUTF8.String(), "utf8"},
		{PINHalfNibbleBCD.String(), "half-nibble-bcd"},
		{PINISO9564.String(), "iso9564-1"},
		{PINType(-1).String(), "PINType(-1)"},
		{Marker, "\x01\x06pkcs15"},
	} {
		if r.got != r.want {
			t.Errorf("got %q, want %q", r.got, r.want)
		}
	}
}
