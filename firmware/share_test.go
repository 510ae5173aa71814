package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
)

var (
	errBusy   = errors.New("another program has the token")
	errCannot = errors.New("the service has gone")
	// errWasReset is for who has no transaction and has not heard of it yet.
	errWasReset = errors.New("the card was reset")
)

// shared is a card that several programs use, one transaction at a time.
type shared struct {
	t      testing.TB
	card   *emu.Card
	owner  *client
	resets int
}

// client is one program's channel to a shared card.
type client struct {
	wire
	s      *shared
	resets int // that it knows of
	begun  int // transactions so far

	beginErr, endErr error
}

func newShared(t testing.TB, opts ...emu.Option) *shared {
	return &shared{t: t, card: newCard(opts...)}
}

func (s *shared) client() *client { return &client{s: s, wire: wire{card: s.card}, resets: s.resets} }

func (c *client) Begin(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.beginErr != nil:
		return c.beginErr
	case c.s.owner == c:
		c.s.t.Error("a transaction in a transaction")
	case c.s.owner != nil:
		return errBusy
	}
	c.s.owner = c
	c.begun++
	if c.resets != c.s.resets {
		c.resets = c.s.resets
		return firmware.ErrReset
	}
	return nil
}

func (c *client) End(ctx context.Context) error {
	if ctx.Err() != nil {
		c.s.t.Error("End with a context that has ended")
	}
	if c.s.owner != c {
		c.s.t.Error("the end of a transaction that was not begun")
	}
	c.s.owner = nil
	return c.endErr
}

func (c *client) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	switch single := bytes.HasPrefix(apdu, []byte{0x00, 0x2A}); { // PSO that is no part of a chain
	case c.s.owner != c && (!single || c.s.owner != nil):
		c.s.t.Errorf("% X outside a transaction", apdu[:4])
	case c.s.owner == nil && c.resets != c.s.resets:
		return dst, errWasReset
	}
	return c.wire.Transmit(ctx, dst, apdu)
}

// reset resets the card, as another program may.
func (s *shared) reset() {
	s.card.Reset(false)
	s.resets++
}

// free checks that nobody holds the card.
func (s *shared) free(what string) {
	s.t.Helper()
	if s.owner != nil {
		s.t.Errorf("%s: the transaction is not ended", what)
		s.owner = nil
	}
}

