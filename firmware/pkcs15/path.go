package pkcs15

import (
	"bytes"
	"fmt"
	"strings"

	"kaztoken/internal/iso7816"
)

// Path is a row of file identifiers, two bytes each, big-endian:
// 3F00 5000 0300. A path that does not start with the master file 3F00 is
// relative to the application's directory.
type Path []byte

// NewPath makes a path of file identifiers.
func NewPath(ids ...uint16) Path { return Path(nil).Append(ids...) }

// Append gives a new path that goes on from p.
func (p Path) Append(ids ...uint16) Path {
	q := make(Path, 0, len(p)+2*len(ids))
	q = append(q, p...)
	for _, id := range ids {
		q = append(q, byte(id>>8), byte(id))
	}
	return q
}

// Absolute gives p as seen from the master file: p itself if it starts there,
// else p below the application's directory app. A path without bytes, which
// names nothing, stays one.
func (p Path) Absolute(app Path) Path {
	if len(p) == 0 || bytes.HasPrefix(p, []byte{0x3F, 0x00}) {
		return p
	}
	return append(append(Path(nil), app...), p...)
}

// ID is the last file identifier, 0 if p has none.
func (p Path) ID() uint16 {
	if len(p) < 2 {
		return 0
	}
	return uint16(p[len(p)-2])<<8 | uint16(p[len(p)-1])
}

// Equal reports that p and q are the same bytes.
func (p Path) Equal(q Path) bool { return bytes.Equal(p, q) }

// String prints the identifiers in hexadecimal: 3F00/5000/0300. A last byte
// without a partner is printed alone.
func (p Path) String() string {
	var s strings.Builder
	for i := 0; i < len(p); i += 2 {
		if i > 0 {
			s.WriteByte('/')
		}
		fmt.Fprintf(&s, "%X", []byte(p[i:min(i+2, len(p))]))
	}
	return s.String()
}

// Part is a piece of a transparent file: Count bytes from Index. The zero Part
// is the whole file. OpenSC writes one when an object became shorter than its
// file.
type Part struct{ Index, Count int }

// location is a Path of PKCS#15 with all its elements, PKCS #15 v1.1 §6.1.5:
//
//	Path ::= SEQUENCE { path OCTET STRING, index INTEGER OPTIONAL, length [0] INTEGER OPTIONAL }
type location struct {
	path Path
	part Part
}

// locationOf reads the content of the SEQUENCE. A key that has no file of its
// own has an empty path or, by other software, a SEQUENCE without elements.
func (c *cursor) locationOf(seq []byte) location {
	if len(seq) == 0 {
		return location{}
	}
	in := cursor{b: seq}
	path := in.need("path", tagOctetString)
	l := location{path: Path(path.Value)}
	index, hasIndex := in.optional(tagInteger)
	count, hasCount := in.optional(0x80)
	switch {
	case hasIndex && hasCount:
		l.part = Part{Index: in.integerOf("path index", index.Value), Count: in.integerOf("path length", count.Value)}
		if in.err == nil && (l.part.Index < 0 || l.part.Count <= 0) {
			in.fail("part of a file: %d bytes from %d", l.part.Count, l.part.Index)
		}
	case hasIndex || hasCount:
		in.fail("index or length of a path without the other")
	}
	if len(in.b) > 0 {
		in.fail("path with more elements")
	}
	if in.err != nil && c.err == nil {
		c.err = in.err
	}
	return l
}

func (l location) appendTo(dst []byte) []byte {
	start := len(dst)
	dst = iso7816.AppendTLV(dst, tagOctetString, l.path)
	if l.part != (Part{}) {
		dst = appendInteger(dst, tagInteger, l.part.Index)
		dst = appendInteger(dst, 0x80, l.part.Count)
	}
	return wrap(dst, tagSequence, start)
}
