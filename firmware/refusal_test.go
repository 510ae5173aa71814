package firmware_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
)

// call is one operation of a Token, for tables.
type call struct {
	name string
	op   firmware.Op
	need []firmware.Role // one of them has to be logged in
	do   func(ctx context.Context, token *firmware.Token) error
}

// calls are all operations that need the layout of PKCS#15.
func calls(t testing.TB) []call {
	id := identity(t)
	user := []firmware.Role{firmware.User}
	return []call{
		{"Certificates", firmware.OpList, nil, func(ctx context.Context, k *firmware.Token) error { _, err := k.Certificates(ctx); return err }},
		{"Keys", firmware.OpList, nil, func(ctx context.Context, k *firmware.Token) error { _, err := k.Keys(ctx); return err }},
		{"Objects", firmware.OpList, nil, func(ctx context.Context, k *firmware.Token) error { _, err := k.Objects(ctx); return err }},
		{"Name", firmware.OpRead, nil, func(ctx context.Context, k *firmware.Token) error { _, err := k.Name(ctx); return err }},
		{"ReadObject", firmware.OpRead, nil, func(ctx context.Context, k *firmware.Token) error {
			objects, err := k.Objects(ctx)
			if err == nil && len(objects) > 0 {
				_, err = k.ReadObject(ctx, objects[0])
			} else {
				_, err = k.ReadObject(ctx, firmware.Object{})
			}
			return err
		}},
		{"PublicKey", firmware.OpRead, nil, func(ctx context.Context, k *firmware.Token) error { _, err := k.PublicKey(ctx, firstID()); return err }},
		{"PrivateKey", firmware.OpSign, nil, func(ctx context.Context, k *firmware.Token) error { _, err := k.PrivateKey(ctx, firstID()); return err }},
		{"Sign", firmware.OpSign, user, func(ctx context.Context, k *firmware.Token) error {
			key, err := k.PrivateKey(ctx, firstID())
			if err == nil {
				_, err = key.WithContext(ctx).SignBlock(make([]byte, defaultKeySize/8))
			}
			return err
		}},
		{"Decrypt", firmware.OpDecrypt, user, func(ctx context.Context, k *firmware.Token) error {
			key, err := k.PrivateKey(ctx, firstID())
			if err == nil {
				_, err = key.WithContext(ctx).DecryptBlock(make([]byte, defaultKeySize/8))
			}
			return err
		}},
		{"CertificateRequest", firmware.OpSign, user, func(ctx context.Context, k *firmware.Token) error {
			_, err := k.CertificateRequest(ctx, firstID(), &x509.CertificateRequest{})
			return err
		}},
		{"GenerateKey", firmware.OpGenerate, user, makeKey},
		{"ImportCertificate", firmware.OpImport, user, func(ctx context.Context, k *firmware.Token) error {
			_, err := k.ImportCertificate(ctx, id.Chain[0].Raw, firmware.ImportOptions{})
			return err
		}},
		{"ImportIdentity", firmware.OpImport, user, func(ctx context.Context, k *firmware.Token) error {
			_, err := k.ImportIdentity(ctx, id, firmware.ImportOptions{}, nil)
			return err
		}},
		{"Delete", firmware.OpDelete, user, func(ctx context.Context, k *firmware.Token) error {
			return k.Delete(ctx, firmware.Selection{Keys: []firmware.Key{{ID: firstID()}}}, nil)
		}},
		{"WriteObject", firmware.OpWrite, user, func(ctx context.Context, k *firmware.Token) error {
			_, err := k.WriteObject(ctx, firmware.NewObject{Label: "x", Private: true, Data: []byte("y")})
			return err
		}},
		{"SetName", firmware.OpRename, []firmware.Role{firmware.User, firmware.Admin}, func(ctx context.Context, k *firmware.Token) error { return k.SetName(ctx, "x") }},
		{"Repair", firmware.OpRepair, user, func(ctx context.Context, k *firmware.Token) error { return k.Repair(ctx) }},
	}
}

// firstID is the ID of the first key that a card of newCard makes.
func firstID() []byte { return idOf(&testKey(defaultKeySize, 0).PublicKey) }

