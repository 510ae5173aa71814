package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

// P2 of the data objects of GET DATA, 00 CA 01.
const (
	objectID         = 0x81
	objectProperties = 0x89
	objectFree       = 0x8A
)

// getData is GET DATA, 00 CA 01 (ISO 7816-4:2013 §11.4.3): 81 is the token id, 89
// its properties, 8A the free memory.
func (c *Card) getData(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if len(cmd.Data) != 0 {
		return dst, iso7816.SWWrongLength
	}
	if cmd.P1 != 0x01 {
		return dst, iso7816.SWReferenceNotFound
	}
	for _, o := range c.objects {
		if o.p2 == cmd.P2 {
			if len(o.value) == 0 {
				return dst, iso7816.SWReferenceNotFound
			}
			return append(dst, o.value...), iso7816.SWOK
		}
	}
	switch cmd.P2 {
	case objectID:
		return append(dst, c.id[:]...), iso7816.SWOK
	case objectProperties:
		properties := c.properties()
		return append(dst, properties[:]...), iso7816.SWOK
	case objectFree:
		// Assumed: four bytes big-endian, as on the Rutoken S.
		return binary.BigEndian.AppendUint32(dst, uint32(c.free())), iso7816.SWOK
	}
	return dst, iso7816.SWReferenceNotFound
}

// properties is GET DATA 01 89.
//
// Assumed: the eight bytes are those of the Rutoken S, read against the guide's
// window: type, version in nibbles (1.4, and 20 in decimal), memory in units of
// 8 KiB, protocol, software, order, who may change the user PIN, and one more.
// On a Rutoken S the second number of the firmware version, 04 of 20.04.21.00
// here, can only have come from the first byte or the last; it is the first.
func (c *Card) properties() [8]byte {
	b := [8]byte{0x04, 0x14, totalMemory / 8192, 0x02, 0x15, 0x00, 0x00, 0x00}
	if p := c.pinFile(userPIN); p != nil {
		b[6] = p.rules[1+ruleChange]
	}
	return b
}
