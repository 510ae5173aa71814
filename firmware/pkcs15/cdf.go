package pkcs15

import "kaztoken/internal/iso7816"

// Certificate is an entry of CDF for an X.509 certificate, PKCS #15 v1.1 §6.6.
// The certificate is in the file Path or, where Path is empty, in Direct.
type Certificate struct {
	Entry
	Common
	// ID is that of the certificate's key, if the token has it; at most [MaxID]
	// bytes.
	ID        []byte
	Authority bool // of a certification authority
	Path      Path
	Part      Part
	Direct    []byte // DER of the certificate; nil where Path is set

	left leftovers
}

// ParseCDF reads a directory file of certificates. See [Entries] for the error.
func ParseCDF(b []byte) ([]Certificate, error) { return parse(b, parseCertificate) }

func parseCertificate(e Entry, t iso7816.TLV) Certificate {
	c := cursor{b: t.Value}
	x := Certificate{Entry: e, Common: c.common()}
	class := cursor{b: c.need("certificate attributes", tagSequence).Value, err: c.err}
	x.ID = class.need("certificate identifier", tagOctetString).Value
	x.Authority = class.boolean("authority", false)
	x.left.class = class.rest("certificate attributes", tagOctetString, tagBoolean)
	c.err = class.err
	if t.Tag != tagSequence {
		c.err = unknown("certificate of kind %X", t.Tag)
	}
	c.subClass(&x.left)
	outer := cursor{b: c.need("type attributes", 0xA1).Value, err: c.err}
	in := cursor{b: outer.need("X.509 attributes", tagSequence).Value, err: outer.err}
	v := in.valueOf()
	x.Path, x.Part, x.Direct = v.path, v.part, v.direct
	x.left.typ = in.rest("X.509 attributes")
	outer.err = in.err
	x.left.outer = outer.rest("type attributes", tagSequence)
	c.err = outer.err
	x.left.object = c.rest("certificate", 0xA0, 0xA1)
	x.Err = c.err
	return x
}

// AppendTo appends the entry, as [PrivateKey.AppendTo] does.
func (x Certificate) AppendTo(dst []byte) []byte {
	return appendEntry(dst, x, parseCertificate)
}

func (x Certificate) encode(dst []byte) []byte {
	start := len(dst)
	dst = x.Common.appendTo(dst)
	class := len(dst)
	dst = iso7816.AppendTLV(dst, tagOctetString, x.ID)
	if x.Authority {
		dst = appendBoolean(dst, true)
	}
	dst = wrap(append(dst, x.left.class...), tagSequence, class)
	dst = x.left.appendSubClass(dst)
	outer := len(dst)
	dst = value{location{x.Path, x.Part}, x.Direct}.appendTo(dst)
	dst = wrap(append(dst, x.left.typ...), tagSequence, outer)
	dst = wrap(append(dst, x.left.outer...), 0xA1, outer)
	return wrap(append(dst, x.left.object...), tagSequence, start)
}
