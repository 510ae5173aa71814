package emu

import (
	"io"
	"slices"

	"kaztoken/internal/iso7816"
)

// getChallenge is GET CHALLENGE, 00 84 00 00 (ISO 7816-4:2013 §11.5.3): Ne random
// bytes.
func (c *Card) getChallenge(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return dst, iso7816.SWWrongP1P2
	case len(cmd.Data) != 0 || cmd.Ne == 0:
		return dst, iso7816.SWWrongLength
	}
	start := len(dst)
	dst = slices.Grow(dst, cmd.Ne)[:start+cmd.Ne]
	if _, err := io.ReadFull(c.random, dst[start:]); err != nil {
		return dst[:start], iso7816.SWExecution
	}
	return dst, iso7816.SWOK
}
