package certfile

// kind is what an ASN.1 element is, judged by the first elements inside it.
type kind byte

const (
	kindUnknown        kind = iota
	kindCertificate         // X.509, RFC 5280 §4.1
	kindPKCS7               // ContentInfo, RFC 5652 §3
	kindPKCS12              // PFX, RFC 7292 §4
	kindPKCS8               // PrivateKeyInfo, RFC 5208 §5
	kindEncryptedPKCS8      // EncryptedPrivateKeyInfo, RFC 5208 §6
	kindPKCS1               // RSAPrivateKey, RFC 8017 §A.1.2
	kindSEC1                // ECPrivateKey, RFC 5915 §3
)

// recognise looks at the tags inside a SEQUENCE. They tell all kinds apart but
// one: PFX and PrivateKeyInfo both begin with a number and a SEQUENCE, and the
// one has an optional SEQUENCE where the other has its key.
func recognise(n node) kind {
	if n.tag() != tagSequence || len(n.children) < 2 {
		return kindUnknown
	}
	tag := func(i int) byte {
		if i < len(n.children) {
			return n.children[i].tag()
		}
		return 0
	}
	switch tag(0) {
	case tagOID:
		return kindPKCS7
	case tagSequence:
		switch {
		case tag(1) == tagSequence && tag(2) == tagBitString && len(n.children) == 3:
			return kindCertificate
		case tag(1) == tagOctetString && len(n.children) == 2:
			return kindEncryptedPKCS8
		}
	case tagInteger:
		switch {
		case tag(1) == tagSequence && tag(2) == tagOctetString:
			return kindPKCS8
		case tag(1) == tagSequence && (tag(2) == tagSequence || len(n.children) == 2):
			return kindPKCS12
		case tag(1) == tagInteger && len(n.children) >= 9:
			return kindPKCS1
		case tag(1) == tagOctetString:
			return kindSEC1
		}
	}
	return kindUnknown
}
