package emu

import "kaztoken/internal/iso7816"

// getData is GET DATA, 00 CA (ISO 7816-4:2013 §11.4.3): 01 81 is the token id.
func (c *Card) getData(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if len(cmd.Data) != 0 {
		return dst, iso7816.SWWrongLength
	}
	if cmd.P1 != 0x01 || cmd.P2 != 0x81 {
		return dst, iso7816.SWReferenceNotFound
	}
	return append(dst, c.id[:]...), iso7816.SWOK
}
