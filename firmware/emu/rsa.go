package emu

import (
	"crypto/rsa"
	"math/big"
)

// Modulus sizes, in bytes of one half (of a prime).
const (
	minRSAHalf  = 1024 / 16
	maxRSAHalf  = 4096 / 16
	rsaHalfStep = 128 / 16 // Assumed: OpenSC makes no other lengths
)

func validRSAHalf(half int) bool {
	return half >= minRSAHalf && half <= maxRSAHalf && half%rsaHalfStep == 0
}

// rsaPrivateHalf is the length of a prime in a private body of that size,
// 5·half + 8 bytes.
func rsaPrivateHalf(size int) (half int, ok bool) {
	half = (size - 8) / 5
	return half, size == 5*half+8 && validRSAHalf(half)
}

// rsaPublicHalf is the same for a public body, 3·half bytes.
func rsaPublicHalf(size int) (half int, ok bool) {
	half = size / 3
	return half, size == 3*half && validRSAHalf(half)
}

// rsaPrivate is a private key as the card keeps it: no modulus and no d. The
// public exponent e follows from the rest.
//
// math/big takes a time that depends on the numbers. The hardware must not; this
// is a simulator, and its keys are worth nothing to who can measure it.
type rsaPrivate struct {
	p, q, iqmp, dmp1, dmq1, e *big.Int
}

var one = big.NewInt(1)

// minus1 is p-1.
func minus1(p *big.Int) *big.Int { return new(big.Int).Sub(p, one) }

// inverse reports that a·b is 1 modulo m, and a and b are reduced.
func inverse(a, b, m *big.Int) bool {
	product := new(big.Int).Mul(a, b)
	return a.Cmp(m) < 0 && b.Cmp(m) < 0 && product.Mod(product, m).Cmp(one) == 0
}

// parseRSAPrivate reads a private body: p, four zeros, q, four zeros, iqmp, dmp1,
// dmq1. It checks that they are of one key, whose e is below both primes, but not
// that p and q are prime.
func parseRSAPrivate(body []byte) (rsaPrivate, bool) {
	half, ok := rsaPrivateHalf(len(body))
	if !ok {
		return rsaPrivate{}, false
	}
	take := func(n int) []byte {
		b := body[:n]
		body = body[n:]
		return b
	}
	var k rsaPrivate
	k.p = littleEndian(take(half))
	gap := [4]byte(take(4))
	k.q = littleEndian(take(half))
	gap2 := [4]byte(take(4))
	k.iqmp, k.dmp1, k.dmq1 = littleEndian(take(half)), littleEndian(take(half)), littleEndian(take(half))
	if gap != [4]byte{} || gap2 != [4]byte{} || k.p.Bit(0) == 0 || k.q.Bit(0) == 0 || k.n().BitLen() != 16*half {
		return rsaPrivate{}, false
	}
	k.e = new(big.Int).ModInverse(k.dmp1, minus1(k.p))
	q := new(big.Int).Mod(k.q, k.p)
	return k, k.e != nil && k.e.Cmp(one) > 0 && k.dmp1.Cmp(k.p) < 0 &&
		inverse(k.e, k.dmq1, minus1(k.q)) && inverse(q, k.iqmp, k.p)
}

func (k rsaPrivate) n() *big.Int { return new(big.Int).Mul(k.p, k.q) }

// prime reports that p and q are, by the Baillie-PSW test.
func (k rsaPrivate) prime() bool { return k.p.ProbablyPrime(0) && k.q.ProbablyPrime(0) }

// raw is x, below n, to the power of d modulo n, by the Chinese remainder theorem.
// A result that the public operation does not undo is not given out: from a faulty
// one the primes follow.
func (k rsaPrivate) raw(x *big.Int) (*big.Int, bool) {
	m1 := new(big.Int).Exp(x, k.dmp1, k.p)
	m2 := new(big.Int).Exp(x, k.dmq1, k.q)
	h := new(big.Int).Sub(m1, m2)
	h.Mul(h, k.iqmp).Mod(h, k.p)
	m := h.Mul(h, k.q)
	m.Add(m, m2)
	return m, new(big.Int).Exp(m, k.e, k.n()).Cmp(x) == 0
}

// belongsTo reports whether a valid public body is the other half of the key.
func (k rsaPrivate) belongsTo(public []byte) bool {
	return rsaModulus(public).Cmp(k.n()) == 0 && rsaExponent(public).Cmp(k.e) == 0
}

// rsaModulus and rsaExponent read a public body: n, then e.
func rsaModulus(body []byte) *big.Int  { return littleEndian(body[:len(body)/3*2]) }
func rsaExponent(body []byte) *big.Int { return littleEndian(body[len(body)/3*2:]) }

// validRSAPublic reports whether body is a public key: n of the full length, odd,
// and e odd and not 1.
func validRSAPublic(body []byte) bool {
	half, ok := rsaPublicHalf(len(body))
	if !ok {
		return false
	}
	n, e := rsaModulus(body), rsaExponent(body)
	return n.BitLen() == 16*half && n.Bit(0) == 1 && e.Bit(0) == 1 && e.Cmp(one) > 0
}

// rsaBodies makes the two bodies of a generated key; false if it is not one of
// that length with two primes.
func rsaBodies(k *rsa.PrivateKey, half int) (private, public []byte, ok bool) {
	if len(k.Primes) != 2 || k.N.BitLen() != 16*half || k.Primes[0].BitLen() != 8*half || k.Primes[1].BitLen() != 8*half {
		return nil, nil, false
	}
	p, q := k.Primes[0], k.Primes[1]
	mod := func(p *big.Int) *big.Int { return new(big.Int).Mod(k.D, minus1(p)) }
	private = appendLittleEndian(make([]byte, 0, 5*half+8), p, half)
	private = append(private, 0, 0, 0, 0)
	private = appendLittleEndian(private, q, half)
	private = append(private, 0, 0, 0, 0)
	iqmp := new(big.Int).ModInverse(q, p)
	if iqmp == nil {
		return nil, nil, false
	}
	private = appendLittleEndian(private, iqmp, half)
	private = appendLittleEndian(private, mod(p), half)
	private = appendLittleEndian(private, mod(q), half)
	public = appendLittleEndian(make([]byte, 0, 3*half), k.N, 2*half)
	public = appendLittleEndian(public, big.NewInt(int64(k.E)), half)
	parsed, ok := parseRSAPrivate(private)
	return private, public, ok && validRSAPublic(public) && parsed.belongsTo(public)
}
