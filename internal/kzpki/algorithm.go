package kzpki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// Family is the kind of a key.
type Family byte

// Families. Those of GOST are told apart by where their identifiers are.
const (
	FamilyOther     Family = iota // known by its identifier alone
	FamilyRSA                     // RFC 8017
	FamilyGOST2015                // GOST 34.10-2015, below 1.2.398.3.10.1.1.2
	FamilyGOST2004                // GOST 34.310-2004, below 1.2.398.3.10.1.1.1
	FamilyGOSTR2001               // GOST R 34.10-2001, 1.2.643.2.2.19 (RFC 4491)
	FamilyGOSTR2012               // GOST R 34.10-2012, below 1.2.643.7.1.1.1 (RFC 9215)
	FamilyECDSA                   // 1.2.840.10045.2.1 (RFC 5480)
)

var familyNames = []string{"other", "rsa", "gost-34.10-2015", "gost-34.310-2004",
	"gost-r-34.10-2001", "gost-r-34.10-2012", "ecdsa"}

// String is the name in JSON.
func (f Family) String() string { return nameOf("Family", familyNames, f) }

// Key is the key into the catalogue of words.
func (f Family) Key() string { return "cert.algorithm." + f.String() }

// MarshalText gives String.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Algorithm says what key a certificate is for and how the certificate itself
// is signed.
type Algorithm struct {
	Family Family `json:"family"`

	// Bits is the size of the key as people say it: of the modulus for RSA, of
	// the private key for curves. 0 if it is not known.
	Bits int `json:"bits,omitempty"`

	// OID is the algorithm of the key, "" if the certificate could not be
	// parsed; then Family is that of the signature.
	OID string `json:"oid,omitempty"`

	// SignatureOID is the algorithm of the signature under the certificate.
	SignatureOID string `json:"signatureOID,omitempty"`
}

// familyTitles are the names of families in every language.
var familyTitles = []string{"", "RSA", "GOST 34.10-2015", "GOST 34.310-2004",
	"GOST R 34.10-2001", "GOST R 34.10-2012", "ECDSA"}

// String is what an English text says: "RSA 2048", "GOST 34.10-2015 512", or
// the identifier of a family that has no name here.
func (a Algorithm) String() string {
	title := nameOf("algorithm", familyTitles, a.Family)
	if a.Family == FamilyOther {
		if title = a.OID; title == "" {
			title = a.SignatureOID
		}
	}
	if a.Bits == 0 {
		return title
	}
	return fmt.Sprintf("%s %d", title, a.Bits)
}

const oidRSA = "1.2.840.113549.1.1.1"

// familyArcs are where the identifiers of a family's keys and signatures are.
var familyArcs = []struct {
	arc    string
	family Family
}{
	{oidRSA, FamilyRSA},
	{"1.2.840.113549.1.1", FamilyRSA}, // signatures, and keys for PSS alone
	{"1.2.398.3.10.1.1.2", FamilyGOST2015},
	{"1.2.398.3.10.1.1.1", FamilyGOST2004},
	{"1.2.643.2.2.19", FamilyGOSTR2001},
	{"1.2.643.2.2.3", FamilyGOSTR2001}, // signature
	{"1.2.643.7.1.1.1", FamilyGOSTR2012},
	{"1.2.643.7.1.1.3", FamilyGOSTR2012}, // signature
	{"1.2.840.10045.2.1", FamilyECDSA},
	{"1.2.840.10045.4", FamilyECDSA}, // signature
}

func familyOf(oid string) Family {
	for _, known := range familyArcs {
		if oid == known.arc || strings.HasPrefix(oid, known.arc+".") {
			return known.family
		}
	}
	return FamilyOther
}

// algorithmOf reads what crypto/x509 leaves in the raw bytes where it does not
// know an algorithm.
func algorithmOf(c *x509.Certificate) Algorithm {
	var a Algorithm
	var cert struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &cert); err == nil {
		a.SignatureOID = cert.Algorithm.Algorithm.String()
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		a.Family = familyOf(a.SignatureOID)
		return a
	}
	a.OID = info.Algorithm.Algorithm.String()
	a.Family = familyOf(a.OID)
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		a.Bits = key.N.BitLen()
	case *ecdsa.PublicKey:
		a.Bits = key.Params().BitSize
	default:
		if a.Family >= FamilyGOST2015 && a.Family <= FamilyGOSTR2012 {
			a.Bits = curveBits(len(info.Key.Bytes))
		}
	}
	return a
}

// curveBits tells the size of a GOST key by the length of its public key: two
// coordinates, with at most a few bytes of encoding around them. The
// identifiers do not tell it in all families.
func curveBits(n int) int {
	const header = 24 // bytes: a nested string, or that and a key blob's header
	switch {
	case n >= 2*64 && n <= 2*64+header:
		return 512
	case n >= 2*32 && n <= 2*32+header:
		return 256
	}
	return 0
}
