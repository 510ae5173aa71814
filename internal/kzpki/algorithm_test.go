package kzpki

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"testing"
)

func TestAlgorithm(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const sha256RSA, rsaKey = "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.1"
	wrapped := func(n int) []byte { return marshal(t, make([]byte, n)) } // an OCTET STRING inside
	for _, c := range []struct {
		name string
		in   profile
		want Algorithm
		str  string
	}{
		{"RSA", profile{key: rsaKey, signature: sha256RSA, public: x509.MarshalPKCS1PublicKey(&key.PublicKey)},
			Algorithm{FamilyRSA, 2048, rsaKey, sha256RSA}, "RSA 2048"},
		{"RSA for PSS alone", profile{key: "1.2.840.113549.1.1.10", signature: sha256RSA, public: x509.MarshalPKCS1PublicKey(&key.PublicKey)},
			Algorithm{FamilyRSA, 0, "1.2.840.113549.1.1.10", sha256RSA}, "RSA"},
		{"GOST 2015, 512", profile{key: "1.2.398.3.10.1.1.2.2.2", signature: "1.2.398.3.10.1.1.2.3.2", public: wrapped(128)},
			Algorithm{FamilyGOST2015, 512, "1.2.398.3.10.1.1.2.2.2", "1.2.398.3.10.1.1.2.3.2"}, "GOST 34.10-2015 512"},
		{"GOST 2015, 256", profile{key: "1.2.398.3.10.1.1.2.2.1", signature: "1.2.398.3.10.1.1.2.3.1", public: wrapped(64)},
			Algorithm{FamilyGOST2015, 256, "1.2.398.3.10.1.1.2.2.1", "1.2.398.3.10.1.1.2.3.1"}, "GOST 34.10-2015 256"},
		{"GOST 2015 under RSA", profile{key: "1.2.398.3.10.1.1.2", signature: sha256RSA, public: wrapped(128)},
			Algorithm{FamilyGOST2015, 512, "1.2.398.3.10.1.1.2", sha256RSA}, "GOST 34.10-2015 512"},
		{"GOST 2015 of an unknown length", profile{key: "1.2.398.3.10.1.1.2.2.2", signature: "1.2.398.3.10.1.1.2.3.2", public: wrapped(100)},
			Algorithm{FamilyGOST2015, 0, "1.2.398.3.10.1.1.2.2.2", "1.2.398.3.10.1.1.2.3.2"}, "GOST 34.10-2015"},
		{"GOST 2004", profile{key: "1.2.398.3.10.1.1.1.1", signature: "1.2.398.3.10.1.1.1.2", public: wrapped(64)},
			Algorithm{FamilyGOST2004, 256, "1.2.398.3.10.1.1.1.1", "1.2.398.3.10.1.1.1.2"}, "GOST 34.310-2004 256"},
		{"GOST R 2001", profile{key: "1.2.643.2.2.19", signature: "1.2.643.2.2.3", public: wrapped(64)},
			Algorithm{FamilyGOSTR2001, 256, "1.2.643.2.2.19", "1.2.643.2.2.3"}, "GOST R 34.10-2001 256"},
		{"GOST R 2012", profile{key: "1.2.643.7.1.1.1.2", signature: "1.2.643.7.1.1.3.3", public: wrapped(128)},
			Algorithm{FamilyGOSTR2012, 512, "1.2.643.7.1.1.1.2", "1.2.643.7.1.1.3.3"}, "GOST R 34.10-2012 512"},
		{"ECDSA", profile{}, Algorithm{FamilyECDSA, 256, "1.2.840.10045.2.1", "1.2.840.10045.4.3.2"}, "ECDSA 256"},
		{"a neighbour of GOST", profile{key: "1.2.398.3.10.1.1.20", signature: "1.2.3", public: wrapped(64)},
			Algorithm{FamilyOther, 0, "1.2.398.3.10.1.1.20", "1.2.3"}, "1.2.398.3.10.1.1.20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Describe(c.in.certificate(t)).Algorithm
			if got != c.want || got.String() != c.str {
				t.Errorf("got %+v, %v, want %+v, %v", got, got, c.want, c.str)
			}
		})
	}
}

// Without the key's algorithm, that of the signature stands in for it.
func TestAlgorithmOfRawAlone(t *testing.T) {
	for signature, want := range map[string]Algorithm{
		"1.2.398.3.10.1.1.2.3.2": {Family: FamilyGOST2015, SignatureOID: "1.2.398.3.10.1.1.2.3.2"},
		"1.2.840.113549.1.1.11":  {Family: FamilyRSA, SignatureOID: "1.2.840.113549.1.1.11"},
		"1.2.3":                  {SignatureOID: "1.2.3"},
	} {
		got := Describe(&x509.Certificate{Raw: profile{signature: signature}.der(t)}).Algorithm
		if got != want {
			t.Errorf("%s: got %+v, want %+v", signature, got, want)
		}
	}
	if s := (Algorithm{SignatureOID: "1.2.3"}).String(); s != "1.2.3" {
		t.Errorf("got %q", s)
	}
	if s := (Algorithm{}).String(); s != "" {
		t.Errorf("got %q", s)
	}
	// A key that is no bit string, in a certificate that somebody built.
	if got := Describe(&x509.Certificate{RawSubjectPublicKeyInfo: []byte{asn1.TagNull, 0}}).Algorithm; got != (Algorithm{}) {
		t.Errorf("got %+v", got)
	}
}
