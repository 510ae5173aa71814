package iso7816

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// atrFacts is all that an ATR says, in comparable form.
type atrFacts struct {
	Protocols  string // "0 1": the default first
	FiDi       byte
	N          byte
	WI         byte
	IFSC       int
	BWI, CWI   byte
	CRC        bool
	Clock      ClockStop
	Classes    byte
	Inverse    bool
	Specific   bool
	Implicit   bool
	Fixed      bool // in specific mode for good
	Historical string
}

func factsOf(a ATR) atrFacts {
	f := atrFacts{
		FiDi: a.FiDi(), N: a.ExtraGuardTime(), WI: a.WI(), IFSC: a.IFSC(), BWI: a.BWI(), CWI: a.CWI(), CRC: a.CRC(),
		Clock: a.ClockStop(), Classes: a.Classes(), Inverse: a.Inverse(), Fixed: !a.CanChangeMode(),
		Historical: string(a.Historical()),
	}
	_, f.Implicit, f.Specific = a.Specific()
	var ps []string
	for _, p := range a.Protocols() {
		ps = append(ps, strings.TrimPrefix(p.String(), "T="))
	}
	f.Protocols = strings.Join(ps, " ")
	return f
}

// defaults are the facts of an ATR that says nothing; change edits them.
func defaults(change func(*atrFacts)) atrFacts {
	f := atrFacts{Protocols: "0", FiDi: 0x11, WI: 10, IFSC: 32, BWI: 4, CWI: 13, Classes: 1}
	change(&f)
	return f
}

