package emu

import (
	"crypto/subtle"

	"kaztoken/internal/iso7816"
)

// References of the two global PINs: file identifiers, and bits of logins and of
// access conditions.
const (
	adminPIN = 1
	userPIN  = 2
)

// maxPIN is the greatest length of a PIN, bytes; 249 on an ECP 3.0.
const maxPIN = 32

// swAlreadyVerified is the family's answer to a VERIFY of a PIN that is verified;
// OpenSC's driver then resets the access rights and repeats.
const swAlreadyVerified iso7816.SW = 0x6F86

// pin is the RSF of a PIN by its reference, or nil.
// Assumed: a PIN that was created and never set does not exist.
func (c *Card) pin(ref byte) *file {
	f := c.pinFile(ref)
	if f == nil || f.body == nil {
		return nil
	}
	return f
}

// pinFile is the RSF of a PIN, set or not, or nil.
func (c *Card) pinFile(ref byte) *file {
	f := c.mf.below(pinHome...)
	if f == nil {
		return nil
	}
	if f = f.child(uint16(ref)); f == nil || !f.isPIN() {
		return nil
	}
	return f
}

// Tries of a PIN: the high nibble of byte 3 of tag 85 is the highest number, the
// low one what is left.
// Assumed: it is the documented order of the Rutoken S.
func (f *file) triesLeft() int { return int(f.props[3] & 0xF) }

func (f *file) restoreTries() { f.props[3] = f.props[3] >> 4 * 0x11 }

// verify is VERIFY, 00 20 00 ref (ISO 7816-4:2013 §11.6.6). Without data it is a
// query that costs nothing: 9000 if verified, 6983 if blocked, else 63Cx. With
// data the counter goes down and is stored before the comparison, so that pulling
// the token between the two gains nobody a try; the comparison takes constant
// time. A miss is 6300, also the last one.
func (c *Card) verify(cmd iso7816.Command) iso7816.SW {
	if cmd.P1 != 0 {
		return iso7816.SWWrongP1P2
	}
	p := c.pin(cmd.P2)
	if p == nil {
		return iso7816.SWReferenceNotFound
	}
	login := cmd.P2
	if len(cmd.Data) == 0 {
		switch {
		case c.logins&login != 0:
			return iso7816.SWOK
		case p.triesLeft() == 0:
			return iso7816.SWBlocked
		}
		return triesAnswer(p)
	}
	switch {
	case cmd.Ne != 0 || len(cmd.Data) > maxPIN:
		return iso7816.SWWrongLength
	case c.logins&login != 0 || c.oneLogin && c.logins != 0:
		return swAlreadyVerified
	case p.triesLeft() == 0:
		return iso7816.SWBlocked
	}
	p.props[3]--
	if sw := c.commit(); sw != iso7816.SWOK {
		return sw
	}
	if !samePIN(p.body, cmd.Data) {
		if c.triesInAnswer {
			return triesAnswer(p)
		}
		return iso7816.SWVerifyFailed
	}
	p.restoreTries()
	if sw := c.commit(); sw != iso7816.SWOK {
		return sw
	}
	c.logins |= login
	return iso7816.SWOK
}

func triesAnswer(p *file) iso7816.SW { return 0x63C0 | iso7816.SW(p.triesLeft()) }

// samePIN compares in a time that depends on neither content nor length.
func samePIN(a, b []byte) bool {
	var x, y [1 + maxPIN]byte
	x[0], y[0] = byte(len(a)), byte(len(b))
	copy(x[1:], a)
	copy(y[1:], b)
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// resetRetryCounter is RESET RETRY COUNTER, 00 2C 03 ref: the counter goes back to
// its highest, the PIN stays.
func (c *Card) resetRetryCounter(cmd iso7816.Command) iso7816.SW {
	switch {
	case cmd.P1 != 0x03:
		return iso7816.SWWrongP1P2
	case len(cmd.Data) != 0:
		return iso7816.SWWrongLength
	}
	p := c.pin(cmd.P2)
	if p == nil {
		return iso7816.SWReferenceNotFound
	}
	if sw := c.allowed(p, ruleUnblock); sw != iso7816.SWOK {
		return sw
	}
	p.restoreTries()
	c.changed = true
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
