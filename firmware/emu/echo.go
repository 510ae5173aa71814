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

// echoData is ECHO of data, 80 EE.
func (c *Card) echoData(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if len(cmd.Data) == 0 {
		return dst, iso7816.SWOK
	}
	return c.echoCommand(dst, cmd)
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
