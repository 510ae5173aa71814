package emu

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"kaztoken/internal/iso7816"
)

func number(t testing.TB, hex string) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		t.Fatalf("%s is no number", hex)
	}
	return n
}

// The parameters of RFC 4357 §11.4: what they must be to be these curves, p of two
// of them written another way.
func TestGOSTParameters(t *testing.T) {
	two := big.NewInt(2)
	power := func(n int64, minus string) *big.Int {
		p := new(big.Int).Exp(two, big.NewInt(n), nil)
		return p.Sub(p, number(t, minus))
	}
	for _, tt := range []struct {
		p1 byte
		p  *big.Int
	}{
		{0x20, power(256, "269")},  // 2^256 - 617
		{0x30, power(255, "-C99")}, // 2^255 + 3225
		{0x40, number(t, "9B9F605F5A858107AB1EC85E6B41C8AACF846E86789051D37998F7B9022D759B")},
	} {
		t.Run(fmt.Sprintf("%02X", tt.p1), func(t *testing.T) {
			c := gostCurve(tt.p1)
			if c.p.Cmp(tt.p) != 0 {
				t.Errorf("p is %x", c.p)
			}
			if a := new(big.Int).Add(c.a, big.NewInt(3)); a.Cmp(c.p) != 0 {
				t.Errorf("a is %x", c.a)
			}
			if !c.p.ProbablyPrime(20) || !c.q.ProbablyPrime(20) {
				t.Error("p or q is not prime")
			}
			if !c.holds(c.base()) {
				t.Error("the base point is not on the curve")
			}
			if end := c.times(c.q, c.base()); end.x != nil {
				t.Errorf("q times the base point is %x", end.x)
			}
			// Hasse: a curve has about p points, so that the order of the base
			// point is that of the curve.
			gap := new(big.Int).Sub(new(big.Int).Add(c.p, one), c.q)
			if gap.Mul(gap, gap).Cmp(new(big.Int).Lsh(c.p, 2)) > 0 {
				t.Error("q is not the order of the curve")
			}
		})
	}
	for _, p1 := range []byte{0x00, 0x10, 0x21, 0x50, 0xFF} {
		if gostCurve(p1) != nil {
			t.Errorf("there is a set %02X", p1)
		}
	}
}

// The example of RFC 5832 §7, with its own parameters.
func TestGOSTExample(t *testing.T) {
	c := newCurve(
		"8000000000000000000000000000000000000000000000000000000000000431",
		"7",
		"5FBFF498AA938CE739B8E022FBAFEF40563F6E6A3472FC2A514C0CE9DAE23B7E",
		"8000000000000000000000000000000150FE8A1892976154C59CFC193ACCF5B3",
		"2",
		"8E2A8A0E65147D4BD6316030E16D19C85C97F0A9CA267122B96ABBCEA7E8FC8")
	d := number(t, "7A929ADE789BB9BE10ED359DD39A72C11B60961F49397EEE1D19CE9891EC3B28")
	e := number(t, "2DFBC1B372D89A1188C09C52E0EEC61FCE52032AB1022E8E67ECE6672B043EE5")
	k := number(t, "77105C9B20BCD3122823C8CF6FCC7B956DE33814E95B7FE64FED924594DCEAB3")
	public := c.times(d, c.base())
	if public.x.Cmp(number(t, "7F2B49E270DB6D90D8595BEC458B50C58585BA1D4E9B788F6689DBD8E56FD80B")) != 0 ||
		public.y.Cmp(number(t, "26F1B489D6701DD185C8413A977B3CBBAF64D1C593D26627DFFB101A87FF77DA")) != 0 {
		t.Errorf("public key %x, %x", public.x, public.y)
	}
	r, s := c.signWith(k, d, e)
	if r.Cmp(number(t, "41AA28D2F1AB148280CD9ED56FEDA41974053554A42767B83AD043FD39DC0493")) != 0 ||
		s.Cmp(number(t, "1456C64BA4642A1653C235A98A60249BCD6D3F746B631DF928014F6C5BF9C40")) != 0 {
		t.Errorf("signature %x, %x", r, s)
	}
	if !verifies(c, public, e, r, s) {
		t.Error("the example's signature does not verify")
	}
	if verifies(c, public, new(big.Int).Add(e, one), r, s) {
		t.Error("a signature of another hash verifies")
	}
}

// verifies is the check of RFC 5832 §6.2.
func verifies(c *curve, public point, e, r, s *big.Int) bool {
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(c.q) >= 0 || s.Cmp(c.q) >= 0 {
		return false
	}
	v := new(big.Int).ModInverse(e, c.q)
	z1 := new(big.Int).Mul(s, v)
	z2 := new(big.Int).Mul(new(big.Int).Sub(c.q, r), v)
	sum := c.add(c.times(z1.Mod(z1, c.q), c.base()), c.times(z2.Mod(z2, c.q), public))
	return sum.x != nil && new(big.Int).Mod(sum.x, c.q).Cmp(r) == 0
}

