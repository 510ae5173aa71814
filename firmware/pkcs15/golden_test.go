package pkcs15

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fields compares what an entry says: not its place, nor the parts of it that
// have no field.
var fields = cmp.Options{
	cmpopts.IgnoreTypes(Entry{}, leftovers{}),
	cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && (f.Name() == "rest" || f.Name() == "middle")
	}, cmp.Ignore()),
	cmp.AllowUnexported(Common{}, PrivateKey{}, PublicKey{}, Certificate{}, Data{}, PIN{}, TokenInfo{}),
	cmpopts.EquateEmpty(),
}

// A golden is an entry with the bytes of a document or of OpenSC 0.23
// (Debian 12): those of its directory files on the software card, and those
// that the encoders of its library give for the same attributes.
type golden[T any] struct {
	name, wire string
	want       T
	// foreign says that AppendTo would write a changed entry in other bytes than
	// these, and why.
	foreign string
}

// anEntry is what all entries can do.
type anEntry interface {
	encoder
	AppendTo([]byte) []byte
}

// both checks that the bytes read as the value and the value writes the bytes,
// with zeros after the entry as in a file.
func both[T anEntry](t *testing.T, parse func([]byte) ([]T, error), rows []golden[T]) {
	t.Helper()
	var file []byte
	for _, r := range rows {
		file = append(file, bytesOf(t, r.wire)...)
	}
	all, err := parse(append(bytes.Clone(file), make([]byte, 64)...))
	if err != nil || len(all) != len(rows) {
		t.Fatalf("the file of all: %d of %d entries, %v", len(all), len(rows), err)
	}
	offset := 0
	for i, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			wire := bytesOf(t, r.wire)
			got, err := parse(wire)
			if err != nil || len(got) != 1 {
				t.Fatalf("%d entries, %v", len(got), err)
			}
			if err := got[0].entry().Err; err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.want, got[0], fields); diff != "" {
				t.Errorf("parsed, -want +got:\n%s", diff)
			}
			if enc := got[0].AppendTo([]byte("x")); !bytes.Equal(enc[1:], wire) {
				t.Errorf("unchanged: got % X", enc[1:])
			}
			if enc := r.want.AppendTo(nil); bytes.Equal(enc, wire) == (r.foreign != "") {
				t.Errorf("made: got\n% X, want\n% X", enc, wire)
			}
			e := all[i].entry()
			if e.Offset != offset || e.Len != len(wire) || !bytes.Equal(e.Raw, wire) {
				t.Errorf("in the file of all: offset %d, %d bytes, want %d, %d", e.Offset, e.Len, offset, len(wire))
			}
			if diff := cmp.Diff(got[0], all[i], fields); diff != "" {
				t.Errorf("in the file of all, -alone +there:\n%s", diff)
			}
			offset += len(wire)
		})
	}
}

func TestDIR(t *testing.T) {
	both(t, ParseDIR, []golden[Application]{
		{name: "pkcs15-init -C", wire: `61 21 4F 0C A0 00 00 00 63 "PKCS-15" 50 0B "My KAZTOKEN" 51 04 3F 00 50 00`,
			want: NewApplication("My KAZTOKEN")},
		{name: "RSA Laboratories' test vectors, 1.1",
			wire: `61 35 4F 0C A0 00 00 00 63 "PKCS-15" 50 07 "RSA DSI" 51 04 3F 00 50 15
				73 16 06 0A 2A 86 48 86 F7 0D 01 0F 04 01 A1 08 04 06 3F 00 50 15 43 20`,
			want: Application{AID: AID(), Label: "RSA DSI", Path: NewPath(0x3F00, 0x5015),
				Extra: bytesOf(t, "73 16 06 0A 2A 86 48 86 F7 0D 01 0F 04 01 A1 08 04 06 3F 00 50 15 43 20")}},
		{name: "another application, with discretionary data",
			wire: `61 12 4F 05 A0 00 00 00 03 73 05 80 03 3F 00 01 53 02 01 02`,
			want: Application{AID: []byte{0xA0, 0, 0, 0, 3}, Extra: bytesOf(t, "73 05 80 03 3F 00 01 53 02 01 02")}},
		{name: "no label", wire: `61 0C 4F 04 F0 00 00 01 51 04 3F 00 50 00`,
			want: Application{AID: []byte{0xF0, 0, 0, 1}, Path: NewPath(0x3F00, 0x5000)}},
	})
	if a := NewApplication(""); !a.IsPKCS15() {
		t.Error("our own application is not PKCS#15")
	}
	if a := (Application{AID: AID()[:11]}); a.IsPKCS15() {
		t.Error("a shorter identifier is PKCS#15")
	}
}

