//go:build e2e && linux

package guest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/vpcd"
)

// countedCard counts the commands that a card is given.
type countedCard struct {
	mu       sync.Mutex // guards the following; it comes from two sides
	card     *emu.Card
	commands int
}

func (c *countedCard) ATR() []byte { return c.card.ATR() }

func (c *countedCard) Reset(cold bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.card.Reset(cold)
}

func (c *countedCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commands++
	return c.card.Transmit(ctx, dst, apdu)
}

// fresh makes the card one that was just plugged in, and counts from 0: what the
// program before has left verified costs OpenSC two commands more.
func (c *countedCard) fresh() {
	c.Reset(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commands = 0
}

func (c *countedCard) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commands
}

// job is a piece of work that both can do to a token.
type job struct {
	name   string
	opensc []step
	ours   func(ctx context.Context, k *firmware.Token) error
}

// jobs are done one after another, to two tokens that are therefore alike before
// each: identity is 45 on them, another 46, and a generated key 42.
func jobs(identity, another firmware.Identity) []job {
	type token = *firmware.Token // for the width of the table
	admin, user := []byte("87654321"), []byte("12345678")
	loggedIn := func(r firmware.Role, pin []byte, f func(context.Context, token) error) func(context.Context, token) error {
		return func(ctx context.Context, k token) error {
			if _, err := k.Login(ctx, r, pin); err != nil {
				return err
			}
			return f(ctx, k)
		}
	}
	list := func(ctx context.Context, k token) error {
		certs, err := k.Certificates(ctx)
		if len(certs) != 1 {
			return fmt.Errorf("%d certificates, %w", len(certs), err)
		}
		return err
	}
	sign := loggedIn(firmware.User, user, func(ctx context.Context, k token) error {
		key, err := k.PrivateKey(ctx, []byte{0x45})
		if err != nil {
			return err
		}
		digest := sha256.Sum256([]byte("message"))
		signature, err := key.WithContext(ctx).Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		return rsa.VerifyPKCS1v15(&identity.Key.PublicKey, crypto.SHA256, digest[:], signature)
	})
	put := func(identity firmware.Identity, id byte) func(context.Context, token) error {
		return loggedIn(firmware.User, user, func(ctx context.Context, k token) error {
			_, err := k.ImportIdentity(ctx, identity, firmware.ImportOptions{ID: []byte{id}, Label: "imported"}, nil)
			return err
		})
	}
	return []job{
		{
			name: "format",
			opensc: []step{
				{run: "pkcs15-init -E"},
				{run: "pkcs15-init -C --label TOKEN --so-pin 87654321 --so-puk="},
				{run: "pkcs15-init -P --auth-id 02 --label 'User PIN' --pin 12345678 --puk= --so-pin 87654321 --finalize"},
			},
			ours: func(ctx context.Context, k token) error {
				return k.Format(ctx, firmware.FormatOptions{Name: "TOKEN", UserPIN: user, AdminPIN: admin}, nil)
			},
		},
		{
			name:   "import the first .p12",
			opensc: []step{{run: "pkcs15-init -S identity.p12 -f PKCS12 --passphrase secret --id 45" + openscUser}},
			ours:   put(identity, 0x45),
		},
		{
			name:   "generate RSA 1024",
			opensc: []step{{run: "pkcs15-init -G rsa/1024 --id 42 --label generated" + openscUser}},
			ours: loggedIn(firmware.User, user, func(ctx context.Context, k token) error {
				_, err := k.GenerateKey(ctx, firmware.GenerateOptions{Bits: 1024, ID: []byte{0x42}, Label: "generated"}, nil)
				return err
			}),
		},
		{
			name:   "list certificates",
			opensc: []step{{run: "pkcs15-tool -c", prints: []string{"ID             : 45"}}},
			ours:   list,
		},
		{
			name:   "list certificates, PKCS#11",
			opensc: []step{{run: "pkcs11-tool -O --type cert", prints: []string{"ID:         45"}}},
			ours:   list,
		},
		{
			name:   "import another .p12",
			opensc: []step{{run: "pkcs15-init -S another.p12 -f PKCS12 --passphrase secret --id 46" + openscUser}},
			ours:   put(another, 0x46),
		},
		{
			name:   "log in and sign",
			opensc: []step{{run: "pkcs15-crypt -s -k 45 --sha-256 --pkcs1 -i digest -o signature --pin 12345678"}},
			ours:   sign,
		},
		{
			name:   "log in and sign, PKCS#11",
			opensc: []step{{run: "pkcs11-tool --login --pin 12345678 --sign -m SHA256-RSA-PKCS --id 45 -i message -o signature"}},
			ours:   sign,
		},
		{
			name:   "change the user PIN",
			opensc: []step{{run: "pkcs15-tool --change-pin --new-pin 12345678" + openscUser}},
			ours: loggedIn(firmware.User, user, func(ctx context.Context, k token) error {
				return k.ChangePIN(ctx, firmware.User, user)
			}),
		},
		{
			name:   "unblock with a new PIN",
			opensc: []step{{run: "pkcs11-tool --login --login-type so --so-pin 87654321 --init-pin --pin 12345678"}},
			ours: loggedIn(firmware.Admin, admin, func(ctx context.Context, k token) error {
				return k.Unblock(ctx, user)
			}),
		},
		{
			name:   "delete a key pair",
			opensc: []step{{run: "pkcs15-init --delete-objects privkey,pubkey --id 42" + openscUser, prints: []string{"Deleted 2 objects"}}},
			ours: loggedIn(firmware.User, user, func(ctx context.Context, k token) error {
				keys, err := k.Keys(ctx)
				if err != nil {
					return err
				}
				keys = slices.DeleteFunc(keys, func(key firmware.Key) bool { return key.ID[0] != 0x42 })
				return k.Delete(ctx, firmware.Selection{Keys: keys}, nil)
			}),
		},
		{
			name:   "delete a certificate and its key",
			opensc: []step{{run: "pkcs15-init --delete-objects cert,privkey --id 45" + openscUser, prints: []string{"Deleted 2 objects"}}},
			ours: loggedIn(firmware.User, user, func(ctx context.Context, k token) error {
				certs, err := k.Certificates(ctx)
				if err != nil {
					return err
				}
				certs = slices.DeleteFunc(certs, func(c firmware.Certificate) bool { return c.ID[0] != 0x45 })
				return k.Delete(ctx, firmware.Selection{Certificates: certs}, nil)
			}),
		},
	}
}

