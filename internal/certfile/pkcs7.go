package certfile

import (
	"encoding/asn1"
	"fmt"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
)

// contentInfo is ContentInfo, RFC 5652 §3. Content is the [0] around it.
type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     asn1.RawValue `asn1:"optional,explicit,tag:0"`
}

// pkcs7 takes the certificates of a SignedData, RFC 5652 §5.1. Whether anything
// is signed, and by whom, is not looked at.
func (d *decoder) pkcs7(der []byte) error {
	var info contentInfo
	if err := unmarshal(der, &info); err != nil {
		return err
	}
	if !info.ContentType.Equal(oidSignedData) {
		return &UnsupportedError{Part: "content", OID: info.ContentType}
	}
	var signed struct {
		Version      int
		Digests      asn1.RawValue // SET OF AlgorithmIdentifier
		Content      asn1.RawValue
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
	}
	if err := unmarshal(info.Content.Bytes, &signed); err != nil {
		return err
	}
	for all := signed.Certificates.Bytes; len(all) > 0; {
		n, rest, err := element(all)
		if err != nil {
			return fmt.Errorf("%w: certificates of PKCS #7", ErrMalformed)
		}
		if recognise(n) == kindCertificate { // else an attribute certificate
			if err := d.certificate(n.full); err != nil {
				return err
			}
		}
		all = rest
	}
	return nil
}
