package emu

import (
	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// initialise is INIT, 80 8A 00 00: it erases everything, PINs included, and opens
// the initialisation phase. It needs no PIN: the vendor's panel formats a token
// whose administrator PIN is blocked.
func (c *Card) initialise(cmd iso7816.Command) iso7816.SW {
	if cmd.P1 != 0 || cmd.P2 != 0 {
		return iso7816.SWWrongP1P2
	}
	if len(cmd.Data) != 0 {
		return iso7816.SWWrongLength
	}
	c.mf.wipe()
	c.mf, c.dir, c.current = nil, nil, nil
	c.logins, c.signKey, c.decipherKey = 0, 0, 0
	c.initialising = true
	c.changed = true
	return iso7816.SWOK
}

// endInitialisation is INIT END, 80 84 4E 19: from now on the rules are in force.
// The phase survives power-off until then.
//
// Assumed: outside the phase, and without an MF, it is refused.
func (c *Card) endInitialisation(cmd iso7816.Command) iso7816.SW {
	switch {
	case cmd.P1 != 0x4E || cmd.P2 != 0x19:
		return iso7816.SWWrongP1P2
	case len(cmd.Data) != 0:
		return iso7816.SWWrongLength
	case !c.initialising || c.mf == nil:
		return iso7816.SWConditions
	}
	c.initialising = false
	c.changed = true
	return iso7816.SWOK
}

// wipe overwrites the bodies of f and all below it. f may be nil.
func (f *file) wipe() {
	if f == nil {
		return
	}
	secret.Wipe(f.body)
	for _, k := range f.children {
		k.wipe()
	}
}
