package kzpki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func oid(s string) asn1.ObjectIdentifier {
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			panic(err)
		}
		id = append(id, n)
	}
	return id
}

// EKU and policy identifiers as kz-pki spells them.
const (
	authUsage = "1.3.6.1.5.5.7.3.2"
	signUsage = "1.3.6.1.5.5.7.3.4"
)

// A profile is a certificate to be made for a test. It is put together byte by
// byte, so that it can be of any algorithm and say anything.
type profile struct {
	usages, policies []string
	subject          []attribute // empty: common name "X"
	issuer           []attribute // empty: common name "Some authority"
	keyUsage         x509.KeyUsage
	isCA             bool
	key, signature   string // algorithms; empty: ECDSA
	public           []byte // BIT STRING of the key, if key is given
}

type attribute struct {
	oid, value string
}

var testKey = sync.OnceValue(func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return der
})

var (
	notBefore = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)
)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func nameOfAttributes(attributes []attribute, cn string) pkix.RDNSequence {
	if len(attributes) == 0 {
		attributes = []attribute{{"2.5.4.3", cn}}
	}
	var seq pkix.RDNSequence
	for _, a := range attributes {
		seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: oid(a.oid), Value: a.value}})
	}
	return seq
}

func (p profile) der(t testing.TB) []byte {
	t.Helper()
	extension := func(id string, v any) pkix.Extension {
		return pkix.Extension{Id: oid(id), Value: marshal(t, v)}
	}
	var extensions []pkix.Extension
	if len(p.usages) > 0 {
		var ids []asn1.ObjectIdentifier
		for _, u := range p.usages {
			ids = append(ids, oid(u))
		}
		extensions = append(extensions, extension("2.5.29.37", ids))
	}
	if len(p.policies) > 0 {
		type information struct{ ID asn1.ObjectIdentifier }
		var ids []information
		for _, id := range p.policies {
			ids = append(ids, information{oid(id)})
		}
		extensions = append(extensions, extension("2.5.29.32", ids))
	}
	if p.keyUsage != 0 {
		bits := make([]byte, 1)
		for i := range 8 {
			if p.keyUsage>>i&1 != 0 {
				bits[0] |= 0x80 >> i
			}
		}
		extensions = append(extensions, extension("2.5.29.15", asn1.BitString{Bytes: bits, BitLength: 8}))
	}
	if p.isCA {
		extensions = append(extensions, extension("2.5.29.19", struct{ CA bool }{true}))
	}

	info := testKey()
	if p.key != "" {
		algorithm := pkix.AlgorithmIdentifier{Algorithm: oid(p.key)}
		if p.key == oidRSA { // RFC 3279 §2.3.1 wants them
			algorithm.Parameters = asn1.NullRawValue
		}
		info = marshal(t, struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}{algorithm, asn1.BitString{Bytes: p.public, BitLength: 8 * len(p.public)}})
	}
	if p.signature == "" {
		p.signature = "1.2.840.10045.4.3.2"
	}
	signature := pkix.AlgorithmIdentifier{Algorithm: oid(p.signature)}
	tbs := struct {
		Version    int `asn1:"explicit,tag:0"`
		Serial     *big.Int
		Signature  pkix.AlgorithmIdentifier
		Issuer     pkix.RDNSequence
		Validity   struct{ NotBefore, NotAfter time.Time }
		Subject    pkix.RDNSequence
		Key        asn1.RawValue
		Extensions []pkix.Extension `asn1:"explicit,tag:3,omitempty"`
	}{Version: 2, Serial: big.NewInt(7), Signature: signature, Issuer: nameOfAttributes(p.issuer, "Some authority"),
		Subject: nameOfAttributes(p.subject, "X"), Key: asn1.RawValue{FullBytes: info}, Extensions: extensions}
	tbs.Validity.NotBefore, tbs.Validity.NotAfter = notBefore, notAfter
	return marshal(t, struct {
		TBS       any
		Signature pkix.AlgorithmIdentifier
		Value     asn1.BitString
	}{tbs, signature, asn1.BitString{Bytes: make([]byte, 128), BitLength: 1024}})
}

func (p profile) certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(p.der(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
