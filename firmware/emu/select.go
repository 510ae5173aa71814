package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

// selectFile is SELECT, 00 A4 (ISO 7816-4:2013 §11.2.2). P1 00 takes the MF or an
// id in the current DF, 03 the parent, 08 a path from the MF without 3F00. P2 00
// answers with the FCI, 0C with nothing. Selecting an EF leaves its DF current.
func (c *Card) selectFile(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if cmd.P2 != 0x00 && cmd.P2 != 0x0C {
		return dst, iso7816.SWWrongP1P2
	}
	var f *file
	switch cmd.P1 {
	case 0x00:
		if len(cmd.Data) != 2 {
			return dst, iso7816.SWWrongLength
		}
		if id := binary.BigEndian.Uint16(cmd.Data); id == mfID {
			f = c.mf
		} else {
			f = c.dir.child(id)
		}
	case 0x03:
		if len(cmd.Data) != 0 {
			return dst, iso7816.SWWrongLength
		}
		f = c.dir.parent
	case 0x08:
		if len(cmd.Data) == 0 || len(cmd.Data)%2 != 0 {
			return dst, iso7816.SWWrongLength
		}
		f = c.mf
		for path := cmd.Data; len(path) > 0 && f != nil; path = path[2:] {
			f = f.child(binary.BigEndian.Uint16(path))
		}
	default:
		return dst, iso7816.SWWrongP1P2
	}
	if f == nil {
		return dst, iso7816.SWNotFound
	}
	if f.isDF() {
		c.dir, c.current = f, nil
	} else {
		c.dir, c.current = f.parent, f
	}
	if cmd.P2 == 0x0C {
		return dst, iso7816.SWOK
	}
	return f.appendFCI(dst), iso7816.SWOK
}
