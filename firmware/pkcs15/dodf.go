package pkcs15

import "kaztoken/internal/iso7816"

// Data is an entry of DODF for an opaque data object, PKCS #15 v1.1 §6.7. The
// data is in the file Path or, where Path is empty, in Direct.
type Data struct {
	Entry
	Common
	Application string // name of the application it belongs to; empty if absent
	OID         OID    // object identifier of the application; nil if absent
	Path        Path
	Part        Part
	Direct      []byte // nil where Path is set

	left leftovers
}

// ParseDODF reads a directory file of data objects. See [Entries] for the error.
func ParseDODF(b []byte) ([]Data, error) { return parse(b, parseData) }

func parseData(e Entry, t iso7816.TLV) Data {
	c := cursor{b: t.Value}
	d := Data{Entry: e, Common: c.common()}
	class := cursor{b: c.need("data attributes", tagSequence).Value, err: c.err}
	d.Application = class.text()
	oid, _ := class.optional(tagOID)
	d.OID = OID(oid.Value)
	d.left.class = class.rest("data attributes", tagUTF8String, tagPrintableString, tagT61String, tagIA5String,
		tagVisibleString, tagBMPString, tagOID)
	c.err = class.err
	if t.Tag != tagSequence {
		c.err = unknown("data object of kind %X", t.Tag)
	}
	c.subClass(&d.left)
	// The value is the type attribute itself, without a SEQUENCE around it.
	outer := cursor{b: c.need("type attributes", 0xA1).Value, err: c.err}
	v := outer.valueOf()
	d.Path, d.Part, d.Direct = v.path, v.part, v.direct
	d.left.outer = outer.rest("type attributes")
	c.err = outer.err
	d.left.object = c.rest("data object", 0xA0, 0xA1)
	d.Err = c.err
	return d
}

// AppendTo appends the entry, as [PrivateKey.AppendTo] does.
func (d Data) AppendTo(dst []byte) []byte { return appendEntry(dst, d, parseData) }

func (d Data) encode(dst []byte) []byte {
	start := len(dst)
	dst = d.Common.appendTo(dst)
	class := len(dst)
	if d.Application != "" {
		dst = appendText(dst, tagUTF8String, d.Application)
	}
	if len(d.OID) > 0 {
		dst = iso7816.AppendTLV(dst, tagOID, d.OID)
	}
	dst = wrap(append(dst, d.left.class...), tagSequence, class)
	dst = d.left.appendSubClass(dst)
	outer := len(dst)
	dst = value{location{d.Path, d.Part}, d.Direct}.appendTo(dst)
	dst = wrap(append(dst, d.left.outer...), 0xA1, outer)
	return wrap(append(dst, d.left.object...), tagSequence, start)
}
