package emu

import (
	"crypto/rand"
	"io"
	"math/big"
)

// gostLen is the length of a number of GOST R 34.10-2001, bytes.
const gostLen = 32

// curve is a set of parameters of GOST R 34.10-2001: y² = x³ + ax + b modulo p,
// and a point (x, y) of the prime order q. RFC 5832 describes the algorithm.
type curve struct {
	p, a, b, q, x, y *big.Int
}

// The three sets of CryptoPro, RFC 4357 §11.4.
var (
	gostA = newCurve(
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFD97",
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFD94",
		"A6",
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF6C611070995AD10045841B09B761B893",
		"1",
		"8D91E471E0989CDA27DF505A453F2B7635294F2DDF23E3B122ACC99C9E9F1E14")
	gostB = newCurve(
		"8000000000000000000000000000000000000000000000000000000000000C99",
		"8000000000000000000000000000000000000000000000000000000000000C96",
		"3E1AF419A269A5F866A7D3C25C3DF80AE979259373FF2B182F49D4CE7E1BBC8B",
		"800000000000000000000000000000015F700CFFF1A624E5E497161BCC8A198F",
		"1",
		"3FA8124359F96680B83D1C3EB2C070E5C545C9858D03ECFB744BF8D717717EFC")
	gostC = newCurve(
		"9B9F605F5A858107AB1EC85E6B41C8AACF846E86789051D37998F7B9022D759B",
		"9B9F605F5A858107AB1EC85E6B41C8AACF846E86789051D37998F7B9022D7598",
		"805A",
		"9B9F605F5A858107AB1EC85E6B41C8AA582CA3511EDDFB74F02F3A6598980BB9",
		"0",
		"41ECE55743711A8C3CBF3783CD08C0EE4D4DC440D4641A8F366E550DFDB3BB67")
)

func newCurve(p, a, b, q, x, y string) *curve {
	hex := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 16)
		if !ok {
			panic("emu: " + s + " is no number")
		}
		return n
	}
	return &curve{hex(p), hex(a), hex(b), hex(q), hex(x), hex(y)}
}

// gostCurve is the parameter set of byte 1 of tag 85, or nil.
func gostCurve(p1 byte) *curve {
	switch p1 {
	case 0x20:
		return gostA
	case 0x30:
		return gostB
	case 0x40:
		return gostC
	}
	return nil
}

// point is a point of a curve in affine coordinates; x nil is the one at infinity.
type point struct{ x, y *big.Int }

// holds reports whether a point other than that at infinity is on the curve.
func (c *curve) holds(pt point) bool {
	if pt.x.Cmp(c.p) >= 0 || pt.y.Cmp(c.p) >= 0 {
		return false
	}
	left := new(big.Int).Mul(pt.y, pt.y)
	right := new(big.Int).Mul(pt.x, pt.x)
	right.Add(right, c.a).Mul(right, pt.x).Add(right, c.b)
	return left.Sub(left, right).Mod(left, c.p).Sign() == 0
}

func (c *curve) add(s, t point) point {
	switch {
	case s.x == nil:
		return t
	case t.x == nil:
		return s
	}
	var slope, divisor big.Int
	if s.x.Cmp(t.x) != 0 {
		slope.Sub(t.y, s.y)
		divisor.Sub(t.x, s.x)
	} else {
		if s.y.Cmp(t.y) != 0 || s.y.Sign() == 0 {
			return point{}
		}
		slope.Mul(s.x, s.x)
		slope.Mul(&slope, big.NewInt(3)).Add(&slope, c.a)
		divisor.Lsh(s.y, 1)
	}
	divisor.Mod(&divisor, c.p).ModInverse(&divisor, c.p)
	slope.Mul(&slope, &divisor).Mod(&slope, c.p)
	x := new(big.Int).Mul(&slope, &slope)
	x.Sub(x, s.x).Sub(x, t.x).Mod(x, c.p)
	y := new(big.Int).Sub(s.x, x)
	y.Mul(y, &slope).Sub(y, s.y).Mod(y, c.p)
	return point{x, y}
}

// times is k·pt, for k not negative. Its time depends on k: see [rsaPrivate].
func (c *curve) times(k *big.Int, pt point) point {
	var sum point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = c.add(sum, sum)
		if k.Bit(i) == 1 {
			sum = c.add(sum, pt)
		}
	}
	return sum
}

func (c *curve) base() point { return point{c.x, c.y} }

// random is a number from 1 to q-1.
func (c *curve) random(source io.Reader) (*big.Int, error) {
	k, err := rand.Int(source, new(big.Int).Sub(c.q, one))
	if err != nil {
		return nil, err
	}
	return k.Add(k, one), nil
}

// validPrivate reports whether body, d in 32 bytes, is a private key.
func (c *curve) validPrivate(body []byte) bool {
	d := littleEndian(body)
	return len(body) == gostLen && d.Sign() > 0 && d.Cmp(c.q) < 0
}

// validPublic reports whether body, x and y, is a point of the curve.
func (c *curve) validPublic(body []byte) bool {
	return len(body) == 2*gostLen && c.holds(point{littleEndian(body[:gostLen]), littleEndian(body[gostLen:])})
}

// public makes the public body of a valid private one.
func (c *curve) public(private []byte) []byte {
	q := c.times(littleEndian(private), c.base())
	return appendLittleEndian(appendLittleEndian(nil, q.x, gostLen), q.y, gostLen)
}

// sign makes the signature of a hash with a private body: r, then s, 64 bytes.
// The hash is a number like any other of this card, little-endian.
func (c *curve) sign(source io.Reader, private, hash []byte) ([]byte, error) {
	for {
		k, err := c.random(source)
		if err != nil {
			return nil, err
		}
		if r, s := c.signWith(k, littleEndian(private), littleEndian(hash)); s.Sign() != 0 {
			return appendLittleEndian(appendLittleEndian(nil, r, gostLen), s, gostLen), nil
		}
	}
}

// signWith is the signature of RFC 5832 §6.1 with a given k; s is 0 if this k
// cannot be used.
func (c *curve) signWith(k, d, hash *big.Int) (r, s *big.Int) {
	e := new(big.Int).Mod(hash, c.q)
	if e.Sign() == 0 {
		e.Set(one)
	}
	r = new(big.Int).Mod(c.times(k, c.base()).x, c.q)
	s = new(big.Int)
	if r.Sign() == 0 {
		return r, s
	}
	s.Mul(r, d)
	return r, s.Add(s, e.Mul(e, k)).Mod(s, c.q)
}
