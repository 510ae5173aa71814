package emu

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"slices"
)

// An Option changes what [New] and [Open] make. An option with a value outside
// the limits that it documents panics: it is a mistake of the program. The order
// of options does not matter, but of two for the same thing the later counts.
type Option func(*settings)

// state is what a new token is like.
type state int

const (
	stateFactory state = iota
	stateVendor
	stateWiped
	stateHalf
)

// settings is what the options say.
type settings struct {
	atr       []byte
	random    io.Reader
	keySource func(bits int) (*rsa.PrivateKey, error)

	id      [8]byte
	state   state
	label   string
	pins    [3]pinSettings // by reference; 0 is not used
	policy  byte
	scratch int // bytes, -1 for none
	free    int // bytes, -1 for the default

	hidePINs, oneLogin, triesInAnswer bool
	objects                           []dataObject

	fresh bool // of Open: what the file holds does not count
}

type pinSettings struct {
	value     []byte
	tries     int
	minLength int
}

// defaultATR is that of every KAZTOKEN: T=1, default speed, "KAZTOKEN".
var defaultATR = []byte{0x3B, 0x88, 0x01, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N', 0x82}

// Assumed: eight bytes, the printed id at the right, as the vendor's UEFI sample
// and a published ECP 3.0 reading have it; the id is the one of the user guide.
var defaultID = [8]byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}

func settingsOf(opts []Option) *settings {
	s := &settings{
		atr:       defaultATR,
		random:    rand.Reader,
		keySource: func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) },
		id:        defaultID,
		label:     "KAZTOKEN",
		policy:    either,
		scratch:   -1,
		free:      -1,
	}
	s.pins[adminPIN] = pinSettings{[]byte("87654321"), 10, 6}
	s.pins[userPIN] = pinSettings{[]byte("12345678"), 10, 6}
	for _, o := range opts {
		o(s)
	}
	return s
}

// card is a card with the settings that are not part of a token's state.
func (s *settings) card() *Card {
	return &Card{atr: s.atr, random: s.random, keySource: s.keySource}
}

func require(ok bool, format string, args ...any) {
	if !ok {
		panic("emu: " + fmt.Sprintf(format, args...))
	}
}

// WithATR replaces the answer to reset; atr is copied and not checked, so that
// cards of other protocols, and broken ones, can be made. It is not part of the
// state that [Open] keeps.
func WithATR(atr []byte) Option {
	atr = slices.Clone(atr)
	return func(s *settings) { s.atr = atr }
}

// WithTokenID replaces the eight bytes of GET DATA 01 81.
func WithTokenID(id [8]byte) Option {
	return func(s *settings) { s.id = id }
}

// WithLabel sets the token's name of the factory state, at most 32 bytes of UTF-8.
func WithLabel(label string) Option {
	require(len(label) <= maxLabel, "a label of %d bytes", len(label))
	return func(s *settings) { s.label = label }
}

// WithPIN sets a PIN of 1 to 32 bytes, by its reference (1 administrator, 2 user),
// and its highest number of tries, 1 to 10; pin is copied. Its minimum length is 6
// or, for a shorter one, its own.
func WithPIN(ref byte, pin []byte, tries int) Option {
	require(ref == adminPIN || ref == userPIN, "PIN reference %d", ref)
	require(len(pin) >= 1 && len(pin) <= maxPIN, "a PIN of %d bytes", len(pin))
	require(tries >= 1 && tries <= maxNibble, "%d tries", tries)
	pin = slices.Clone(pin)
	return func(s *settings) { s.pins[ref].value, s.pins[ref].tries = pin, tries }
}

// WithMinPINLength sets the least length of a PIN, by its reference: 1 to 31.
func WithMinPINLength(ref byte, n int) Option {
	require(ref == adminPIN || ref == userPIN, "PIN reference %d", ref)
	require(n >= 1 && n < maxPIN, "a minimum length of %d", n)
	return func(s *settings) { s.pins[ref].minLength = n }
}

// WithPolicy says who may change the user PIN: 1 the administrator, 2 the user, 3
// both.
func WithPolicy(policy byte) Option {
	require(policy >= adminPIN && policy <= either, "policy %d", policy)
	return func(s *settings) { s.policy = policy }
}

// WithVendorFormat makes a token as the vendor's own software formats it: PINs and
// the system directories, but no EF(DIR) and nothing of PKCS#15.
func WithVendorFormat() Option { return func(s *settings) { s.state = stateVendor } }

// WithWiped makes a token after INIT.
func WithWiped() Option { return func(s *settings) { s.state = stateWiped } }

// WithHalfInitialised makes a token whose formatting was cut off after the
// administrator PIN: no user PIN, EF(DIR) empty, no rule in force.
func WithHalfInitialised() Option { return func(s *settings) { s.state = stateHalf } }

// WithNewState makes [Open] begin with a new token even if the file holds one, or
// something else: that is lost.
func WithNewState() Option { return func(s *settings) { s.fresh = true } }

// WithScratchSize adds the EF [ScratchID] of that size, 0 to 32768 bytes, to the
// factory and vendor states.
func WithScratchSize(n int) Option {
	require(n >= 0 && n <= 1<<15, "a scratch file of %d bytes", n)
	return func(s *settings) { s.scratch = n }
}

// WithFreeMemory makes the token have exactly n bytes left, 0 to 262144.
func WithFreeMemory(n int) Option {
	require(n >= 0 && n <= totalMemory, "free memory of %d bytes", n)
	return func(s *settings) { s.free = n }
}

// WithRandom replaces the source of GET CHALLENGE and of GOST keys and signatures,
// crypto/rand by default. It is not part of the state that [Open] keeps.
func WithRandom(r io.Reader) Option {
	return func(s *settings) { s.random = r }
}

// WithKeySource replaces the generator of RSA keys, crypto/rsa by default. The key
// must have two primes of half its bits each. It is not part of the state that
// [Open] keeps.
func WithKeySource(source func(bits int) (*rsa.PrivateKey, error)) Option {
	return func(s *settings) { s.keySource = source }
}

// WithDataObject replaces what GET DATA 01 p2 answers, or adds an object, of 1 to
// 255 bytes; without value the card does not have the object (6A88). value is
// copied.
func WithDataObject(p2 byte, value []byte) Option {
	require(len(value) <= 255, "a data object of %d bytes", len(value))
	value = slices.Clone(value)
	return func(s *settings) {
		s.objects = slices.DeleteFunc(s.objects, func(o dataObject) bool { return o.p2 == p2 })
		s.objects = append(s.objects, dataObject{p2, value})
		require(len(s.objects) <= 255, "%d data objects", len(s.objects))
	}
}

// WithHiddenPINs keeps the PIN files out of SELECT, and of DELETE FILE: where they
// lie on the hardware is not public, and they may not be shown at all.
func WithHiddenPINs() Option { return func(s *settings) { s.hidePINs = true } }

// WithOneLogin answers VERIFY 6F86 while any PIN is verified, not only the same
// one; which of the two the hardware does is not public.
func WithOneLogin() Option { return func(s *settings) { s.oneLogin = true } }

// WithTriesInAnswer answers a wrong PIN 63Cx with the tries left, instead of 6300.
func WithTriesInAnswer() Option { return func(s *settings) { s.triesInAnswer = true } }