func TestODF(t *testing.T) {
	both(t, ParseODF, []golden[ODFEntry]{
		{name: "AODF", wire: "A8 0A 30 08 04 06 3F 00 50 00 60 05", want: NewODFEntry(AODF)},
		{name: "PrKDF", wire: "A0 0A 30 08 04 06 3F 00 50 00 60 02", want: NewODFEntry(PrKDF)},
		{name: "PuKDF", wire: "A1 0A 30 08 04 06 3F 00 50 00 60 01", want: NewODFEntry(PuKDF)},
		{name: "CDF", wire: "A4 0A 30 08 04 06 3F 00 50 00 60 04", want: NewODFEntry(CDF)},
		{name: "DODF", wire: "A7 0A 30 08 04 06 3F 00 50 00 60 06", want: NewODFEntry(DODF)},
		{name: "secret keys, relative path", wire: "A3 06 30 04 04 02 44 03", want: ODFEntry{Type: SKDF, Path: NewPath(0x4403)}},
		{name: "trusted certificates, part of a file", wire: "A5 10 30 0E 04 06 3F 00 50 00 44 05 02 01 20 80 01 40",
			want: ODFEntry{Type: TrustedCDF, Path: NewPath(0x3F00, 0x5000, 0x4405), Part: Part{Index: 32, Count: 64}}},
	})
	if dt := TPuKDF; dt.Path() != nil {
		t.Errorf("a place for %v: %v", dt, dt.Path())
	}
}

func TestTokenInfo(t *testing.T) {
	serial := []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}
	all := func(b []byte) ([]TokenInfo, error) {
		ti, err := ParseTokenInfo(b)
		return []TokenInfo{ti}, err
	}
	for _, r := range []golden[TokenInfo]{
		{name: "pkcs15-init -C",
			wire: `30 3C 02 01 00 04 08 00 00 00 00 32 D1 8A 58 0C 09 "Aktiv Co." 80 0B "My KAZTOKEN" 03 02 04 10
				A5 11 18 0F "20260131120000Z"`,
			want: NewTokenInfo("My KAZTOKEN", serial, "20260131120000Z")},
		{name: "fraction of a second",
			wire: `30 3F 02 01 00 04 08 00 00 00 00 32 D1 8A 58 0C 09 "Aktiv Co." 80 0A "Токен" 03 02 04 10
				A5 15 18 13 "20260131120000.123Z"`,
			want: TokenInfo{Serial: serial, Manufacturer: "Aktiv Co.", Label: "Токен", Flags: TokenEIDCompliant,
				LastUpdate: "20260131120000.123Z"}},
		{name: "the least", wire: "30 06 02 01 01 03 01 00", want: TokenInfo{Version: 1}},
		{name: "every element",
			wire: `30 44 02 01 00 04 01 07 0C 01 "m" A0 05 0C 03 "abc" 03 02 05 60 30 05 30 03 02 01 01 A1 02 30 00
				A2 04 30 02 05 00 83 02 "is" 84 02 "ho" 85 0F "20260131120000Z" 13 02 "kk" 86 00`,
			want: TokenInfo{Serial: []byte{7}, Manufacturer: "m", Label: "abc", Flags: TokenLoginRequired | TokenPRNGeneration,
				LastUpdate: "20260131120000Z", labelExplicit: true, updateImplicit: true},
			foreign: "elements without a field"},
	} {
		// A file holds one TokenInfo, so each row is a file of its own.
		both(t, all, []golden[TokenInfo]{r})
	}
}

// name is CN=Me.
const name = `30 0D 31 0B 30 09 06 03 55 04 03 0C 02 "Me"`

