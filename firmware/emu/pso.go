package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

// P1 P2 of PSO.
const (
	psoSign     = 0x9E9A
	psoDecipher = 0x8086
)

// performSecurityOperation is PSO, 00 2A, chained: 9E 9A signs, 80 86 deciphers,
// with the key of MSE or the selected one. RSA is raw both ways, the whole block
// in and out; GOST signs a hash of 32 bytes and answers r, then s.
//
// Assumed: of GOST signatures only that bytes are reversed as a whole is known. So
// turned round, the answer is s and r, big-endian, as in RFC 4491.
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
