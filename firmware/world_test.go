package firmware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kaztoken/firmware"
)

// world is what a token holds, as a set of facts.
type world map[string]bool

func (w world) list() []string {
	var all []string
	for f := range w {
		all = append(all, f)
	}
	slices.Sort(all)
	return all
}

func (w world) String() string { return strings.Join(w.list(), "\n") }

// diff names what is in one of two worlds only.
func (w world) diff(other world) string {
	var lines []string
	for _, f := range w.list() {
		if !other[f] {
			lines = append(lines, "- "+f)
		}
	}
	for _, f := range other.list() {
		if !w[f] {
			lines = append(lines, "+ "+f)
		}
	}
	return strings.Join(lines, "\n")
}

// testPINs are those that a token of these tests may have.
var testPINs = map[firmware.Role][][]byte{
	firmware.User:  {userPIN, newUserPIN},
	firmware.Admin: {adminPIN, newAdminPIN},
}

var (
	newUserPIN  = []byte("new-user")
	newAdminPIN = []byte("new-admin")
	wrongPIN    = []byte("00000000")
)

// knownKeys are the public keys of testdata by the ID that OpenSC gives them.
var knownKeys = sync.OnceValue(func() map[string]*rsa.PublicKey {
	known := map[string]*rsa.PublicKey{}
	for bits, blocks := range keyBlocks() {
		for i := range blocks {
			pub := &testKey(bits, i).PublicKey
			known[string(idOf(pub))] = pub
		}
	}
	return known
})

// observe gives all that a token holds: its state, its name, which PINs it has,
// keys that sign, certificates and data objects that can be read. It logs in,
// and nobody is logged in afterwards.
func observe(t testing.TB, token *firmware.Token, what string) world {
	t.Helper()
	ctx := t.Context()
	w := world{"state " + token.State().String(): true}
	must := func(doing string, err error) {
		if err != nil {
			t.Fatalf("%s: observe: %s: %v", what, doing, err)
		}
	}
	switch token.State() {
	case firmware.StateHalf, firmware.StateWiped:
		return w
	case firmware.StateVendor:
		w["admin "+pinOf(t, token, firmware.Admin, what)] = true
		w["user "+pinOf(t, token, firmware.User, what)] = true
		must("log out", token.Logout(ctx))
		return w
	}
	name, err := token.Name(ctx)
	must("name", err)
	w["name "+name] = true
	keys, err := token.Keys(ctx)
	must("keys", err)
	certs, err := token.Certificates(ctx)
	must("certificates", err)
	objects, err := token.Objects(ctx)
	must("objects", err)
	for _, c := range certs {
		if c.X509 == nil {
			t.Errorf("%s: certificate %q cannot be read", what, c.Label)
		}
		fact := fmt.Sprintf("certificate %q %x of %x", c.Label, sha256.Sum256(c.DER), c.ID)
		if w[fact] {
			t.Errorf("%s: %s is listed twice", what, fact)
		}
		w[fact] = true
	}
	w["admin "+pinOf(t, token, firmware.Admin, what)] = true
	user := pinOf(t, token, firmware.User, what)
	w["user "+user] = true
	for _, k := range keys {
		fact := fmt.Sprintf("key %q %x", k.Label, k.ID)
		if w[fact] {
			t.Errorf("%s: %s is listed twice", what, fact)
		}
		w[fact] = true
		if user != blocked {
			if err := signs(t, token, k); err != nil {
				t.Errorf("%s: %s: %v", what, fact, err)
			}
		}
	}
	for _, o := range objects {
		content := []byte("not read")
		if user != blocked || !o.Private {
			content, err = token.ReadObject(ctx, o)
			must("object "+o.Label, err)
		}
		w[fmt.Sprintf("object %.20q %.20q private %v %x", o.Label, o.Application, o.Private, sha256.Sum256(content))] = true
	}
	must("log out", token.Logout(ctx))
	return w
}

const blocked = "PIN is blocked"

// pinOf finds out which of the test PINs a role has, and logs it in.
func pinOf(t testing.TB, token *firmware.Token, r firmware.Role, what string) string {
	t.Helper()
	s, err := token.PINStatus(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: PIN status: %v", what, err)
	}
	if s.Blocked {
		return blocked
	}
	for _, pin := range testPINs[r] {
		_, err := token.Login(t.Context(), r, pin)
		switch {
		case err == nil:
			return fmt.Sprintf("PIN is %s", pin)
		case !errors.Is(err, firmware.ErrPINWrong):
			t.Fatalf("%s: log in: %v", what, err)
		}
	}
	t.Fatalf("%s: the %v has neither of the PINs", what, r)
	return ""
}

// signs makes a signature and checks it with the key of testdata that has this
// ID, or else with the token's own public key.
func signs(t testing.TB, token *firmware.Token, k firmware.Key) error {
	private, err := token.PrivateKey(t.Context(), k.ID)
	if err != nil {
		return err
	}
	pub := knownKeys()[string(k.ID)]
	if pub == nil {
		if pub, err = private.ReadPublic(); err != nil {
			return err
		}
	}
	digest := sha256.Sum256([]byte(k.Label))
	sig, err := private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig)
}

// idOf is the ID that OpenSC gives a key.
func idOf(pub *rsa.PublicKey) []byte {
	id := sha1.Sum(pub.N.Bytes())
	return id[:]
}
