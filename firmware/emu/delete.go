package emu

import (
	"encoding/binary"
	"slices"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// deleteFile is DELETE FILE, 00 E4 00 00: the file of that id in the current DF.
//
// Assumed: a DF is deleted only when it is empty, else 6985. Deleting what is in
// it as well would pass over the rules of the files.
func (c *Card) deleteFile(cmd iso7816.Command) iso7816.SW {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return iso7816.SWWrongP1P2
	case len(cmd.Data) != 2:
		return iso7816.SWWrongLength
	case c.mf == nil:
		return iso7816.SWNotFound
	}
	f := c.dir.child(binary.BigEndian.Uint16(cmd.Data))
	if f == nil || c.hidden(f) {
		return iso7816.SWNotFound
	}
	if sw := c.allowed(f, ruleDelete); sw != iso7816.SWOK {
		return sw
	}
	if len(f.children) > 0 {
		return iso7816.SWConditions
	}
	c.dir.children = slices.DeleteFunc(c.dir.children, func(k *file) bool { return k == f })
	if c.current == f {
		c.current = nil
	}
	if f.isPIN() {
		c.logins &^= byte(f.id)
	}
	secret.Wipe(f.body)
	c.changed = true
	return iso7816.SWOK
}
