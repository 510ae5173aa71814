package pkcs15

import (
	"fmt"

	"kaztoken/internal/iso7816"
)

// PINFlags is the bit string of PinAttributes, PKCS #15 v1.1 §6.8.
type PINFlags uint32

// PIN flags.
const (
	PINCaseSensitive PINFlags = 1 << iota
	PINLocal                  // of the directory Path, not of the whole token
	PINChangeDisabled
	PINUnblockDisabled // no PUK; on this token the administrator can unblock
	PINInitialized
	PINNeedsPadding
	PINUnblocking // it unblocks another PIN
	PINSO         // the administrator's PIN
	PINDisableAllowed
	PINIntegrityProtected
	PINConfidentialityProtected
	PINExchangeRefData
)

func (f PINFlags) String() string {
	return flagNames(uint32(f), "case-sensitive", "local", "change-disabled", "unblock-disabled", "initialized",
		"needs-padding", "unblockingPin", "soPin", "disable-allowed", "integrity-protected",
		"confidentiality-protected", "exchangeRefData")
}

// PINType says what a PIN is made of, PKCS #15 v1.1 §6.8.
type PINType int

// PIN types.
const (
	PINBCD PINType = iota
	PINASCIINumeric
	PINUTF8
	PINHalfNibbleBCD
	PINISO9564
)

func (t PINType) String() string {
	switch t {
	case PINBCD:
		return "bcd"
	case PINASCIINumeric:
		return "ascii-numeric"
	case PINUTF8:
		return "utf8"
	case PINHalfNibbleBCD:
		return "half-nibble-bcd"
	case PINISO9564:
		return "iso9564-1"
	}
	return fmt.Sprintf("PINType(%d)", int(t))
}

// PIN is an entry of AODF for a PIN, PKCS #15 v1.1 §6.8. What the token enforces
// is in the PIN's own file; this describes it.
type PIN struct {
	Entry
	Common
	// ID is what [Common.AuthID] of the objects that the PIN protects points to.
	ID []byte
	// Flags are the PIN's own; those that every object has are Common.Flags.
	Flags PINFlags
	Type  PINType
	// MinLength, StoredLength and MaxLength are in bytes; a MaxLength of 0 is
	// not said.
	MinLength, StoredLength, MaxLength int
	// Reference names the PIN in commands: 1 administrator, 2 user.
	Reference int
	// PadChar is the byte that a short PIN is padded with, nil if not said.
	// Nothing is padded without [PINNeedsPadding].
	PadChar []byte
	// LastChange is the text of a GeneralizedTime, empty if absent.
	LastChange string
	Path       Path // the directory of a local PIN; nil if absent
	Part       Part

	left leftovers
}

// ParseAODF reads a directory file of PINs. See [Entries] for the error.
func ParseAODF(b []byte) ([]PIN, error) { return parse(b, parsePIN) }

func parsePIN(e Entry, t iso7816.TLV) PIN {
	c := cursor{b: t.Value}
	p := PIN{Entry: e, Common: c.common()}
	class := cursor{b: c.need("authentication attributes", tagSequence).Value, err: c.err}
	p.ID = class.need("authentication identifier", tagOctetString).Value
	p.left.class = class.rest("authentication attributes", tagOctetString)
	c.err = class.err
	if t.Tag != tagSequence {
		c.err = unknown("authentication object of kind %X", t.Tag)
	}
	c.subClass(&p.left)
	outer := cursor{b: c.need("type attributes", 0xA1).Value, err: c.err}
	in := cursor{b: outer.need("PIN attributes", tagSequence).Value, err: outer.err}
	flags, ok := in.bits("PIN flags")
	if !ok {
		in.fail("no PIN flags")
	}
	p.Flags = PINFlags(flags)
	p.Type = PINType(in.needInteger("PIN type", tagEnumerated))
	p.MinLength = in.needInteger("minimum length", tagInteger)
	p.StoredLength = in.needInteger("stored length", tagInteger)
	p.MaxLength = in.integer("maximum length", tagInteger, 0)
	p.Reference = in.reference("PIN reference", 0x80, 0)
	pad, _ := in.optional(tagOctetString)
	p.PadChar = pad.Value
	p.LastChange = in.time()
	if path, ok := in.optional(tagSequence); ok {
		l := in.locationOf(path.Value)
		p.Path, p.Part = l.path, l.part
	}
	p.left.typ = in.rest("PIN attributes", tagBitString, tagEnumerated, tagInteger, 0x80, tagOctetString, tagGeneralizedTime, tagSequence)
	outer.err = in.err
	p.left.outer = outer.rest("type attributes", tagSequence)
	c.err = outer.err
	p.left.object = c.rest("PIN", 0xA0, 0xA1)
	p.Err = c.err
	return p
}

// AppendTo appends the entry, as [PrivateKey.AppendTo] does.
func (p PIN) AppendTo(dst []byte) []byte { return appendEntry(dst, p, parsePIN) }

func (p PIN) encode(dst []byte) []byte {
	start := len(dst)
	dst = p.Common.appendTo(dst)
	class := len(dst)
	dst = iso7816.AppendTLV(dst, tagOctetString, p.ID)
	dst = wrap(append(dst, p.left.class...), tagSequence, class)
	dst = p.left.appendSubClass(dst)
	outer := len(dst)
	dst = appendBits(dst, uint32(p.Flags))
	dst = appendInteger(dst, tagEnumerated, int(p.Type))
	dst = appendInteger(dst, tagInteger, p.MinLength)
	dst = appendInteger(dst, tagInteger, p.StoredLength)
	if p.MaxLength != 0 {
		dst = appendInteger(dst, tagInteger, p.MaxLength)
	}
	dst = appendInteger(dst, 0x80, p.Reference)
	if p.PadChar != nil {
		dst = iso7816.AppendTLV(dst, tagOctetString, p.PadChar)
	}
	if p.LastChange != "" {
		dst = iso7816.AppendTLV(dst, tagGeneralizedTime, []byte(p.LastChange))
	}
	if len(p.Path) > 0 {
		dst = location{p.Path, p.Part}.appendTo(dst)
	}
	dst = wrap(append(dst, p.left.typ...), tagSequence, outer)
	dst = wrap(append(dst, p.left.outer...), 0xA1, outer)
	return wrap(append(dst, p.left.object...), tagSequence, start)
}