// TestStates does every operation on tokens that are not in our layout.
func TestStates(t *testing.T) {
	states := []struct {
		state   firmware.State
		options []emu.Option
	}{
		{firmware.StateVendor, []emu.Option{emu.WithVendorFormat()}},
		{firmware.StateWiped, []emu.Option{emu.WithWiped()}},
		{firmware.StateHalf, []emu.Option{emu.WithHalfInitialised()}},
	}
	for _, s := range states {
		t.Run(s.state.String(), func(t *testing.T) {
			ctx := t.Context()
			w := &wire{card: newCard(s.options...)}
			token := open(t, w)
			if token.State() != s.state {
				t.Fatalf("state %v", token.State())
			}
			refused := func(name string, op firmware.Op, err error) {
				t.Helper()
				var se *firmware.StateError
				if !errors.As(err, &se) || se.Op != op || se.State != s.state {
					t.Errorf("%s: %v, want a StateError of %v", name, err, op)
				}
			}
			for _, c := range calls(t) {
				w.forget()
				op := c.op
				if c.name == "Decrypt" {
					op = firmware.OpSign // it begins with PrivateKey
				}
				refused(c.name, op, c.do(ctx, token))
				if len(w.sent) > 0 {
					t.Errorf("%s sent % X", c.name, w.sent)
				}
			}
			info, err := token.Info(ctx)
			if err != nil || info.ID.Value != 0x32D18A58 || info.State != s.state || info.Name.Known() {
				t.Errorf("info %+v, %v", info, err)
			}
			if err := token.Random(ctx, make([]byte, 300)); err != nil {
				t.Errorf("random: %v", err)
			}
			_, checkErr := token.Check(ctx)
			_, loginErr := token.Login(ctx, firmware.User, userPIN)
			changeErr := token.ChangePIN(ctx, firmware.User, newUserPIN)
			_, filesErr := token.Files(ctx)
			if s.state == firmware.StateVendor {
				refused("Check", firmware.OpList, checkErr)
				if loginErr != nil || changeErr != nil || filesErr != nil {
					t.Errorf("log in: %v, change PIN: %v, files: %v", loginErr, changeErr, filesErr)
				}
				logout(t, token)
				login(t, token, firmware.Admin)
				if err := token.Unblock(ctx, userPIN); err != nil {
					t.Errorf("unblock: %v", err)
				}
			} else {
				if checkErr != nil {
					t.Errorf("check: %v", checkErr)
				}
				refused("Login", firmware.OpLogin, loginErr)
				refused("ChangePIN", firmware.OpChangePIN, changeErr)
				refused("Unblock", firmware.OpUnblock, token.Unblock(ctx, nil))
				if n := w.count(0x00, 0x24); n != 0 {
					t.Errorf("%d PINs were set", n)
				}
			}
			if err := token.Format(ctx, firmware.FormatOptions{}, nil); err != nil || token.State() != firmware.StatePKCS15 {
				t.Errorf("format: %v, then %v", err, token.State())
			}
			checkClean(t, token)
		})
	}
}

