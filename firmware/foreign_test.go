package firmware_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
)

// cardFunc is a card that is a function.
type cardFunc func(apdu []byte) ([]byte, error)

func (f cardFunc) Transmit(_ context.Context, dst, apdu []byte) ([]byte, error) {
	r, err := f(apdu)
	return append(dst, r...), err
}

// staying is a card on which a new file is not current: what was selected before
// CREATE FILE is selected after it. No document says which of the two the real
// token does. Only the MF is current once it is made: OpenSC needs that.
func staying(card *emu.Card) firmware.Card {
	var last []byte // the last SELECT
	return cardFunc(func(apdu []byte) ([]byte, error) {
		r, err := card.Transmit(context.Background(), nil, apdu)
		if err != nil || !bytes.HasSuffix(r, []byte{0x90, 0x00}) {
			return r, err
		}
		switch {
		case apdu[1] == 0xA4:
			last = bytes.Clone(apdu)
		case apdu[1] == 0xE0 && bytes.Equal(apdu[17:19], []byte{0x3F, 0x00}):
			last = []byte{0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00, 0x00}
		case apdu[1] == 0xE0:
			if again, err := card.Transmit(context.Background(), nil, last); err != nil || !bytes.HasSuffix(again, []byte{0x90, 0x00}) {
				return nil, fmt.Errorf("select again: % X, %v", again, err)
			}
		}
		return r, nil
	})
}

