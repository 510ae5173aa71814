package firmware_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/pkcs15"
)

// contents lists what is on a token, which has to be clean.
func contents(t *testing.T, token *firmware.Token) *firmware.Contents {
	t.Helper()
	c, err := token.Contents(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestContents has the objects of a .p12 file one by one: read, renamed, and
// removed without what belongs with them.
func TestContents(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	id := identity(t)
	importIdentity(t, token, id)
	writeObject(t, token, firmware.NewObject{Label: "note", Data: []byte("text")})
	c := contents(t, token)
	if n := [4]int{len(c.Certificates), len(c.PrivateKeys), len(c.PublicKeys), len(c.Data)}; n != [4]int{1 + len(id.Chain), 1, 1, 1} {
		t.Fatalf("certificates, private and public keys, objects: %v", n)
	}
	if again, err := token.Contents(ctx, c); err != nil || again != c {
		t.Errorf("nothing changed: %p, %v, want %p", again, err, c)
	}
	pub, err := token.ReadPublicKey(ctx, c.PublicKeys[0])
	if err != nil || !pub.Equal(&id.Key.PublicKey) {
		t.Errorf("public key: %v, %v", pub, err)
	}
	data, err := token.ReadData(ctx, c.Data[0])
	if err != nil || string(data) != "text" {
		t.Errorf("object: %q, %v", data, err)
	}
	var own pkcs15.Certificate
	for _, e := range c.Certificates {
		cert, err := token.ReadCertificate(ctx, e)
		if err != nil || cert.X509 == nil {
			t.Fatalf("certificate %q: %v", e.Label, err)
		}
		if bytes.Equal(cert.DER, id.Certificate.Raw) {
			own = e
		}
	}

	next := c.PrivateKeys[0]
	next.Label = "another label, which is a little longer"
	if err := token.Amend(ctx, c.PrivateKeys[0].Raw, next); err != nil {
		t.Fatal(err)
	}
	if err := token.Amend(ctx, c.PrivateKeys[0].Raw, next); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("an entry that is not there any more: %v", err)
	}
	if err := token.Remove(ctx, own.Raw); err != nil {
		t.Fatal(err)
	}
	if err := token.Remove(ctx, c.PublicKeys[0].Raw); err != nil {
		t.Fatal(err)
	}
	now := contents(t, token)
	if len(now.Certificates) != len(id.Chain) || len(now.PublicKeys) != 0 || len(now.PrivateKeys) != 1 || now.PrivateKeys[0].Label != next.Label {
		t.Errorf("certificate and public key removed: %+v", now)
	}
	checkClean(t, token)

	// Without its public key on the token, it signs nevertheless.
	key, err := token.PrivateKeyOf(now.PrivateKeys[0], &id.Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("data"))
	sig, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(&id.Key.PublicKey, crypto.SHA256, digest[:], sig); err != nil {
		t.Error(err)
	}
	if err := token.AddPublicKey(ctx, &id.Key.PublicKey, firmware.ImportOptions{ID: now.PrivateKeys[0].ID, Label: "back"}); err != nil {
		t.Fatal(err)
	}
	if err := token.Remove(ctx, now.PrivateKeys[0].Raw); err != nil {
		t.Fatal(err)
	}
	now = contents(t, token)
	if len(now.PrivateKeys) != 0 || len(now.PublicKeys) != 1 || now.PublicKeys[0].Label != "back" {
		t.Errorf("public key added, private key removed: %+v", now)
	}
	if err := token.Remove(ctx, now.Data[0].Raw); err != nil {
		t.Fatal(err)
	}
	logout(t, token)
	var role *firmware.RoleError
	if err := token.Remove(ctx, now.PublicKeys[0].Raw); !errors.As(err, &role) {
		t.Errorf("nobody is logged in: %v", err)
	}
	checkClean(t, token)
}

// TestKeptShared has two programs logged in to one card at the same time. Neither
// keeps the other out, one that signs again sends the data alone, and what the
// other did in between is noticed.
func TestKeptShared(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	wires := []*client{s.client(), s.client()}
	var (
		tokens [2]*firmware.Token
		keys   [2]*firmware.PrivateKey
		pubs   [2]*rsa.PublicKey
	)
	for i, w := range wires {
		tokens[i] = open(t, w)
		if _, err := tokens[i].Login(ctx, firmware.User, userPIN, firmware.KeepShared()); err != nil {
			t.Fatal(err)
		}
		s.free("logged in")
	}
	for i, token := range tokens {
		made := generate(t, token, string(rune('a'+i)))
		s.free("made")
		var err error
		if keys[i], err = token.PrivateKey(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
		if pubs[i], err = keys[i].ReadPublic(); err != nil {
			t.Fatal(err)
		}
	}
	digest := sha256.Sum256([]byte("data"))
	sign := func(i int, what string, want int) {
		t.Helper()
		wires[i].forget()
		sig, err := keys[i].Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := rsa.VerifyPKCS1v15(pubs[i], crypto.SHA256, digest[:], sig); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := len(wires[i].sent); got != want {
			t.Errorf("%s: %d commands, want %d: %v", what, got, want, wires[i].names())
		}
		s.free(what)
	}
	const first, again = 3, 1 // key, MSE, PSO; PSO alone
	sign(0, "first signature", first)
	sign(0, "second signature", again)
	sign(1, "the other's first", first)
	sign(1, "the other's second", again)
	sign(0, "after the other", again+first) // which was with the other's key, and thrown away
	sign(0, "and once more", again)
	begun := wires[0].begun
	sign(0, "without a transaction", again) // one command
	if n := wires[0].begun - begun; n != 0 {
		t.Errorf("%d transactions for one command", n)
	}

	if err := tokens[1].Logout(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := keys[0].Sign(nil, digest[:], crypto.SHA256); err == nil {
		t.Error("the other has logged out for both, and a signature was made")
	}
	for _, token := range tokens {
		if _, err := token.Login(ctx, firmware.User, userPIN, firmware.KeepShared()); err != nil {
			t.Fatal(err)
		}
	}
	sign(0, "logged in again", first)
	tokens[1].Forget()
	if _, in := tokens[1].LoggedIn(); in {
		t.Error("forgotten, and logged in")
	}
	sign(0, "the other has forgotten", again)
	s.reset()
	var role *firmware.RoleError
	if _, err := keys[0].Sign(nil, digest[:], crypto.SHA256); !errors.As(err, &role) {
		t.Errorf("after a reset: %v", err)
	}
	s.free("reset")
	if err := tokens[0].Logout(ctx); err != nil {
		t.Error(err)
	}
}

// TestSharedCommands counts what a program costs that opens a token which others use
// as well, logs in, finds its key, signs once and logs out.
func TestSharedCommands(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	first := open(t, s.client())
	login(t, first, firmware.User)
	generate(t, first, "one")
	logout(t, first)

	w := s.client()
	count := func(what string, want int) {
		t.Helper()
		if got := len(w.sent); got != want {
			t.Errorf("%s: %d commands, want %d: %v", what, got, want, w.names())
		}
		w.forget()
	}
	token := open(t, w)
	count("open", 4) // ODF and TokenInfo, each selected and read
	if _, err := token.Login(ctx, firmware.User, userPIN, firmware.KeepShared()); err != nil {
		t.Fatal(err)
	}
	count("log in", 2) // tries left, PIN
	contents, err := token.Contents(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	count("list", 2+4) // TokenInfo; two directories
	pub, err := token.ReadPublicKey(ctx, contents.PublicKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	count("public key", 2+2)
	key, err := token.PrivateKeyOf(contents.PrivateKeys[0], pub)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("data"))
	if _, err := key.Sign(nil, digest[:], crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	count("sign", 3)
	if err := token.Logout(ctx); err != nil {
		t.Fatal(err)
	}
	count("log out", 1)
	s.free("logged out")
}
