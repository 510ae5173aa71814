package firmware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

var (
	userPIN  = []byte("12345678")
	adminPIN = []byte("87654321")
)

// noon is the clock of tests that compare bytes.
func noon() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

// keyBlocks are the RSA keys of testdata/rsa.pem by their size: eight of 1024
// bits and one each of 1536 to 4096. Making one takes long.
var keyBlocks = sync.OnceValue(func() map[int][][]byte {
	b, err := os.ReadFile("testdata/rsa.pem")
	if err != nil {
		panic(err)
	}
	blocks := map[int][][]byte{}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return blocks
		}
		var k *rsa.PrivateKey
		if k, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			panic(err)
		}
		bits := k.N.BitLen()
		blocks[bits] = append(blocks[bits], block.Bytes)
		b = rest
	}
})

// testKey gives key number i of a size, always the same one.
func testKey(bits, i int) *rsa.PrivateKey {
	blocks := keyBlocks()[bits]
	if i >= len(blocks) {
		panic(fmt.Sprintf("no key %d of %d bits", i, bits))
	}
	k, err := x509.ParsePKCS1PrivateKey(blocks[i])
	if err != nil {
		panic(err)
	}
	return k
}

// Keys of 1024 bits by their use: cards make the first ones, in their order.
const (
	madeKeys       = 5
	rootKey        = 5
	issuerKey      = 6
	identityKey    = 7
	defaultKeySize = 1024
)

// newCard makes a card that generates keys at once: those of testdata, one after
// the other.
func newCard(opts ...emu.Option) *emu.Card {
	made := map[int]int{}
	source := func(bits int) (*rsa.PrivateKey, error) {
		i := made[bits]
		made[bits]++
		return testKey(bits, i%min(madeKeys, len(keyBlocks()[bits]))), nil
	}
	return emu.New(append([]emu.Option{emu.WithKeySource(source)}, opts...)...)
}

func open(t testing.TB, c firmware.Card, opts ...firmware.Option) *firmware.Token {
	t.Helper()
	opts = append([]firmware.Option{firmware.WithATR(emu.New().ATR())}, opts...)
	token, err := firmware.Open(t.Context(), c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func login(t testing.TB, token *firmware.Token, r firmware.Role) {
	t.Helper()
	pin := userPIN
	if r == firmware.Admin {
		pin = adminPIN
	}
	if _, err := token.Login(t.Context(), r, pin); err != nil {
		t.Fatal(err)
	}
}

func logout(t testing.TB, token *firmware.Token) {
	t.Helper()
	if err := token.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func generate(t testing.TB, token *firmware.Token, label string) firmware.Key {
	t.Helper()
	key, err := token.GenerateKey(t.Context(), firmware.GenerateOptions{Bits: defaultKeySize, Label: label}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeObject(t testing.TB, token *firmware.Token, n firmware.NewObject) firmware.Object {
	t.Helper()
	o, err := token.WriteObject(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// certify makes a certificate of subject for a key, issued by parent or, if that
// is nil, by itself.
func certify(t testing.TB, subject string, serial int64, key *rsa.PrivateKey, parent *x509.Certificate, by *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: subject},
		NotBefore: noon(), NotAfter: noon().AddDate(5, 0, 0),
		IsCA: by == nil || parent == nil, BasicConstraintsValid: true,
		DNSNames: []string{"token.test"},
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// identity is a key pair with a certificate and a chain of two.
func identity(t testing.TB) firmware.Identity {
	t.Helper()
	root := certify(t, "Root", 1, testKey(defaultKeySize, rootKey), nil, nil)
	issuer := certify(t, "Issuer", 2, testKey(defaultKeySize, issuerKey), root, testKey(defaultKeySize, rootKey))
	key := testKey(defaultKeySize, identityKey)
	return firmware.Identity{
		Key:         key,
		Certificate: certify(t, "Aliya", 3, key, issuer, testKey(defaultKeySize, issuerKey)),
		Chain:       []*x509.Certificate{issuer, root},
	}
}

func importIdentity(t testing.TB, token *firmware.Token, id firmware.Identity) firmware.Key {
	t.Helper()
	key, err := token.ImportIdentity(t.Context(), id, firmware.ImportOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// checkClean makes sure that Check finds nothing but what is tolerated.
func checkClean(t testing.TB, token *firmware.Token, tolerated ...firmware.FindingKind) {
	t.Helper()
	found, err := token.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !slices.Contains(tolerated, f.Kind) {
			t.Errorf("check found %v", f)
		}
	}
}

// TestKeyLifeCycle makes a key, signs with it and deletes it again; nothing is
// left behind.
func TestKeyLifeCycle(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User)
	key := generate(t, token, "one")
	private, err := token.PrivateKey(ctx, key.ID)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("text"))
	sig, err := private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(private.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], sig); err != nil {
		t.Error(err)
	}
	if err := token.Delete(ctx, firmware.Selection{Keys: []firmware.Key{key}}, nil); err != nil {
		t.Fatal(err)
	}
	if keys, err := token.Keys(ctx); err != nil || len(keys) != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
	checkClean(t, token)
}
