package pkcs11

import (
	"crypto/sha1"
	"crypto/x509"

	"kaztoken/internal/iso7816"
)

// Certificate categories, PKCS #11 v3.0 §4.6.2.
const (
	categoryUnspecified = 0
	categoryUser        = 1
	categoryAuthority   = 2
)

// fields are those of an X.509 certificate that attributes have, as they stand in
// it, with tag and length (RFC 5280 §4.1).
type fields struct {
	serial, issuer, subject, publicKey []byte
	notBefore, notAfter                []byte // CK_DATE, empty if the time is none
}

// parseFields reads a certificate as far as that: also one that crypto/x509 takes
// exception to. What is none gives ok false.
func parseFields(der []byte) (f fields, ok bool) {
	outer, _, err := iso7816.ParseTLV(der)
	if err != nil || outer.Tag != 0x30 {
		return fields{}, false
	}
	tbs, _, err := iso7816.ParseTLV(outer.Value)
	if err != nil || tbs.Tag != 0x30 {
		return fields{}, false
	}
	rest := tbs.Value
	if v, after, err := iso7816.ParseTLV(rest); err == nil && v.Tag == 0xA0 { // version
		rest = after
	}
	var validity, algorithm []byte
	for _, field := range []struct {
		tag  uint32
		into *[]byte
	}{
		{0x02, &f.serial}, {0x30, &algorithm}, {0x30, &f.issuer}, {0x30, &validity}, {0x30, &f.subject}, {0x30, &f.publicKey},
	} {
		v, after, err := iso7816.ParseTLV(rest)
		if err != nil || v.Tag != field.tag {
			return fields{}, false
		}
		*field.into = rest[:len(rest)-len(after)]
		rest = after
	}
	f.notBefore, f.notAfter = dates(validity)
	return f, true
}

// dates reads Validity, a SEQUENCE of two times.
func dates(validity []byte) (notBefore, notAfter []byte) {
	seq, _, err := iso7816.ParseTLV(validity)
	if err != nil {
		return nil, nil
	}
	first, rest, err := iso7816.ParseTLV(seq.Value)
	if err != nil {
		return nil, nil
	}
	second, _, err := iso7816.ParseTLV(rest)
	if err != nil {
		return nil, nil
	}
	return dateOf(first), dateOf(second)
}

// dateOf makes a CK_DATE of a UTCTime, whose years from 50 on are of the twentieth
// century, or a GeneralizedTime (RFC 5280 §4.1.2.5).
func dateOf(t iso7816.TLV) []byte {
	v := t.Value
	digits := 8
	if t.Tag == 0x17 {
		digits = 6
	}
	if len(v) < digits {
		return nil
	}
	for _, c := range v[:digits] {
		if c < '0' || c > '9' {
			return nil
		}
	}
	switch {
	case t.Tag == 0x18:
		return v[:digits]
	case t.Tag != 0x17:
		return nil
	case v[0] >= '5':
		return append([]byte("19"), v[:digits]...)
	}
	return append([]byte("20"), v[:digits]...)
}

// x509Attributes are those that the certificate itself has. One that cannot be
// read has its value.
func x509Attributes(a attributes, der []byte, authority bool) {
	f, ok := parseFields(der)
	for t, v := range map[AttributeType][]byte{
		AttrValue: der, AttrSubject: f.subject, AttrIssuer: f.issuer, AttrSerialNumber: f.serial, AttrPublicKeyInfo: f.publicKey,
		AttrStartDate: f.notBefore, AttrEndDate: f.notAfter,
	} {
		if a[t] = v; v == nil {
			a[t] = []byte{}
		}
	}
	category := uint(categoryUnspecified)
	if ok {
		category = categoryUser
		a[AttrCheckValue] = checkValue(der)
	}
	if c, err := x509.ParseCertificate(der); authority || err == nil && c.IsCA {
		category = categoryAuthority
	}
	a[AttrCertificateCategory] = Ulong(category)
}

// checkValue is CKA_CHECK_VALUE of a certificate: the first three bytes of SHA-1
// of its value (PKCS #11 v3.0 §4.6.2).
func checkValue(der []byte) []byte {
	sum := sha1.Sum(der)
	return sum[:3]
}