// atrRows are ATRs of real cards, from public lists, decoded by hand.
var atrRows = []struct {
	name, atr string
	want      atrFacts
}{
	{"shortest", "3B 00", defaults(func(*atrFacts) {})},
	{"KAZTOKEN", "3B 88 01 4B 41 5A 54 4F 4B 45 4E 82", defaults(func(f *atrFacts) {
		f.Protocols, f.Historical = "1", "KAZTOKEN"
	})},
	{"Rutoken ECP", "3B 8B 01 52 75 74 6F 6B 65 6E 20 45 43 50 A0", defaults(func(f *atrFacts) {
		f.Protocols, f.Historical = "1", "Rutoken ECP"
	})},
	{"Rutoken DS", "3B 8B 01 52 75 74 6F 6B 65 6E 20 44 53 20 C1", defaults(func(f *atrFacts) {
		f.Protocols, f.Historical = "1", "Rutoken DS "
	})},
	{"Rutoken S", "3B 6F 00 FF 00 56 72 75 54 6F 6B 6E 73 30 20 00 00 90 00", defaults(func(f *atrFacts) {
		f.N, f.Historical = 0xFF, "\x00VruTokns0 \x00\x00\x90\x00"
	})},
	{"YubiKey 4", "3B F8 13 00 00 81 31 FE 15 59 75 62 69 6B 65 79 34 D4", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.IFSC, f.BWI, f.CWI, f.Historical = "1", 0x13, 254, 1, 5, "Yubikey4"
	})},
	{"YubiKey 5", "3B FD 13 00 00 81 31 FE 15 80 73 C0 21 C0 57 59 75 62 69 4B 65 79 40", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.IFSC, f.BWI, f.CWI = "1", 0x13, 254, 1, 5
		f.Historical = "\x80\x73\xC0\x21\xC0\x57YubiKey"
	})},
	{"YubiKey NEO", "3B FC 13 00 00 81 31 FE 15 59 75 62 69 6B 65 79 4E 45 4F 72 33 E1", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.IFSC, f.BWI, f.CWI, f.Historical = "1", 0x13, 254, 1, 5, "YubikeyNEOr3"
	})},
	{"OpenPGP card 2", "3B DA 18 FF 81 B1 FE 75 1F 03 00 31 C5 73 C0 01 40 00 90 00 0C", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.N, f.IFSC, f.BWI, f.CWI, f.Classes = "1", 0x18, 0xFF, 254, 7, 5, 3
		f.Historical = "\x00\x31\xC5\x73\xC0\x01\x40\x00\x90\x00"
	})},
	{"OpenPGP card 3", "3B DA 18 FF 81 B1 FE 75 1F 03 00 31 F5 73 C0 01 60 00 90 00 1C", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.N, f.IFSC, f.BWI, f.CWI, f.Classes = "1", 0x18, 0xFF, 254, 7, 5, 3
		f.Historical = "\x00\x31\xF5\x73\xC0\x01\x60\x00\x90\x00"
	})},
	{"Gnuk", "3B DA 11 FF 81 B1 FE 55 1F 03 00 31 84 73 80 01 80 00 90 00 E4", defaults(func(f *atrFacts) {
		f.Protocols, f.N, f.IFSC, f.BWI, f.CWI, f.Classes = "1", 0xFF, 254, 5, 5, 3
		f.Historical = "\x00\x31\x84\x73\x80\x01\x80\x00\x90\x00"
	})},
	{"Belgian eID", "3B 98 13 40 0A A5 03 01 01 01 AD 13 11", defaults(func(f *atrFacts) {
		f.FiDi, f.Historical = 0x13, "\xA5\x03\x01\x01\x01\xAD\x13\x11"
	})},
	{"Estonian eID 3.0", "3B FE 18 00 00 80 31 FE 45 45 73 74 45 49 44 20 76 65 72 20 31 2E 30 A8", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.IFSC, f.BWI, f.CWI, f.Historical = "0 1", 0x18, 254, 4, 5, "EstEID ver 1.0"
	})},
	{"Estonian eID 1.0", "3B 6E 00 FF 45 73 74 45 49 44 20 76 65 72 20 31 2E 30", defaults(func(f *atrFacts) {
		f.N, f.Historical = 0xFF, "EstEID ver 1.0"
	})},
	{"USIM with T=15", "3B 9F 96 80 1F C7 80 31 A0 73 BE 21 13 67 43 20 07 18 00 00 01 A5", defaults(func(f *atrFacts) {
		f.FiDi, f.Clock, f.Classes = 0x96, ClockStopEither, 7
		f.Historical = "\x80\x31\xA0\x73\xBE\x21\x13\x67\x43\x20\x07\x18\x00\x00\x01"
	})},
	{"USIM with SPU", "3B 97 94 80 3F 44 90 80 31 A0 73 BE 21 00 95", defaults(func(f *atrFacts) {
		f.FiDi, f.Clock, f.Classes, f.Historical = 0x94, ClockStopLow, 4, "\x80\x31\xA0\x73\xBE\x21\x00"
	})},
	{"JCOP 4", "3B D5 18 FF 81 91 FE 1F C3 80 73 C8 21 10 0A", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.N, f.IFSC, f.Clock, f.Classes = "1", 0x18, 0xFF, 254, ClockStopEither, 3
		f.Historical = "\x80\x73\xC8\x21\x10"
	})},
	{"SmartCard-HSM", "3B FE 18 00 00 81 31 FE 45 80 31 81 54 48 53 4D 31 73 80 21 40 81 07 FA", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.IFSC, f.BWI, f.CWI = "1", 0x18, 254, 4, 5
		f.Historical = "\x80\x31\x81\x54HSM1\x73\x80\x21\x40\x81\x07"
	})},
	{"MIFARE Classic", "3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A", defaults(func(f *atrFacts) {
		f.Protocols, f.Historical = "0 1", "\x80\x4F\x0C\xA0\x00\x00\x03\x06\x03\x00\x01\x00\x00\x00\x00"
	})},
	{"DESFire", "3B 81 80 01 80 80", defaults(func(f *atrFacts) { f.Protocols, f.Historical = "0 1", "\x80" })},
	{"CardOS 4.3B: TC2 before a T=1 group", "3B F2 18 00 02 C1 0A 31 FE 58 C8 08 74", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.N, f.IFSC, f.BWI, f.CWI, f.Historical = "1", 0x18, 2, 254, 5, 8, "\xC8\x08"
	})},
	{"eToken PRO", "3B F2 98 00 FF C1 10 31 FE 55 C8 03 15", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.N, f.WI, f.IFSC, f.BWI, f.CWI = "1", 0x98, 0xFF, 16, 254, 5, 5
		f.Historical = "\xC8\x03"
	})},
	{"Cryptoflex 16K", "3B 95 94 40 FF 63 01 01 02 01", defaults(func(f *atrFacts) {
		f.FiDi, f.WI, f.Historical = 0x94, 255, "\x63\x01\x01\x02\x01"
	})},
	{"Starcos 2.3", "3B B7 94 00 81 31 FE 65 53 50 4B 32 33 90 00 D1", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.IFSC, f.BWI, f.CWI, f.Historical = "1", 0x94, 254, 6, 5, "SPK23\x90\x00"
	})},
	{"German health card", "3B DD 97 FF 81 B1 FE 45 1F 03 00 64 04 05 08 03 73 96 21 D0 00 90 00 C8", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.N, f.IFSC, f.BWI, f.CWI, f.Classes = "1", 0x97, 0xFF, 254, 4, 5, 3
		f.Historical = "\x00\x64\x04\x05\x08\x03\x73\x96\x21\xD0\x00\x90\x00"
	})},
	{"libcacard", "3B 69 00 FF 56 43 41 52 44 5F 4E 53 53", defaults(func(f *atrFacts) {
		f.N, f.Historical = 0xFF, "VCARD_NSS"
	})},
	{"inverse convention: Viaccess", "3F 77 18 25 00 29 14 00 62 68 90 00", defaults(func(f *atrFacts) {
		f.FiDi, f.Inverse, f.Historical = 0x18, true, "\x29\x14\x00\x62\x68\x90\x00"
	})},
	{"inverse convention: GSM", "3F 2F 00 80 69 AF 02 04 01 36 00 02 0A 0E 83 3E 9F 16", defaults(func(f *atrFacts) {
		f.Inverse, f.Historical = true, "\x80\x69\xAF\x02\x04\x01\x36\x00\x02\x0A\x0E\x83\x3E\x9F\x16"
	})},
	{"specific mode, may change: eToken R2", "3B 81 1F 00 CC 52", defaults(func(f *atrFacts) {
		// TD1 1F: TA2 follows, T=15. TA2 00: T=0, TA1 in force.
		f.Specific, f.Historical = true, "\xCC"
	})},
	{"specific mode for good: VaultIC", "3B 9F 11 10 80 56 61 75 6C 74 49 43 20 34 36 30 31 2E 30 32", defaults(func(f *atrFacts) {
		f.Specific, f.Fixed, f.Historical = true, true, "VaultIC 4601.02"
	})},
	{"specific mode T=1", "3B 90 96 91 81 B1 FE 55 1F C7 D4", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.Specific, f.Fixed = "1", 0x96, true, true
		f.IFSC, f.BWI, f.CWI, f.Clock, f.Classes = 254, 5, 5, ClockStopEither, 7
	})},
	{"specific mode T=1, own IFSC", "3B B0 33 00 91 81 31 6B 35 FC", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.Specific, f.Fixed, f.IFSC, f.BWI, f.CWI = "1", 0x33, true, true, 107, 3, 5
	})},
	{"T=14", "3B 9F 21 0E 49 52 44 45 54 4F 20 41 43 53 03 83 95 00 80 55", defaults(func(f *atrFacts) {
		f.Protocols, f.FiDi, f.Historical = "14", 0x21, "IRDETO ACS\x03\x83\x95\x00\x80"
	})},

	// Made up, for what no card of the list does.
	{"specific mode, implicit parameters", "3B 90 95 10 90", defaults(func(f *atrFacts) {
		f.FiDi, f.Specific, f.Implicit, f.Fixed = 0x95, true, true, true
	})},
	{"T=1 with CRC after a T=0 group", "3B 80 80 71 FE 9A 01 14", defaults(func(f *atrFacts) {
		f.Protocols, f.IFSC, f.BWI, f.CWI, f.CRC = "0 1", 254, 9, 10, true
	})},
	{"bytes of T=0 in group 3 are not IFSC", "3B 80 80 30 40 99", defaults(func(*atrFacts) {})},
	{"first T=1 bytes count", "3B 80 81 B1 20 45 31 FE 15 0F", defaults(func(f *atrFacts) {
		f.Protocols, f.IFSC, f.BWI, f.CWI = "1", 32, 4, 5
	})},
	{"second T=1 group fills what the first left out", "3B 80 81 91 20 71 FE 15 01 2B", defaults(func(f *atrFacts) {
		f.Protocols, f.IFSC, f.BWI, f.CWI, f.CRC = "1", 32, 1, 5, true
	})},
}

