package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

// P2 of SELECT.
const (
	selectFCI  = 0x00 // answer with the FCI
	selectNext = 0x02 // the file after the named one, with its FCI
	selectMute = 0x0C // no answer
)

// selectFile is SELECT, 00 A4 (ISO 7816-4:2013 §11.2.2). P1 00 takes the MF or an
// id in the current DF, without data the first file of the current DF; with P2 02
// the file after that of the id. P1 03 takes the parent, 08 a path from the MF
// without 3F00. Selecting an EF or RSF leaves its DF current. On a wiped card
// everything is 6A82, because OpenSC probes before it erases.
func (c *Card) selectFile(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if c.mf == nil {
		return dst, iso7816.SWNotFound
	}
	f, sw := c.find(cmd)
	if sw != iso7816.SWOK {
		return dst, sw
	}
	if f == nil || c.hidden(f) {
		return dst, iso7816.SWNotFound
	}
	if f.isDF() {
		c.dir, c.current = f, nil
	} else {
		c.dir = f.parent
		c.makeCurrent(f)
	}
	if cmd.P2 == selectMute {
		return dst, iso7816.SWOK
	}
	return f.appendFCI(dst), iso7816.SWOK
}

// find is the file that SELECT means; nil with 9000 is none.
func (c *Card) find(cmd iso7816.Command) (*file, iso7816.SW) {
	data := cmd.Data
	if cmd.P1 == 0x00 && cmd.P2 == selectNext {
		if len(data) != 2 {
			return nil, iso7816.SWWrongLength
		}
		return c.next(binary.BigEndian.Uint16(data)), iso7816.SWOK
	}
	if cmd.P2 != selectFCI && cmd.P2 != selectMute {
		return nil, iso7816.SWWrongP1P2
	}
	switch cmd.P1 {
	case 0x00:
		if len(data) == 0 {
			return c.visibleFrom(0), iso7816.SWOK
		}
		if len(data) != 2 {
			return nil, iso7816.SWWrongLength
		}
		if id := binary.BigEndian.Uint16(data); id != mfID {
			return c.dir.child(id), iso7816.SWOK
		}
		return c.mf, iso7816.SWOK
	case 0x03:
		if len(data) != 0 {
			return nil, iso7816.SWWrongLength
		}
		return c.dir.parent, iso7816.SWOK
	case 0x08:
		if len(data) == 0 || len(data)%2 != 0 {
			return nil, iso7816.SWWrongLength
		}
		f := c.mf
		for path := data; len(path) > 0 && f != nil; path = path[2:] {
			f = f.child(binary.BigEndian.Uint16(path))
		}
		return f, iso7816.SWOK
	}
	return nil, iso7816.SWWrongP1P2
}

// next is the visible file after the one of that id in the current DF, or nil:
// also if there is none of that id.
func (c *Card) next(id uint16) *file {
	for i, k := range c.dir.children {
		if k.id == id {
			return c.visibleFrom(i + 1)
		}
	}
	return nil
}

// visibleFrom is the first visible file at or after index i of the current DF, or
// nil. Files are listed in the order in which they were made.
func (c *Card) visibleFrom(i int) *file {
	for _, k := range c.dir.children[i:] {
		if !c.hidden(k) {
			return k
		}
	}
	return nil
}

// hidden reports files that no command shows; see [WithHiddenPINs].
func (c *Card) hidden(f *file) bool { return c.hidePINs && f.isPIN() }

// makeCurrent makes an EF or RSF the current file. A private key is then the one
// that PSO uses, until MSE says another.
//
// Assumed: OpenSC selects the key and sends MSE for it, so nobody has seen which
// of the two counts; here it is the later one.
func (c *Card) makeCurrent(f *file) {
	c.current = f
	if f.isPrivate() {
		c.signKey, c.decipherKey = 0, 0
	}
}
