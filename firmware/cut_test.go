package firmware_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// operation is something done to a token that is to survive a cut anywhere.
type operation struct {
	name    string
	options []emu.Option
	prepare func(t testing.TB, card *emu.Card, token *firmware.Token)
	run     func(ctx context.Context, token *firmware.Token) error
	also    []string // facts that hold in between only
	formats bool     // it erases first
	tries   int      // that it uses up
}

// as logs a role in, does something and logs out.
func as(r firmware.Role, do func(ctx context.Context, token *firmware.Token) error) func(context.Context, *firmware.Token) error {
	return func(ctx context.Context, token *firmware.Token) error {
		pin := userPIN
		if r == firmware.Admin {
			pin = adminPIN
		}
		if _, err := token.Login(ctx, r, pin); err != nil {
			return err
		}
		return errors.Join(do(ctx, token), token.Logout(ctx))
	}
}

// card makes the card of an operation, prepared, with nobody logged in.
func (o operation) card(t testing.TB) *emu.Card {
	t.Helper()
	card := newCard(o.options...)
	if o.prepare != nil {
		token := open(t, card, firmware.WithClock(noon))
		o.prepare(t, card, token)
		logout(t, token)
	}
	card.Reset(true)
	return card
}

// cut is a fault during an operation and what is known without it.
type cut struct {
	operation
	before, after world
	commands      int
	names         []string              // of the commands, for the golden files
	tries         map[firmware.Role]int // left before
}

// uncut does an operation without a fault.
func (o operation) uncut(t testing.TB) cut {
	t.Helper()
	c := cut{operation: o, tries: map[firmware.Role]int{}}
	card := o.card(t)
	token := open(t, card, firmware.WithClock(noon))
	for _, r := range []firmware.Role{firmware.User, firmware.Admin} {
		if s, err := token.PINStatus(t.Context(), r); err == nil {
			c.tries[r] = s.Left
		}
	}
	c.before = observe(t, token, o.name+": before")
	card = o.card(t)
	w := &wire{card: card}
	token = open(t, w, firmware.WithClock(noon))
	w.forget()
	err := o.run(t.Context(), token)
	if (err != nil) != (o.tries > 0) {
		t.Fatalf("%s: %v", o.name, err)
	}
	c.commands, c.names = len(w.sent), w.names()
	card.Reset(true)
	audit(t, card, o.name+": after")
	token = open(t, card)
	checkClean(t, token, firmware.FindingNameDiffers)
	c.after = observe(t, token, o.name+": after")
	return c
}

// between checks that a token holds what is in both worlds, and nothing that is
// in neither.
func (c cut) between(t testing.TB, got world, what string) {
	t.Helper()
	if c.formats {
		unformatted := len(got) == 1 && (got["state half formatted"] || got["state not formatted"])
		if before, after := c.before.diff(got), c.after.diff(got); before != "" && after != "" && !unformatted {
			t.Errorf("%s: neither what was\n%s\nnor what was to be\n%s", what, before, after)
		}
		return
	}
	for f := range c.before {
		if c.after[f] && !got[f] {
			t.Errorf("%s: lost: %s", what, f)
		}
	}
	names := 0
	for f := range got {
		if !c.before[f] && !c.after[f] && !slices.Contains(c.also, f) {
			t.Errorf("%s: from nowhere: %s", what, f)
		}
		if strings.HasPrefix(f, "name ") || strings.HasPrefix(f, "user ") || strings.HasPrefix(f, "admin ") {
			names++
		}
	}
	if names != 3 {
		t.Errorf("%s: name and PINs:\n%v", what, got)
	}
}

// at does the operation with a fault at command n and gives what Check says of
// what is left, in one line.
func (c cut) at(t *testing.T, f fault, n int) string {
	t.Helper()
	ctx := t.Context()
	what := fmt.Sprintf("%s: %v %d of %d", c.name, f, n, c.commands)
	card := c.card(t)
	w := &wire{card: card}
	token := open(t, w, firmware.WithClock(noon))
	w.forget()
	w.fault, w.at = f, n
	err := c.run(ctx, token)
	if len(w.sent) < n {
		t.Fatalf("%s: only %d commands were sent", what, len(w.sent))
	}
	var status *firmware.StatusError
	if err != nil && c.operation.tries == 0 && !errors.Is(err, errGone) && !errors.As(err, &status) {
		t.Errorf("%s: error %v", what, err)
	}
	what += fmt.Sprintf(" (% X)", w.sent[n-1][:min(4, len(w.sent[n-1]))])
	if f.sticky() {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		card.Reset(true)
	} else {
		same := observe(t, token, what+": the same token")
		if diff := same.diff(observe(t, open(t, card), what)); diff != "" {
			t.Errorf("%s: the token object is wrong (-) about the token (+)\n%s", what, diff)
		}
		if diff := c.after.diff(same); err == nil && diff != "" {
			t.Errorf("%s: no error, but\n%s", what, diff)
		}
	}
	return c.afterwards(t, card, what)
}

