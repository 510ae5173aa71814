package pkcs15

import (
	"errors"
	"strconv"
	"strings"
)

// OID is the content of an OBJECT IDENTIFIER, X.690 §8.19.
type OID []byte

// ErrOID says that a text is no object identifier.
var ErrOID = errors.New("malformed object identifier")

// ParseOID reads the dotted form: two arcs or more, the first 0, 1 or 2, the
// second below 40 where the first is not 2. The error is [ErrOID].
func ParseOID(s string) (OID, error) {
	var arcs []uint64
	for arc := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(arc, 10, 32)
		if err != nil || arc[0] == '+' || arc[0] == '0' && len(arc) > 1 {
			return nil, ErrOID
		}
		arcs = append(arcs, n)
	}
	if len(arcs) < 2 || arcs[0] > 2 || arcs[0] < 2 && arcs[1] >= 40 {
		return nil, ErrOID
	}
	arcs[1] += 40 * arcs[0]
	var o OID
	for _, n := range arcs[1:] {
		for shift := 63; shift > 0; shift -= 7 {
			if n>>shift != 0 {
				o = append(o, 0x80|byte(n>>shift))
			}
		}
		o = append(o, byte(n&0x7F))
	}
	return o, nil
}

// String gives the dotted form, or the bytes in hexadecimal after a # where they
// are none.
func (o OID) String() string {
	var s strings.Builder
	var n uint64
	open := true // between two arcs
	for i, b := range o {
		if n>>57 != 0 || open && b == 0x80 {
			return o.hex()
		}
		n = n<<7 | uint64(b&0x7F)
		if open = b&0x80 == 0; !open {
			if i == len(o)-1 {
				return o.hex()
			}
			continue
		}
		if s.Len() == 0 {
			first := min(n/40, 2)
			s.WriteString(strconv.FormatUint(first, 10))
			n -= 40 * first
		}
		s.WriteByte('.')
		s.WriteString(strconv.FormatUint(n, 10))
		n = 0
	}
	return s.String()
}

func (o OID) hex() string {
	const digits = "0123456789ABCDEF"
	s := []byte{'#'}
	for _, b := range o {
		s = append(s, digits[b>>4], digits[b&15])
	}
	return string(s)
}
