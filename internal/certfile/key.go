package certfile

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// maxKeyBits is the longest RSA key that is read; the token's longest has 4096
// bits. Checking a longer one would take its time.
const maxKeyBits = 8192

var (
	oidRSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidECPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidDSA         = asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}
)

// pkcs8 takes a PrivateKeyInfo, RFC 5208 §5.
func (d *decoder) pkcs8(der []byte) error {
	var info struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	if err := unmarshal(der, &info); err != nil {
		return err
	}
	if !info.Algorithm.Algorithm.Equal(oidRSA) {
		return &KeyTypeError{Algorithm: info.Algorithm.Algorithm}
	}
	defer clear(info.PrivateKey)
	return d.pkcs1(info.PrivateKey)
}

// pkcs1 takes an RSAPrivateKey, RFC 8017 §A.1.2.
func (d *decoder) pkcs1(der []byte) error {
	key, err := parsePKCS1(der)
	if err != nil {
		return err
	}
	return d.takeKey(key)
}

func parsePKCS1(der []byte) (*rsa.PrivateKey, error) {
	var head struct { // what follows is not looked at here
		Version int
		N       *big.Int
	}
	if _, err := asn1.Unmarshal(der, &head); err != nil {
		return nil, fmt.Errorf("%w: RSA key: %v", ErrMalformed, err)
	}
	if bits := head.N.BitLen(); bits > maxKeyBits {
		return nil, &KeyTypeError{Algorithm: oidRSA, Bits: bits}
	}
	// Two numbers of the modulus's size and five of half of it: more is no key,
	// and its other numbers would take long to check.
	if len(der) > maxKeyBits {
		return nil, fmt.Errorf("%w: RSA key of %d bytes", ErrMalformed, len(der))
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: RSA key: %v", ErrMalformed, err)
	}
	return key, nil
}

// encryptedPKCS8 takes an EncryptedPrivateKeyInfo, RFC 5208 §6, which is also
// what a shrouded key bag of PKCS #12 is.
func (d *decoder) encryptedPKCS8(der []byte) error {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	if err := unmarshal(der, &info); err != nil {
		return err
	}
	plain, err := d.decrypt(info.Algorithm, info.Data)
	if err != nil {
		return err
	}
	defer clear(plain)
	n, rest, err := element(plain)
	if err != nil || len(rest) > 0 || recognise(n) != kindPKCS8 {
		return ErrPassword // the padding was right by chance, 1 in 256
	}
	defer clear(n.full)
	return d.pkcs8(n.full)
}
