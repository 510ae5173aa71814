package emu

import (
	"crypto/subtle"

	"kaztoken/internal/iso7816"
)

// References of the two global PINs.
const (
	adminPIN = 1
	userPIN  = 2
)

// swAlreadyVerified is the family's answer to a VERIFY of a PIN that is verified;
// OpenSC's driver then resets the access rights and repeats.
const swAlreadyVerified iso7816.SW = 0x6F86

// pin is a PIN with its tries counter.
type pin struct {
	ref       byte
	value     []byte
	max, left int
}

// login is the bit of the reference in logins and in access conditions.
func (p *pin) login() byte { return p.ref }

func (c *Card) setPIN(ref byte, value []byte, tries int) {
	p := c.pin(ref)
	if p == nil {
		p = &pin{ref: ref}
		c.pins = append(c.pins, p)
	}
	p.value = append(p.value[:0], value...)
	p.max, p.left = tries, tries
}

func (c *Card) pin(ref byte) *pin {
	for _, p := range c.pins {
		if p.ref == ref {
			return p
		}
	}
	return nil
}

// verify is VERIFY, 00 20 00 ref (ISO 7816-4:2013 §11.6.6). Without data it is a
// query that costs nothing: 9000 if verified, 6983 if blocked, else 63Cx. With
// data the counter goes down before the comparison, so that pulling the token
// between the two gains nobody a try; the comparison takes constant time. A miss
// is 6300, also the last one.
func (c *Card) verify(cmd iso7816.Command) iso7816.SW {
	if cmd.P1 != 0 {
		return iso7816.SWWrongP1P2
	}
	p := c.pin(cmd.P2)
	if p == nil {
		return iso7816.SWReferenceNotFound
	}
	verified := c.logins&p.login() != 0
	if len(cmd.Data) == 0 {
		switch {
		case verified:
			return iso7816.SWOK
		case p.left == 0:
			return iso7816.SWBlocked
		}
		return 0x63C0 | iso7816.SW(p.left)
	}
	switch {
	case cmd.Ne != 0:
		return iso7816.SWWrongLength
	case verified:
		return swAlreadyVerified
	case p.left == 0:
		return iso7816.SWBlocked
	}
	p.left--
	if subtle.ConstantTimeCompare(p.value, cmd.Data) != 1 {
		return iso7816.SWVerifyFailed
	}
	p.left = p.max
	c.logins |= p.login()
	return iso7816.SWOK
}

// resetAccessRights is the family's logout, 80 40 00 00: it drops all logins.
func (c *Card) resetAccessRights(cmd iso7816.Command) iso7816.SW {
	if cmd.P1 != 0 || cmd.P2 != 0 {
		return iso7816.SWWrongP1P2
	}
	if len(cmd.Data) != 0 {
		return iso7816.SWWrongLength
	}
	c.logins = 0
	return iso7816.SWOK
}
