package certfile

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math"
	"testing"
)

func TestParsePKCS12Shapes(t *testing.T) {
	leaf, sub := readDER(t, "leaf.pem"), readDER(t, "sub.pem")
	key := leafKey(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leafBag, subBag := certBagOf(t, oidX509Certificate, leaf), certBagOf(t, oidX509Certificate, sub)
	keyBag := bag(t, oidKeyBag, pkcs8)
	gost := gostCertificate(t)
	sdsi := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 2}
	secretBag := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 5}
	nested := safeOf(t, keyBag, leafBag)
	for range maxSafeDepth - 1 {
		nested = safeOf(t, bag(t, oidSafeContentsBag, nested))
	}
	for _, c := range []struct {
		name  string
		data  []byte
		key   bool
		certs [][]byte
		chain int
		want  error
	}{
		{"one safe", pfxOf(t, safeOf(t, keyBag, leafBag)), true, [][]byte{leaf}, 1, nil},
		{"three safes", pfxOf(t, safeOf(t, subBag), safeOf(t, keyBag), safeOf(t, leafBag)), true, [][]byte{leaf, sub}, 2, nil},
		{"key alone", pfxOf(t, safeOf(t, keyBag)), true, nil, 0, nil},
		{"nested", pfxOf(t, nested), true, [][]byte{leaf}, 1, nil},
		{"nested too deep", pfxOf(t, safeOf(t, bag(t, oidSafeContentsBag, nested))), false, nil, 0, ErrMalformed},
		{"other bags", pfxOf(t, safeOf(t, bag(t, secretBag, []byte{0x05, 0x00}), certBagOf(t, sdsi, []byte("x")), leafBag)), false, [][]byte{leaf}, 1, nil},
		{"GOST certificate", pfxOf(t, safeOf(t, certBagOf(t, oidX509Certificate, gost))), false, [][]byte{gost}, 1, nil},
		{"GOST key and certificate", pfxOf(t, safeOf(t, bag(t, oidKeyBag, pkcs8Of(t, oidGOSTKey, make([]byte, 64))),
			certBagOf(t, oidX509Certificate, gost))), false, nil, 0, ErrKeyType},
		{"key of another certificate", pfxOf(t, safeOf(t, keyBag, subBag)), false, nil, 0, ErrKeyMismatch},
		{"no safe", pfxOf(t), false, nil, 0, ErrUnknownFormat},
		{"no bag", pfxOf(t, safeOf(t)), false, nil, 0, ErrUnknownFormat},
		{"certificate that is none", pfxOf(t, safeOf(t, certBagOf(t, oidX509Certificate, []byte("x")))), false, nil, 0, ErrMalformed},
		{"safe that is none", pfxOf(t, []byte{0x05, 0x00}), false, nil, 0, ErrMalformed},
		{"signed", pfxAround(t, oidSignedData, safeOf(t)), false, nil, 0, ErrUnsupported},
		{"of another content", pfxAround(t, oidData, marshal(t, []contentInfo{{oidSignedData, explicit([]byte{0x05, 0x00})}})), false, nil, 0, ErrUnsupported},
		{"version 4", marshal(t, struct {
			Version int
			Auth    contentInfo
		}{4, contentInfo{oidData, explicit(marshal(t, []byte{0x30, 0x00}))}}), false, nil, 0, ErrMalformed},
		{"garbage for a MAC", marshal(t, struct {
			Version int
			Auth    contentInfo
			MAC     []int
		}{3, contentInfo{oidData, explicit(marshal(t, []byte{0x30, 0x00}))}, []int{1}}), false, nil, 0, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.data, askNobody)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want != nil {
				return
			}
			k := key
			if !c.key {
				k = nil
			}
			check(t, got, c.chain, k, c.certs...)
		})
	}
}

// pbeParams are the parameters of PKCS #12's own encryption.
type pbeParams struct {
	Salt       []byte
	Iterations int
}

var oidPBE3DES = pkcs12Schemes[0].oid

// tripleDES encrypts as PKCS #12 did from the first.
func tripleDES(t testing.TB, plain []byte, password string, iterations int) (pkix.AlgorithmIdentifier, []byte) {
	t.Helper()
	alg := pkix.AlgorithmIdentifier{Algorithm: oidPBE3DES,
		Parameters: asn1.RawValue{FullBytes: marshal(t, pbeParams{[]byte("salt"), iterations})}}
	c, err := cbcOf(alg)
	if err != nil {
		t.Fatal(err)
	}
	block, iv, err := c.block(newPassphrase([]byte(password)))
	if err != nil {
		t.Fatal(err)
	}
	n := 8 - len(plain)%8
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return alg, data
}

