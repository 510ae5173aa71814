package emu

import "kaztoken/internal/iso7816"

// readBinary is READ BINARY, 00 B0 (ISO 7816-4:2013 §11.3.3), at an offset of up
// to 7FFF in P1 P2. Le 00 asks for what there is; a larger explicit Le than that
// is answered with what there is and 6282.
func (c *Card) readBinary(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if len(cmd.Data) != 0 || cmd.Ne == 0 {
		return dst, iso7816.SWWrongLength
	}
	body, sw := c.at(cmd, ruleRead)
	if sw != iso7816.SWOK {
		return dst, sw
	}
	if cmd.Ne <= len(body) {
		return append(dst, body[:cmd.Ne]...), iso7816.SWOK
	}
	if cmd.Ne != iso7816.MaxShortNe || len(body) == 0 {
		sw = iso7816.SWEndOfFile
	}
	return append(dst, body...), sw
}

// updateBinary is UPDATE BINARY, 00 D6 (ISO 7816-4:2013 §11.3.5). Data that would
// pass the end of the file changes nothing.
func (c *Card) updateBinary(cmd iso7816.Command) iso7816.SW {
	if len(cmd.Data) == 0 {
		return iso7816.SWWrongLength
	}
	body, sw := c.at(cmd, ruleUpdate)
	if sw != iso7816.SWOK {
		return sw
	}
	if len(cmd.Data) > len(body) {
		return iso7816.SWNoSpace
	}
	copy(body, cmd.Data)
	c.changed = true
	return iso7816.SWOK
}

// at is the current EF from the offset in P1 P2 on, if the rule lets the caller.
func (c *Card) at(cmd iso7816.Command, rule int) ([]byte, iso7816.SW) {
	if cmd.P1&0x80 != 0 {
		return nil, iso7816.SWWrongP1P2 // short EF identifiers: not on this card
	}
	if c.current == nil {
		return nil, iso7816.SWNoCurrentEF
	}
	if c.current.kind != kindEF {
		return nil, iso7816.SWWrongFileKind // no command reads an RSF
	}
	if sw := c.allowed(c.current, rule); sw != iso7816.SWOK {
		return nil, sw
	}
	offset := int(cmd.P1)<<8 | int(cmd.P2)
	if offset > len(c.current.body) {
		return nil, iso7816.SWWrongOffset
	}
	return c.current.body[offset:], iso7816.SWOK
}
