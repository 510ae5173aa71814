package pkcs11_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kaztoken/bridge/pkcs11"
	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

var (
	userPIN  = []byte("12345678")
	adminPIN = []byte("87654321")
	wrongPIN = []byte("00000000")
)

// world is a set of places for tokens, as a pkcs11.Source.
type world struct {
	mu      sync.Mutex // guards all following fields
	places  map[string]*place
	changed chan struct{} // closed and made anew with each change
	opened  int           // connections ever
	open    int           // connections now
	seats   map[*place]int
	err     error // of Readers
}

// place has one token for as long as it is plugged in.
type place struct {
	name     string
	instance string
	card     *emu.Card
	shared   bool
	gone     chan struct{}

	turn   sync.Mutex    // the card's: held during a command or, if it is shared, a transaction
	resets int           // guarded by turn
	sent   [][]byte      // commands so far; guarded by turn
	hold   chan struct{} // a command waits until it is closed; nil does not hold
	cut    int           // the command before which the token is pulled out, from 1; 0 is none
}

func newWorld() *world {
	return &world{places: map[string]*place{}, changed: make(chan struct{}), seats: map[*place]int{}}
}

func (w *world) announce() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// plug puts a token into a place. The same card may have been there before.
func (w *world) plug(name string, card *emu.Card, shared bool) *place {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &place{name: name, instance: fmt.Sprint(len(w.places), time.Now().UnixNano()), card: card, shared: shared, gone: make(chan struct{})}
	w.places[name] = p
	w.announce()
	return p
}

func (w *world) unplug(name string) {
	w.mu.Lock()
	p := w.places[name]
	w.mu.Unlock()
	w.pull(p)
	p.turn.Lock()
	defer p.turn.Unlock()
	p.card.Reset(true)
}

// pull takes a token out, whatever it is doing.
func (w *world) pull(p *place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.places, p.name)
	close(p.gone)
	w.announce()
}

// lose ends the connections of a token that stays listed, as one that is pulled out
// does until the system has taken it away.
func (w *world) lose(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.places[name].gone)
}

// forget takes a lost token off the list.
func (w *world) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.places, name)
	w.announce()
}

func (w *world) Readers(context.Context) ([]pkcs11.Reader, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	var all []pkcs11.Reader
	for _, p := range w.places {
		all = append(all, pkcs11.Reader{
			Name: p.name, Manufacturer: "DigiFlow LLP.", Instance: p.instance, Unique: !p.shared, Version: [2]byte{1, 4},
			Open: func(context.Context) (pkcs11.Connection, error) { return w.connect(p) },
		})
	}
	slices.SortFunc(all, func(a, b pkcs11.Reader) int { return len(a.Name) - len(b.Name) })
	return all, nil
}

func (w *world) Wait(ctx context.Context, known []pkcs11.Reader) error {
	for {
		now, _ := w.Readers(ctx) // it has no error
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if !slices.EqualFunc(known, now, func(a, b pkcs11.Reader) bool { return a.Instance == b.Instance }) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *world) connect(p *place) (pkcs11.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.places[p.name] != p {
		return nil, pkcs11.ErrTokenNotPresent
	}
	w.opened++
	w.open++
	return &connection{w: w, p: p}, nil
}

// connection is one program's way to a token.
type connection struct {
	w      *world
	p      *place
	seated bool
	once   sync.Once
	resets int
	held   bool // a transaction of its own; guarded by the turn of the token in the module
}

func (c *connection) ATR() []byte           { return c.p.card.ATR() }
func (c *connection) Done() <-chan struct{} { return c.p.gone }

func (c *connection) Close() error {
	c.once.Do(func() {
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		c.w.open--
	})
	return nil
}

func (c *connection) Card() firmware.Card {
	if c.p.shared {
		return sharedCard{c}
	}
	return ownCard{c}
}

func (c *connection) Join(context.Context) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if !c.seated {
		c.seated = true
		c.w.seats[c.p]++
	}
	return nil
}

