package emu

import (
	"encoding/binary"
	"math/big"
	"slices"

	"kaztoken/internal/iso7816"
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

// exponentTLV is the data that newer OpenSC sends with GENERATE KEY: the public
// exponent 65537.
var exponentTLV = [...]byte{0xA6, 0x06, 0x94, 0x04, 0x01, 0x00, 0x01, 0x00}

// generateKey is GENERATE KEY, 00 46 80 kk: it fills the private and the public
// RSF 00kk, which must both exist, and answers with the public half: the modulus
// for RSA, x and y for GOST.
//
// Assumed: another exponent than 65537 is refused, and a pair that has a key gets
// a new one.
func (c *Card) generateKey(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if cmd.P1 != 0x80 {
		return dst, iso7816.SWWrongP1P2
	}
	private := c.key(cmd.P2)
	if private == nil {
		return dst, iso7816.SWReferenceNotFound
	}
	public := c.twin(private)
	if public == nil {
		return dst, iso7816.SWReferenceNotFound
	}
	for _, f := range []*file{private, public} {
		if sw := c.allowed(f, ruleLoad); sw != iso7816.SWOK {
			return dst, sw
		}
	}
	isRSA := private.is(typeRSAPrivate)
	if len(cmd.Data) > 0 && (!isRSA || !slices.Equal(cmd.Data, exponentTLV[:])) {
		return dst, iso7816.SWWrongData
	}
	if !isRSA {
		curve := gostCurve(private.props[1])
		d, err := curve.random(c.random)
		if err != nil {
			return dst, iso7816.SWExecution
		}
		private.setBody(appendLittleEndian(nil, d, gostLen))
		public.setBody(curve.public(private.body))
		c.changed = true
		return append(dst, public.body...), iso7816.SWOK
	}
	half, _ := rsaPrivateHalf(int(private.size))
	if other, _ := rsaPublicHalf(int(public.size)); other != half {
		return dst, iso7816.SWConditions
	}
	k, err := c.keySource(16 * half)
	if err != nil {
		return dst, iso7816.SWExecution
	}
	privateBody, publicBody, ok := rsaBodies(k, half)
	if !ok {
		return dst, iso7816.SWExecution
	}
	private.setBody(privateBody)
	public.setBody(publicBody)
	c.changed = true
	return append(dst, public.body[:2*half]...), iso7816.SWOK
}

// P1 P2 of PSO and MSE.
const (
	psoSign     = 0x9E9A
	psoDecipher = 0x8086
	mseSign     = 0x41B6
	mseDecipher = 0x41B8
)

// manageSecurityEnvironment is MSE SET, 00 22 41 B6 and B8: 84 01 kk names the
// private key for signing and for deciphering.
func (c *Card) manageSecurityEnvironment(cmd iso7816.Command) iso7816.SW {
	p1p2 := binary.BigEndian.Uint16([]byte{cmd.P1, cmd.P2})
	switch {
	case p1p2 != mseSign && p1p2 != mseDecipher:
		return iso7816.SWWrongP1P2
	case len(cmd.Data) != 3 || cmd.Data[0] != 0x84 || cmd.Data[1] != 1:
		return iso7816.SWWrongData
	}
	kk := cmd.Data[2]
	switch {
	case c.key(kk) == nil:
		return iso7816.SWReferenceNotFound
	case p1p2 == mseSign:
		c.signKey = kk
	default:
		c.decipherKey = kk
	}
	return iso7816.SWOK
}

// performSecurityOperation is PSO, 00 2A, chained: 9E 9A signs, 80 86 deciphers,
// with the key of MSE or the selected one. RSA is raw both ways, the whole block
// in and out; GOST signs a hash of 32 bytes and answers r, then s.
func (c *Card) performSecurityOperation(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if !c.chain.open {
		f, sw := c.operationKey(binary.BigEndian.Uint16([]byte{cmd.P1, cmd.P2}))
		if sw != iso7816.SWOK {
			return dst, sw
		}
		n := gostLen
		if half, ok := rsaPrivateHalf(int(f.size)); ok && f.is(typeRSAPrivate) {
			n = 2 * half
		}
		c.chain.begin(cmd, f, n)
	}
	if !c.chain.add(cmd.Data) {
		return dst, iso7816.SWWrongLength
	}
	if cmd.CLA == 0x10 {
		c.chain.open = true
		return dst, iso7816.SWOK
	}
	if !c.chain.full() {
		return dst, iso7816.SWWrongLength
	}
	f := c.chain.target
	if f.is(typeGOSTPrivate) {
		signature, err := gostCurve(f.props[1]).sign(c.random, f.body, c.chain.data)
		if err != nil {
			return dst, iso7816.SWExecution
		}
		return append(dst, signature...), iso7816.SWOK
	}
	k, ok := parseRSAPrivate(f.body)
	if !ok {
		return dst, iso7816.SWExecution
	}
	in := littleEndian(c.chain.data)
	if in.Cmp(k.n()) >= 0 {
		return dst, iso7816.SWWrongData
	}
	out, ok := k.raw(in)
	if !ok {
		return dst, iso7816.SWExecution
	}
	return appendLittleEndian(dst, out, c.chain.limit), iso7816.SWOK
}

// operationKey is the key that a PSO works with, if the logins allow its use and
// it has a body.
func (c *Card) operationKey(p1p2 uint16) (*file, iso7816.SW) {
	kk := c.signKey
	switch p1p2 {
	case psoSign:
	case psoDecipher:
		kk = c.decipherKey
	default:
		return nil, iso7816.SWWrongP1P2
	}
	f := c.current
	if kk != 0 {
		f = c.key(kk)
	}
	if f == nil || f.kind != kindRSF {
		return nil, iso7816.SWConditions // neither MSE nor a selected key
	}
	if !f.isPrivate() || p1p2 == psoDecipher && !f.is(typeRSAPrivate) {
		return nil, iso7816.SWWrongFileKind
	}
	if sw := c.allowed(f, ruleUse); sw != iso7816.SWOK {
		return nil, sw
	}
	if f.body == nil {
		return nil, iso7816.SWConditions
	}
	return f, iso7816.SWOK
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