func TestPrKDF(t *testing.T) {
	user := Common{Label: "gen2048", Flags: Private | Modifiable, AuthID: []byte{2}}
	labelled := func(c Common, label string) Common {
		c.Label = label
		return c
	}
	withSubject := NewPrivateKey("gen2048", []byte{0x42}, 1, 2048, AccessGenerated)
	withSubject.Subject = bytesOf(t, name)
	plain := withSubject
	plain.plainSubject = true
	both(t, ParsePrKDF, []golden[PrivateKey]{
		{name: "pkcs15-init -G rsa/2048 --key-usage sign,decrypt",
			wire: `30 38 30 10 0C 07 "gen2048" 03 02 06 C0 04 01 02
				30 0E 04 01 42 03 02 02 74 03 02 03 B8 02 01 01
				A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 01 02 02 08 00`,
			want: NewPrivateKey("gen2048", []byte{0x42}, 1, 2048, AccessGenerated)},
		{name: "imported, non-repudiation, one use for a PIN, reference 81",
			wire: `30 3E 30 14 0C 08 "imported" 03 02 06 C0 04 01 02 02 01 01
				30 10 04 01 42 03 03 06 00 40 03 02 07 80 02 02 00 81
				A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 81 02 02 08 00`,
			want: PrivateKey{
				Common: Common{Label: "imported", Flags: Private | Modifiable, AuthID: []byte{2}, UserConsent: 1},
				Kind:   KeyRSA, ID: []byte{0x42}, Usage: UsageNonRepudiation, Native: true, Access: AccessImported,
				Reference: 0x81, Path: PrivateKeyPath(0x81), Bits: 2048}},
		{name: "access control rule",
			wire: `30 46 30 1C 0C 08 "imported" 03 02 06 C0 04 01 02 30 09 30 07 03 02 05 20 04 01 02
				30 10 04 01 42 03 03 06 00 40 03 02 07 80 02 02 00 81
				A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 81 02 02 08 00`,
			want: PrivateKey{
				Common: labelled(user, "imported"),
				Kind:   KeyRSA, ID: []byte{0x42}, Usage: UsageNonRepudiation, Native: true, Access: AccessImported,
				Reference: 0x81, Path: PrivateKeyPath(0x81), Bits: 2048},
			foreign: "the rule has no field"},
		{name: "after a certificate was stored",
			wire: `30 4B 30 10 0C 07 "gen2048" 03 02 06 C0 04 01 02
				30 0E 04 01 42 03 02 02 74 03 02 03 B8 02 01 01
				A0 11 30 0F ` + name + `
				A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 01 02 02 08 00`,
			want: withSubject},
		{name: "subject as in the standard",
			wire: `30 49 30 10 0C 07 "gen2048" 03 02 06 C0 04 01 02
				30 0E 04 01 42 03 02 02 74 03 02 03 B8 02 01 01
				A0 0F ` + name + `
				A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 01 02 02 08 00`,
			want: plain},
		{name: "GOST R 34.10-2001, parameters A",
			wire: `A4 3A 30 0D 0C 04 "gost" 03 02 06 C0 04 01 02
				30 0E 04 01 42 03 02 05 20 03 02 03 B8 02 01 03
				A1 19 30 17 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 03 02 01 01 02 01 00 02 01 00`,
			want: PrivateKey{
				Common: labelled(user, "gost"),
				Kind:   KeyGOST, ID: []byte{0x42}, Usage: DefaultUsage(KeyGOST), Native: true, Access: AccessGenerated,
				Reference: 3, Path: PrivateKeyPath(3), Bits: 256, GOST: GOSTParams{R3410: 1}}},
		{name: "GOST with all parameters",
			wire: `A4 25 30 00 30 06 04 01 42 03 01 00
				A1 19 30 17 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 04 02 01 02 02 01 03 02 01 04`,
			want: PrivateKey{Kind: KeyGOST, ID: []byte{0x42}, Native: true, Reference: NoReference,
				Path: PrivateKeyPath(4), Bits: 256, GOST: GOSTParams{2, 3, 4}}},
		{name: "GOST with one parameter",
			wire: `A4 1F 30 00 30 06 04 01 42 03 01 00
				A1 13 30 11 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 04 02 01 02`,
			want: PrivateKey{Kind: KeyGOST, ID: []byte{0x42}, Native: true, Reference: NoReference,
				Path: PrivateKeyPath(4), Bits: 256, GOST: GOSTParams{R3410: 2}},
			foreign: "OpenSC writes all three"},
		{name: "EC",
			wire: `A0 33 30 0B 0C 02 "ec" 03 02 06 C0 04 01 02
				30 0E 04 01 42 03 02 05 20 03 02 03 B8 02 01 03
				A1 14 30 12 30 0C 04 0A 3F 00 10 00 10 00 60 02 00 03 02 02 01 00`,
			want: PrivateKey{
				Common: labelled(user, "ec"),
				Kind:   KeyEC, ID: []byte{0x42}, Usage: UsageSign, Native: true, Access: AccessGenerated,
				Reference: 3, Path: PrivateKeyPath(3), Bits: 256}},
		{name: "dates, not native, no file of its own",
			wire: `30 3C 30 00 30 2C 04 01 42 03 02 05 20 01 01 00 18 0F "20260101000000Z" 80 0F "20270101000000Z"
				A1 0A 30 08 30 02 04 00 02 02 04 00`,
			want: PrivateKey{
				Kind: KeyRSA, ID: []byte{0x42}, Usage: UsageSign, Reference: NoReference,
				StartDate: "20260101000000Z", EndDate: "20270101000000Z", Bits: 1024}},
	})
}