func bigEndian(b []byte) *big.Int {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func TestGOSTKeys(t *testing.T) {
	for i, p1 := range []string{"20", "30", "40"} {
		t.Run(p1, func(t *testing.T) {
			curve := []*curve{gostA, gostB, gostC}[i]
			c := New()
			play(t, c,
				verifyUser, done,
				createRSF("00 20", "00 05", "03 "+p1+" 00 AA 00 00", privateRules), done,
				createRSF("00 40", "00 05", "13 "+p1+" 00 AA 00 00", publicRules), done)
			xy, sw := exchange(t, c, unhex(t, "00 46 80 05 00"))
			if sw != iso7816.SWOK || len(xy) != 64 {
				t.Fatalf("GENERATE KEY: %d bytes, %v", len(xy), sw)
			}
			public := point{bigEndian(xy[:32]), bigEndian(xy[32:])}
			if !curve.holds(public) {
				t.Fatal("the public key is not on the curve")
			}
			hash := bytes.Repeat([]byte{0xC3, 0x5A}, 16)
			play(t, c, "00 22 41 B6 03 84 01 05", done)
			sign := append(append([]byte{0x00, 0x2A, 0x9E, 0x9A, 0x20}, hash...), 0)
			signature, sw := exchange(t, c, sign)
			if sw != iso7816.SWOK || len(signature) != 64 {
				t.Fatalf("PSO: %d bytes, %v", len(signature), sw)
			}
			e := new(big.Int).Mod(bigEndian(hash), curve.q)
			if !verifies(curve, public, e, bigEndian(signature[:32]), bigEndian(signature[32:])) {
				t.Error("the signature does not verify")
			}
			play(t, c,
				"00 22 41 B8 03 84 01 05", done,
				"00 2A 80 86 20"+zeros(32)+" 00", "69 81", // GOST keys do not decipher
				"00 2A 9E 9A 1F"+zeros(31)+" 00", "67 00",
				"00 2A 9E 9A 21"+zeros(33)+" 00", "67 00",
				"00 46 80 05 08 A6 06 94 04 01 00 01 00 00", "6A 80")
		})
	}
}

func TestGOSTLoad(t *testing.T) {
	d := unhex(t, "05"+zeros(31))
	xy := gostA.public(d)
	load := func(body []byte) string {
		return fmt.Sprintf("00 24 01 00 %02X 80 02 00 %02X A5 %02X %s", 6+len(body), len(body), len(body), spaced(body))
	}
	private := "00 A4 08 0C 08 10 00 10 00 60 02 00 05"
	public := "00 A4 08 0C 08 10 00 10 00 60 01 00 05"
	files := []string{
		verifyUser, done,
		createRSF("00 20", "00 05", "03 20 00 AA 00 00", privateRules), done,
		createRSF("00 40", "00 05", "13 20 00 AA 00 00", publicRules), done,
	}
	with := func(more ...string) []string { return append(slices.Clone(files), more...) }
	playAll(t, []sessionTest{
		{"both halves", nil, with(private, done, load(d), done, public, done, load(xy), done)},
		{"d = 0", nil, with(private, done, load(make([]byte, 32)), "6A 80")},
		{"d = q", nil, with(private, done, load(reversed(gostA.q, 32)), "6A 80")},
		{"not on the curve", nil, with(public, done, load(append(bytes.Clone(xy[:63]), xy[63]^1)), "6A 80")},
		{"coordinate not below p", nil, with(public, done, load(bytes.Repeat([]byte{0xFF}, 64)), "6A 80")},
		{"public half of another key", nil, with(private, done, load(d), done,
			public, done, load(gostA.public(unhex(t, "06"+zeros(31)))), "6A 80")},
		{"private half of another key", nil, with(public, done, load(xy), done,
			private, done, load(unhex(t, "06"+zeros(31))), "6A 80")},
	})
}

// broken is a source of random bytes that has none.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestWithoutRandom(t *testing.T) {
	playAll(t, []sessionTest{
		{"", []Option{WithRandom(broken{})}, []string{
			"00 84 00 00 08", "64 00",
			verifyUser, done,
			createRSF("00 20", "00 05", "03 20 00 AA 00 00", privateRules), done,
			"00 24 01 00 26 80 02 00 20 A5 20 05" + zeros(31), done,
			"00 2A 9E 9A 20" + zeros(32) + " 00", "64 00",
			createRSF("00 40", "00 05", "13 20 00 AA 00 00", publicRules), done,
			"00 46 80 05 00", "64 00",
		}},
	})
}

// A hash that is a multiple of q counts as 1 (RFC 5832 §6.1, step 2).
func TestGOSTHashOfZero(t *testing.T) {
	d, k := big.NewInt(5), big.NewInt(7)
	r0, s0 := gostA.signWith(k, d, new(big.Int))
	r1, s1 := gostA.signWith(k, d, one)
	if r0.Cmp(r1) != 0 || s0.Cmp(s1) != 0 {
		t.Errorf("%x, %x and %x, %x differ", r0, s0, r1, s1)
	}
}