// TestRoles does every operation that needs a log-in without one and with the
// wrong one; nothing is written.
func TestRoles(t *testing.T) {
	ctx := t.Context()
	w := &wire{card: newCard()}
	token := open(t, w)
	furnish(t, nil, token)
	before := observe(t, token, "before")
	attempt := func(c call) {
		t.Helper()
		w.forget()
		err := c.do(ctx, token)
		role, _ := token.LoggedIn()
		allowed := len(c.need) == 0
		for _, r := range c.need {
			allowed = allowed || r == role
		}
		if allowed {
			return
		}
		var re *firmware.RoleError
		if !errors.As(err, &re) || re.Op != c.op {
			t.Errorf("%s as %v: %v, want a RoleError of %v", c.name, role, err, c.op)
			return
		}
		want := firmware.Role(0)
		if len(c.need) == 1 {
			want = c.need[0]
		}
		if re.Need != want {
			t.Errorf("%s as %v: needs %v, want %v", c.name, role, re.Need, want)
		}
		for _, a := range w.sent {
			if isWrite(a) {
				t.Errorf("%s as %v sent % X", c.name, role, a)
			}
		}
	}
	for _, c := range calls(t) {
		attempt(c)
	}
	attempt(call{"ChangePIN", firmware.OpChangePIN, []firmware.Role{1, 2}, func(ctx context.Context, k *firmware.Token) error {
		return k.ChangePIN(ctx, firmware.User, newUserPIN)
	}})
	unblock := call{"Unblock", firmware.OpUnblock, []firmware.Role{firmware.Admin}, func(ctx context.Context, k *firmware.Token) error { return k.Unblock(ctx, nil) }}
	changeAdmin := call{"ChangePIN of the administrator", firmware.OpChangePIN, []firmware.Role{firmware.Admin}, func(ctx context.Context, k *firmware.Token) error {
		return k.ChangePIN(ctx, firmware.Admin, newAdminPIN)
	}}
	attempt(unblock)
	login(t, token, firmware.User)
	attempt(unblock)
	attempt(changeAdmin)
	login(t, token, firmware.Admin)
	if r, ok := token.LoggedIn(); !ok || r != firmware.Admin {
		t.Errorf("logged in: %v, %v", r, ok)
	}
	for _, c := range calls(t) {
		attempt(c)
	}
	logout(t, token)
	after := observe(t, open(t, w.card), "after")
	delete(before, "name KAZTOKEN")
	delete(after, "name x") // the administrator may
	if diff := before.diff(after); diff != "" {
		t.Errorf("the token has changed:\n%s", diff)
	}
}

// TestPolicy changes the user PIN under every policy by both.
func TestPolicy(t *testing.T) {
	for _, policy := range []firmware.Policy{firmware.PolicyAdmin, firmware.PolicyUser, firmware.PolicyBoth} {
		for _, role := range []firmware.Role{firmware.Admin, firmware.User} {
			for _, hidden := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/by the %v/hidden %v", policy, role, hidden), func(t *testing.T) {
					ctx := t.Context()
					options := []emu.Option{emu.WithPolicy(byte(policy))}
					if hidden {
						options = append(options, emu.WithHiddenPINs())
					}
					token := open(t, newCard(options...))
					login(t, token, role)
					err := token.ChangePIN(ctx, firmware.User, newUserPIN)
					allowed := byte(policy)&byte(role) != 0
					var pe *firmware.PolicyError
					switch {
					case allowed && err != nil:
						t.Errorf("change PIN: %v", err)
					case !allowed && !errors.As(err, &pe):
						t.Errorf("change PIN: %v, want a PolicyError", err)
					case !allowed && pe.Role != role, !allowed && !hidden && pe.Policy != policy, !allowed && hidden && pe.Policy != firmware.PolicyUnknown:
						t.Errorf("change PIN: %+v", pe)
					}
					pin := userPIN
					if allowed {
						pin = newUserPIN
					}
					if _, err := token.Login(ctx, firmware.User, pin); err != nil {
						t.Errorf("log in afterwards: %v", err)
					}
					info, err := token.Info(ctx)
					if err != nil || info.UserPINPolicy.Value != policy {
						t.Errorf("policy %+v, %v", info.UserPINPolicy, err)
					}
					if want := map[bool]firmware.Source{false: firmware.SourceToken, true: firmware.SourceInferred}[hidden]; info.UserPINPolicy.Source != want {
						t.Errorf("policy from %v, want %v", info.UserPINPolicy.Source, want)
					}
				})
			}
		}
	}
}

// TestUnblockUnderPolicy unblocks with a new PIN that only the user may set: the
// tries are restored all the same.
func TestUnblockUnderPolicy(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		ctx := t.Context()
		options := []emu.Option{emu.WithPolicy(byte(firmware.PolicyUser)), emu.WithPIN(2, userPIN, 3)}
		if hidden {
			options = append(options, emu.WithHiddenPINs())
		}
		token := open(t, newCard(options...))
		block(t, nil, token)
		login(t, token, firmware.Admin)
		var pe *firmware.PolicyError
		if err := token.Unblock(ctx, newUserPIN); !errors.As(err, &pe) || pe.Role != firmware.Admin {
			t.Errorf("hidden %v: unblock: %v", hidden, err)
		}
		login(t, token, firmware.User)
	}
}