// afterwards checks what a fault has left on a card, and gives what Check says of
// it in one line.
func (c cut) afterwards(t *testing.T, card *emu.Card, what string) string {
	t.Helper()
	ctx := t.Context()
	fresh := open(t, card)
	if fresh.State() == firmware.StatePKCS15 {
		audit(t, card, what)
		fresh = open(t, card)
	}
	for r, before := range c.tries {
		s, err := fresh.PINStatus(ctx, r)
		if err != nil && fresh.State() != firmware.StateHalf && fresh.State() != firmware.StateWiped {
			t.Errorf("%s: tries of the %v: %v", what, r, err)
		}
		if err == nil && s.Left < before-c.operation.tries {
			t.Errorf("%s: %d tries left of the %v, there were %d", what, s.Left, r, before)
		}
	}
	c.between(t, observe(t, fresh, what), what)
	if fresh.State() == firmware.StateVendor {
		return "nothing"
	}
	found, err := fresh.Check(ctx)
	if err != nil {
		t.Fatalf("%s: check: %v", what, err)
	}
	if fresh.State() != firmware.StatePKCS15 {
		if len(found) != 1 || found[0].Kind != firmware.FindingHalfFormatted {
			t.Errorf("%s: check finds %v", what, found)
		}
		if err := c.run(ctx, fresh); err != nil {
			t.Errorf("%s: once more: %v", what, err)
		}
	}
	c.repair(t, card, what)
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%v %v", f.Kind, f.Path))
	}
	if all == nil {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// repair repairs and checks that nothing remains to be done.
func (c cut) repair(t *testing.T, card *emu.Card, what string) {
	t.Helper()
	what += ": after repair"
	token := open(t, card)
	if pin := pinOf(t, token, firmware.User, what); pin == blocked {
		login(t, token, firmware.Admin)
		if err := token.Unblock(t.Context(), nil); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		pinOf(t, token, firmware.User, what)
	}
	if err := token.Repair(t.Context()); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, token := range []*firmware.Token{token, open(t, card)} {
		checkClean(t, token, firmware.FindingNameDiffers)
	}
	c.between(t, observe(t, token, what), what)
	audit(t, card, what)
}

// certificates are n self-signed certificates with one key, whose common names
// have length bytes each.
func certificates(t testing.TB, n, length int) []*x509.Certificate {
	var all []*x509.Certificate
	for i := range n {
		name := fmt.Sprintf("%0*d", length, i)
		all = append(all, certify(t, name, int64(100+i), testKey(defaultKeySize, rootKey), nil, nil))
	}
	return all
}

// longDirectory stores certificates with short IDs; their entries have length+24
// bytes or a few more each.
func longDirectory(n, length int) func(testing.TB, *emu.Card, *firmware.Token) {
	return func(t testing.TB, _ *emu.Card, token *firmware.Token) {
		login(t, token, firmware.User)
		for i, c := range manyCertificates(t)[length][:n] {
			if _, err := token.ImportCertificate(t.Context(), c.Raw, firmware.ImportOptions{ID: []byte{byte(i + 1)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var manyOnce = sync.OnceValue(func() *sync.Map { return &sync.Map{} })

// manyCertificates are certificates by the length of their common names.
func manyCertificates(t testing.TB) map[int][]*x509.Certificate {
	all, ok := manyOnce().Load("all")
	if !ok {
		all, _ = manyOnce().LoadOrStore("all", map[int][]*x509.Certificate{10: certificates(t, 14, 10), 64: certificates(t, 22, 64)})
	}
	return all.(map[int][]*x509.Certificate)
}

// deleteCertificate deletes the certificates of those places in the list.
func deleteCertificates(places ...int) func(context.Context, *firmware.Token) error {
	return as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
		all, err := token.Certificates(ctx)
		if err != nil {
			return err
		}
		var s firmware.Selection
		for _, i := range places {
			if i >= len(all) {
				return firmware.ErrNotFound
			}
			s.Certificates = append(s.Certificates, all[i])
		}
		return token.Delete(ctx, s, nil)
	})
}

// store is a WriteObject.
func store(n firmware.NewObject) func(context.Context, *firmware.Token) error {
	return as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
		_, err := token.WriteObject(ctx, n)
		return err
	})
}

func makeKey(ctx context.Context, token *firmware.Token) error {
	_, err := token.GenerateKey(ctx, firmware.GenerateOptions{Bits: defaultKeySize, Label: "made"}, nil)
	return err
}

// furnish puts one of each onto a token: a generated key, a data object.
func furnish(t testing.TB, _ *emu.Card, token *firmware.Token) {
	login(t, token, firmware.User)
	generate(t, token, "first")
	writeObject(t, token, firmware.NewObject{Label: "note", Data: []byte("kept")})
}

// twoIdentities puts two key pairs with a certificate each onto a token.
func twoIdentities(t testing.TB, card *emu.Card, token *firmware.Token) {
	furnish(t, card, token)
	for _, i := range []int{issuerKey, identityKey} {
		key := testKey(defaultKeySize, i)
		importIdentity(t, token, firmware.Identity{Key: key, Certificate: ownCertificate(t, i)})
	}
}

var ownCertificates sync.Map

// ownCertificate is a self-signed certificate of a test key, the same each time.
func ownCertificate(t testing.TB, i int) *x509.Certificate {
	c, ok := ownCertificates.Load(i)
	if !ok {
		c, _ = ownCertificates.LoadOrStore(i, certify(t, fmt.Sprintf("Key %d", i), int64(i), testKey(defaultKeySize, i), nil, nil))
	}
	return c.(*x509.Certificate)
}

func operations(t testing.TB) []operation {
	id := identity(t)
	format := func(ctx context.Context, token *firmware.Token) error {
		return token.Format(ctx, firmware.FormatOptions{Name: "New", UserPIN: newUserPIN, AdminPIN: newAdminPIN}, nil)
	}
	changePIN := func(whose firmware.Role, pin []byte) func(context.Context, *firmware.Token) error {
		return func(ctx context.Context, token *firmware.Token) error { return token.ChangePIN(ctx, whose, pin) }
	}
	rename := func(ctx context.Context, token *firmware.Token) error { return token.SetName(ctx, "Renamed") }
	return []operation{
		{name: "format", prepare: furnish, run: format, formats: true},
		{name: "format-vendor", options: []emu.Option{emu.WithVendorFormat()}, run: format, formats: true},
		{name: "format-wiped", options: []emu.Option{emu.WithWiped()}, run: format, formats: true},
		{name: "import", prepare: furnish, run: as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
			_, err := token.ImportIdentity(ctx, id, firmware.ImportOptions{}, nil)
			return err
		})},
		{name: "generate-first", run: as(firmware.User, makeKey)},
		{name: "generate", prepare: furnish, run: as(firmware.User, makeKey)},
		{name: "delete-key", prepare: furnish, run: as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
			keys, err := token.Keys(ctx)
			if err != nil || len(keys) == 0 {
				return errors.Join(err, firmware.ErrNotFound)
			}
			return token.Delete(ctx, firmware.Selection{Keys: keys[:1]}, nil)
		})},
		{name: "delete-two", prepare: twoIdentities, run: deleteCertificates(0, 1)},
		// The three ways of Token.rewrite: one command, a new file in the place of
		// the old one, and a long entry whose beginning is written last.
		{name: "directory-end", prepare: longDirectory(14, 10), run: deleteCertificates(13)},
		{name: "directory-middle", prepare: longDirectory(14, 10), run: deleteCertificates(3)},
		{name: "directory-append", prepare: furnish, run: store(firmware.NewObject{
			Label: strings.Repeat("l", 250), Application: strings.Repeat("a", 250), Data: []byte("text"),
		})},
		{name: "directory-full", prepare: longDirectory(21, 64), run: as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
			_, err := token.ImportCertificate(ctx, manyCertificates(t)[64][21].Raw, firmware.ImportOptions{ID: []byte{22}})
			return err
		})},
		{name: "rename-user", prepare: furnish, run: as(firmware.User, rename)},
		{name: "rename-admin", prepare: furnish, run: as(firmware.Admin, rename)},
		{name: "pin-user", run: as(firmware.User, changePIN(firmware.User, newUserPIN))},
		{name: "pin-user-by-admin", run: as(firmware.Admin, changePIN(firmware.User, newUserPIN))},
		{name: "pin-admin", run: as(firmware.Admin, changePIN(firmware.Admin, newAdminPIN))},
		{
			name: "unblock", options: []emu.Option{emu.WithPIN(2, userPIN, 3)}, prepare: block,
			run:  as(firmware.Admin, func(ctx context.Context, token *firmware.Token) error { return token.Unblock(ctx, newUserPIN) }),
			also: []string{"user PIN is " + string(userPIN)},
		},
		{name: "wrong-pin", tries: 1, run: func(ctx context.Context, token *firmware.Token) error {
			_, err := token.Login(ctx, firmware.User, wrongPIN)
			return err
		}},
		{name: "object", prepare: furnish, run: store(firmware.NewObject{Label: "public", Data: bytes.Repeat([]byte("text "), 100)})},
		{name: "object-private", run: store(firmware.NewObject{Label: "private", Private: true, Data: []byte("secret")})},
		{name: "repair", prepare: leaveUnlisted, run: as(firmware.User, func(ctx context.Context, token *firmware.Token) error { return token.Repair(ctx) })},
	}
}

