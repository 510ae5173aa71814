package pkcs11

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"kaztoken/internal/iso7816"
)

func someCertificate(t testing.TB, notBefore, notAfter time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1234567), Subject: pkix.Name{CommonName: "Somebody"}, NotBefore: notBefore, NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// FuzzFields compares the fields of a certificate with those that crypto/x509
// finds, where that reads it at all.
func FuzzFields(f *testing.F) {
	f.Add(someCertificate(f, time.Date(1999, 2, 3, 0, 0, 0, 0, time.UTC), time.Date(2051, 4, 5, 0, 0, 0, 0, time.UTC)))
	f.Add(someCertificate(f, time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)))
	f.Fuzz(func(t *testing.T, der []byte) {
		got, ok := parseFields(der)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if !ok {
			t.Fatal("crypto/x509 reads it")
		}
		serial, err := asn1.Marshal(c.SerialNumber)
		if err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string][2][]byte{
			"serial": {got.serial, serial}, "issuer": {got.issuer, c.RawIssuer}, "subject": {got.subject, c.RawSubject},
			"public key": {got.publicKey, c.RawSubjectPublicKeyInfo},
			"not before": {got.notBefore, []byte(c.NotBefore.UTC().Format("20060102"))},
			"not after":  {got.notAfter, []byte(c.NotAfter.UTC().Format("20060102"))},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%s: got % x, want % x", name, pair[0], pair[1])
			}
		}
	})
}

// TestFieldsOfOthers has a certificate that crypto/x509 does not read, because its
// serial number is negative, and bytes that are none.
func TestFieldsOfOthers(t *testing.T) {
	der := someCertificate(t, time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), time.Date(2036, 2, 3, 0, 0, 0, 0, time.UTC))
	at := bytes.Index(der, []byte{0x02, 0x03, 0x12, 0xD6, 0x87})
	der[at+2] = 0x92
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 reads it")
	}
	f, ok := parseFields(der)
	if !ok || !bytes.Equal(f.serial, []byte{0x02, 0x03, 0x92, 0xD6, 0x87}) || string(f.notAfter) != "20360203" || len(f.subject) == 0 {
		t.Errorf("%v, %+v", ok, f)
	}
	a := attributes{}
	x509Attributes(a, der, false)
	if !bytes.Equal(a[AttrSerialNumber], f.serial) || !bytes.Equal(a[AttrCertificateCategory], Ulong(categoryUser)) {
		t.Errorf("attributes %v", a)
	}
	for n := range len(der) {
		if f, ok := parseFields(der[:n]); ok {
			t.Errorf("the first %d bytes: %+v", n, f)
		}
	}
	a = attributes{}
	x509Attributes(a, nil, false)
	if len(a[AttrSubject]) != 0 || a[AttrSubject] == nil || !bytes.Equal(a[AttrCertificateCategory], Ulong(categoryUnspecified)) {
		t.Errorf("of nothing: %v", a)
	}
	for _, c := range []struct {
		tag  uint32
		text string
		want string
	}{
		{0x17, "491231235959Z", "20491231"}, {0x17, "500101000000Z", "19500101"}, {0x18, "20500101000000Z", "20500101"},
		{0x17, "4912", ""}, {0x18, "2050010", ""}, {0x18, "205001x1000000Z", ""}, {0x16, "20500101000000Z", ""},
	} {
		if got := dateOf(iso7816.TLV{Tag: c.tag, Value: []byte(c.text)}); string(got) != c.want {
			t.Errorf("%#x %q: %q, want %q", c.tag, c.text, got, c.want)
		}
	}
}
