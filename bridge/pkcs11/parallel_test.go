package pkcs11_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"kaztoken/bridge/pkcs11"
)

// TestParallel has 16 goroutines of two programs sign while the token is pulled
// out and plugged in again. Each signature that is made is right, each that is not
// has a reason, and nothing is left over.
func TestParallel(t *testing.T) {
	const (
		replugs = 20
		each    = 8 // goroutines of a program
		between = 25
	)
	for _, shared := range []bool{false, true} {
		w := newWorld()
		card := newCard()
		w.plug(reader, card, shared)
		first := start(t, w)
		first.generate(first.user(), 1024, "k")
		first.ok("finalize", first.Finalize())
		programs := []*program{start(t, w)}
		if shared {
			programs = append(programs, start(t, w))
		}
		pub := &testKeys()[1024][0].PublicKey
		var (
			wg     sync.WaitGroup
			made   atomic.Int64
			signed = make(chan struct{}) // takes one for each signature while somebody listens
			stop   = make(chan struct{})
		)
		for _, p := range programs {
			for range each {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := signAgain(p, pub, func() {
							made.Add(1)
							select {
							case signed <- struct{}{}:
							default:
							}
						}); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		for range replugs {
			for range between {
				<-signed
			}
			w.unplug(reader)
			w.plug(reader, card, shared)
		}
		close(stop)
		wg.Wait()
		for _, p := range programs {
			p.ok("finalize", p.Finalize())
		}
		w.mu.Lock()
		if w.open != 0 {
			t.Errorf("%d connections are left", w.open)
		}
		w.mu.Unlock()
		t.Logf("shared %v: %d signatures, %d connections", shared, made.Load(), w.opened)
	}
}

// signAgain opens a session, logs in and signs until the token goes or the log-in
// does, a hundred times at most. The error is what must not happen.
func signAgain(p *program, pub *rsa.PublicKey, signed func()) error {
	h, err := p.OpenSession(0, rw)
	if err != nil {
		return tolerate(err)
	}
	defer p.CloseSession(h) // it may have died with the token
	if err := p.Login(h, pkcs11.UserNormal, userPIN); err != nil && err != pkcs11.ErrUserAlreadyLoggedIn {
		return tolerate(err)
	}
	if err := p.FindObjectsInit(h, []pkcs11.Attribute{class(pkcs11.ClassPrivateKey)}); err != nil {
		return tolerate(err)
	}
	keys, err := p.FindObjects(h, 1)
	if err != nil {
		return tolerate(err)
	}
	if err := p.FindObjectsFinal(h); err != nil {
		return tolerate(err)
	}
	if len(keys) == 0 {
		return nil // nobody is logged in any more
	}
	digest := sha256.Sum256([]byte("data"))
	out := make([]byte, 128)
	for range 100 {
		if err := p.SignInit(h, &pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, keys[0]); err != nil {
			return tolerate(err)
		}
		if _, err := p.Sign(h, []byte("data"), out); err != nil {
			return tolerate(err)
		}
		if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], out); err != nil {
			return err
		}
		signed()
	}
	return nil
}

// tolerate passes over what happens when a token goes, or a log-in with it.
func tolerate(err error) error {
	for _, rv := range []pkcs11.Rv{
		pkcs11.ErrDeviceRemoved, pkcs11.ErrTokenNotPresent, pkcs11.ErrUserNotLoggedIn, pkcs11.ErrSessionHandleInvalid,
		pkcs11.ErrKeyHandleInvalid, pkcs11.ErrObjectHandleInvalid,
	} {
		if errors.Is(err, rv) {
			return nil
		}
	}
	return err
}

// TestOpenClose has goroutines open and close sessions, and ask, on a token that
// is let go whenever nobody has it: none gets in another one's way.
func TestOpenClose(t *testing.T) {
	w, _, p := plugged(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				h, err := p.OpenSession(0, ro)
				want(t, "open", err, nil)
				_, err = p.GetTokenInfo(0)
				want(t, "token info", err, nil)
				want(t, "close", p.CloseSession(h), nil)
				_, err = p.GetTokenInfo(0)
				want(t, "token info without a session", err, nil)
			}
		})
	}
	wg.Wait()
	if w.open != 0 {
		t.Errorf("%d connections are left", w.open)
	}
	var err error
	for n := 0; err == nil; n++ {
		if _, err = p.OpenSession(0, ro); n > 1<<16 {
			t.Fatal("no limit of sessions")
		}
	}
	want(t, "too many", err, pkcs11.ErrSessionCount)
}

// TestCut pulls the token out before each of the commands of a program that does a
// bit of everything. It is told so, nothing hangs, and with the token back it goes
// on.
func TestCut(t *testing.T) {
	for _, shared := range []bool{false, true} {
		cuts := 0
		for n := 1; ; n++ {
			w := newWorld()
			card := newCard()
			place := w.plug(reader, card, shared)
			place.cut = n
			p := start(t, w)
			err := story(p)
			if err == nil {
				cuts = n - 1
				p.ok("finalize", p.Finalize())
				break
			}
			if !errors.Is(err, pkcs11.ErrDeviceRemoved) && !errors.Is(err, pkcs11.ErrTokenNotPresent) {
				t.Fatalf("shared %v, cut %d: %v", shared, n, err)
			}
			place.turn.Lock()
			card.Reset(true)
			place.turn.Unlock()
			w.plug(reader, card, shared)
			i, err := p.GetTokenInfo(0)
			p.ok("token info", err)
			if i.Flags&pkcs11.TokenInitialized == 0 { // cut while it was formatted
				p.ok("format", p.InitToken(0, adminPIN, "New"))
			}
			h := p.user()
			p.find(h)
			_, priv := p.generate(h, 1024, "again")
			if _, err := p.sign(h, pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, priv, []byte("data")); err != nil {
				t.Errorf("shared %v, after cut %d: %v", shared, n, err)
			}
			p.ok("finalize", p.Finalize())
			if w.open != 0 {
				t.Fatalf("shared %v, cut %d: %d connections are left", shared, n, w.open)
			}
		}
		if cuts < 50 {
			t.Errorf("shared %v: %d commands, want more", shared, cuts)
		}
	}
}

// story does a bit of everything, until something fails.
func story(p *program) error {
	if _, err := p.GetTokenInfo(0); err != nil {
		return err
	}
	h, err := p.OpenSession(0, rw)
	if err != nil {
		return err
	}
	if err := p.Login(h, pkcs11.UserNormal, userPIN); err != nil {
		return err
	}
	data, err := p.CreateObject(h, with(dataTemplate("x"), token(true)))
	if err != nil {
		return err
	}
	_, priv, err := p.GenerateKeyPair(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSKeyPairGen},
		[]pkcs11.Attribute{{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(1024)}}, nil)
	if err != nil {
		return err
	}
	if err := p.SetAttributeValue(h, priv, []pkcs11.Attribute{label("other")}); err != nil {
		return err
	}
	for range 2 {
		if _, err := p.sign(h, pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, priv, []byte("data")); err != nil {
			return err
		}
	}
	if err := p.GetAttributeValue(h, data, []pkcs11.Query{{Type: pkcs11.AttrValue}}); err != nil {
		return err
	}
	if err := p.DestroyObject(h, data); err != nil {
		return err
	}
	if err := p.GenerateRandom(h, make([]byte, 8)); err != nil {
		return err
	}
	if err := p.SetPIN(h, userPIN, userPIN); err != nil {
		return err
	}
	if err := p.Logout(h); err != nil {
		return err
	}
	if err := p.CloseSession(h); err != nil {
		return err
	}
	return p.InitToken(0, adminPIN, "New")
}