// TestShareChanges has two programs change a token in turn; each sees what the
// other did.
func TestShareChanges(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	a := open(t, s.client(), firmware.WithClock(noon))
	b := open(t, s.client(), firmware.WithClock(noon)) // the same thousandth all the time
	same := func(what string) {
		t.Helper()
		s.free(what)
		for _, token := range []*firmware.Token{a, b} {
			if _, err := token.Info(ctx); err != nil { // State is that of the last use
				t.Fatal(err)
			}
		}
		va, vb := observe(t, a, what), observe(t, b, what)
		if diff := va.diff(vb); diff != "" {
			t.Errorf("%s: one sees (-), the other (+)\n%s", what, diff)
		}
		if diff := va.diff(observe(t, open(t, s.client()), what)); diff != "" {
			t.Errorf("%s: one sees (-), but it is (+)\n%s", what, diff)
		}
	}
	same("at first")
	for i, token := range []*firmware.Token{a, b, a, b} {
		what := fmt.Sprintf("round %d", i)
		login(t, token, firmware.User)
		key := generate(t, token, what)
		writeObject(t, token, firmware.NewObject{Label: what, Data: []byte(what)})
		logout(t, token)
		same(what + ": made")
		other := []*firmware.Token{b, a}[i%2]
		login(t, other, firmware.User)
		if i%2 == 0 {
			if err := other.Delete(ctx, firmware.Selection{Keys: []firmware.Key{key}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.SetName(ctx, what); err != nil {
			t.Fatal(err)
		}
		logout(t, other)
		same(what + ": deleted and renamed")
	}
	if err := a.Format(ctx, firmware.FormatOptions{Name: "Anew"}, nil); err != nil {
		t.Fatal(err)
	}
	same("formatted")
	// One that is half formatted, then repaired by the other.
	w := s.client()
	c := open(t, w)
	w.fault, w.at = cutBefore, len(w.sent)+20
	if err := c.Format(ctx, firmware.FormatOptions{}, nil); !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	s.reset()
	s.free("cut off")
	if _, err := a.Name(ctx); asType[*firmware.StateError](err) == nil || a.State() != firmware.StateHalf {
		t.Errorf("name: %v; state %v", err, a.State())
	}
	if err := b.Format(ctx, firmware.FormatOptions{Name: "Again"}, nil); err != nil {
		t.Fatal(err)
	}
	same("formatted again")
}

// TestShareForeign has a program like OpenSC write, with the time in whole
// seconds: its change is noticed even where the second is the same.
func TestShareForeign(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	now := noon()
	token := open(t, s.client(), firmware.WithClock(func() time.Time { return now }))
	login(t, token, firmware.User)
	writeObject(t, token, firmware.NewObject{Label: "first", Data: []byte("1")})
	logout(t, token)
	labels := func() (all []string) {
		t.Helper()
		objects, err := token.Objects(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			all = append(all, o.Label)
		}
		return all
	}
	// relabel writes the label of the object, and when.
	relabel := func(label string, when time.Time) {
		a := auditor{t, s.card, "foreign"}
		verify := append([]byte{0x00, 0x20, 0x00, 0x02, 8}, userPIN...)
		update := func(p pkcs15.Path, content []byte) {
			if a.size(p) < 0 {
				t.Fatalf("no file %v", p)
			}
			if _, sw := a.send(append([]byte{0x00, 0xD6, 0x00, 0x00, byte(len(content))}, content...)...); sw != 0x9000 {
				t.Fatalf("update %v: %04X", p, sw)
			}
		}
		a.send(verify...)
		data := pkcs15.NewData(label, "", pkcs15.AppPath(pkcs15.FileData), false)
		update(pkcs15.DODF.Path(), append(data.AppendTo(nil), make([]byte, 64)...))
		info, err := pkcs15.ParseTokenInfo(a.read(pkcs15.AppPath(pkcs15.FileTokenInfo)))
		if err != nil {
			t.Fatal(err)
		}
		info.LastUpdate = when.Format("20060102150405Z")
		update(pkcs15.AppPath(pkcs15.FileTokenInfo), append(info.AppendTo(nil), 0))
		a.send(0x80, 0x40, 0x00, 0x00)
	}
	for i, label := range []string{"second", "third", "fourth"} {
		relabel(label, now) // all in one second
		if got := labels(); len(got) != 1 || got[0] != label {
			t.Errorf("change %d: labels %q, want %q", i, got, label)
		}
	}
	now = now.Add(time.Hour)
	if got := labels(); len(got) != 1 || got[0] != "fourth" {
		t.Errorf("labels %q", got)
	}
	relabel("fifth", now.Add(-time.Minute))
	if got := labels(); len(got) != 1 || got[0] != "fifth" {
		t.Errorf("labels %q", got)
	}
}

// TestShareCache reads twice: the second time, only the time of the last change
// is asked for, once in each transaction.
func TestShareCache(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	c := s.client()
	token := open(t, c, firmware.WithClock(noon))
	furnish(t, nil, token)
	logout(t, token)
	if _, err := token.Keys(ctx); err != nil {
		t.Fatal(err)
	}
	c.forget()
	if _, err := token.Keys(ctx); err != nil {
		t.Fatal(err)
	}
	if len(c.sent) != 2 {
		t.Errorf("%d commands, want SELECT and READ BINARY: %v", len(c.sent), c.names())
	}
}

// TestShareWithoutTime uses a token that does not say when it was changed:
// nothing is taken for granted.
func TestShareWithoutTime(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	a := auditor{t, s.card, "prepare"}
	info, err := pkcs15.ParseTokenInfo(a.read(pkcs15.AppPath(pkcs15.FileTokenInfo)))
	if err != nil {
		t.Fatal(err)
	}
	info.LastUpdate = ""
	content := append(info.AppendTo(nil), 0)
	a.size(pkcs15.AppPath(pkcs15.FileTokenInfo))
	if _, sw := a.send(append([]byte{0x00, 0xD6, 0x00, 0x00, byte(len(content))}, content...)...); sw != 0x9000 {
		t.Fatalf("%04X", sw)
	}
	one, other := open(t, s.client()), open(t, s.client())
	if keys, err := one.Keys(ctx); err != nil || len(keys) != 0 {
		t.Fatalf("%v, %v", keys, err)
	}
	login(t, other, firmware.User)
	generate(t, other, "x")
	logout(t, other)
	if keys, err := one.Keys(ctx); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

// TestShareLogin holds the card from the log-in to the log-out, through all that
// is done in between.
func TestShareLogin(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	ca, cb := s.client(), s.client()
	a, b := open(t, ca), open(t, cb)
	begun := ca.begun
	login(t, a, firmware.User)
	key := generate(t, a, "x")
	if err := signs(t, a, key); err != nil {
		t.Error(err)
	}
	if s.owner != ca {
		t.Error("the log-in does not hold the card")
	}
	if _, err := b.Name(ctx); !errors.Is(err, errBusy) {
		t.Errorf("the other one: %v", err)
	}
	if _, err := b.Login(ctx, firmware.User, userPIN); !errors.Is(err, errBusy) {
		t.Errorf("the other one logs in: %v", err)
	}
	login(t, a, firmware.Admin) // ends one transaction, begins another
	if s.owner != ca || ca.begun != begun+2 {
		t.Errorf("%d transactions", ca.begun-begun)
	}
	logout(t, a)
	s.free("after the log-out")
	if ca.count(0x80, 0x40) != 2 {
		t.Errorf("%d times the log-ins were dropped", ca.count(0x80, 0x40))
	}
	if _, err := b.Name(ctx); err != nil {
		t.Error(err)
	}
	// A formatting ends the log-in.
	login(t, a, firmware.User)
	if err := a.Format(ctx, firmware.FormatOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	s.free("after the formatting")
	if r, in := a.LoggedIn(); in {
		t.Errorf("%v is logged in", r)
	}
}

// TestShareBalanced fails every operation in every way that ends a transaction
// too early or never.
func TestShareBalanced(t *testing.T) {
	all := append(calls(t),
		call{name: "Info", do: func(ctx context.Context, k *firmware.Token) error { _, err := k.Info(ctx); return err }},
		call{name: "Check", do: func(ctx context.Context, k *firmware.Token) error { _, err := k.Check(ctx); return err }},
		call{name: "Unblock", do: func(ctx context.Context, k *firmware.Token) error { return k.Unblock(ctx, nil) }},
		call{name: "ChangePIN", need: []firmware.Role{firmware.User}, do: func(ctx context.Context, k *firmware.Token) error {
			return k.ChangePIN(ctx, firmware.User, newUserPIN)
		}},
		call{name: "Format", do: func(ctx context.Context, k *firmware.Token) error {
			return k.Format(ctx, firmware.FormatOptions{}, nil)
		}},
		call{name: "Login", do: func(ctx context.Context, k *firmware.Token) error {
			_, err := k.Login(ctx, firmware.User, wrongPIN)
			return err
		}},
	)
	for _, f := range []fault{dropBefore, dropAfter} {
		for _, c := range all {
			for n, done := 1, false; !done; n += 2 {
				s := newShared(t)
				what := fmt.Sprintf("%s: %v %d", c.name, f, n)
				w := s.client()
				token := open(t, w)
				furnish(t, nil, token)
				if c.need == nil {
					logout(t, token)
				}
				w.forget()
				w.fault, w.at = f, n
				ctx, cancel := context.WithCancel(t.Context())
				if n%4 == 1 { // whoever loses the answer has often given up
					w.lie = func(_, answer []byte) []byte {
						if len(w.sent) == n-1 {
							cancel()
						}
						return answer
					}
				}
				err := c.do(ctx, token)
				cancel()
				if done = len(w.sent) < n; done && c.name != "Login" && c.name != "Unblock" && c.name != "Sign" && c.name != "Decrypt" && err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if _, in := token.LoggedIn(); in != (s.owner == w) {
					t.Errorf("%s: logged in %v, transaction held %v", what, in, s.owner == w)
				}
				w.fault = faultless
				w.lie = nil
				logout(t, token)
				s.free(what)
				if token.State() != firmware.StatePKCS15 {
					continue
				}
				if _, err := token.Name(t.Context()); err != nil {
					t.Errorf("%s: afterwards: %v", what, err)
				}
				s.free(what + ": afterwards")
			}
		}
	}
}

// TestShareErrors has the service fail to begin and to end a transaction.
func TestShareErrors(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	w := s.client()
	token := open(t, w)
	w.beginErr = errCannot
	for _, c := range calls(t) {
		if err := c.do(ctx, token); !errors.Is(err, errCannot) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := token.Login(ctx, firmware.User, userPIN); !errors.Is(err, errCannot) {
		t.Errorf("log in: %v", err)
	}
	if n := w.pinsSent(); n != 0 {
		t.Errorf("%d PINs were sent", n)
	}
	w.beginErr, w.endErr = nil, errCannot
	if _, err := token.Name(ctx); !errors.Is(err, errCannot) {
		t.Errorf("name: %v", err)
	}
	if _, err := token.Login(ctx, firmware.User, wrongPIN); !errors.Is(err, errCannot) || !errors.Is(err, firmware.ErrPINWrong) {
		t.Errorf("log in: %v", err)
	}
	login(t, token, firmware.User)
	if err := token.Logout(ctx); !errors.Is(err, errCannot) {
		t.Errorf("log out: %v", err)
	}
	w.endErr = nil
	s.free("after all")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := token.Name(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("name: %v", err)
	}
	s.free("cancelled")
	if _, err := token.Name(ctx); err != nil {
		t.Error(err)
	}
}

// TestShareReset has another program reset the card: what was selected is
// selected again, and a log-in is not taken for granted.
func TestShareReset(t *testing.T) {
	ctx := t.Context()
	s := newShared(t)
	w := s.client()
	token := open(t, w, firmware.WithClock(noon))
	furnish(t, nil, token)
	logout(t, token)
	for range 3 {
		if _, err := token.Name(ctx); err != nil { // EF(TokenInfo) is selected now
			t.Error(err)
		}
		s.reset()
	}
	if r, in := token.LoggedIn(); in {
		t.Errorf("%v is logged in", r)
	}
	login(t, token, firmware.User)
	s.reset() // which no service lets happen in a transaction
	key, err := token.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := signs(t, token, key[0]); err == nil {
		t.Error("a signature without a log-in")
	}
	logout(t, token)
	login(t, token, firmware.User)
	if err := signs(t, token, key[0]); err != nil {
		t.Error(err)
	}
	logout(t, token)
	s.free("after all")
}
