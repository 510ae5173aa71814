package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// sick is a token with something wrong on it.
type sick struct {
	t    *testing.T
	card *emu.Card
	auditor
}

// newSick makes a token with a generated key, an imported one with a certificate,
// another certificate and a data object.
func newSick(t *testing.T) *sick {
	s := &sick{t: t, card: newCard()}
	s.auditor = auditor{t, s.card, t.Name()}
	token := open(t, s.card)
	furnish(t, s.card, token)
	importIdentity(t, token, firmware.Identity{Key: testKey(defaultKeySize, identityKey), Certificate: ownCertificate(t, identityKey)})
	if _, err := token.ImportCertificate(t.Context(), ownCertificate(t, rootKey).Raw, firmware.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	logout(t, token)
	return s
}

// as sends commands with a role logged in.
func (s *sick) as(r firmware.Role, apdus ...[]byte) {
	s.t.Helper()
	pin := userPIN
	if r == firmware.Admin {
		pin = adminPIN
	}
	for _, a := range slices.Concat([][]byte{append([]byte{0x00, 0x20, 0x00, byte(r), 8}, pin...)}, apdus, [][]byte{{0x80, 0x40, 0x00, 0x00}}) {
		if _, sw := s.send(a...); sw != 0x9000 {
			s.t.Fatalf("% X: %04X", a, sw)
		}
	}
}

func selecting(p pkcs15.Path) []byte {
	p = bytes.TrimPrefix(p, pkcs15.NewPath(pkcs15.FileMF))
	return append([]byte{0x00, 0xA4, 0x08, 0x0C, byte(len(p))}, p...)
}

func updating(offset int, data ...byte) []byte {
	return append([]byte{0x00, 0xD6, byte(offset >> 8), byte(offset), byte(len(data))}, data...)
}

// remove deletes a file behind the back of its entry.
func (s *sick) remove(p pkcs15.Path) {
	s.as(firmware.User, selecting(p), append([]byte{0x00, 0xE4, 0x00, 0x00, 0x02}, p[len(p)-2:]...))
}

// write writes into a file.
func (s *sick) write(p pkcs15.Path, offset int, data ...byte) {
	s.as(firmware.User, selecting(p), updating(offset, data...))
}

// make makes an EF in the application.
func (s *sick) make(id uint16, content ...byte) {
	s.as(firmware.User, selecting(pkcs15.AppPath()), []byte{0x00, 0xE0, 0x00, 0x00, 0x1F, 0x6F, 0x1D,
		0x80, 0x02, 0x02, 0x00, 0x82, 0x02, 0x01, 0x00, 0x83, 0x02, byte(id >> 8), byte(id), 0x86, 0x0F, 0x43, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0})
	for at := 0; at < len(content); at += 200 {
		s.write(pkcs15.AppPath(id), at, content[at:min(at+200, len(content))]...)
	}
}

// found is what Check says, each in a line.
func (s *sick) found() []string {
	s.t.Helper()
	s.card.Reset(true)
	found, err := open(s.t, s.card).Check(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		line := f.Kind.String() + " " + f.Path.String()
		if !f.Repairable {
			line += " (not repairable)"
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *sick) repair() error {
	s.t.Helper()
	token := open(s.t, s.card)
	login(s.t, token, firmware.User)
	return errors.Join(token.Repair(s.t.Context()), token.Logout(s.t.Context()))
}

func (s *sick) observe() world {
	s.t.Helper()
	s.card.Reset(true)
	return observe(s.t, open(s.t, s.card), s.t.Name())
}

// lengthOf is how many bytes the entries of a directory have.
func (s *sick) entriesOf(dt pkcs15.DirType) []pkcs15.Entry {
	s.t.Helper()
	list, err := pkcs15.Entries(s.read(dt.Path()))
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// TestRepair makes a token sick in every way that Check knows.
func TestRepair(t *testing.T) {
	secret1 := pkcs15.PrivateKeyPath(1)
	for _, test := range []struct {
		name    string
		spoil   func(*sick)
		found   []string
		lost    int      // facts that nothing can bring back
		further []string // found after the repair
	}{
		{"nothing", func(*sick) {}, nil, 0, nil},
		{"certificate gone", func(s *sick) { s.remove(pkcs15.AppPath(0x0301)) }, []string{"missing file 3F00/5000/0301"}, 1, nil},
		{"object gone", func(s *sick) { s.remove(pkcs15.AppPath(0x0400)) }, []string{"missing file 3F00/5000/0400"}, 1, nil},
		{"private key gone", func(s *sick) { s.remove(secret1) }, []string{"missing file 3F00/1000/1000/6002/0001"}, 1, nil},
		{"public key's file gone", func(s *sick) { s.remove(pkcs15.AppPath(0x0200)) }, []string{"missing file 3F00/5000/0200"}, 0, nil},
		{"stray files", func(s *sick) { s.make(0x0305); s.make(0x05FF); s.make(0x0234) },
			[]string{"leftover file 3F00/5000/0305", "leftover file 3F00/5000/05FF", "leftover file 3F00/5000/0234"}, 0, nil},
		{"a file of somebody else", func(s *sick) { s.make(0x7777); s.make(0x0601) }, nil, 0, nil},
		{"stray directory", func(s *sick) { s.make(0x6014) }, []string{"leftover file 3F00/5000/6014"}, 0, nil},
		{"private key not listed", func(s *sick) {
			entries := s.entriesOf(pkcs15.PrKDF)
			s.write(pkcs15.PrKDF.Path(), entries[len(entries)-1].Offset, 0)
		}, []string{"unlisted key 3F00/1000/1000/6002/0002"}, 0, nil},
		{"no private key listed", func(s *sick) { s.write(pkcs15.PrKDF.Path(), 0, 0) },
			[]string{"unlisted key 3F00/1000/1000/6002/0001", "unlisted key 3F00/1000/1000/6002/0002"}, 0, nil},
		{"no public key listed", func(s *sick) { s.write(pkcs15.PuKDF.Path(), 0, 0) },
			[]string{"leftover file 3F00/5000/0200", "leftover file 3F00/5000/0201"}, 0, nil},
		{"neither is listed", func(s *sick) { s.write(pkcs15.PuKDF.Path(), 0, 0); s.write(pkcs15.PrKDF.Path(), 0, 0) },
			[]string{"leftover key 3F00/1000/1000/6002/0001", "leftover key 3F00/1000/1000/6002/0002", "leftover file 3F00/5000/0200", "leftover file 3F00/5000/0201"}, 2, nil},
		// A directory that is damaged names some of what seems to be left over:
		// nothing is deleted, private keys are found by their public ones.
		{"private keys damaged", func(s *sick) { s.write(pkcs15.PrKDF.Path(), s.entriesOf(pkcs15.PrKDF)[1].Offset+1, 0x80) },
			[]string{"damaged directory 3F00/5000/6002", "unlisted key 3F00/1000/1000/6002/0002"}, 0, nil},
		{"certificates damaged", func(s *sick) { s.write(pkcs15.CDF.Path(), s.entriesOf(pkcs15.CDF)[1].Offset+1, 0x84) },
			[]string{"damaged directory 3F00/5000/6004", "leftover file 3F00/5000/0301 (not repairable)"}, 1, []string{"leftover file 3F00/5000/0301"}},
		{"certificate not understood", func(s *sick) { s.write(pkcs15.CDF.Path(), s.entriesOf(pkcs15.CDF)[1].Offset, 0xA7) },
			[]string{"leftover file 3F00/5000/0301 (not repairable)"}, 1, []string{"leftover file 3F00/5000/0301 (not repairable)"}},
		{"directory gone", func(s *sick) { s.remove(pkcs15.CDF.Path()) },
			[]string{"missing file 3F00/5000/6004", "leftover file 3F00/5000/0300 (not repairable)", "leftover file 3F00/5000/0301 (not repairable)"}, 2,
			[]string{"leftover file 3F00/5000/0300", "leftover file 3F00/5000/0301"}},
		{"directory under its other name", func(s *sick) {
			content := s.read(pkcs15.CDF.Path())
			s.remove(pkcs15.CDF.Path())
			s.make(0x6014, content[:512]...)
		}, []string{"missing file 3F00/5000/6004", "leftover file 3F00/5000/0300 (not repairable)", "leftover file 3F00/5000/0301 (not repairable)",
			"leftover file 3F00/5000/6014 (not repairable)"}, 0, nil},
		{"list of directories damaged", func(s *sick) { s.write(pkcs15.AppPath(pkcs15.FileODF), 49, 0x84) },
			[]string{"damaged directory 3F00/5000/5031 (not repairable)", "leftover file 3F00/5000/0300 (not repairable)",
				"leftover file 3F00/5000/6004 (not repairable)", "leftover file 3F00/5000/0301 (not repairable)"}, -1, nil},
		{"name differs", func(s *sick) {
			s.as(firmware.Admin, selecting(pkcs15.NewPath(pkcs15.FileMF, pkcs15.FileDIR)), updating(18, 'X'))
		}, []string{"name differs 3F00/2F00 (not repairable)"}, 0, []string{"name differs 3F00/2F00 (not repairable)"}},
		{"not in EF(DIR)", func(s *sick) {
			s.as(firmware.Admin, selecting(pkcs15.NewPath(pkcs15.FileMF, pkcs15.FileDIR)), updating(0, 0))
		}, []string{"not in EF(DIR) 3F00/2F00 (not repairable)"}, 0, []string{"not in EF(DIR) 3F00/2F00 (not repairable)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSick(t)
			before := s.observe()
			test.spoil(s)
			if got := s.found(); !slices.Equal(got, test.found) {
				t.Errorf("found %q\nwant  %q", got, test.found)
			}
			if test.lost < 0 { // beyond repair, but nothing gets worse
				if err := s.repair(); err != nil {
					t.Logf("repair: %v", err)
				}
				if got := s.found(); len(got) == 0 || got[0] != test.found[0] {
					t.Errorf("found after the repair: %q", got)
				}
				s.write(pkcs15.AppPath(pkcs15.FileODF), 49, 0x0A) // as it was
				if diff := before.diff(s.observe()); diff != "" {
					t.Errorf("mended by hand:\n%s", diff)
				}
				return
			}
			if err := s.repair(); err != nil {
				t.Errorf("repair: %v", err)
			}
			if got := s.found(); !slices.Equal(got, test.further) {
				t.Errorf("found after the repair: %q\nwant %q", got, test.further)
			}
			after := s.observe()
			lost := 0
			for f := range before {
				if !after[f] {
					lost++
				}
			}
			if lost != test.lost {
				t.Errorf("lost %d, want %d:\n%s", lost, test.lost, before.diff(after))
			}
		})
	}
}

// TestRenameMendsDIR has the administrator rename a token that EF(DIR) does not
// name, or under another name.
func TestRenameMendsDIR(t *testing.T) {
	for _, spoil := range [][]byte{updating(0, 0), updating(18, 'X')} {
		s := newSick(t)
		s.as(firmware.Admin, selecting(pkcs15.NewPath(pkcs15.FileMF, pkcs15.FileDIR)), spoil)
		token := open(t, s.card)
		login(t, token, firmware.Admin)
		if err := token.SetName(t.Context(), "Renamed"); err != nil {
			t.Fatal(err)
		}
		logout(t, token)
		checkClean(t, token)
		audit(t, s.card, "renamed")
	}
}

// TestRepairDoubts has the card deny, once, that something is there: nothing is
// deleted on the strength of that.
func TestRepairDoubts(t *testing.T) {
	for _, dt := range []pkcs15.DirType{pkcs15.PrKDF, pkcs15.PuKDF, pkcs15.CDF, pkcs15.DODF} {
		for time := 1; time <= 2; time++ {
			s := newSick(t)
			before := s.observe()
			s.make(0x0333) // so that there is something to repair
			w := &wire{card: s.card}
			id := dt.Path()[4:]
			n := 0
			w.lie = func(apdu, answer []byte) []byte {
				if apdu[1] == 0xA4 && bytes.HasSuffix(apdu[:len(apdu)-1], id) {
					if n++; n == time {
						return []byte{0x6A, 0x82}
					}
				}
				return answer
			}
			token := open(t, w)
			login(t, token, firmware.User)
			err := token.Repair(t.Context())
			logout(t, token)
			if diff := before.diff(s.observe()); diff != "" {
				t.Errorf("%v, time %d: %v\n%s", dt, time, err, diff)
			}
		}
	}
}

// TestRepairDoubtsListing has the card deny that there is any private key, once,
// while one waits to be listed: its public half does not go.
func TestRepairDoubtsListing(t *testing.T) {
	s := newSick(t)
	before := s.observe()
	s.write(pkcs15.PrKDF.Path(), 0, 0)
	w := &wire{card: s.card}
	inPrivate, done := false, false
	w.lie = func(apdu, answer []byte) []byte {
		switch {
		case apdu[1] != 0xA4:
		case apdu[2] == 0x08:
			inPrivate = bytes.Equal(apdu[5:len(apdu)-1], pkcs15.PrivateKeyPath(0)[2:8])
		case len(apdu) == 5 && inPrivate && !done: // the first child
			done = true
			return []byte{0x6A, 0x82}
		}
		return answer
	}
	token := open(t, w)
	login(t, token, firmware.User)
	for range 2 {
		if err := token.Repair(t.Context()); err != nil {
			t.Error(err)
		}
	}
	logout(t, token)
	if !done {
		t.Error("the list was not asked for")
	}
	if diff := before.diff(s.observe()); diff != "" {
		t.Error(diff)
	}
	audit(t, s.card, "afterwards")
}

// TestRepairReadsTwice garbles a directory on the way, once: a repair does not
// take it for damaged.
func TestRepairReadsTwice(t *testing.T) {
	for _, dt := range []pkcs15.DirType{pkcs15.PrKDF, pkcs15.PuKDF, pkcs15.CDF, pkcs15.DODF} {
		s := newSick(t)
		before := s.observe()
		w := &wire{card: s.card}
		id := dt.Path()[4:]
		selected, done := false, false
		w.lie = func(apdu, answer []byte) []byte {
			switch {
			case apdu[1] == 0xA4:
				selected = bytes.HasSuffix(apdu[:len(apdu)-1], id)
			case apdu[1] == 0xB0 && selected && !done:
				done = true
				answer[1] = 0x84
			}
			return answer
		}
		token := open(t, w)
		login(t, token, firmware.User)
		if err := token.Repair(t.Context()); !errors.Is(err, firmware.ErrAnswer) {
			t.Errorf("%v: %v", dt, err)
		}
		logout(t, token)
		if diff := before.diff(s.observe()); diff != "" {
			t.Errorf("%v:\n%s", dt, diff)
		}
	}
}

// TestReplaceAnswerLost loses the answer to the command that puts a new directory
// in the place of the old one: the old one does not stay.
func TestReplaceAnswerLost(t *testing.T) {
	card := newCard()
	token := open(t, card)
	longDirectory(14, 10)(t, card, token)
	logout(t, token)
	w := &wire{card: card}
	token = open(t, w)
	var odf bool
	w.lie = func(apdu, answer []byte) []byte {
		switch apdu[1] {
		case 0xA4:
			odf = bytes.Equal(apdu[5:len(apdu)-1], pkcs15.AppPath(pkcs15.FileODF)[2:])
		case 0xD6:
			if odf {
				w.lie = nil
				return []byte{0x90} // carried out, and half an answer
			}
		}
		return answer
	}
	if err := deleteCertificates(3)(t.Context(), token); !errors.Is(err, iso7816.ErrAPDU) {
		t.Fatal(err)
	}
	found, err := token.Check(t.Context())
	if err != nil || len(found) != 1 || found[0].Path.String() != "3F00/5000/0303" {
		t.Errorf("check found %v, %v", found, err)
	}
	audit(t, card, "afterwards")
}

// TestCancel ends the context after each answer of an import: it is undone at
// once, to the last byte.
func TestCancel(t *testing.T) {
	id := identity(t)
	for n, done := 1, false; !done; n++ {
		card := newCard()
		w := &wire{card: card}
		token := open(t, w)
		furnish(t, card, token)
		before := freeMemory(t, token)
		w.forget()
		ctx, cancel := context.WithCancel(t.Context())
		w.lie = func(_, answer []byte) []byte {
			if len(w.sent) == n {
				cancel()
			}
			return answer
		}
		_, err := token.ImportIdentity(ctx, id, firmware.ImportOptions{}, nil)
		cancel()
		done = err == nil
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d: %v", n, err)
		}
		keys, keysErr := token.Keys(t.Context())
		if keysErr != nil || len(keys) != 1 && len(keys) != 2 {
			t.Fatalf("cancelled after %d: %v, %v", n, keys, keysErr)
		}
		if after := freeMemory(t, token); len(keys) == 1 && after != before {
			t.Errorf("cancelled after %d: %d bytes free before, %d after", n, before, after)
		}
		checkClean(t, token)
	}
}

// TestDriverResets loses an answer and has the driver reset the card to reach it
// again: what was selected is not taken for selected.
func TestDriverResets(t *testing.T) {
	ctx := t.Context()
	card := newCard()
	w := &wire{card: card}
	token := open(t, w)
	furnish(t, card, token)
	logout(t, token)
	if _, err := token.Name(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.fault, w.at = dropBefore, len(w.sent)+1
		if err := token.Random(ctx, make([]byte, 8)); !errors.Is(err, errGone) {
			t.Fatal(err)
		}
		card.Reset(false)
		login(t, token, firmware.User)
		if err := token.SetName(ctx, "after a reset"); err != nil {
			t.Errorf("rename: %v", err)
		}
		logout(t, token)
	}
}

// TestImportOfKnownCertificate imports a key whose certificate is on the token
// under an ID of its own: they are a pair afterwards.
func TestImportOfKnownCertificate(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	cert := ownCertificate(t, identityKey)
	if _, err := token.ImportCertificate(ctx, cert.Raw, firmware.ImportOptions{ID: []byte{0x45}}); err != nil {
		t.Fatal(err)
	}
	var steps []int
	key, err := token.ImportIdentity(ctx, firmware.Identity{Key: testKey(defaultKeySize, identityKey), Certificate: cert}, firmware.ImportOptions{},
		func(done, total int) { steps = append(steps, done, total) })
	if err != nil || !bytes.Equal(key.ID, []byte{0x45}) {
		t.Errorf("key %x, %v", key.ID, err)
	}
	if n := len(steps); n == 0 || steps[n-1] != steps[n-2] {
		t.Errorf("progress %v", steps)
	}
	certs, err := token.Certificates(ctx)
	if err != nil || len(certs) != 1 || certs[0].Key == nil {
		t.Errorf("certificates %+v, %v", certs, err)
	}
	// And the other way round.
	if _, err := token.ImportCertificate(ctx, certify(t, "Another", 77, testKey(defaultKeySize, identityKey), nil, nil).Raw, firmware.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if keys, err := token.Keys(ctx); err != nil || len(keys) != 1 || keys[0].Certificates != 2 {
		t.Errorf("keys %+v, %v", keys, err)
	}
}