// TestUnblockLength refuses a new PIN before the tries are restored.
func TestUnblockLength(t *testing.T) {
	ctx := t.Context()
	w := &wire{card: newCard(emu.WithPIN(2, userPIN, 3))}
	token := open(t, w)
	block(t, nil, token)
	login(t, token, firmware.Admin)
	var le *firmware.PINLengthError
	if err := token.Unblock(ctx, []byte("12345")); !errors.As(err, &le) || *le != (firmware.PINLengthError{Role: firmware.User, Got: 5, Min: 6, Max: 32}) {
		t.Errorf("unblock: %v", err)
	}
	if s, err := token.PINStatus(ctx, firmware.User); err != nil || !s.Blocked {
		t.Errorf("PIN status %+v, %v", s, err)
	}
}

// TestValues gives every operation values that no token can take.
func TestValues(t *testing.T) {
	ctx := t.Context()
	w := &wire{card: newCard()}
	token := open(t, w)
	furnish(t, nil, token)
	id := identity(t)
	uneven := *id.Key
	uneven.Primes = nil
	generate := func(o firmware.GenerateOptions) func() error {
		return func() error { _, err := token.GenerateKey(ctx, o, nil); return err }
	}
	importing := func(id firmware.Identity, o firmware.ImportOptions) func() error {
		return func() error { _, err := token.ImportIdentity(ctx, id, o, nil); return err }
	}
	cert := func(o firmware.ImportOptions) func() error {
		return func() error { _, err := token.ImportCertificate(ctx, id.Certificate.Raw, o); return err }
	}
	write := func(o firmware.NewObject) func() error {
		return func() error { _, err := token.WriteObject(ctx, o); return err }
	}
	format := func(o firmware.FormatOptions) func() error {
		return func() error { return token.Format(ctx, o, nil) }
	}
	name := func(s string) func() error { return func() error { return token.SetName(ctx, s) } }
	change := func(n int) func() error {
		return func() error { return token.ChangePIN(ctx, firmware.User, make([]byte, n)) }
	}
	long := strings.Repeat("x", 256)
	for _, test := range []struct {
		name string
		do   func() error
		want error
	}{
		{"bits between sizes", generate(firmware.GenerateOptions{Bits: 1100}), &firmware.OptionError{Option: "RSA bits", Value: 1100, Min: 1024, Max: 4096}},
		{"few bits", generate(firmware.GenerateOptions{Bits: 512}), &firmware.OptionError{Option: "RSA bits", Value: 512, Min: 1024, Max: 4096}},
		{"many bits", generate(firmware.GenerateOptions{Bits: 8192}), &firmware.OptionError{Option: "RSA bits", Value: 8192, Min: 1024, Max: 4096}},
		{"empty ID", generate(firmware.GenerateOptions{Bits: 1024, ID: []byte{}}), &firmware.OptionError{Option: "ID", Value: 0, Min: 1, Max: 255}},
		{"long ID", generate(firmware.GenerateOptions{Bits: 1024, ID: []byte(long)}), &firmware.OptionError{Option: "ID", Value: 256, Min: 1, Max: 255}},
		{"long label", generate(firmware.GenerateOptions{Bits: 1024, Label: long}), &firmware.OptionError{Option: "label", Value: 256, Max: 254}},
		{"ID of another key", generate(firmware.GenerateOptions{Bits: 1024, ID: firstID()}), firmware.ErrExists},
		{"no key", importing(firmware.Identity{}, firmware.ImportOptions{}), &firmware.OptionError{Option: "key", Violation: "there is none"}},
		{"key of another certificate", importing(firmware.Identity{Key: testKey(1024, 1), Certificate: id.Certificate}, firmware.ImportOptions{}),
			&firmware.OptionError{Option: "certificate", Violation: "it is not for this key"}},
		{"key of three primes", importing(firmware.Identity{Key: threePrimes(t)}, firmware.ImportOptions{}),
			&firmware.OptionError{Option: "key", Violation: "its primes do not have half its length each"}},
		{"key on the token", importing(firmware.Identity{Key: testKey(1024, 0)}, firmware.ImportOptions{}), firmware.ErrExists},
		{"label of a certificate", cert(firmware.ImportOptions{Label: long}), &firmware.OptionError{Option: "label", Value: 256, Max: 254}},
		{"empty ID of a certificate", cert(firmware.ImportOptions{ID: []byte{}}), &firmware.OptionError{Option: "ID", Value: 0, Min: 1, Max: 255}},
		{"object of nothing", write(firmware.NewObject{Label: "x"}), &firmware.OptionError{Option: "size of a file", Value: 0, Min: 1, Max: 32768}},
		{"object too large", write(firmware.NewObject{Label: "x", Data: make([]byte, 32769)}), &firmware.OptionError{Option: "size of a file", Value: 32769, Min: 1, Max: 32768}},
		{"long application", write(firmware.NewObject{Application: long, Data: []byte("x")}), &firmware.OptionError{Option: "label", Value: 256, Max: 254}},
		{"empty name", name(""), &firmware.NameError{Violation: firmware.NameEmpty}},
		{"name with a tab", name("a\tb"), &firmware.NameError{Violation: firmware.NameNoText}},
		{"name that is no UTF-8", name("a\xFFb"), &firmware.NameError{Violation: firmware.NameNoText}},
		{"name with a space before", name(" a"), &firmware.NameError{Violation: firmware.NameReserved}},
		{"long name", name(long), &firmware.NameError{Max: 73, Violation: firmware.NameTooLong}},
		{"no PIN", change(0), &firmware.PINLengthError{Role: firmware.User, Got: 0, Min: 1, Max: 32}},
		{"short PIN", change(5), &firmware.PINLengthError{Role: firmware.User, Got: 5, Min: 6, Max: 32}},
		{"long PIN", change(33), &firmware.PINLengthError{Role: firmware.User, Got: 33, Min: 1, Max: 32}},
		{"format: few tries", format(firmware.FormatOptions{AdminTries: 2}), &firmware.OptionError{Option: "tries of the administrator", Value: 2, Min: 3, Max: 10}},
		{"format: many tries", format(firmware.FormatOptions{UserTries: 11}), &firmware.OptionError{Option: "tries of the user", Value: 11, Min: 1, Max: 10}},
		{"format: minimum", format(firmware.FormatOptions{UserMinLength: 32}), &firmware.OptionError{Option: "minimum length of the user PIN", Value: 32, Min: 1, Max: 31}},
		{"format: negative minimum", format(firmware.FormatOptions{AdminMinLength: -1}), &firmware.OptionError{Option: "minimum length of the administrator PIN", Value: -1, Min: 1, Max: 31}},
		{"format: policy", format(firmware.FormatOptions{Policy: 4}), &firmware.OptionError{Option: "policy", Value: 4, Min: 1, Max: 3}},
		{"format: short PIN", format(firmware.FormatOptions{UserPIN: []byte("12345")}), &firmware.PINLengthError{Role: firmware.User, Got: 5, Min: 6, Max: 32}},
		{"format: long PIN", format(firmware.FormatOptions{AdminPIN: make([]byte, 33)}), &firmware.PINLengthError{Role: firmware.Admin, Got: 33, Min: 6, Max: 32}},
		{"format: default PIN too short", format(firmware.FormatOptions{UserMinLength: 9}), &firmware.PINLengthError{Role: firmware.User, Got: 8, Min: 9, Max: 32}},
		{"format: name", format(firmware.FormatOptions{Name: " "}), &firmware.NameError{Violation: firmware.NameReserved}},
		{"format: long name", format(firmware.FormatOptions{Name: long}), &firmware.NameError{Max: 73, Violation: firmware.NameTooLong}},
	} {
		w.forget()
		err := test.do()
		if got := unwrapped(err, test.want); !errors.Is(err, test.want) && !cmp.Equal(got, test.want) {
			t.Errorf("%s: %v (%#v), want %#v", test.name, err, got, test.want)
		}
		for _, a := range w.sent {
			if isWrite(a) && test.name != "short PIN" { // that one the card refuses
				t.Errorf("%s: sent % X", test.name, a[:4])
			}
		}
	}
	if _, err := token.WriteObject(ctx, firmware.NewObject{OID: "9.9", Data: []byte("x")}); unwrapped(err, &firmware.OptionError{}) == nil {
		t.Errorf("bad OID: %v", err)
	}
	if _, err := token.ImportCertificate(ctx, []byte("no certificate"), firmware.ImportOptions{}); err == nil {
		t.Error("no certificate was imported")
	}
	checkClean(t, token)
}