func (c *connection) Leave(last func() error) error {
	c.w.mu.Lock()
	if c.seated {
		c.seated = false
		c.w.seats[c.p]--
	}
	others := c.w.seats[c.p]
	c.w.mu.Unlock()
	if others > 0 {
		return nil
	}
	return last()
}

var errUnplugged = fmt.Errorf("%w: unplugged", pkcs11.ErrDeviceRemoved)

// transmit has the card carry a command out. The caller holds turn.
func (c *connection) transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	select {
	case <-c.p.gone:
		return dst, errUnplugged
	default:
	}
	if c.p.cut > 0 {
		if c.p.cut--; c.p.cut == 0 {
			c.w.pull(c.p)
			return dst, errUnplugged
		}
	}
	if c.p.hold != nil {
		select {
		case <-c.p.hold:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
	c.p.sent = append(c.p.sent, slices.Clone(apdu[:min(len(apdu), 5)]))
	resp, err := c.p.card.Transmit(ctx, dst, apdu)
	select {
	case <-c.p.gone:
		return dst, errUnplugged
	default:
		return resp, err
	}
}

// ownCard is a card that nobody else uses.
type ownCard struct{ c *connection }

func (o ownCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	o.c.p.turn.Lock()
	defer o.c.p.turn.Unlock()
	return o.c.transmit(ctx, dst, apdu)
}

// sharedCard is a card that other programs use.
type sharedCard struct{ c *connection }

// errReset is what a service says of a reset to who has no transaction.
var errReset = errors.New("the card was reset")

func (s sharedCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if !s.c.held {
		s.c.p.turn.Lock()
		defer s.c.p.turn.Unlock()
		if s.c.resets != s.c.p.resets {
			return dst, errReset
		}
	}
	return s.c.transmit(ctx, dst, apdu)
}

func (s sharedCard) Begin(context.Context) error {
	select {
	case <-s.c.p.gone:
		return errUnplugged
	default:
	}
	s.c.p.turn.Lock()
	s.c.held = true
	if s.c.resets != s.c.p.resets {
		s.c.resets = s.c.p.resets
		return firmware.ErrReset
	}
	return nil
}

func (s sharedCard) End(context.Context) error {
	s.c.held = false
	s.c.p.turn.Unlock()
	return nil
}

// reset is another program's.
func (p *place) reset() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.card.Reset(false)
	p.resets++
}

// count gives how many commands were sent since it was called last.
func (p *place) count() int {
	p.turn.Lock()
	defer p.turn.Unlock()
	n := len(p.sent)
	p.sent = nil
	return n
}

// testKeys are RSA keys of firmware's tests: making one takes long.
var testKeys = sync.OnceValue(func() map[int][]*rsa.PrivateKey {
	b, err := os.ReadFile("../../firmware/testdata/rsa.pem")
	if err != nil {
		panic(err)
	}
	keys := map[int][]*rsa.PrivateKey{}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return keys
		}
		k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			panic(err)
		}
		keys[k.N.BitLen()] = append(keys[k.N.BitLen()], k)
		b = rest
	}
})

// newCard makes a card that generates keys at once.
func newCard(opts ...emu.Option) *emu.Card {
	made := map[int]int{}
	source := func(bits int) (*rsa.PrivateKey, error) {
		all := testKeys()[bits]
		if made[bits] == len(all) {
			return nil, errors.New("no key of that size is left")
		}
		made[bits]++
		return all[made[bits]-1], nil
	}
	return emu.New(append([]emu.Option{emu.WithKeySource(source)}, opts...)...)
}

// certify makes a certificate for a key, signed with itself.
func certify(t testing.TB, name string, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0102), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2036, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const reader = "KAZTOKEN 00 00"

// program is a module in use, with the token of one place.
type program struct {
	t testing.TB
	*pkcs11.Module
	slot pkcs11.SlotID
}

