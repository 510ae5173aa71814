package t0

import "fmt"

// DefaultMaxNull is the ceiling of NULL procedure bytes in one TPDU. With the
// longest common work waiting time of 1 s it is far beyond any card's work; the
// caller's deadline usually ends the wait much earlier.
const DefaultMaxNull = 4096

// Characters runs one TPDU at a time as characters and procedure bytes (ISO
// 7816-3:2006 §10.3). It is not safe for concurrent use. The zero value is ready.
type Characters struct {
	// MaxNull is how many NULL bytes a card may send in one TPDU before it is
	// ErrEndless; 0 is DefaultMaxNull. Time is the caller's: each NULL makes a
	// Step, so that a deadline can be looked at.
	MaxNull int

	tpdu  []byte
	sent  int // bytes of tpdu sent
	in    int // data bytes still to come from the card
	dst   []byte
	base  int
	nulls int
	state charState
	wait  int // characters asked for and not yet here
	acked int // data bytes among those
}

type charState byte

const (
	charIdle  charState = iota
	procedure           // a procedure byte comes
	data                // data bytes come, then a procedure byte
	status              // SW1 came
)

// Begin starts one TPDU: header with P3 and, if the command sends data, that.
// The card may send up to expect-2 bytes of data; expect is Step.Expect of
// Host. tpdu must stay as it is until Done; the card's data and its status
// word are appended to dst. An INS of 6X or 9X is ErrINS.
func (c *Characters) Begin(dst, tpdu []byte, expect int) Step {
	*c = Characters{MaxNull: c.MaxNull, tpdu: tpdu, dst: dst, base: len(dst), in: expect - 2}
	switch {
	case len(tpdu) < headerLen || expect < 2 || len(tpdu) > headerLen && (len(tpdu) != headerLen+int(tpdu[4]) || expect > 2):
		return c.fail(fmt.Errorf("%w: TPDU of %d bytes that expects %d", ErrProtocol, len(tpdu), expect))
	case tpdu[1]&0xF0 == 0x60 || tpdu[1]&0xF0 == 0x90:
		return c.fail(ErrINS)
	}
	c.sent = headerLen
	return c.ask(procedure, tpdu[:headerLen], 1, 0)
}

// Receive takes the characters that came, all that the last Step asked for or
// fewer; for the rest it asks again. More are ErrProtocol, and so is no
// character at all, which is how the caller reports a reader that has none.
func (c *Characters) Receive(b []byte) Step {
	if c.state == charIdle {
		return Step{Kind: Done, Err: fmt.Errorf("%w: characters without a command", ErrProtocol)}
	}
	if len(b) == 0 || len(b) > c.wait {
		return c.fail(fmt.Errorf("%w: %d characters for %d", ErrProtocol, len(b), c.wait))
	}
	c.wait -= len(b)
	if c.state == data {
		n := min(len(b), c.acked)
		c.dst = append(c.dst, b[:n]...)
		c.acked -= n
		c.in -= n
		b = b[n:]
		if c.acked == 0 {
			c.state = procedure
		}
	}
	for _, v := range b {
		switch {
		case c.state == status:
			return c.finish(v)
		case v == 0x60:
			if c.nulls++; c.nulls > c.maxNull() {
				return c.fail(fmt.Errorf("%w: %d NULL bytes", ErrEndless, c.nulls))
			}
		case v&0xF0 == 0x60, v&0xF0 == 0x90:
			c.dst = append(c.dst, v)
			c.state = status
		default:
			return c.acknowledged(v)
		}
	}
	if c.wait > 0 {
		return Step{Kind: Send, Expect: c.wait} // the reader still owes them
	}
	return c.ask(c.state, nil, 1, 0)
}

// acknowledged obeys a procedure byte that moves data. It is always the last
// one read: with data still to move only one byte was asked for.
func (c *Characters) acknowledged(b byte) Step {
	ins := c.tpdu[1]
	all := b == ins || b == ins^0x01 // ^01 asked for Vpp in older cards
	out := len(c.tpdu) - c.sent
	switch {
	case !all && b != ^ins && b != ^ins^0x01:
		return c.fail(fmt.Errorf("%w: procedure byte %02X for INS %02X", ErrProtocol, b, ins))
	case out > 0:
		if !all {
			out = 1
		}
		piece := c.tpdu[c.sent : c.sent+out]
		c.sent += out
		return c.ask(procedure, piece, 1, 0)
	case c.in > 0 && all:
		return c.ask(data, nil, c.in+2, c.in) // SW1 SW2 follow at once
	case c.in > 0:
		return c.ask(data, nil, 1, 1)
	}
	return c.fail(fmt.Errorf("%w: procedure byte %02X with no data left", ErrProtocol, b))
}

func (c *Characters) maxNull() int {
	if c.MaxNull > 0 {
		return c.MaxNull
	}
	return DefaultMaxNull
}

// ask goes on: send these characters, read wait, of which acked are data.
func (c *Characters) ask(next charState, send []byte, wait, acked int) Step {
	c.state, c.wait, c.acked = next, wait, acked
	return Step{Kind: Send, Send: send, Expect: wait}
}

func (c *Characters) finish(sw2 byte) Step {
	s := Step{Kind: Done, Resp: append(c.dst, sw2)}
	*c = Characters{MaxNull: c.MaxNull}
	return s
}

func (c *Characters) fail(err error) Step {
	s := Step{Kind: Done, Resp: c.dst[:c.base], Err: err}
	*c = Characters{MaxNull: c.MaxNull}
	return s
}
