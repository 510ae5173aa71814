package pkcs15

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"

	"kaztoken/internal/iso7816"
)

// Tags of ASN.1 that the structures use, X.690.
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagOID             = 0x06
	tagEnumerated      = 0x0A
	tagUTF8String      = 0x0C
	tagPrintableString = 0x13
	tagT61String       = 0x14
	tagIA5String       = 0x16
	tagGeneralizedTime = 0x18
	tagVisibleString   = 0x1A
	tagBMPString       = 0x1E
	tagSequence        = 0x30
)

// textTags are the string types that a label is read from.
var textTags = []uint32{tagUTF8String, tagPrintableString, tagT61String, tagIA5String, tagVisibleString, tagBMPString}

// cursor reads the elements of a SEQUENCE in their order. The first element
// that is wrong stays in err, and everything after it reads as absent, so that
// the readers of entries check once.
type cursor struct {
	b   []byte
	err error
}

// optional takes the next element if it has one of the tags, which are single
// bytes here.
func (c *cursor) optional(tags ...uint32) (iso7816.TLV, bool) {
	if c.err != nil || len(c.b) == 0 || !slices.Contains(tags, uint32(c.b[0])) {
		return iso7816.TLV{}, false
	}
	t, rest, err := iso7816.ParseTLV(c.b)
	if err != nil {
		// OpenSC reads what is no element as the absence of every further one.
		return iso7816.TLV{}, false
	}
	c.b = rest
	return t, true
}

// need takes the next element, which must have one of the tags.
func (c *cursor) need(what string, tags ...uint32) iso7816.TLV {
	t, ok := c.optional(tags...)
	if !ok {
		c.fail("no %s", what)
	}
	return t
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = unknown(format, args...)
	}
}

func (c *cursor) integer(what string, tag uint32, absent int) int {
	t, ok := c.optional(tag)
	if !ok {
		return absent
	}
	return c.integerOf(what, t.Value)
}

func (c *cursor) needInteger(what string, tag uint32) int {
	if t := c.need(what, tag); c.err == nil {
		return c.integerOf(what, t.Value)
	}
	return 0
}

// integerOf reads up to four bytes, as OpenSC does.
func (c *cursor) integerOf(what string, v []byte) int {
	if len(v) < 1 || len(v) > 4 {
		c.fail("%s of %d bytes", what, len(v))
		return 0
	}
	n := int(int8(v[0]))
	for _, b := range v[1:] {
		n = n<<8 | int(b)
	}
	return n
}

// reference reads a number that OpenSC 0.11.4 and older wrote as a negative one
// from 80 on (pkcs15-prkey.c, pkcs15-pin.c).
func (c *cursor) reference(what string, tag uint32, absent int) int {
	n := c.integer(what, tag, absent)
	switch {
	case n < -128:
		c.fail("%s %d", what, n)
	case n < -1:
		n += 256
	}
	return n
}

func (c *cursor) boolean(what string, absent bool) bool {
	t, ok := c.optional(tagBoolean)
	if !ok {
		return absent
	}
	if len(t.Value) != 1 {
		c.fail("%s of %d bytes", what, len(t.Value))
		return absent
	}
	return t.Value[0] != 0
}

// bits reads a named bit list: bit n of the string is bit n of the number.
func (c *cursor) bits(what string) (uint32, bool) {
	t, ok := c.optional(tagBitString)
	if !ok {
		return 0, false
	}
	v := t.Value
	if len(v) < 1 || v[0] > 7 || len(v) == 1 && v[0] != 0 || len(v) > 5 {
		c.fail("%s: bit string of %d bytes", what, len(v))
		return 0, true
	}
	unused := v[0]
	v = v[1:]
	var n uint32
	for i, b := range v {
		if i == len(v)-1 {
			b &= 0xFF << unused
		}
		for bit := range 8 {
			if b&(0x80>>bit) != 0 {
				n |= 1 << (8*i + bit)
			}
		}
	}
	return n, true
}

// text reads a label of any string type.
func (c *cursor) text() string {
	t, _ := c.optional(textTags...)
	return decodeText(t)
}

func (c *cursor) time() string {
	t, _ := c.optional(tagGeneralizedTime)
	return string(t.Value)
}

// rest takes what is left: elements that this package does not know. It must
// not start with one it does know: an element out of its place could not be
// written again without changing what the entry says.
func (c *cursor) rest(what string, known ...byte) []byte {
	if c.err != nil || len(c.b) == 0 {
		return nil
	}
	if bytes.IndexByte(known, c.b[0]) >= 0 {
		c.fail("%s: element %02X out of order", what, c.b[0])
		return nil
	}
	rest := c.b
	c.b = nil
	return rest
}

// decodeText gives the text of a string of ASN.1; what is no UTF-8 becomes
// U+FFFD. T61String is read as Latin-1, as everybody writes it.
func decodeText(t iso7816.TLV) string {
	switch t.Tag {
	case tagT61String:
		var s strings.Builder
		for _, b := range t.Value {
			s.WriteRune(rune(b))
		}
		return s.String()
	case tagBMPString:
		var u []uint16
		for v := t.Value; len(v) >= 2; v = v[2:] {
			u = append(u, binary.BigEndian.Uint16(v))
		}
		return string(utf16.Decode(u))
	}
	return validText(string(t.Value))
}

func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func appendText(dst []byte, tag uint32, s string) []byte {
	return iso7816.AppendTLV(dst, tag, []byte(validText(s)))
}

// appendInteger writes the shortest two's complement.
func appendInteger(dst []byte, tag uint32, n int) []byte {
	v := binary.BigEndian.AppendUint64(nil, uint64(n))
	for len(v) > 1 && (v[0] == 0x00 && v[1] < 0x80 || v[0] == 0xFF && v[1] >= 0x80) {
		v = v[1:]
	}
	return iso7816.AppendTLV(dst, tag, v)
}

// appendBits writes a named bit list without trailing zero bits, X.690 §11.2.2.
func appendBits(dst []byte, n uint32) []byte {
	v := []byte{0}
	for bit := 0; n>>bit != 0; bit++ {
		if bit%8 == 0 {
			v = append(v, 0)
		}
		if n>>bit&1 != 0 {
			v[len(v)-1] |= 0x80 >> (bit % 8)
		}
		v[0] = byte(7 - bit%8)
	}
	return iso7816.AppendTLV(dst, tagBitString, v)
}

func appendBoolean(dst []byte, v bool) []byte {
	b := byte(0x00)
	if v {
		b = 0xFF
	}
	return append(dst, tagBoolean, 1, b)
}