// start makes a program that uses the tokens of a world.
func start(t testing.TB, w *world) *program {
	t.Helper()
	m := pkcs11.New(w, [2]byte{1, 2})
	if err := m.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Finalize(); err != nil && err != pkcs11.ErrCryptokiNotInitialized {
			t.Error(err)
		}
	})
	return &program{t, m, 0}
}

// plugged makes a world with one token and a program that uses it.
func plugged(t testing.TB, opts ...emu.Option) (*world, *place, *program) {
	t.Helper()
	w := newWorld()
	p := w.plug(reader, newCard(opts...), false)
	return w, p, start(t, w)
}

// ok fails the test for an error.
func (p *program) ok(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// want checks an error.
func want(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const (
	ro = pkcs11.SessionSerial
	rw = pkcs11.SessionSerial | pkcs11.SessionRW
)

func (p *program) session(flags pkcs11.SessionFlags) pkcs11.SessionHandle {
	p.t.Helper()
	h, err := p.OpenSession(p.slot, flags)
	p.ok("open session", err)
	return h
}

// user opens a session and logs the user in.
func (p *program) user() pkcs11.SessionHandle {
	p.t.Helper()
	h := p.session(rw)
	p.ok("log in", p.Login(h, pkcs11.UserNormal, userPIN))
	return h
}

// find gives the objects of a template.
func (p *program) find(h pkcs11.SessionHandle, template ...pkcs11.Attribute) []pkcs11.ObjectHandle {
	p.t.Helper()
	p.ok("find", p.FindObjectsInit(h, template))
	var all []pkcs11.ObjectHandle
	for {
		some, err := p.FindObjects(h, 2)
		p.ok("find", err)
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
	}
	p.ok("end find", p.FindObjectsFinal(h))
	return all
}

// get reads one attribute as programs do: its length first.
func (p *program) get(h pkcs11.SessionHandle, o pkcs11.ObjectHandle, t pkcs11.AttributeType) []byte {
	p.t.Helper()
	q := []pkcs11.Query{{Type: t}}
	p.ok("length of "+t.String(), p.GetAttributeValue(h, o, q))
	q[0].Buffer = make([]byte, q[0].Len)
	p.ok(t.String(), p.GetAttributeValue(h, o, q))
	return q[0].Buffer[:q[0].Len]
}

// generate makes a key pair.
func (p *program) generate(h pkcs11.SessionHandle, bits uint, id string) (pub, priv pkcs11.ObjectHandle) {
	p.t.Helper()
	pub, priv, err := p.GenerateKeyPair(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSKeyPairGen}, []pkcs11.Attribute{
		token(true), {pkcs11.AttrModulusBits, pkcs11.Ulong(bits)}, {pkcs11.AttrPublicExponent, []byte{1, 0, 1}},
		{pkcs11.AttrID, []byte(id)}, {pkcs11.AttrLabel, []byte(id)},
	}, []pkcs11.Attribute{token(true), {pkcs11.AttrPrivate, pkcs11.Bool(true)}, {pkcs11.AttrID, []byte(id)}, {pkcs11.AttrLabel, []byte(id)}})
	p.ok("generate", err)
	return pub, priv
}

// sign signs with a mechanism that takes the data.
func (p *program) sign(h pkcs11.SessionHandle, mech pkcs11.Mechanism, key pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	if err := p.SignInit(h, &mech, key); err != nil {
		return nil, err
	}
	n, err := p.Sign(h, data, nil)
	if err != nil {
		return nil, err
	}
	out := make([]byte, n)
	n, err = p.Sign(h, data, out)
	return out[:n], err
}

func token(is bool) pkcs11.Attribute {
	return pkcs11.Attribute{Type: pkcs11.AttrToken, Value: pkcs11.Bool(is)}
}

func class(c pkcs11.Class) pkcs11.Attribute {
	return pkcs11.Attribute{Type: pkcs11.AttrClass, Value: pkcs11.Ulong(uint(c))}
}

func label(s string) pkcs11.Attribute {
	return pkcs11.Attribute{Type: pkcs11.AttrLabel, Value: []byte(s)}
}
