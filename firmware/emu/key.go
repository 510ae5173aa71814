package emu

import (
	"math/big"
	"slices"
)

// All numbers of keys, of PSO and of GENERATE KEY are little-endian on this card.

// littleEndian reads a number.
func littleEndian(b []byte) *big.Int {
	be := slices.Clone(b)
	slices.Reverse(be)
	return new(big.Int).SetBytes(be)
}

// appendLittleEndian appends x in n bytes, which must suffice.
func appendLittleEndian(dst []byte, x *big.Int, n int) []byte {
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	x.FillBytes(dst[start:])
	slices.Reverse(dst[start:])
	return dst
}

// key is the private key RSF 00kk, or nil.
func (c *Card) key(kk byte) *file {
	f := c.mf.below(privateHome...)
	if f == nil || kk == 0 {
		return nil
	}
	if f = f.child(uint16(kk)); f == nil || !f.isPrivate() {
		return nil
	}
	return f
}

// twin is the other half of the key pair of f: the same id in the other home, of
// the same algorithm, or nil.
func (c *Card) twin(f *file) *file {
	var other rsfType
	switch rsfType(f.props[0]) {
	case typeRSAPrivate:
		other = typeRSAPublic
	case typeRSAPublic:
		other = typeRSAPrivate
	case typeGOSTPrivate:
		other = typeGOSTPublic
	case typeGOSTPublic:
		other = typeGOSTPrivate
	}
	home := c.mf.below(homeOf(other)...)
	if home == nil {
		return nil
	}
	if t := home.child(f.id); t != nil && t.is(other) && t.props[1] == f.props[1] {
		return t
	}
	return nil
}

// validKey reports whether body is a key that fits f and, if the other half of
// the pair is loaded, belongs to it.
// Assumed: nobody has published what the hardware checks.
func (c *Card) validKey(f *file, body []byte) bool {
	var twin []byte
	if t := c.twin(f); t != nil {
		twin = t.body
	}
	switch rsfType(f.props[0]) {
	case typeRSAPrivate:
		k, ok := parseRSAPrivate(body)
		return ok && k.prime() && (twin == nil || k.belongsTo(twin))
	case typeRSAPublic:
		if !validRSAPublic(body) {
			return false
		}
		k, ok := parseRSAPrivate(twin)
		return !ok || k.belongsTo(body)
	case typeGOSTPrivate:
		curve := gostCurve(f.props[1])
		return curve.validPrivate(body) && (twin == nil || slices.Equal(twin, curve.public(body)))
	case typeGOSTPublic:
		curve := gostCurve(f.props[1])
		return curve.validPublic(body) && (twin == nil || slices.Equal(body, curve.public(twin)))
	}
	return false
}

// plausible reports whether the body of a key that was kept is one: the checks of
// validKey that cost little.
func (f *file) plausible() bool {
	switch rsfType(f.props[0]) {
	case typeRSAPrivate:
		_, ok := parseRSAPrivate(f.body)
		return ok
	case typeRSAPublic:
		return validRSAPublic(f.body)
	case typeGOSTPrivate:
		return gostCurve(f.props[1]).validPrivate(f.body)
	case typeGOSTPublic:
		return gostCurve(f.props[1]).validPublic(f.body)
	}
	return false
}
