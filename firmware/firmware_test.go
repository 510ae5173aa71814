package firmware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"sync"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

var userPIN = []byte("12345678")

// testKey gives the same key for a size each time: making one takes long.
var testKey = sync.OnceValue(func() func(bits int) (*rsa.PrivateKey, error) {
	var mu sync.Mutex
	keys := map[int]*rsa.PrivateKey{}
	return func(bits int) (*rsa.PrivateKey, error) {
		mu.Lock()
		defer mu.Unlock()
		if k, ok := keys[bits]; ok {
			return k, nil
		}
		k, err := rsa.GenerateKey(rand.Reader, bits)
		keys[bits] = k
		return k, err
	}
})

// newCard makes a card that generates keys at once.
func newCard(opts ...emu.Option) *emu.Card {
	return emu.New(append([]emu.Option{emu.WithKeySource(testKey())}, opts...)...)
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

func login(t testing.TB, token *firmware.Token, r firmware.Role, pin []byte) {
	t.Helper()
	if _, err := token.Login(t.Context(), r, pin); err != nil {
		t.Fatal(err)
	}
}

// TestKeyLifeCycle makes a key, signs with it and deletes it again; nothing is
// left behind.
func TestKeyLifeCycle(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard())
	login(t, token, firmware.User, userPIN)
	key, err := token.GenerateKey(ctx, firmware.GenerateOptions{Bits: 1024, Label: "one"}, nil)
	if err != nil {
		t.Fatal(err)
	}
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
	if found, err := token.Check(ctx); err != nil || len(found) != 0 {
		t.Errorf("check found %v, %v", found, err)
	}
}