// block uses up the tries of the user.
func block(t testing.TB, _ *emu.Card, token *firmware.Token) {
	for {
		_, err := token.Login(t.Context(), firmware.User, wrongPIN, firmware.AllowLastTry())
		if errors.Is(err, firmware.ErrPINBlocked) {
			return
		}
		if !errors.Is(err, firmware.ErrPINWrong) {
			t.Fatal(err)
		}
	}
}

// leaveUnlisted makes a token where a key was made and everything listed but its
// private half, and where files were left over, one of them a directory.
func leaveUnlisted(t testing.TB, card *emu.Card, token *firmware.Token) {
	furnish(t, card, token)
	logout(t, token)
	leave(t, card, firmware.FindingUnlistedKey, as(firmware.User, makeKey))
	a := auditor{t, card, "prepare"}
	a.size(pkcs15.AppPath())
	for _, id := range []byte{0x03, 0x60} {
		if _, sw := a.send(0x00, 0xE0, 0x00, 0x00, 0x1F, 0x6F, 0x1D, 0x80, 0x02, 0x00, 0x10, 0x82, 0x02, 0x01, 0x00, 0x83, 0x02, id, 0x14,
			0x86, 0x0F, 0x43, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0); sw != 0x9000 {
			t.Fatalf("create a stray file: %04X", sw)
		}
	}
}

