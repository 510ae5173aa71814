package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

// P1 P2 of MSE.
const (
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