// TestNewFilesNotCurrent does everything on a card that leaves current what was.
func TestNewFilesNotCurrent(t *testing.T) {
	for _, opts := range [][]emu.Option{nil, {emu.WithWiped()}, {emu.WithVendorFormat()}} {
		card := newCard(opts...)
		token := open(t, staying(card))
		if err := token.Format(t.Context(), firmware.FormatOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		audit(t, card, "formatted")
		token = open(t, staying(card))
		twoIdentities(t, card, token)
		if err := deleteCertificates(0)(t.Context(), token); err != nil {
			t.Error(err)
		}
		checkClean(t, token)
		audit(t, card, "used")
		if keys, err := token.Keys(t.Context()); err != nil || len(keys) != 2 {
			t.Errorf("keys %v, %v", keys, err)
		}
	}
}

// TestOldGenerate makes a key on a card that takes no exponent, as OpenSC did
// before 0.25.
func TestOldGenerate(t *testing.T) {
	w := &wire{card: newCard()}
	w.lie = func(apdu, answer []byte) []byte {
		if apdu[1] == 0x46 && len(apdu) > 5 {
			return []byte{0x67, 0x00}
		}
		return answer
	}
	token := open(t, w)
	login(t, token, firmware.User)
	if err := signs(t, token, generate(t, token, "old")); err != nil {
		t.Error(err)
	}
	if n := w.count(0x00, 0x46); n != 2 {
		t.Errorf("%d times GENERATE KEY", n)
	}
}

// TestOtherPlace opens a token whose application is not where OpenSC's profile
// for this family has it.
func TestOtherPlace(t *testing.T) {
	ctx := t.Context()
	s := &sick{t: t, card: newCard(emu.WithWiped())}
	s.auditor = auditor{t, s.card, t.Name()}
	token := open(t, s.card)
	if err := token.Format(ctx, firmware.FormatOptions{Name: "Elsewhere"}, nil); err != nil {
		t.Fatal(err)
	}
	app := pkcs15.NewPath(pkcs15.FileMF, 0x5015)
	create := func(kind byte, id uint16, size byte) []byte {
		return []byte{0x00, 0xE0, 0x00, 0x00, 0x1F, 0x6F, 0x1D, 0x80, 0x02, 0x00, size, 0x82, 0x02, kind, 0x00, 0x83, 0x02, byte(id >> 8), byte(id),
			0x86, 0x0F, 0x43, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}
	}
	info := pkcs15.NewTokenInfo("There", nil, "20260101000000Z").AppendTo(nil)
	aodf := pkcs15.ODFEntry{Type: pkcs15.AODF, Path: pkcs15.NewPath(0x6005)}.AppendTo(nil) // relative
	s.as(firmware.User, []byte{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00}, create(0x38, 0x5015, 0),
		selecting(app), create(0x01, pkcs15.FileODF, 128), updating(0, aodf...),
		selecting(app), create(0x01, pkcs15.FileTokenInfo, 128), updating(0, info...))
	dir := pkcs15.Application{AID: pkcs15.AID(), Label: "There", Path: app}.AppendTo(nil)
	s.as(firmware.Admin, selecting(pkcs15.NewPath(pkcs15.FileMF, pkcs15.FileDIR)), updating(0, append(dir, 0, 0, 0, 0)...),
		selecting(pkcs15.AppPath(pkcs15.FileODF)), updating(0, make([]byte, 12)...))
	s.card.Reset(true)
	token = open(t, s.card)
	if name, err := token.Name(ctx); err != nil || name != "There" || token.State() != firmware.StatePKCS15 {
		t.Errorf("%q, %v, %v", name, token.State(), err)
	}
	login(t, token, firmware.User)
	if err := signs(t, token, generate(t, token, "there")); err != nil {
		t.Error(err)
	}
	writeObject(t, token, firmware.NewObject{Label: "x", Data: []byte("y")})
	checkClean(t, token)
	for _, f := range []uint16{0x0200, 0x6001, 0x6002, 0x6006, 0x0400} {
		if s.size(app.Append(f)) < 0 {
			t.Errorf("no file %v", app.Append(f))
		}
	}
}

// TestPartsOfFiles reads certificates and objects that are a part of their file,
// or in their entry.
func TestPartsOfFiles(t *testing.T) {
	ctx := t.Context()
	s := newSick(t)
	cert := ownCertificate(t, rootKey)
	s.make(0x0310, bytes.Repeat([]byte{0x5A}, 20)...)
	part := pkcs15.NewCertificate("part", []byte{1}, pkcs15.AppPath(0x0301))
	part.Part = pkcs15.Part{Index: 0, Count: len(cert.Raw)}
	outside := pkcs15.NewCertificate("outside", []byte{2}, pkcs15.AppPath(0x0310))
	outside.Part = pkcs15.Part{Index: 600, Count: 10}
	s.write(pkcs15.CDF.Path(), 0, append(outside.AppendTo(part.AppendTo(nil)), 0)...)
	object := pkcs15.NewData("part", "", pkcs15.AppPath(0x0400), false)
	object.Part = pkcs15.Part{Index: 1, Count: 2}
	direct := pkcs15.NewData("direct", "", nil, false)
	direct.Direct = []byte{0x04, 0x01, 0x77}
	s.write(pkcs15.DODF.Path(), 0, append(direct.AppendTo(object.AppendTo(nil)), 0)...)
	token := open(t, s.card)
	certs, err := token.Certificates(ctx)
	if err != nil || len(certs) != 2 {
		t.Fatalf("certificates %v, %v", certs, err)
	}
	if !bytes.Equal(certs[0].DER, cert.Raw) || certs[0].X509 == nil || certs[1].DER != nil || certs[1].X509 != nil {
		t.Errorf("certificates %+v", certs)
	}
	objects, err := token.Objects(ctx)
	if err != nil || len(objects) != 2 || objects[0].Size != 2 || objects[1].Size != 3 || objects[1].Path != nil {
		t.Fatalf("objects %+v, %v", objects, err)
	}
	for i, want := range []string{"ep", "\x04\x01\x77"} { // of "kept"
		if b, err := token.ReadObject(ctx, objects[i]); err != nil || string(b) != want {
			t.Errorf("object %d: %q, %v", i, b, err)
		}
	}
	login(t, token, firmware.User)
	if err := token.Delete(ctx, firmware.Selection{Certificates: certs[:1], Objects: objects[1:]}, nil); err != nil {
		t.Error(err)
	}
	if certs, err := token.Certificates(ctx); err != nil || len(certs) != 1 || certs[0].Label != "outside" {
		t.Errorf("certificates %v, %v", certs, err)
	}
	if objects, err := token.Objects(ctx); err != nil || len(objects) != 1 || objects[0].Label != "part" {
		t.Errorf("objects %v, %v", objects, err)
	}
}

// TestCertificateLabels imports certificates without a name to go by, or with a
// long one: a label ends between two letters.
func TestCertificateLabels(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	for i, subject := range []string{strings.Repeat("Ә", 60), "", strings.Repeat("a", 99) + "Ә"} {
		cert := certify(t, subject, int64(i+1), testKey(defaultKeySize, i), nil, nil)
		c, err := token.ImportCertificate(ctx, cert.Raw, firmware.ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{strings.Repeat("Ә", 50), "certificate", strings.Repeat("a", 99)}[i]; c.Label != want {
			t.Errorf("label %q, want %q", c.Label, want)
		}
	}
}

// TestWords prints what there is to print; unknown values are no surprise.
func TestWords(t *testing.T) {
	for _, test := range []struct {
		value fmt.Stringer
		want  string
	}{
		{firmware.StateHalf, "half formatted"}, {firmware.State(9), "State(9)"},
		{firmware.Admin, "administrator"}, {firmware.Role(9), "Role(9)"},
		{firmware.PolicyBoth, "user and administrator"}, {firmware.PolicyUnknown, "unknown"}, {firmware.Policy(9), "Policy(9)"},
		{firmware.SourceInferred, "inferred"}, {firmware.SourceUnknown, "unknown"}, {firmware.Source(9), "Source(9)"},
		{firmware.OpGenerate, "generate key"}, {firmware.Op(99), "Op(99)"},
		{firmware.FindingUnlistedKey, "unlisted key"}, {firmware.FindingKind(99), "FindingKind(99)"},
		{firmware.NameEmpty, "it is empty"}, {firmware.NameViolation(9), "NameViolation(9)"},
		{firmware.KindRSF, "RSF"}, {firmware.FileKind(2), "FileKind(02)"},
	} {
		if got := test.value.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{&firmware.StatusError{SW: 0x6A82, INS: 0xA4}, "SELECT: 6A82 file or application not found"},
		{&firmware.StatusError{SW: 0x6D00, CLA: 0x80, INS: 0x8A}, "INIT: 6D00 "},
		{&firmware.StatusError{SW: 0x6D00, INS: 0x99}, "command 00 99: 6D00 "},
		{&firmware.PINError{Role: firmware.User, Left: 3, Err: firmware.ErrPINWrong}, "user: wrong PIN, tries left: 3"},
		{&firmware.PINError{Role: firmware.User, Left: 1, Err: firmware.ErrLastTry}, "user: only one try is left"},
		{&firmware.PINError{Role: firmware.Admin, Blocked: true, Err: firmware.ErrPINBlocked}, "administrator: PIN is blocked"},
		{&firmware.PINLengthError{Role: firmware.User, Got: 3, Min: 6, Max: 32}, "PIN of the user has 3 bytes, want 6 to 32"},
		{&firmware.PolicyError{Role: firmware.User, Policy: firmware.PolicyAdmin}, "the user may not change the user PIN of this token (policy: administrator)"},
		{&firmware.PolicyError{Role: firmware.User}, "the user may not change the user PIN of this token"},
		{&firmware.RoleError{Op: firmware.OpRename}, "rename: log in first"},
		{&firmware.StateError{Op: firmware.OpImport, State: firmware.StateWiped}, "import: not on a token that is not formatted"},
		{&firmware.OptionError{Option: "RSA bits", Value: 1, Min: 2, Max: 3}, "RSA bits 1: want 2 to 3"},
		{&firmware.NameError{Violation: firmware.NameTooLong, Max: 73}, "token name: it is too long, at most 73 bytes"},
	} {
		if got := test.err.Error(); !strings.HasPrefix(got, test.want) || test.want[len(test.want)-1] != ' ' && got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