// Without a MAC the padding decides, and it is right by chance once in 256:
// then what comes out must not pass for damage.
func TestParsePasswordRightByChance(t *testing.T) {
	garbage := func(data []byte, password string) []byte {
		t.Helper()
		alg, data := tripleDES(t, data, password, 1)
		return marshal(t, struct {
			Algorithm pkix.AlgorithmIdentifier
			Data      []byte
		}{alg, data})
	}
	if _, err := Parse(garbage([]byte("no key at all"), "x"), answer("x")); !errors.Is(err, ErrPassword) {
		t.Errorf("key: %v", err)
	}

	alg, data := tripleDES(t, []byte("no bags at all"), "x", 1)
	info := struct {
		Version int
		Info    struct {
			ContentType asn1.ObjectIdentifier
			Algorithm   pkix.AlgorithmIdentifier
			Data        asn1.RawValue
		}
	}{}
	info.Info.ContentType, info.Info.Algorithm = oidData, alg
	info.Info.Data = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: data}
	file := pfxAround(t, oidData, marshal(t, []contentInfo{{oidEncryptedData, explicit(marshal(t, info))}}))
	if _, err := Parse(file, answer("x")); !errors.Is(err, ErrPassword) {
		t.Errorf("bags: %v", err)
	}
}

// A hostile file is refused before a password is asked for.
func TestParseTooMuchWork(t *testing.T) {
	oidSHA1, oidHMACSHA1 := digests[0].oid, digests[0].hmac
	encrypted := func(alg asn1.ObjectIdentifier, params any) []byte {
		return marshal(t, struct {
			Algorithm pkix.AlgorithmIdentifier
			Data      []byte
		}{pkix.AlgorithmIdentifier{Algorithm: alg, Parameters: asn1.RawValue{FullBytes: marshal(t, params)}}, make([]byte, 16)})
	}
	type kdf struct {
		Salt       []byte
		Iterations int64
		KeyLength  int `asn1:"optional"`
	}
	algorithm := func(oid asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: marshal(t, params)}}
	}
	pbes2 := func(iterations int64) []byte {
		return encrypted(oidPBES2, struct{ KDF, Scheme pkix.AlgorithmIdentifier }{
			algorithm(oidPBKDF2, kdf{Salt: []byte{1}, Iterations: iterations}),
			algorithm(pbes2Schemes[3].oid, make([]byte, 16)),
		})
	}
	withMAC := func(alg pkix.AlgorithmIdentifier, iterations int64) []byte {
		type macData struct {
			Digest struct {
				Algorithm pkix.AlgorithmIdentifier
				Digest    []byte
			}
			Salt       []byte
			Iterations int64
		}
		m := macData{Salt: []byte{1}, Iterations: iterations}
		m.Digest.Algorithm, m.Digest.Digest = alg, make([]byte, sha1.Size)
		return marshal(t, struct {
			Version int
			Auth    contentInfo
			MAC     macData
		}{3, contentInfo{oidData, explicit(marshal(t, []byte{0x30, 0x00}))}, m})
	}
	plainSHA1 := pkix.AlgorithmIdentifier{Algorithm: oidSHA1, Parameters: asn1.NullRawValue}
	pbmac1 := func(iterations int64, keyLen int) pkix.AlgorithmIdentifier {
		return algorithm(oidPBMAC1, struct{ KDF, MAC pkix.AlgorithmIdentifier }{
			algorithm(oidPBKDF2, kdf{[]byte{1}, iterations, keyLen}),
			pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA1},
		})
	}
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"MAC", withMAC(plainSHA1, maxWork+1), ErrTooMuchWork},
		{"MAC of 2^63-1", withMAC(plainSHA1, math.MaxInt64), ErrTooMuchWork},
		{"MAC of none", withMAC(plainSHA1, 0), ErrMalformed},
		{"MAC of less than none", withMAC(plainSHA1, -1), ErrMalformed},
		{"PBMAC1", withMAC(pbmac1(maxWork/2+1, 20), 1), ErrTooMuchWork},
		{"PBMAC1 of many blocks", withMAC(pbmac1(maxWork/12, 128), 1), ErrTooMuchWork},
		{"PBMAC1 with a long key", withMAC(pbmac1(1, 129), 1), ErrMalformed},
		{"PBMAC1 with a key below zero", withMAC(pbmac1(1, -1), 1), ErrMalformed},
		{"triple DES", encrypted(oidPBE3DES, pbeParams{[]byte{1}, maxWork/3 + 1}), ErrTooMuchWork},
		{"triple DES of 2^63-1", encrypted(oidPBE3DES, pbeParams{[]byte{1}, math.MaxInt64}), ErrTooMuchWork},
		{"triple DES of none", encrypted(oidPBE3DES, pbeParams{[]byte{1}, 0}), ErrMalformed},
		{"PBES2", pbes2(maxWork/4 + 1), ErrTooMuchWork},
		{"PBES2 of 2^63-1", pbes2(math.MaxInt64), ErrTooMuchWork},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse(c.data, askNobody); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}

	t.Run("many small ones", func(t *testing.T) {
		// Each is allowed, all together are not. Decrypting goes wrong, so that
		// only the sum can be what is complained about.
		d := decoder{ask: func() ([]byte, error) { return nil, nil }, work: 1000}
		alg, data := tripleDES(t, []byte("x"), "", 100)
		for range 3 {
			if _, err := d.decrypt(alg, data); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.decrypt(alg, data); !errors.Is(err, ErrTooMuchWork) {
			t.Errorf("got %v, want ErrTooMuchWork", err)
		}
	})
}