func TestPuKDF(t *testing.T) {
	const key = `30 08 02 01 23 02 03 01 00 01` // an RSAPublicKey in small
	common := Common{Label: "gen2048", Flags: Modifiable}
	usage := DefaultUsage(KeyRSA) // OpenSC gives the public key the usage of the private one
	both(t, ParsePuKDF, []golden[PublicKey]{
		{name: "pkcs15-init -G rsa/2048 --key-usage sign,decrypt",
			wire: `30 30 30 0D 0C 07 "gen2048" 03 02 06 40
				30 0D 04 01 42 03 02 02 74 01 01 00 02 01 00
				A1 10 30 0E 30 08 04 06 3F 00 50 00 02 00 02 02 08 00`,
			want: PublicKey{Common: common, Kind: KeyRSA, ID: []byte{0x42}, Usage: usage, Path: AppPath(0x0200), Bits: 2048}},
		{name: "our own",
			wire: `30 30 30 0D 0C 07 "gen2048" 03 02 06 40
				30 0D 04 01 42 03 02 00 8B 01 01 00 02 01 00
				A1 10 30 0E 30 08 04 06 3F 00 50 00 02 01 02 02 08 00`,
			want: NewPublicKey("gen2048", []byte{0x42}, 2048, AppPath(0x0201))},
		{name: "value in the entry",
			wire: `30 32 30 0D 0C 07 "gen2048" 03 02 06 40
				30 0D 04 01 42 03 02 02 74 01 01 00 02 01 00
				A1 12 30 10 A0 0A ` + key + ` 02 02 08 00`,
			want: PublicKey{Common: common, Kind: KeyRSA, ID: []byte{0x42}, Usage: usage, Direct: bytesOf(t, key), Bits: 2048}},
		{name: "value in the entry, with its algorithm",
			wire: `30 32 30 0D 0C 07 "gen2048" 03 02 06 40
				30 0D 04 01 42 03 02 02 74 01 01 00 02 01 00
				A1 12 30 10 A0 0A A1 08 02 01 23 02 03 01 00 01 02 02 08 00`,
			want: PublicKey{Common: common, Kind: KeyRSA, ID: []byte{0x42}, Usage: usage,
				Direct: bytesOf(t, "A1 08 02 01 23 02 03 01 00 01"), Bits: 2048}},
		{name: "no value",
			wire: `30 2A 30 0D 0C 07 "gen2048" 03 02 06 40
				30 0D 04 01 42 03 02 02 74 01 01 00 02 01 00
				A1 0A 30 08 30 02 04 00 02 02 08 00`,
			want: PublicKey{Common: common, Kind: KeyRSA, ID: []byte{0x42}, Usage: usage, Bits: 2048}},
		{name: "GOST R 34.10-2001, parameters A",
			wire: `A4 32 30 0A 0C 04 "gost" 03 02 06 40
				30 0D 04 01 42 03 02 05 20 01 01 00 02 01 00
				A1 15 30 13 30 08 04 06 3F 00 50 00 02 01 02 01 01 02 01 00 02 01 00`,
			want: PublicKey{Common: Common{Label: "gost", Flags: Modifiable}, Kind: KeyGOST, ID: []byte{0x42}, Usage: UsageSign,
				Path: AppPath(0x0201), Bits: 256, GOST: GOSTParams{R3410: 1}}},
		{name: "EC",
			wire: `A0 27 30 08 0C 02 "ec" 03 02 06 40
				30 0D 04 01 42 03 02 05 20 01 01 00 02 01 00
				A1 0C 30 0A 30 08 04 06 3F 00 50 00 02 02`,
			want: PublicKey{Common: Common{Label: "ec", Flags: Modifiable}, Kind: KeyEC, ID: []byte{0x42}, Usage: UsageSign,
				Path: AppPath(0x0202)}},
	})
}

