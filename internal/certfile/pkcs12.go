package certfile

import (
	"crypto/hmac"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// maxSafeDepth is how deep SafeContents may nest; programs write one level.
const maxSafeDepth = 4

// freeWork is how much work trying the empty password may take, hash
// operations. What asks for more is protected by a password on purpose.
const freeWork = 250_000

// Bag types, RFC 7292 appendix D.
var (
	oidKeyBag          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKeyBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidSafeContentsBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidX509Certificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
)

// macData is MacData, RFC 7292 §4.
type macData struct {
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

// pkcs12 takes a PFX, RFC 7292 §4.
func (d *decoder) pkcs12(der []byte) error {
	var pfx struct {
		Version int
		Auth    contentInfo
		MAC     asn1.RawValue `asn1:"optional"`
	}
	if err := unmarshal(der, &pfx); err != nil {
		return err
	}
	if pfx.Version != 3 {
		return fmt.Errorf("%w: PKCS #12 version %d", ErrMalformed, pfx.Version)
	}
	if !pfx.Auth.ContentType.Equal(oidData) { // signed instead of a MAC
		return &UnsupportedError{Part: "integrity check", OID: pfx.Auth.ContentType}
	}
	var safes []byte // as in the file: the MAC is over these bytes
	if err := unmarshal(pfx.Auth.Content.Bytes, &safes); err != nil {
		return err
	}
	if len(pfx.MAC.FullBytes) > 0 {
		var mac macData
		if err := unmarshal(pfx.MAC.FullBytes, &mac); err != nil {
			return err
		}
		if err := d.checkMAC(mac, safes); err != nil {
			return err
		}
	}
	var all []contentInfo // AuthenticatedSafe
	if err := unmarshalBER(safes, &all); err != nil {
		return err
	}
	for _, info := range all {
		if err := d.safe(info); err != nil {
			return err
		}
	}
	return nil
}

// checkMAC finds out the password: the empty one, or the answer to asking.
func (d *decoder) checkMAC(mac macData, message []byte) error {
	kdf, newHash, err := macKey(mac)
	if err != nil {
		return err
	}
	if err := d.spend(kdf.work); err != nil {
		return err
	}
	right := func(p *passphrase) bool {
		key := kdf.key(p)
		defer clear(key)
		h := hmac.New(newHash, key)
		h.Write(message)
		return hmac.Equal(h.Sum(nil), mac.Digest.Digest)
	}
	if kdf.work <= freeWork {
		for _, p := range emptyPassphrases() {
			if right(p) {
				d.pass = p
				return nil
			}
		}
	}
	p, err := d.passphrase()
	if err != nil {
		return err
	}
	if !right(p) {
		return ErrPassword
	}
	return nil
}

// safe takes one part of the AuthenticatedSafe, RFC 7292 §4.1.
func (d *decoder) safe(info contentInfo) error {
	switch {
	case info.ContentType.Equal(oidData):
		var contents []byte
		if err := unmarshal(info.Content.Bytes, &contents); err != nil {
			return err
		}
		return d.bags(contents, 0)
	case info.ContentType.Equal(oidEncryptedData): // RFC 5652 §8
		var encrypted struct {
			Version int
			Info    struct {
				ContentType asn1.ObjectIdentifier
				Algorithm   pkix.AlgorithmIdentifier
				Data        asn1.RawValue `asn1:"optional,tag:0"`
			}
		}
		if err := unmarshal(info.Content.Bytes, &encrypted); err != nil {
			return err
		}
		data, err := octets(encrypted.Info.Data)
		if err != nil {
			return err
		}
		contents, err := d.decrypt(encrypted.Info.Algorithm, data)
		if err != nil {
			return err
		}
		defer clear(contents)
		if n, rest, err := element(contents); err != nil || len(rest) > 0 || n.tag() != tagSequence {
			return ErrPassword // the padding was right by chance
		}
		return d.bags(contents, 0)
	}
	return &UnsupportedError{Part: "content", OID: info.ContentType}
}

// bags takes SafeContents, RFC 7292 §4.2, which may be BER.
func (d *decoder) bags(contents []byte, depth int) error {
	if depth >= maxSafeDepth {
		return fmt.Errorf("%w: bags nested too deep", ErrMalformed)
	}
	var all []struct { // SafeBag; its attributes follow and are not looked at
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if err := unmarshalBER(contents, &all); err != nil {
		return err
	}
	for _, bag := range all {
		var err error
		switch value := bag.Value.Bytes; {
		case bag.ID.Equal(oidKeyBag):
			err = d.pkcs8(value)
		case bag.ID.Equal(oidShroudedKeyBag):
			err = d.encryptedPKCS8(value)
		case bag.ID.Equal(oidCertBag):
			err = d.certBag(value)
		case bag.ID.Equal(oidSafeContentsBag):
			err = d.bags(value, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// certBag takes a CertBag, RFC 7292 §4.2.3, if it holds X.509.
func (d *decoder) certBag(der []byte) error {
	var bag struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if err := unmarshal(der, &bag); err != nil {
		return err
	}
	if !bag.ID.Equal(oidX509Certificate) {
		return nil
	}
	var cert []byte
	if err := unmarshal(bag.Value.Bytes, &cert); err != nil {
		return err
	}
	n, rest, err := element(cert)
	if err != nil || len(rest) > 0 || recognise(n) != kindCertificate {
		return fmt.Errorf("%w: certificate of PKCS #12", ErrMalformed)
	}
	return d.certificate(n.full)
}
