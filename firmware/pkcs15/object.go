package pkcs15

import (
	"fmt"
	"strings"

	"kaztoken/internal/iso7816"
)

// MaxLabel and MaxID are the most bytes of a label and of an identifier. They
// are OpenSC's bounds: it does not read an entry with a longer label at all, and
// cuts a longer identifier (pkcs15.h, asn1.c).
const (
	MaxLabel = 254
	MaxID    = 255
)

// CommonFlags is the bit string of CommonObjectAttributes, PKCS #15 v1.1 §6.1.8.
type CommonFlags uint32

// Flags of every object.
const (
	Private    CommonFlags = 1 << iota // reading or using it needs the PIN AuthID
	Modifiable                         // it can be changed
)

func (f CommonFlags) String() string { return flagNames(uint32(f), "private", "modifiable") }

// Common is CommonObjectAttributes, what every object has, PKCS #15 v1.1 §6.1.8.
type Common struct {
	// Label is a name for people, at most [MaxLabel] bytes of UTF-8. It is read
	// from any string type, with U+FFFD for what is no text, and written as
	// UTF8String.
	Label string
	Flags CommonFlags
	// AuthID is the identifier of the PIN that protects the object; nil if none.
	AuthID []byte
	// UserConsent is how many uses one PIN entry allows; 0 is any number.
	UserConsent int

	rest []byte // accessControlRules and what later editions add
}

func (c *cursor) common() Common {
	in := cursor{b: c.need("common attributes", tagSequence).Value, err: c.err}
	var o Common
	o.Label = in.text()
	flags, _ := in.bits("common flags")
	o.Flags = CommonFlags(flags)
	auth, _ := in.optional(tagOctetString)
	o.AuthID = auth.Value
	o.UserConsent = in.integer("user consent", tagInteger, 0)
	o.rest = in.rest("common attributes", tagUTF8String, tagPrintableString, tagT61String, tagIA5String,
		tagVisibleString, tagBMPString, tagBitString, tagOctetString, tagInteger)
	c.err = in.err
	return o
}

func (o Common) appendTo(dst []byte) []byte {
	start := len(dst)
	if o.Label != "" {
		dst = appendText(dst, tagUTF8String, o.Label)
	}
	if o.Flags != 0 {
		dst = appendBits(dst, uint32(o.Flags))
	}
	if len(o.AuthID) > 0 {
		dst = iso7816.AppendTLV(dst, tagOctetString, o.AuthID)
	}
	if o.UserConsent != 0 {
		dst = appendInteger(dst, tagInteger, o.UserConsent)
	}
	return wrap(append(dst, o.rest...), tagSequence, start)
}

// leftovers keeps what is not known at the end of each level of an entry, and
// the subclass attributes of the kinds of objects that have none here. The
// frame of every entry is, PKCS #15 v1.1 §6.1.17,
//
//	PKCS15Object ::= SEQUENCE {
//	  commonObjectAttributes SEQUENCE, classAttributes SEQUENCE,
//	  subClassAttributes [0] OPTIONAL, typeAttributes [1] }
type leftovers struct {
	class, sub, typ, outer, object []byte
	hasSub                         bool
}

// subClass takes subclass attributes that this package does not read.
func (c *cursor) subClass(l *leftovers) {
	if sub, ok := c.optional(0xA0); ok {
		l.sub, l.hasSub = sub.Value, true
	}
}

func (l leftovers) appendSubClass(dst []byte) []byte {
	if l.hasSub {
		dst = iso7816.AppendTLV(dst, 0xA0, l.sub)
	}
	return dst
}

// value is ObjectValue: a file, or the value in the entry itself.
//
//	CHOICE { indirect SEQUENCE (a path), direct [0], … }
type value struct {
	location
	direct []byte
}

// valueOf takes an ObjectValue of one of the two forms that occur here.
func (c *cursor) valueOf() value {
	t := c.need("value", tagSequence, 0xA0)
	switch {
	case c.err != nil:
		return value{}
	case t.Tag == 0xA0:
		return value{direct: t.Value}
	}
	return value{location: c.locationOf(t.Value)}
}

func (v value) appendTo(dst []byte) []byte {
	if len(v.path) == 0 && v.direct != nil {
		return iso7816.AppendTLV(dst, 0xA0, v.direct)
	}
	return v.location.appendTo(dst)
}

// flagNames lists the names of the bits set in f; bit n has names[n].
func flagNames(f uint32, names ...string) string {
	var set []string
	for n := range 32 {
		switch {
		case f>>n&1 == 0:
		case n < len(names) && names[n] != "":
			set = append(set, names[n])
		default:
			set = append(set, fmt.Sprintf("bit %d", n))
		}
	}
	return strings.Join(set, ", ")
}
