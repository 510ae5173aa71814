package emu

import (
	"bytes"
	"crypto/rsa"
	"math/rand/v2"
	"testing"

	"kaztoken/internal/iso7816"
)

// phrases are commands that mean something, for a fuzzer that would not find them:
// those of the reference's trace, and others that come near.
func phrases(t testing.TB) [][]byte {
	var all [][]byte
	for _, s := range readTranscript(t, "token-16.txt").steps(t, traceVars(t)) {
		all = append(all, s.in)
	}
	for _, s := range []string{
		verifyUser, verifyAdmin, logout, setUser, newUser, setAdmin,
		"00 20 00 01 01 30", "00 20 00 02 01 30", "00 20 00 01", "00 20 00 02", "00 2C 03 01", "00 2C 03 02",
		createRSF("00 08", "00 01", "01 06 01 31 00 00", "43 01 03 00 00 00 00 00"),
		createRSF("00 08", "00 02", "01 06 01 31 00 00", "43 00 00 00 00 00 00 00"),
		createRSF("01 48", "00 01", privateProps, privateRules), createRSF("00 C0", "00 01", publicProps, publicRules),
		createRSF("00 20", "00 02", "03 20 00 AA 00 00", privateRules), createRSF("00 40", "00 02", "13 20 00 AA 00 00", publicRules),
		createDF("40 00", freeRules), createEF("00 10", "40 01", freeRules), createEF("FF FF", "40 02", freeRules),
		"00 46 80 01 00", "00 46 80 02 00", "00 C0 00 00 00", "00 A4 00 00 00", "00 A4 03 00 00", "00 A4 00 02 02 2F 00 00",
		"00 A4 08 0C 06 10 00 10 00 00 01", "00 A4 08 0C 06 10 00 10 00 00 02", "00 E4 00 00 02 00 01", "00 E4 00 00 02 00 02",
		"00 A4 08 0C 08 10 00 10 00 60 02 00 01", "00 24 01 00 26 80 02 00 20 A5 20 05" + zeros(31),
		"00 2A 9E 9A 20" + zeros(32) + " 00", "00 2A 9E 9A 80" + zeros(128) + " 00", "10 2A 9E 9A 10" + zeros(16),
		"10 24 01 02 0A 80 02 00 08 A5 04 61 61 61 61", "00 24 01 02 06 A5 04 61 61 61 61", "10 24 01 00 06 80 02 01 48 A5 00",
		"80 8A 00 00", "80 84 4E 19",
	} {
		all = append(all, unhex(t, s))
	}
	return all
}

// keySource1024 gives the same key whatever is asked for.
func keySource1024(t testing.TB) Option {
	k := testKey(t, "1024")
	return WithKeySource(func(int) (*rsa.PrivateKey, error) { return k, nil })
}

// watched sends a command and checks what must hold of every one.
func watched(t *testing.T, c *Card, in []byte) {
	t.Helper()
	type pinState struct {
		file       *file
		left       int
		value      []byte
		isLoggedIn bool
	}
	look := func(ref byte) (s pinState) {
		if s.file = c.pin(ref); s.file != nil {
			s.left, s.value = s.file.triesLeft(), bytes.Clone(s.file.body)
		}
		s.isLoggedIn = c.logins&ref != 0
		return s
	}
	before := [...]pinState{adminPIN: look(adminPIN), userPIN: look(userPIN)}
	capacity := c.capacity
	out := transmit(t, c, in)
	cmd, err := iso7816.ParseCommand(in)
	r, _ := iso7816.ParseResponse(out)
	if err == nil && len(r.Data) > cmd.Ne || r.SW.SW1() < 0x61 || r.SW.SW1() > 0x6F && r.SW != iso7816.SWOK {
		t.Fatalf("% X: answer % X", in, out)
	}
	for _, ref := range []byte{adminPIN, userPIN} {
		was, is := before[ref], look(ref)
		verify := cmd.CLA == 0x00 && cmd.INS == 0x20 && cmd.P2 == ref && was.file != nil
		right := verify && bytes.Equal(cmd.Data, was.value) && r.SW == iso7816.SWOK
		if is.isLoggedIn && !was.isLoggedIn && (!right || was.left == 0) {
			t.Fatalf("% X logs %d in", in, ref)
		}
		if is.file == nil || was.file == nil || is.file != was.file {
			continue // erased, deleted or new: only between INIT and INIT END
		}
		set := cmd.CLA == 0x00 && (cmd.INS == 0x24 || cmd.INS == 0x2C) && cmd.P2 == ref && r.SW == iso7816.SWOK
		switch {
		case is.left > was.left && !right && !set:
			t.Fatalf("% X: tries of %d rise from %d to %d", in, ref, was.left, is.left)
		case is.left < was.left && (!verify || is.left != was.left-1):
			t.Fatalf("% X: tries of %d fall from %d to %d", in, ref, was.left, is.left)
		case verify && len(cmd.Data) > 0 && r.SW == iso7816.SWVerifyFailed && is.left != was.left-1:
			t.Fatalf("% X: a miss was free", in)
		case !bytes.Equal(is.value, was.value) && !set:
			t.Fatalf("% X changes PIN %d", in, ref)
		}
	}
	switch {
	case c.capacity != capacity:
		t.Fatalf("% X: the memory is %d bytes now", in, c.capacity)
	case c.mf.used() > c.capacity:
		t.Fatalf("% X: %d of %d bytes used", in, c.mf.used(), c.capacity)
	case len(c.chain.data) > 5*maxRSAHalf+8 || len(c.rest) > iso7816.MaxExtendedNe:
		t.Fatalf("% X: %d bytes collected, %d held", in, len(c.chain.data), len(c.rest))
	case len(c.chain.data) > 0 && !c.chain.open:
		t.Fatalf("% X: bytes of a chain that ended are kept", in)
	}
}