func TestEncryptionParameters(t *testing.T) {
	algorithm := func(oid asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: marshal(t, params)}}
	}
	type kdf struct {
		Salt       any
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	aes256, sha256PRF := pbes2Schemes[3].oid, digests[2].hmac
	pbes2 := func(k kdf, scheme asn1.ObjectIdentifier, iv int) pkix.AlgorithmIdentifier {
		return algorithm(oidPBES2, struct{ KDF, Scheme pkix.AlgorithmIdentifier }{
			algorithm(oidPBKDF2, k), algorithm(scheme, make([]byte, iv))})
	}
	salt := []byte{1}
	unknown := asn1.ObjectIdentifier{1, 2, 3}
	for _, c := range []struct {
		name string
		alg  pkix.AlgorithmIdentifier
		n    int // encrypted bytes
		want error
	}{
		{"sound", pbes2(kdf{Salt: salt, Iterations: 1, KeyLength: 32, PRF: pkix.AlgorithmIdentifier{Algorithm: sha256PRF}}, aes256, 16), 16, ErrPassword},
		{"key length", pbes2(kdf{Salt: salt, Iterations: 1, KeyLength: 16}, aes256, 16), 16, ErrMalformed},
		{"short IV", pbes2(kdf{Salt: salt, Iterations: 1}, aes256, 15), 16, ErrMalformed},
		{"long IV", pbes2(kdf{Salt: salt, Iterations: 1}, aes256, 17), 16, ErrMalformed},
		{"no data", pbes2(kdf{Salt: salt, Iterations: 1}, aes256, 16), 0, ErrMalformed},
		{"half a block", pbes2(kdf{Salt: salt, Iterations: 1}, aes256, 16), 24, ErrMalformed},
		{"scheme", pbes2(kdf{Salt: salt, Iterations: 1}, unknown, 16), 16, ErrUnsupported},
		{"PRF", pbes2(kdf{Salt: salt, Iterations: 1, PRF: pkix.AlgorithmIdentifier{Algorithm: unknown}}, aes256, 16), 16, ErrUnsupported},
		{"salt from elsewhere", pbes2(kdf{Salt: []int{1}, Iterations: 1}, aes256, 16), 16, ErrUnsupported},
		{"algorithm", pkix.AlgorithmIdentifier{Algorithm: unknown}, 16, ErrUnsupported},
		{"no parameters", pkix.AlgorithmIdentifier{Algorithm: oidPBES2}, 16, ErrMalformed},
		{"no parameters of PKCS #12", pkix.AlgorithmIdentifier{Algorithm: oidPBE3DES}, 16, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Zeros decrypt to noise whose padding is wrong: with this key and IV.
			d := decoder{ask: answer(testPassword), work: maxWork}
			if _, err := d.decrypt(c.alg, make([]byte, c.n)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
