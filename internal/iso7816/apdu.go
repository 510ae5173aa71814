package iso7816

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of ISO 7816-3:2006 §12.1, bytes.
const (
	MaxShortCommand     = 4 + 1 + MaxShortNc + 1    // 261
	MaxExtendedCommand  = 4 + 3 + MaxExtendedNc + 2 // 65544
	MaxShortResponse    = MaxShortNe + 2            // 258
	MaxExtendedResponse = MaxExtendedNe + 2         // 65538

	MaxShortNc    = 255
	MaxExtendedNc = 65535
	MaxShortNe    = 256
	MaxExtendedNe = 65536
)

// ErrAPDU says that bytes are not a command or response APDU, or that a
// [Command] has no encoding. It is wrapped with the reason, never with data.
var ErrAPDU = errors.New("malformed APDU")

// Command is a command APDU (ISO 7816-3:2006 §12.1, ISO 7816-4:2013 §5.1).
type Command struct {
	CLA, INS, P1, P2 byte

	// Data is the command data field, Nc = len(Data) bytes, at most 65535.
	Data []byte

	// Ne is the largest number of response data bytes expected: 0 for no Le
	// field, 256 for a short Le of 00, 65536 for an extended Le of 0000.
	Ne int

	// Extended asks for extended length fields. Encoding uses them anyway where
	// Nc or Ne needs them; case 1 has no length fields and ignores it.
	Extended bool
}

// ParseCommand reads the encodings of all seven cases: 1, 2S, 3S, 4S, 2E, 3E,
// 4E. It is strict: a length field that does not agree with the bytes present
// is [ErrAPDU]. Data aliases b. CLA FF is let through: PC/SC part 3 uses it for
// commands to the reader.
func ParseCommand(b []byte) (Command, error) {
	if len(b) < 4 {
		return Command{}, fmt.Errorf("%w: %d bytes, the header has 4", ErrAPDU, len(b))
	}
	c := Command{CLA: b[0], INS: b[1], P1: b[2], P2: b[3]}
	body := b[4:]
	switch {
	case len(body) == 0: // case 1
		return c, nil
	case len(body) == 1: // case 2S
		c.Ne = shortNe(body[0])
		return c, nil
	case body[0] != 0: // cases 3S, 4S
		nc := int(body[0])
		switch len(body) {
		case 1 + nc:
		case 1 + nc + 1:
			c.Ne = shortNe(body[1+nc])
		default:
			return Command{}, fmt.Errorf("%w: Lc %d with %d bytes behind it", ErrAPDU, nc, len(body)-1)
		}
		c.Data = body[1 : 1+nc : 1+nc]
		return c, nil
	}

	c.Extended = true
	if len(body) < 3 {
		return Command{}, fmt.Errorf("%w: %d bytes of an extended length field", ErrAPDU, len(body))
	}
	n := binary.BigEndian.Uint16(body[1:])
	if len(body) == 3 { // case 2E
		c.Ne = extendedNe(n)
		return c, nil
	}
	nc := int(n)
	switch {
	case nc == 0:
		return Command{}, fmt.Errorf("%w: extended Lc 0 with %d bytes behind it", ErrAPDU, len(body)-3)
	case len(body) == 3+nc: // case 3E
	case len(body) == 3+nc+2: // case 4E
		c.Ne = extendedNe(binary.BigEndian.Uint16(body[3+nc:]))
	default:
		return Command{}, fmt.Errorf("%w: extended Lc %d with %d bytes behind it", ErrAPDU, nc, len(body)-3)
	}
	c.Data = body[3 : 3+nc : 3+nc]
	return c, nil
}

func shortNe(le byte) int {
	if le == 0 {
		return MaxShortNe
	}
	return int(le)
}

func extendedNe(le uint16) int {
	if le == 0 {
		return MaxExtendedNe
	}
	return int(le)
}

// AppendTo appends the encoding to dst: short length fields where they can say
// it, extended ones if Extended is set or Nc or Ne needs them. A Command beyond
// the limits of the fields is [ErrAPDU], and dst comes back as it was.
func (c Command) AppendTo(dst []byte) ([]byte, error) {
	nc := len(c.Data)
	if nc > MaxExtendedNc || c.Ne < 0 || c.Ne > MaxExtendedNe {
		return dst, fmt.Errorf("%w: Nc %d, Ne %d", ErrAPDU, nc, c.Ne)
	}
	dst = append(dst, c.CLA, c.INS, c.P1, c.P2)
	if !c.NeedsExtended() && !c.Extended {
		if nc > 0 {
			dst = append(append(dst, byte(nc)), c.Data...)
		}
		if c.Ne > 0 {
			dst = append(dst, byte(c.Ne)) // 256 becomes 00
		}
		return dst, nil
	}
	if nc > 0 {
		dst = binary.BigEndian.AppendUint16(append(dst, 0), uint16(nc))
		dst = append(dst, c.Data...)
	} else if c.Ne > 0 {
		dst = append(dst, 0)
	}
	if c.Ne > 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(c.Ne)) // 65536 becomes 0000
	}
	return dst, nil
}

// NeedsExtended reports whether short length fields cannot say Nc or Ne.
func (c Command) NeedsExtended() bool { return len(c.Data) > MaxShortNc || c.Ne > MaxShortNe }

// Case is the case of ISO 7816-3:2006 table 12: 1 nothing, 2 response data, 3
// command data, 4 both.
func (c Command) Case() int {
	n := 1
	if c.Ne > 0 {
		n++
	}
	if len(c.Data) > 0 {
		n += 2
	}
	return n
}

// String shows the header and the lengths, never the data: "00 20 00 02 Nc=8".
// It is fit for logs and errors.
func (c Command) String() string {
	s := fmt.Sprintf("%02X %02X %02X %02X", c.CLA, c.INS, c.P1, c.P2)
	if len(c.Data) > 0 {
		s += fmt.Sprintf(" Nc=%d", len(c.Data))
	}
	if c.Ne > 0 {
		s += fmt.Sprintf(" Ne=%d", c.Ne)
	}
	if c.Case() > 1 && (c.Extended || c.NeedsExtended()) {
		s += " extended"
	}
	return s
}

// Response is a response APDU: at most 65536 bytes of data, then SW1 SW2.
type Response struct {
	Data []byte
	SW   SW
}

// ParseResponse cuts the status word off the end of b. Data aliases b. Fewer
// than two bytes or more than [MaxExtendedResponse] are [ErrAPDU].
func ParseResponse(b []byte) (Response, error) {
	if len(b) < 2 || len(b) > MaxExtendedResponse {
		return Response{}, fmt.Errorf("%w: response of %d bytes", ErrAPDU, len(b))
	}
	n := len(b) - 2
	return Response{Data: b[:n:n], SW: SW(binary.BigEndian.Uint16(b[n:]))}, nil
}

// AppendTo appends data and status word to dst.
func (r Response) AppendTo(dst []byte) []byte {
	return r.SW.AppendTo(append(dst, r.Data...))
}