func TestCDF(t *testing.T) {
	common := Common{Label: "cert", Flags: Modifiable}
	both(t, ParseCDF, []golden[Certificate]{
		{name: "pkcs15-init -X",
			wire: `30 1F 30 0A 0C 04 "cert" 03 02 06 40 30 03 04 01 45 A1 0C 30 0A 30 08 04 06 3F 00 50 00 03 00`,
			want: NewCertificate("cert", []byte{0x45}, AppPath(0x0300))},
		{name: "authority, shorter than its file",
			wire: `30 29 30 0A 0C 04 "cert" 03 02 06 40 30 06 04 01 45 01 01 FF
				A1 13 30 11 30 0F 04 06 3F 00 50 00 03 00 02 01 00 80 02 03 E8`,
			want: Certificate{Common: common, ID: []byte{0x45}, Authority: true, Path: AppPath(0x0300), Part: Part{Count: 1000}}},
		{name: "value in the entry",
			wire: `30 1C 30 0A 0C 04 "cert" 03 02 06 40 30 03 04 01 45 A1 09 30 07 A0 05 30 03 02 01 05`,
			want: Certificate{Common: common, ID: []byte{0x45}, Direct: []byte{0x30, 3, 2, 1, 5}}},
	})
}

func TestDODF(t *testing.T) {
	oid, err := ParseOID("1.2.398.3.10.1")
	if err != nil {
		t.Fatal(err)
	}
	private := NewData("note", "mail", AppPath(0x0502), true)
	private.OID = oid
	both(t, ParseDODF, []golden[Data]{
		{name: "pkcs15-init -W",
			wire: `30 20 30 0A 0C 04 "note" 03 02 06 40 30 06 0C 04 "note" A1 0A 30 08 04 06 3F 00 50 00 04 01`,
			want: NewData("note", "note", AppPath(0x0401), false)},
		{name: "private, with an object identifier",
			wire: `30 2B 30 0D 0C 04 "note" 03 02 06 C0 04 01 02 30 0E 0C 04 "mail" 06 06 2A 83 0E 03 0A 01
				A1 0A 30 08 04 06 3F 00 50 00 05 02`,
			want: private},
		{name: "value in the entry, nothing else",
			wire: "30 0A 30 00 30 00 A1 04 A0 02 04 00",
			want: Data{Direct: []byte{4, 0}}},
	})
}

func TestAODF(t *testing.T) {
	both(t, ParseAODF, []golden[PIN]{
		{name: "pkcs15-init -C",
			wire: `30 3B 30 1A 0C 14 "Security Officer PIN" 03 02 06 C0 30 03 04 01 01
				A1 18 30 16 03 02 00 99 0A 01 01 02 01 08 02 01 20 02 01 20 80 01 01 04 01 00`,
			want: AdminPIN(8)},
		{name: "pkcs15-init -P",
			wire: `30 2F 30 0E 0C 08 "User PIN" 03 02 06 C0 30 03 04 01 02
				A1 18 30 16 03 02 03 98 0A 01 01 02 01 04 02 01 20 02 01 20 80 01 02 04 01 00`,
			want: UserPIN(4)},
		{name: "local, every element",
			wire: `30 4C 30 13 0C 03 "PUK" 03 02 07 80 04 01 01 02 01 05 30 02 30 00 30 03 04 01 0A
				A1 30 30 2E 03 03 04 62 10 0A 01 02 02 01 06 02 01 10 02 01 10 80 01 83 04 01 FF
				18 0F "20260131120000Z" 30 04 04 02 50 00`,
			want: PIN{
				Common: Common{Label: "PUK", Flags: Private, AuthID: []byte{1}, UserConsent: 5},
				ID:     []byte{10},
				Flags:  PINLocal | PINChangeDisabled | PINUnblocking | PINExchangeRefData, Type: PINUTF8,
				MinLength: 6, StoredLength: 16, MaxLength: 16, Reference: 0x83, PadChar: []byte{0xFF},
				LastChange: "20260131120000Z", Path: NewPath(0x5000)},
			foreign: "access control rules, and the reference in one byte"},
		{name: "the least",
			wire:    `30 17 30 00 30 03 04 01 01 A1 0E 30 0C 03 01 00 0A 01 00 02 01 00 02 01 08`,
			want:    PIN{ID: []byte{1}, StoredLength: 8},
			foreign: "the reference is written though it is 0"},
	})
}