func TestATR(t *testing.T) {
	for _, r := range atrRows {
		t.Run(r.name, func(t *testing.T) {
			raw := unhex(t, r.atr)
			a, err := ParseATR(raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Warning(); err != nil {
				t.Errorf("warning: %v", err)
			}
			if d := cmp.Diff(r.want, factsOf(a)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if !bytes.Equal(a.Bytes(), raw) || a.String() != r.atr {
				t.Errorf("got %v want %s", a, r.atr)
			}
			if b, err := ParseATR(raw); err != nil || a != b {
				t.Error("two ATRs of the same bytes differ")
			}
			if p := a.Default(); !a.Offers(p) || a.Offers(13) {
				t.Errorf("default %v is not offered, or T=13 is", p)
			}
		})
	}
}

func TestZeroATR(t *testing.T) {
	var a ATR
	if d := cmp.Diff(defaults(func(*atrFacts) {}), factsOf(a)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !a.IsZero() || a.String() != "" || a.Describe() != nil || a.Warning() != nil || len(a.Bytes()) != 0 {
		t.Errorf("got %v %v", a, a.Describe())
	}
}

func TestATRTolerance(t *testing.T) {
	const kaztoken = "3B 88 01 4B 41 5A 54 4F 4B 45 4E 82"
	for _, r := range []struct {
		name, atr string
		fault     ATRFault
		text      string
		want      atrFacts
	}{
		{
			"wrong TCK", "3B 88 01 4B 41 5A 54 4F 4B 45 4E 83", FaultTCK, "irregular ATR: wrong check byte TCK",
			defaults(func(f *atrFacts) { f.Protocols, f.Historical = "1", "KAZTOKEN" }),
		},
		{
			"no TCK", "3B 88 01 4B 41 5A 54 4F 4B 45 4E", FaultMissing, "irregular ATR: bytes missing",
			defaults(func(f *atrFacts) { f.Protocols, f.Historical = "1", "KAZTOKEN" }),
		},
		{
			"historical bytes cut", "3B 88 01 4B 41", FaultMissing, "irregular ATR: bytes missing",
			defaults(func(f *atrFacts) { f.Protocols, f.Historical = "1", "KA" }),
		},
		{
			"interface bytes cut", "3B F8 95", FaultMissing, "irregular ATR: bytes missing",
			defaults(func(f *atrFacts) { f.FiDi = 0x95 }),
		},
		{
			"TD chain cut", "3B 80 80", FaultMissing, "irregular ATR: bytes missing",
			defaults(func(*atrFacts) {}),
		},
		{
			"trailing bytes", kaztoken + " 90 00", FaultTrailing, "irregular ATR: bytes behind the end",
			defaults(func(f *atrFacts) { f.Protocols, f.Historical = "1", "KAZTOKEN" }),
		},
		{
			"TCK of a T=0 card", "3B 01 41 40", FaultTrailing, "irregular ATR: bytes behind the end",
			defaults(func(f *atrFacts) { f.Historical = "A" }),
		},
		{
			"unknown TS", "23 00", FaultTS, "irregular ATR: unknown initial character TS",
			defaults(func(*atrFacts) {}),
		},
		{
			"more than 33 bytes", "3B 00 " + strings.Repeat("00 ", 32), FaultTooLong | FaultTrailing,
			"irregular ATR: bytes behind the end, more than 33 bytes",
			defaults(func(*atrFacts) {}),
		},
		{
			"IFSC 00", "3B 80 81 11 00 10", FaultReserved, "irregular ATR: reserved value in an interface byte",
			defaults(func(f *atrFacts) { f.Protocols = "1" }),
		},
		{
			"IFSC FF", "3B 80 81 11 FF EF", FaultReserved, "irregular ATR: reserved value in an interface byte",
			defaults(func(f *atrFacts) { f.Protocols, f.IFSC = "1", 254 }),
		},
		{
			"BWI 15", "3B 80 81 21 F5 D5", FaultReserved, "irregular ATR: reserved value in an interface byte",
			defaults(func(f *atrFacts) { f.Protocols, f.BWI, f.CWI = "1", 9, 5 }),
		},
		{
			"WI 0", "3B 80 40 00", FaultReserved, "irregular ATR: reserved value in an interface byte",
			defaults(func(*atrFacts) {}),
		},
		{
			"reserved Fi", "3B 10 71", FaultReserved, "irregular ATR: reserved value in an interface byte",
			defaults(func(f *atrFacts) { f.FiDi = 0x71 }),
		},
		{
			"reserved Di", "3B 10 1A", FaultReserved, "irregular ATR: reserved value in an interface byte",
			defaults(func(f *atrFacts) { f.FiDi = 0x1A }),
		},
		{
			"reserved bits beside the CRC bit", "3B 80 81 41 02 42", FaultReserved,
			"irregular ATR: reserved value in an interface byte",
			defaults(func(f *atrFacts) { f.Protocols = "1" }),
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			raw := unhex(t, r.atr)
			a, err := ParseATR(raw)
			if err != nil {
				t.Fatal(err)
			}
			var fault ATRFault
			if !errors.As(a.Warning(), &fault) || fault != r.fault || !errors.Is(a.Warning(), r.fault) {
				t.Errorf("got warning %v want %v", a.Warning(), r.fault)
			}
			if errors.Is(a.Warning(), fault^0x3F) || errors.Is(a.Warning(), ATRFault(0)) {
				t.Errorf("%v is what it is not", a.Warning())
			}
			if a.Warning().Error() != r.text {
				t.Errorf("got %q want %q", a.Warning(), r.text)
			}
			if d := cmp.Diff(r.want, factsOf(a)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if want := raw[:min(len(raw), MaxATR)]; !bytes.Equal(a.Bytes(), want) {
				t.Errorf("got % X want % X", a.Bytes(), want)
			}
		})
	}
	for _, s := range []string{"", "3B"} {
		if _, err := ParseATR(unhex(t, s)); !errors.Is(err, ErrATR) {
			t.Errorf("%q: got %v want ErrATR", s, err)
		}
	}
}

// A reader that samples an inverse card in direct convention gives 03 for 3F.
// Whether it decodes the rest is told by what makes sense.
func TestATRUndecoded(t *testing.T) {
	const viaccess = "3F 77 18 25 00 29 14 00 62 68 90 00"
	want := defaults(func(f *atrFacts) {
		f.FiDi, f.Inverse, f.Historical = 0x18, true, "\x29\x14\x00\x62\x68\x90\x00"
	})
	raw := unhex(t, viaccess)
	undecoded := make([]byte, len(raw))
	for i, b := range raw {
		for bit := range 8 {
			if b&(1<<bit) == 0 {
				undecoded[i] |= 1 << (7 - bit)
			}
		}
	}
	if undecoded[0] != 0x03 {
		t.Fatalf("3F became %02X", undecoded[0])
	}
	onlyTS := append([]byte{0x03}, raw[1:]...)
	for name, b := range map[string][]byte{"nothing decoded": undecoded, "all but TS decoded": onlyTS} {
		a, err := ParseATR(b)
		if err != nil || a.Warning() != nil {
			t.Fatalf("%s: %v, %v", name, err, a.Warning())
		}
		if d := cmp.Diff(want, factsOf(a)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if !bytes.Equal(a.Bytes(), b) {
			t.Errorf("%s: got % X want % X", name, a.Bytes(), b)
		}
	}
	a, err := ParseATR([]byte{0x03, 0x77, 0x18})
	if err != nil || !errors.Is(a.Warning(), FaultMissing) || a.FiDi() != 0x18 {
		t.Errorf("makes no sense either way: got %v, %v, FiDi %02X", err, a.Warning(), a.FiDi())
	}
}

func TestDescribe(t *testing.T) {
	for _, r := range []struct {
		name, atr string
		want      []string
	}{
		{"KAZTOKEN", "3B 88 01 4B 41 5A 54 4F 4B 45 4E 82", []string{
			"TS 3B: direct convention",
			"T0 88: TD1 follows, 8 historical bytes",
			"TD1 01: T=1, no interface bytes follow",
			`historical bytes 4B 41 5A 54 4F 4B 45 4E: "KAZTOKEN"`,
			"TCK 82: check byte, correct",
		}},
		{"OpenPGP card", "3B DA 18 FF 81 B1 FE 75 1F 03 00 31 C5 73 C0 01 40 00 90 00 0C", []string{
			"TS 3B: direct convention",
			"T0 DA: TA1 TC1 TD1 follow, 10 historical bytes",
			"TA1 18: F=372, D=12, clock up to 5 MHz",
			"TC1 FF: least guard time, 12 etu in T=0, 11 in T=1",
			"TD1 81: T=1, TD2 follows",
			"TD2 B1: T=1, TA3 TB3 TD3 follow",
			"TA3 FE: card information field size 254",
			"TB3 75: block waiting integer 7, character waiting integer 5",
			"TD3 1F: global interface bytes (T=15), TA4 follows",
			"TA4 03: no clock stop, classes A 5 V, B 3 V",
			"historical bytes 00 31 C5 73 C0 01 40 00 90 00: card service data C5, " +
				"card capabilities C0 01 40, extended length, life cycle status 00, status 9000",
			"TCK 0C: check byte, correct",
		}},
		{"eToken R2", "3B 81 1F 00 CC 52", []string{
			"TS 3B: direct convention",
			"T0 81: TD1 follows, 1 historical byte",
			"TD1 1F: global interface bytes (T=15), TA2 follows",
			"TA2 00: specific mode, T=0, parameters of TA1, a warm reset may change the mode",
			"historical bytes CC: proprietary",
			"TCK 52: check byte, correct",
		}},
		{"all that is rare", "03 F0 A0 25 05 F0 90 00 0A F1 00 B5 01 7F 00 80 55", []string{
			"TS 03: inverse convention",
			"T0 F0: TA1 TB1 TC1 TD1 follow, no historical bytes",
			"TA1 A0: F=768, D=1, clock up to 7.5 MHz, reserved value",
			"TB1 25: programming voltage, obsolete",
			"TC1 05: extra guard time 5 etu",
			"TD1 F0: T=0, TA2 TB2 TC2 TD2 follow",
			"TA2 90: specific mode, T=0, parameters known to its maker only, cannot change the mode",
			"TB2 00: programming voltage, obsolete",
			"TC2 0A: waiting time integer 10",
			"TD2 F1: T=1, TA3 TB3 TC3 TD3 follow",
			"TA3 00: card information field size, reserved value, read as 32",
			"TB3 B5: block waiting integer 11, character waiting integer 5, reserved value, read as 9",
			"TC3 01: blocks end with a CRC",
			"TD3 7F: global interface bytes (T=15), TA4 TB4 TC4 follow",
			"TA4 00: no clock stop, no class of operating conditions",
			"TB4 80: proprietary use of the SPU contact",
			"TC4 55: no meaning known for T=15",
			"irregular ATR: bytes missing, reserved value in an interface byte",
		}},
		{"MIFARE", "3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A", []string{
			"TS 3B: direct convention",
			"T0 8F: TD1 follows, 15 historical bytes",
			"TD1 80: T=0, TD2 follows",
			"TD2 01: T=1, no interface bytes follow",
			"historical bytes 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00: " +
				"storage card, application identifier A0 00 00 03 06 03 00 01 00 00 00 00",
			"TCK 6A: check byte, correct",
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			a, err := ParseATR(unhex(t, r.atr))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.want, a.Describe()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Historical bytes come from the card: no combination may confuse the words.
func TestHistoricalWords(t *testing.T) {
	for _, r := range []struct {
		historical, want string
	}{
		{"80", "nothing in them"},
		{"80 4F", "storage card, application identifier "},
		{"80 12 04 98", "country code 04 98"},
		{"80 F2 41 42", "application identifier 41 42"},
		{"80 54 48 53 4D 31", `issuer data "HSM1"`},
		{"80 31", "cut short"},
		{"80 30", "card service data"},
		{"80 82 90 00", "status 90 00"},
		{"80 83 05 90 00", "life cycle status 05, status 9000"},
		{"80 73 00 00 80", "card capabilities 00 00 80, command chaining"},
		{"80 92 01 02", "object 9 01 02"},
		{"00 05 90 00", "life cycle status 05, status 9000"},
		{"00 05", "proprietary"},
		{"10 02", "DIR data reference 02"},
		{"1B 5B 33 31 6D", "proprietary"}, // an escape sequence of a terminal
	} {
		h := unhex(t, r.historical)
		if got := joinWords(historicalWords(h)...); got != r.want {
			t.Errorf("%s: got %q want %q", r.historical, got, r.want)
		}
	}
}

// Whatever comes, the ATR is kept, every value is in its range, and a clean
// bill means that the parts add up to the whole.
func FuzzParseATR(f *testing.F) {
	for _, r := range atrRows {
		f.Add(unhex(f, r.atr))
	}
	f.Add(bytes.Repeat([]byte{0x8F}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseATR(b)
		if err != nil {
			if len(b) >= 2 || !errors.Is(err, ErrATR) {
				t.Fatalf("% X: %v", b, err)
			}
			return
		}
		if want := b[:min(len(b), MaxATR)]; !bytes.Equal(a.Bytes(), want) {
			t.Fatalf("kept % X of % X", a.Bytes(), want)
		}
		if a.IFSC() < 1 || a.IFSC() > 254 || a.BWI() > 9 || a.CWI() > 15 || a.WI() == 0 || len(a.Historical()) > 15 {
			t.Fatalf("%v: %+v", a, factsOf(a))
		}
		if ps := a.Protocols(); len(ps) == 0 || !a.Offers(a.Default()) {
			t.Fatalf("%v: protocols %v", a, ps)
		}
		size, check := 2+len(a.Historical()), 0
		for ib := range a.InterfaceBytes() {
			size++
			if ib.Kind == 'D' && ib.Value&0xF != 0 {
				check = 1
			}
		}
		if a.Warning() == nil && size+check != len(b) {
			t.Fatalf("%v: parts of %d bytes, %d in all", a, size+check, len(b))
		}
		if n := len(a.Describe()); n < 2 || n > 3+MaxATR {
			t.Fatalf("%v: %d lines", a, n)
		}
	})
}

func BenchmarkParseATR(b *testing.B) {
	raw := unhex(b, "3B DA 18 FF 81 B1 FE 75 1F 03 00 31 C5 73 C0 01 40 00 90 00 0C")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseATR(raw); err != nil {
			b.Fatal(err)
		}
	}
}
