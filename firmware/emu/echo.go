package emu

import (
	"slices"

	"kaztoken/internal/iso7816"
)

// echoCommand is ECHO, 80 EC; the rule is in the package comment.
func (c *Card) echoCommand(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	c.remember(cmd.Data)
	if cmd.Ne == 0 {
		c.echoHeader = iso7816.Command{P1: cmd.P1, P2: cmd.P2}
		c.echoWaits = true
		return dst, iso7816.SWOK
	}
	return c.appendEcho(dst, cmd, cmd.Ne), iso7816.SWOK
}

// echoQuiet is ECHO with no answer, 80 ED.
func (c *Card) echoQuiet(cmd iso7816.Command) iso7816.SW {
	c.remember(cmd.Data)
	return iso7816.SWOK
}

func (c *Card) remember(data []byte) {
	if len(data) > 0 {
		c.echo = append(c.echo[:0], data...)
	}
}

func (c *Card) appendEcho(dst []byte, cmd iso7816.Command, n int) []byte {
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	if len(c.echo) == 0 {
		b := cmd.P1
		for i := range dst[start:] {
			dst[start+i] = b
			b += cmd.P2
		}
		return dst
	}
	for at := start; at < len(dst); {
		at += copy(dst[at:], c.echo)
	}
	return dst
}