// A session is read from the input: a byte below 80 is the length of an APDU that
// follows, others stand for one of the phrases. It ends with a state that can be
// stored and read.
func FuzzSession(f *testing.F) {
	known := phrases(f)
	for i := range known {
		f.Add(byte(i), []byte{0x80 | byte(i), 0x81, 0x05, 0x00, 0xB0, 0x00, 0x00, 0x10})
	}
	var whole []byte
	for i := range min(len(known), 0x80) {
		whole = append(whole, 0x80|byte(i))
	}
	f.Add(byte(0), whole)
	f.Add(byte(2), whole)
	states := []Option{func(*settings) {}, WithVendorFormat(), WithWiped(), WithHalfInitialised(), WithFreeMemory(600)}
	keys := keySource1024(f)
	f.Fuzz(func(t *testing.T, start byte, in []byte) {
		c := New(states[int(start)%len(states)], keys)
		for n := 0; len(in) > 0 && n < 500; n++ {
			b := in[0]
			in = in[1:]
			if b < 0x80 {
				apdu := in[:min(int(b), len(in))]
				in = in[len(apdu):]
				watched(t, c, apdu)
				continue
			}
			// What the other bits say with the place in the input, so that all of
			// more than 128 phrases can be said.
			watched(t, c, known[(int(b&0x7F)+int(start)/len(states)*64)%len(known)])
		}
		b := c.appendState(nil)
		again, err := parseState(b)
		if err != nil {
			t.Fatalf("the state cannot be read: %v", err)
		}
		if !bytes.Equal(again.appendState(nil), b) {
			t.Fatal("the state is read as another")
		}
	})
}

// Long sessions of phrases in random order, and of phrases with a byte changed.
func TestRandomSessions(t *testing.T) {
	known := phrases(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, opt := range []Option{keySource1024(t), WithWiped(), WithHalfInitialised(), WithFreeMemory(600)} {
		c := New(opt, keySource1024(t))
		for range 3000 {
			in := known[random.IntN(len(known))]
			if random.IntN(3) == 0 {
				in = bytes.Clone(in)
				in[random.IntN(len(in))] = byte(random.Uint32())
			}
			watched(t, c, in)
			if random.IntN(300) == 0 {
				c.Reset(false)
			}
		}
		b := c.appendState(nil)
		if _, err := parseState(b); err != nil {
			t.Errorf("the state cannot be read: %v", err)
		}
	}
}

// PIN counters over a random session with power-off: a second card that is read
// from the state after each command has the same ones.
func TestCountersOverPowerOff(t *testing.T) {
	c := New(WithPIN(1, []byte("87654321"), 3), WithPIN(2, []byte("12345678"), 5))
	random := rand.New(rand.NewPCG(3, 4))
	commands := []string{verifyUser, verifyAdmin, logout, "00 20 00 01 01 30", "00 20 00 02 01 30", "00 2C 03 02"}
	for range 300 {
		watched(t, c, unhex(t, commands[random.IntN(len(commands))]))
		token, err := parseState(c.appendState(nil))
		if err != nil {
			t.Fatal(err)
		}
		again := New()
		again.token = token
		again.Reset(true)
		for _, ref := range []byte{adminPIN, userPIN} {
			if got, want := again.pin(ref).triesLeft(), c.pin(ref).triesLeft(); got != want {
				t.Fatalf("PIN %d has %d tries after power-off, %d before", ref, got, want)
			}
		}
		if again.logins != 0 {
			t.Fatal("a login survived")
		}
		if random.IntN(4) == 0 {
			c = again
		}
	}
}
