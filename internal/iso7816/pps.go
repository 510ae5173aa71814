package iso7816

import (
	"errors"
	"fmt"
)

// ErrPPS says that bytes are no PPS message, or that a reply does not accept
// the request it answers. After a refused reply the card must be reset.
var ErrPPS = errors.New("protocol and parameters selection failed")

// PPS is a protocol and parameters selection, request or response: ISO
// 7816-3:2006 §9. It is sent at most once, first thing after a reset, and only
// in negotiable mode.
type PPS struct {
	Protocol Protocol // 0 to 14

	// PPS1 proposes Fi (high nibble) and Di (low), if HasPPS1.
	PPS1    byte
	HasPPS1 bool
	// PPS2 proposes the use of the SPU contact, if HasPPS2.
	PPS2    byte
	HasPPS2 bool
	// PPS3 is reserved for future use.
	PPS3    byte
	HasPPS3 bool
}

// MaxPPS is the longest message: PPSS, PPS0, three optional bytes, PCK.
const MaxPPS = 6

const ppss = 0xFF

// AppendTo appends the message from PPSS to PCK, 3 to 6 bytes.
func (p PPS) AppendTo(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, ppss, byte(p.Protocol)&0xF)
	for i, o := range p.optional() {
		if o.has {
			dst[start+1] |= 0x10 << i
			dst = append(dst, o.value)
		}
	}
	return append(dst, xor(dst[start:]))
}

// Len is the length of the message, bytes: what the longest legal reply has.
func (p PPS) Len() int {
	n := 3
	for _, o := range p.optional() {
		if o.has {
			n++
		}
	}
	return n
}

type optional struct {
	value byte
	has   bool
}

func (p PPS) optional() [3]optional {
	return [3]optional{{p.PPS1, p.HasPPS1}, {p.PPS2, p.HasPPS2}, {p.PPS3, p.HasPPS3}}
}

func xor(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}

// ParsePPS reads one message. It is strict: PPSS, the reserved bit of PPS0, the
// length and PCK must be right, else the error is [ErrPPS].
func ParsePPS(b []byte) (PPS, error) {
	if len(b) < 3 || b[0] != ppss {
		return PPS{}, fmt.Errorf("%w: %d bytes that do not start with FF", ErrPPS, len(b))
	}
	if b[1]&0x80 != 0 || b[1]&0xF == 0xF {
		return PPS{}, fmt.Errorf("%w: reserved PPS0 %02X", ErrPPS, b[1])
	}
	p := PPS{
		Protocol: Protocol(b[1] & 0xF),
		HasPPS1:  b[1]&0x10 != 0,
		HasPPS2:  b[1]&0x20 != 0,
		HasPPS3:  b[1]&0x40 != 0,
	}
	if len(b) != p.Len() {
		return PPS{}, fmt.Errorf("%w: %d bytes, PPS0 %02X says %d", ErrPPS, len(b), b[1], p.Len())
	}
	if xor(b) != 0 {
		return PPS{}, fmt.Errorf("%w: wrong PCK", ErrPPS)
	}
	rest := b[2:]
	for _, o := range []struct {
		dst *byte
		has bool
	}{{&p.PPS1, p.HasPPS1}, {&p.PPS2, p.HasPPS2}, {&p.PPS3, p.HasPPS3}} {
		if o.has {
			*o.dst, rest = rest[0], rest[1:]
		}
	}
	return p, nil
}

// Accept reads the card's reply to the request p and gives what is agreed. A
// good reply names the same protocol, and each of PPS1 to PPS3 is the echo of
// the request or left out, which refuses it: then the default stays in force
// (ISO 7816-3:2006 §9.3). Anything else is [ErrPPS].
func (p PPS) Accept(reply []byte) (PPS, error) {
	r, err := ParsePPS(reply)
	if err != nil {
		return PPS{}, err
	}
	if r.Protocol != p.Protocol {
		return PPS{}, fmt.Errorf("%w: asked for %v, card answered %v", ErrPPS, p.Protocol, r.Protocol)
	}
	asked := p.optional()
	for i, o := range r.optional() {
		if o.has && o != asked[i] {
			return PPS{}, fmt.Errorf("%w: card answered PPS%d %02X", ErrPPS, i+1, o.value)
		}
	}
	return r, nil
}

// FiDi is what the message sets: PPS1, or 11 without it.
func (p PPS) FiDi() byte {
	if p.HasPPS1 {
		return p.PPS1
	}
	return DefaultFiDi
}