// leave cuts an operation off where Check finds something of a kind afterwards.
func leave(t testing.TB, card *emu.Card, kind firmware.FindingKind, run func(context.Context, *firmware.Token) error) {
	for n := 1; ; n++ {
		w := &wire{card: card}
		token := open(t, w)
		w.fault, w.at = cutBefore, len(w.sent)+n
		if err := run(t.Context(), token); err == nil {
			t.Fatalf("no cut leaves a %v", kind)
		}
		card.Reset(true)
		token = open(t, card)
		found, err := token.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(found, func(f firmware.Finding) bool { return f.Kind == kind }) {
			return
		}
		login(t, token, firmware.User)
		if err := token.Repair(t.Context()); err != nil {
			t.Fatal(err)
		}
		logout(t, token)
	}
}

// TestCut stops every operation at every command: the card is gone after it, or
// before the first; or the card refuses the command, or the command or only its
// answer gets lost, and it goes on. Whatever happens, the token opens; what was on
// it before is on it, and what was to come is there whole or not at all; Check says
// what is left over and Repair clears it. What Check says after which command is
// in testdata/cuts.
func TestCut(t *testing.T) {
	for _, o := range operations(t) {
		t.Run(o.name, func(t *testing.T) {
			c := o.uncut(t)
			var lines []string
			last := "nothing"
			c.at(t, cutBefore, 1) // before the others is after the one before
			for n := 1; n <= c.commands; n++ {
				for _, f := range []fault{dropBefore, dropAfter, refuse} {
					c.at(t, f, n)
				}
				if now := c.at(t, cutAfter, n); now != last {
					lines = append(lines, fmt.Sprintf("%s: %s\n", c.names[n-1], now))
					last = now
				}
				if t.Failed() {
					return
				}
			}
			golden(t, filepath.Join("cuts", o.name+".txt"), strings.Join(lines, ""))
		})
	}
}

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