func identity(t testing.TB, name string) firmware.Identity {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(name+".pem", name+".key")
	if err != nil {
		t.Fatal(err)
	}
	return firmware.Identity{Key: pair.PrivateKey.(*rsa.PrivateKey), Certificate: pair.Leaf}
}

// TestMeasureAPDUCount counts the commands that OpenSC needs for a piece of work
// and those that package firmware needs, each beginning with a token that it
// knows nothing of and leaving it logged in. Ours are to be half as many at most:
// they are what takes a real token its time. One certificate is listed; each
// further one of its size costs both four commands, since it has to be read.
func TestMeasureAPDUCount(t *testing.T) {
	oneCPU(t)
	o := newOpenSC(t)
	o.provide(t)

	theirs, ours := &countedCard{card: emu.New()}, &countedCard{card: emu.New()}
	startPCSCD(t, vpcdReaders)
	client := vpcd.Client{Addr: fmt.Sprint("127.0.0.1:", vpcd.Port), Card: theirs}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	awaitCard(t, vpcdName)

	var over []string
	w := newTable("commands to the card", "work", "OpenSC", "kaztoken", "ratio, goal 0.50")
	for _, j := range jobs(identity(t, "identity"), identity(t, "another")) {
		theirs.fresh()
		o.runAll(t, j.opensc)
		ours.fresh()
		k, err := firmware.Open(t.Context(), ours, firmware.WithATR(ours.ATR()))
		if err != nil {
			t.Fatalf("%s: %v", j.name, err)
		}
		if err := j.ours(t.Context(), k); err != nil {
			t.Fatalf("%s: %v", j.name, err)
		}
		a, b := theirs.count(), ours.count()
		if 2*b > a {
			over = append(over, fmt.Sprintf("%s: %d commands, more than half of OpenSC's %d", j.name, b, a))
		}
		w.row(j.name, fmt.Sprint(a), fmt.Sprint(b), fmt.Sprintf("%.2f", float64(b)/float64(a)))
	}
	w.print(t)
	for _, problem := range over {
		t.Error(problem)
	}
}
