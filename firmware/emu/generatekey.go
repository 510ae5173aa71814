package emu

import (
	"slices"

	"kaztoken/internal/iso7816"
)

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
