package emu

import "kaztoken/internal/iso7816"

// homeOf is the directory, as a path from the MF, that the card files an RSF of
// this type in, whatever directory is current.
func homeOf(t rsfType) []uint16 {
	switch t {
	case typeRSAPrivate, typeGOSTPrivate:
		return privateHome
	case typeRSAPublic, typeGOSTPublic:
		return publicHome
	}
	return pinHome
}

var (
	// Assumed: global PINs lie beside the key directories; they are only ever
	// addressed by reference.
	pinHome     = []uint16{0x1000, 0x1000}
	publicHome  = []uint16{0x1000, 0x1000, 0x6001}
	privateHome = []uint16{0x1000, 0x1000, 0x6002}
)

// createFile is CREATE FILE, 00 E0 00 00. A DF or EF goes into the current DF, an
// RSF into the home of its type. The new file is current: a DF with nothing
// selected in it, an EF or RSF with the current DF staying what it was.
//
// Assumed: the rule for creating an RSF is that of its home, and a home that does
// not exist is 6A82.
func (c *Card) createFile(cmd iso7816.Command) iso7816.SW {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return iso7816.SWWrongP1P2
	case len(cmd.Data) == 0:
		return iso7816.SWWrongLength
	}
	f, ok := parseFCP(cmd.Data)
	if !ok {
		return iso7816.SWWrongData
	}
	if f.id == mfID {
		return c.createMF(f)
	}
	if c.mf == nil {
		return iso7816.SWNotFound
	}
	parent, rule := c.dir, ruleCreate
	if f.kind == kindRSF {
		parent, rule = c.mf.below(homeOf(rsfType(f.props[0]))...), ruleCreateRSF
		if parent == nil || !parent.isDF() {
			return iso7816.SWNotFound
		}
	}
	if sw := c.allowed(parent, rule); sw != iso7816.SWOK {
		return sw
	}
	switch {
	case parent.child(f.id) != nil:
		return iso7816.SWFileExists
	case len(parent.children) >= maxChildren || f.cost() > c.free():
		return iso7816.SWNoSpace
	}
	if f.kind == kindEF {
		f.body = make([]byte, f.size)
	}
	parent.add(f)
	if f.isDF() {
		c.dir, c.current = f, nil
	} else {
		c.makeCurrent(f)
	}
	c.changed = true
	return iso7816.SWOK
}

// createMF makes the first file of a wiped card.
func (c *Card) createMF(f *file) iso7816.SW {
	switch {
	case c.mf != nil:
		return iso7816.SWFileExists
	case f.cost() > c.free():
		return iso7816.SWNoSpace
	}
	c.mf, c.dir, c.current = f, f, nil
	c.changed = true
	return iso7816.SWOK
}
