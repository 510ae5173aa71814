package firmware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"kaztoken/firmware"
)

// forms are how a secret would look in a log: in clear, in hexadecimal and in
// decimal.
func forms(secret []byte) []string {
	decimal := strings.Trim(fmt.Sprint(secret), "[]")
	return []string{
		string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
		fmt.Sprintf("% x", secret), fmt.Sprintf("% X", secret), decimal, strings.ReplaceAll(decimal, " ", ", "),
	}
}

// little is a number as the card takes it.
func little(n *big.Int) []byte {
	b := n.Bytes()
	slices.Reverse(b)
	return b
}

// TestTraceHoldsNoSecret does all that has to do with secrets, logs every event
// in every form, and looks for the secrets in it. The commands themselves hold
// them: the search would find them.
func TestTraceHoldsNoSecret(t *testing.T) {
	ctx := t.Context()
	var log, errs strings.Builder
	w := &wire{card: newCard()}
	token := open(t, w, firmware.WithTrace(func(e firmware.Event) {
		fmt.Fprintf(&log, "%v %s\n% X %x %q\n% X %x %q\n", e, e.SW, e.Command, e.Command, e.Command, e.Answer, e.Answer, e.Answer)
		if len(e.Command) < 4 {
			t.Errorf("event %+v", e)
		}
	}))
	fail := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error")
			return
		}
		fmt.Fprintf(&errs, "%v %+v %#v\n", err, err, err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	user, admin := []byte("Qazaqstan-user"), []byte("Qazaqstan-admin")
	next, bad := []byte("Almaty-2026"), []byte("Astana-wrong")
	must(token.Format(ctx, firmware.FormatOptions{UserPIN: user, AdminPIN: admin, UserMinLength: 10}, nil))
	_, err := token.Login(ctx, firmware.User, bad)
	fail(err)
	_, err = token.Login(ctx, firmware.Admin, admin)
	must(err)
	fail(token.ChangePIN(ctx, firmware.User, bad[:9]))
	fail(token.Unblock(ctx, bad[:9]))
	must(token.Unblock(ctx, next))
	_, err = token.Login(ctx, firmware.User, next)
	must(err)
	must(token.ChangePIN(ctx, firmware.User, user))
	id := identity(t)
	key := importIdentity(t, token, id)
	large, err := token.ImportIdentity(ctx, firmware.Identity{Key: testKey(4096, 0)}, firmware.ImportOptions{}, nil)
	must(err)
	generate(t, token, "made")
	plain := []byte("what the key decrypted")
	for _, k := range []firmware.Key{key, large} {
		private, err := token.PrivateKey(ctx, k.ID)
		must(err)
		pub := private.Public().(*rsa.PublicKey)
		digest := sha256.Sum256(plain)
		_, err = private.Sign(rand.Reader, digest[:], crypto.SHA256)
		must(err)
		msg, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, plain, nil)
		must(err)
		got, err := private.Decrypt(rand.Reader, msg, &rsa.OAEPOptions{Hash: crypto.SHA256})
		must(err)
		if string(got) != string(plain) {
			t.Errorf("decrypted %q", got)
		}
		// Without a padding that hides it.
		raw := new(big.Int).SetBytes(plain)
		raw.Exp(raw, big.NewInt(int64(pub.E)), pub.N)
		block, err := private.DecryptBlock(raw.FillBytes(make([]byte, pub.Size())))
		must(err)
		if !strings.HasSuffix(string(block), string(plain)) {
			t.Errorf("decrypted %q", block)
		}
	}
	logout(t, token)

	secrets := map[string][]byte{
		"user PIN": user, "administrator PIN": admin, "new PIN": next, "wrong PIN": bad, "short PIN": bad[:9],
		"plain text": plain, "plain text, as the card gives it": little(new(big.Int).SetBytes(plain)),
	}
	for _, k := range []*rsa.PrivateKey{id.Key, testKey(4096, 0)} {
		for name, n := range map[string]*big.Int{"p": k.Primes[0], "q": k.Primes[1], "dp": k.Precomputed.Dp, "dq": k.Precomputed.Dq, "qinv": k.Precomputed.Qinv} {
			b := little(n)
			secrets[fmt.Sprintf("%s of %d bits", name, k.N.BitLen())] = b[20:32]
		}
	}
	everything := log.String() + errs.String()
	var sent strings.Builder
	for i := range w.sent {
		fmt.Fprintf(&sent, "% X\n% X\n", w.sent[i], w.got[i])
	}
	for name, secret := range secrets {
		if name != "plain text" && !strings.Contains(sent.String(), fmt.Sprintf("% X", secret)) {
			t.Errorf("%s did not go over the wire: the search is worth nothing", name)
		}
		for _, form := range forms(secret) {
			if strings.Contains(everything, form) {
				t.Errorf("%s is in the log as %q", name, form)
			}
		}
	}
	if n := strings.Count(log.String(), "\n"); n < 3*len(w.sent) {
		t.Errorf("%d lines for %d commands", n, len(w.sent))
	}
}
