package emu

import "kaztoken/internal/iso7816"

// moreData is 61xx for n more bytes; xx is 00 from 256 on.
func moreData(n int) iso7816.SW {
	if n >= 256 {
		return 0x6100
	}
	return 0x6100 | iso7816.SW(n)
}

// getResponse is GET RESPONSE, C0 00 00 (ISO 7816-4:2013 §11.7.1): what was left
// of the last answer, or the answer of an ECHO that had no Le. An explicit Le
// above what is left is answered 6Cxx and loses nothing.
func (c *Card) getResponse(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return dst, iso7816.SWWrongP1P2
	case len(cmd.Data) != 0 || cmd.Ne == 0:
		return dst, iso7816.SWWrongLength
	case c.echoWaits:
		c.echoWaits = false
		return c.appendEcho(dst, c.echoHeader, cmd.Ne), iso7816.SWOK
	case len(c.rest) == 0:
		return dst, iso7816.SWConditions
	case cmd.Ne > len(c.rest) && cmd.Ne < iso7816.MaxShortNe:
		return dst, iso7816.SWWrongLe | iso7816.SW(len(c.rest))
	}
	dst = append(dst, c.rest...) // Transmit holds back what Ne does not cover
	c.rest = c.rest[:0]
	return dst, iso7816.SWOK
}