// unwrapped finds the error of the type of want; nil if there is none.
func unwrapped(err, want error) error {
	switch want.(type) {
	case *firmware.OptionError:
		return asType[*firmware.OptionError](err)
	case *firmware.NameError:
		return asType[*firmware.NameError](err)
	case *firmware.PINLengthError:
		return asType[*firmware.PINLengthError](err)
	}
	return nil
}

func asType[E error](err error) error {
	var e E
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// threePrimes is a key of 1024 bits that the card has no room for.
func threePrimes(t testing.TB) *rsa.PrivateKey {
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		n, phi := big.NewInt(1), big.NewInt(1)
		var primes []*big.Int
		for _, bits := range []int{341, 341, 342} {
			p, err := rand.Prime(rand.Reader, bits)
			if err != nil {
				t.Fatal(err)
			}
			primes = append(primes, p)
			n.Mul(n, p)
			phi.Mul(phi, new(big.Int).Sub(p, one))
		}
		if d := new(big.Int).ModInverse(e, phi); d != nil && n.BitLen() == 1024 {
			return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d, Primes: primes}
		}
	}
}

// TestNotFound asks for what is not there.
func TestNotFound(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	if _, err := token.PrivateKey(ctx, []byte{1}); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("private key: %v", err)
	}
	if _, err := token.PublicKey(ctx, []byte{1}); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("public key: %v", err)
	}
	if _, err := token.CertificateRequest(ctx, []byte{1}, &x509.CertificateRequest{}); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("request: %v", err)
	}
	o := writeObject(t, token, firmware.NewObject{Label: "x", Data: []byte("y")})
	if err := token.Delete(ctx, firmware.Selection{Objects: []firmware.Object{o}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := token.ReadObject(ctx, o); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("object: %v", err)
	}
	if err := token.Delete(ctx, firmware.Selection{Objects: []firmware.Object{o}}, nil); err != nil {
		t.Errorf("delete it again: %v", err)
	}
	cert, err := token.ImportCertificate(ctx, ownCertificate(t, 1).Raw, firmware.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.ImportCertificate(ctx, ownCertificate(t, 1).Raw, firmware.ImportOptions{}); !errors.Is(err, firmware.ErrExists) {
		t.Errorf("import it again: %v", err)
	}
	// Another one takes the place of a deleted one: it must not be deleted for it.
	if err := token.Delete(ctx, firmware.Selection{Certificates: []firmware.Certificate{cert}}, nil); err != nil {
		t.Fatal(err)
	}
	other := certify(t, "Key 1", 99, testKey(defaultKeySize, 1), nil, nil)
	next, err := token.ImportCertificate(ctx, other.Raw, firmware.ImportOptions{})
	if err != nil || !next.Path.Equal(cert.Path) {
		t.Fatalf("%v, %v", next.Path, err)
	}
	if err := token.Delete(ctx, firmware.Selection{Certificates: []firmware.Certificate{cert}}, nil); err != nil {
		t.Errorf("delete it again: %v", err)
	}
	if certs, err := token.Certificates(ctx); err != nil || len(certs) != 1 {
		t.Errorf("certificates %v, %v", certs, err)
	}
}

// TestGOSTKey lists a key that only other software can use.
func TestGOSTKey(t *testing.T) {
	s := newSick(t)
	entry := pkcs15.NewPrivateKey("gost", []byte{7}, 9, 0, pkcs15.AccessGenerated)
	entry.Kind, entry.GOST = pkcs15.KeyGOST, pkcs15.GOSTParams{R3410: 1}
	entries := entry.AppendTo(nil)
	s.write(pkcs15.PrKDF.Path(), 0, append(entries, 0)...)
	token := open(t, s.card)
	keys, err := token.Keys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Label != "gost" || keys[0].Algorithm != "GOST R 34.10-2001" || keys[0].Reference != 9 {
		t.Fatalf("keys %+v, %v", keys, err)
	}
	if _, err := token.PrivateKey(t.Context(), keys[0].ID); !errors.Is(err, firmware.ErrUnsupported) {
		t.Errorf("private key: %v", err)
	}
}

// TestProgress follows the progress of each long operation: it rises by one and
// ends at the total.
func TestProgress(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	for _, test := range []struct {
		name string
		do   func(firmware.Progress) error
	}{
		{"generate", func(p firmware.Progress) error {
			_, err := token.GenerateKey(ctx, firmware.GenerateOptions{Bits: defaultKeySize}, p)
			return err
		}},
		{"import", func(p firmware.Progress) error {
			_, err := token.ImportIdentity(ctx, identity(t), firmware.ImportOptions{}, p)
			return err
		}},
		{"delete", func(p firmware.Progress) error {
			certs, err := token.Certificates(ctx)
			if err != nil {
				return err
			}
			return token.Delete(ctx, firmware.Selection{Certificates: certs}, p)
		}},
		{"delete nothing", func(p firmware.Progress) error { return token.Delete(ctx, firmware.Selection{}, p) }},
		{"format", func(p firmware.Progress) error { return token.Format(ctx, firmware.FormatOptions{}, p) }},
	} {
		last, of := 0, 0
		err := test.do(func(done, total int) {
			if done != last+1 || of != 0 && total != of || done > total {
				t.Errorf("%s: %d of %d after %d of %d", test.name, done, total, last, of)
			}
			last, of = done, total
		})
		if err != nil || last != of || last == 0 {
			t.Errorf("%s: ended at %d of %d, %v", test.name, last, of, err)
		}
	}
}

// TestConcurrent uses one token from several goroutines.
func TestConcurrent(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	furnish(t, nil, token)
	private, err := token.PrivateKey(ctx, firstID())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5 {
				if _, err := private.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err != nil {
					t.Error(err)
				}
				if private.Public() == nil {
					t.Error("no public key")
				}
				o, err := token.WriteObject(ctx, firmware.NewObject{Label: fmt.Sprint(i), Data: []byte{byte(i)}})
				if err != nil {
					t.Error(err)
				}
				if _, err := token.Objects(ctx); err != nil {
					t.Error(err)
				}
				if err := token.Delete(ctx, firmware.Selection{Objects: []firmware.Object{o}}, nil); err != nil {
					t.Error(err)
				}
				_ = token.State()
				if _, in := token.LoggedIn(); !in {
					t.Error("not logged in")
				}
			}
		})
	}
	wg.Wait()
	checkClean(t, token)
}

// TestPrivateObject reads an object that only the user may.
func TestPrivateObject(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	o := writeObject(t, token, firmware.NewObject{Label: "x", Application: "app", OID: "1.2.398.3", Private: true, Data: []byte("secret")})
	logout(t, token)
	var re *firmware.RoleError
	if _, err := token.ReadObject(ctx, o); !errors.As(err, &re) || re.Need != firmware.User || re.Op != firmware.OpRead {
		t.Errorf("read without a log-in: %v", err)
	}
	login(t, token, firmware.User)
	if b, err := token.ReadObject(ctx, o); err != nil || string(b) != "secret" {
		t.Errorf("read: %q, %v", b, err)
	}
	objects, err := token.Objects(ctx)
	if err != nil || len(objects) != 1 {
		t.Fatalf("objects %v, %v", objects, err)
	}
	got := objects[0]
	if got.Label != "x" || got.Application != "app" || got.OID != "1.2.398.3" || !got.Private || got.Size != 6 {
		t.Errorf("object %+v", got)
	}
}
