package certfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"sync"
	"testing"
	"time"
)

const testPassword = "kaztoken"

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decodePEM(t testing.TB, data []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("no PEM block")
	}
	return block.Bytes
}

// readDER gives the content of the one block of a PEM file.
func readDER(t testing.TB, name string) []byte {
	t.Helper()
	return decodePEM(t, readFile(t, name))
}

// leafKey is testdata/leaf.key, the key of testdata/leaf.pem.
func leafKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(readDER(t, "leaf.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

var otherKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// answer is a person who is asked once.
func answer(password string) func() ([]byte, error) {
	asked := false
	return func() ([]byte, error) {
		if asked {
			return nil, errAskedTwice
		}
		asked = true
		return []byte(password), nil
	}
}

var (
	errAskedTwice = errors.New("the password was asked for twice")
	errAsked      = errors.New("the password was asked for")
)

func askNobody() ([]byte, error) { return nil, errAsked }

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// explicit is what stands in an explicit [0].
func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// bag is a SafeBag.
func bag(t testing.TB, id asn1.ObjectIdentifier, value []byte) []byte {
	t.Helper()
	return marshal(t, struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}{id, explicit(value)})
}

func certBagOf(t testing.TB, kind asn1.ObjectIdentifier, der []byte) []byte {
	t.Helper()
	return bag(t, oidCertBag, bag(t, kind, marshal(t, der)))
}

// safeOf is SafeContents of the bags.
func safeOf(t testing.TB, bags ...[]byte) []byte {
	t.Helper()
	return marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(bags, nil)})
}

// pfxOf is a PKCS #12 file with neither MAC nor encryption, a safe for each
// argument.
func pfxOf(t testing.TB, safes ...[]byte) []byte {
	t.Helper()
	var all []contentInfo
	for _, s := range safes {
		all = append(all, contentInfo{oidData, explicit(marshal(t, s))})
	}
	return pfxAround(t, oidData, marshal(t, all))
}

func pfxAround(t testing.TB, kind asn1.ObjectIdentifier, auth []byte) []byte {
	t.Helper()
	return marshal(t, struct {
		Version int
		Auth    contentInfo
	}{3, contentInfo{kind, explicit(marshal(t, auth))}})
}

// pkcs8Of is a PrivateKeyInfo.
func pkcs8Of(t testing.TB, algorithm asn1.ObjectIdentifier, key []byte) []byte {
	t.Helper()
	return marshal(t, struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: algorithm, Parameters: asn1.NullRawValue}, key})
}

// certificateOf is a certificate put together by hand, with no signature worth
// the name: of any algorithm, and as wrong as a test wants it.
type certificateOf struct {
	signature, key asn1.ObjectIdentifier // algorithms
	public         []byte
	subject        pkix.RDNSequence
	serial         *big.Int
}

func (c certificateOf) der(t testing.TB) []byte {
	t.Helper()
	if c.serial == nil {
		c.serial = big.NewInt(1)
	}
	type publicKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	signature := pkix.AlgorithmIdentifier{Algorithm: c.signature}
	tbs := struct {
		Version   int `asn1:"explicit,tag:0"`
		Serial    *big.Int
		Signature pkix.AlgorithmIdentifier
		Issuer    pkix.RDNSequence
		Validity  struct{ NotBefore, NotAfter time.Time }
		Subject   pkix.RDNSequence
		Key       publicKey
	}{Version: 2, Serial: c.serial, Signature: signature, Issuer: name("Issuer"), Subject: c.subject,
		Key: publicKey{pkix.AlgorithmIdentifier{Algorithm: c.key}, asn1.BitString{Bytes: c.public, BitLength: 8 * len(c.public)}}}
	tbs.Validity.NotBefore = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	tbs.Validity.NotAfter = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return marshal(t, struct {
		TBS       any
		Signature pkix.AlgorithmIdentifier
		Value     asn1.BitString
	}{tbs, signature, asn1.BitString{Bytes: make([]byte, 128), BitLength: 1024}})
}

func name(cn string) pkix.RDNSequence { return pkix.Name{CommonName: cn}.ToRDNSequence() }

// The algorithms of a certificate of GOST 34.10-2015 with 512 bits.
var (
	oidGOSTSignature = asn1.ObjectIdentifier{1, 2, 398, 3, 10, 1, 1, 2, 3, 2}
	oidGOSTKey       = asn1.ObjectIdentifier{1, 2, 398, 3, 10, 1, 1, 2, 2, 2}
)

func gostCertificate(t testing.TB) []byte {
	t.Helper()
	return certificateOf{signature: oidGOSTSignature, key: oidGOSTKey, public: make([]byte, 130), subject: name("ГОСТ")}.der(t)
}

// unreadable is a certificate of key that crypto/x509 refuses: its serial
// number is negative, as old authorities made them.
func unreadable(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	der := certificateOf{
		signature: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11},
		key:       oidRSA,
		public:    x509.MarshalPKCS1PublicKey(&key.PublicKey),
		subject:   name("Unreadable"),
		serial:    big.NewInt(-5),
	}.der(t)
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 reads a negative serial number")
	}
	return der
}

// An authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate under a; a nil a signs itself.
func (a *authority) issue(t testing.TB, cn string, isCA bool) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: cn},
		NotBefore:             time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true,
		IsCA:                  isCA,
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}
