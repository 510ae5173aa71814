package pkcs15

import (
	"fmt"

	"kaztoken/internal/iso7816"
)

// DirType says what a directory file lists. Its value is the tag of an entry of
// the ODF, PKCS #15 v1.1 §6.2.
type DirType byte

// The kinds of directory files.
const (
	PrKDF      DirType = 0xA0 // private keys
	PuKDF      DirType = 0xA1 // public keys
	TPuKDF     DirType = 0xA2 // trusted public keys
	SKDF       DirType = 0xA3 // secret keys
	CDF        DirType = 0xA4 // certificates
	TrustedCDF DirType = 0xA5 // trusted certificates
	UsefulCDF  DirType = 0xA6 // useful certificates
	DODF       DirType = 0xA7 // data objects
	AODF       DirType = 0xA8 // authentication objects: PINs
)

var dirTypeNames = [...]string{"PrKDF", "PuKDF", "trusted PuKDF", "SKDF", "CDF", "trusted CDF", "useful CDF", "DODF", "AODF"}

func (t DirType) String() string {
	if t < PrKDF || t > AODF {
		return fmt.Sprintf("DirType(%#02x)", byte(t))
	}
	return dirTypeNames[t-PrKDF]
}

// ODFEntry says where a directory file is:
//
//	A0..A8 { SEQUENCE { OCTET STRING path } }
//
// Objects written into the ODF itself (the other choice of PathOrObjects) are
// an entry with [Entry.Err].
type ODFEntry struct {
	Entry
	Type DirType
	Path Path
	Part Part
}

// ParseODF reads EF(ODF). See [Entries] for the error.
func ParseODF(b []byte) ([]ODFEntry, error) { return parse(b, parseODFEntry) }

func parseODFEntry(e Entry, t iso7816.TLV) ODFEntry {
	o := ODFEntry{Entry: e}
	if t.Tag < uint32(PrKDF) || t.Tag > uint32(AODF) {
		o.Err = unknown("tag %X in the ODF", t.Tag)
		return o
	}
	o.Type = DirType(t.Tag)
	c := cursor{b: t.Value}
	if path := c.need("path of a directory file", tagSequence); c.err == nil {
		l := c.locationOf(path.Value)
		o.Path, o.Part = l.path, l.part
	}
	if c.err == nil && len(c.b) > 0 {
		c.fail("%v with more than a path", o.Type)
	}
	o.Err = c.err
	return o
}

// AppendTo appends the entry, as [PrivateKey.AppendTo] does. Type must be one of
// the kinds above: it is the tag.
func (o ODFEntry) AppendTo(dst []byte) []byte { return appendEntry(dst, o, parseODFEntry) }

func (o ODFEntry) encode(dst []byte) []byte {
	start := len(dst)
	dst = location{o.Path, o.Part}.appendTo(dst)
	return wrap(dst, uint32(o.Type), start)
}
