package certfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"
)

// Password-based schemes, RFC 7292 appendix C and RFC 8018 appendix C.
var (
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
)

// A scheme is a block cipher in CBC mode.
type scheme struct {
	oid    asn1.ObjectIdentifier
	keyLen int // bytes
	block  func(key []byte) (cipher.Block, error)
}

var (
	pkcs12Schemes = []scheme{ // RFC 7292 appendix C
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}, 24, des.NewTripleDESCipher},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 4}, 16, newTwoKeyTripleDES},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}, 16, newRC2},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}, 5, newRC2},
	}
	pbes2Schemes = []scheme{ // RFC 8018 §B.2
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher},
	}
)

func findScheme(all []scheme, oid asn1.ObjectIdentifier) (scheme, error) {
	for _, s := range all {
		if s.oid.Equal(oid) {
			return s, nil
		}
	}
	return scheme{}, &UnsupportedError{Part: "encryption", OID: oid}
}

func newTwoKeyTripleDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(bytes.Clone(key), key[:8]...))
}

// A digest is a hash function, with the identifiers of itself and of its HMAC
// (RFC 8018 §B.1.2).
type digest struct {
	oid, hmac asn1.ObjectIdentifier
	new       func() hash.Hash
}

var digests = []digest{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}, sha256.New224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
}

// findHMAC finds a hash function by the identifier of its HMAC.
func findHMAC(part string, oid asn1.ObjectIdentifier) (func() hash.Hash, error) {
	for _, d := range digests {
		if d.hmac.Equal(oid) {
			return d.new, nil
		}
	}
	return nil, &UnsupportedError{Part: part, OID: oid}
}

// A derivation makes a key from a password; work says how many hash operations
// that takes.
type derivation struct {
	key  func(*passphrase) []byte
	work int64
}

// checkIterations bounds the count before anything is multiplied by it.
func checkIterations(n int) error {
	switch {
	case n < 1:
		return fmt.Errorf("%w: %d iterations", ErrMalformed, n)
	case n > maxWork:
		return ErrTooMuchWork
	}
	return nil
}

// pbkdf2Of reads the parameters of PBKDF2, RFC 8018 §A.2, for a key of keyLen
// bytes, or with 0 of the length that they must name.
func pbkdf2Of(alg pkix.AlgorithmIdentifier, keyLen int) (derivation, error) {
	if !alg.Algorithm.Equal(oidPBKDF2) {
		return derivation{}, &UnsupportedError{Part: "key derivation", OID: alg.Algorithm}
	}
	var params struct {
		Salt       asn1.RawValue
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"` // HMAC with SHA-1 by default
	}
	if err := unmarshal(alg.Parameters.FullBytes, &params); err != nil {
		return derivation{}, err
	}
	if params.Salt.Class != asn1.ClassUniversal || params.Salt.Tag != asn1.TagOctetString {
		return derivation{}, &UnsupportedError{Part: "key derivation", OID: oidPBKDF2}
	}
	if err := checkIterations(params.Iterations); err != nil {
		return derivation{}, err
	}
	if keyLen == 0 {
		keyLen = params.KeyLength
	} else if params.KeyLength != 0 && params.KeyLength != keyLen {
		return derivation{}, fmt.Errorf("%w: key of %d bytes, want %d", ErrMalformed, params.KeyLength, keyLen)
	}
	if keyLen < 1 || keyLen > sha512.BlockSize { // longer, HMAC would hash it
		return derivation{}, fmt.Errorf("%w: key of %d bytes", ErrMalformed, keyLen)
	}
	newHash := sha1.New
	if params.PRF.Algorithm != nil {
		var err error
		if newHash, err = findHMAC("key derivation", params.PRF.Algorithm); err != nil {
			return derivation{}, err
		}
	}
	blocks := (keyLen + newHash().Size() - 1) / newHash().Size()
	return derivation{
		key: func(p *passphrase) []byte {
			return pbkdf2(newHash, p.utf8, params.Salt.Bytes, params.Iterations, keyLen)
		},
		work: 2 * int64(blocks) * int64(params.Iterations),
	}, nil
}

// A cbc makes the cipher and its first block from a password.
type cbc struct {
	block     func(*passphrase) (block cipher.Block, iv []byte, err error)
	blockSize int // bytes
	work      int64
}

// cbcOf reads an encryption algorithm: PBES2 of RFC 8018 §6.2, or one of
// PKCS #12's own.
func cbcOf(alg pkix.AlgorithmIdentifier) (cbc, error) {
	if alg.Algorithm.Equal(oidPBES2) {
		return pbes2Of(alg.Parameters.FullBytes)
	}
	s, err := findScheme(pkcs12Schemes, alg.Algorithm)
	if err != nil {
		return cbc{}, err
	}
	var params struct {
		Salt       []byte
		Iterations int
	}
	if err := unmarshal(alg.Parameters.FullBytes, &params); err != nil {
		return cbc{}, err
	}
	if err := checkIterations(params.Iterations); err != nil {
		return cbc{}, err
	}
	const blockSize = des.BlockSize // RC2's is the same
	keyBlocks := (s.keyLen + sha1.Size - 1) / sha1.Size
	return cbc{
		block: func(p *passphrase) (cipher.Block, []byte, error) {
			key := pkcs12Key(sha1.New, pkcs12KeyID, p.bmp, params.Salt, params.Iterations, s.keyLen)
			defer clear(key)
			block, err := s.block(key)
			return block, pkcs12Key(sha1.New, pkcs12IVID, p.bmp, params.Salt, params.Iterations, blockSize), err
		},
		blockSize: blockSize,
		work:      int64(keyBlocks+1) * int64(params.Iterations),
	}, nil
}

func pbes2Of(der []byte) (cbc, error) {
	var params struct{ KDF, Scheme pkix.AlgorithmIdentifier }
	if err := unmarshal(der, &params); err != nil {
		return cbc{}, err
	}
	s, err := findScheme(pbes2Schemes, params.Scheme.Algorithm)
	if err != nil {
		return cbc{}, err
	}
	kdf, err := pbkdf2Of(params.KDF, s.keyLen)
	if err != nil {
		return cbc{}, err
	}
	var iv []byte
	if err := unmarshal(params.Scheme.Parameters.FullBytes, &iv); err != nil {
		return cbc{}, err
	}
	sample, err := s.block(make([]byte, s.keyLen))
	if err != nil {
		return cbc{}, err
	}
	if len(iv) != sample.BlockSize() {
		return cbc{}, fmt.Errorf("%w: IV of %d bytes", ErrMalformed, len(iv))
	}
	return cbc{
		block: func(p *passphrase) (cipher.Block, []byte, error) {
			key := kdf.key(p)
			defer clear(key)
			block, err := s.block(key)
			return block, iv, err
		},
		blockSize: sample.BlockSize(),
		work:      kdf.work,
	}, nil
}

// decrypt asks for the password if it is not known, and decrypts. A password
// that turns out wrong is ErrPassword. The caller clears the result.
func (d *decoder) decrypt(alg pkix.AlgorithmIdentifier, data []byte) ([]byte, error) {
	c, err := cbcOf(alg)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || len(data)%c.blockSize != 0 {
		return nil, fmt.Errorf("%w: %d encrypted bytes", ErrMalformed, len(data))
	}
	if err := d.spend(c.work); err != nil {
		return nil, err
	}
	p, err := d.passphrase()
	if err != nil {
		return nil, err
	}
	block, iv, err := c.block(p)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)

	// Padding of RFC 8018 §6.1.1 step 4. The file and its owner are on the same
	// machine, so the time that this takes tells nobody anything.
	n := int(plain[len(plain)-1])
	if n < 1 || n > c.blockSize || bytes.Count(plain[len(plain)-n:], []byte{byte(n)}) != n {
		clear(plain)
		return nil, ErrPassword
	}
	return plain[:len(plain)-n], nil
}

// macKey reads how the key of a MAC is derived and what hash function it is
// for: RFC 7292 §B.4, or PBMAC1 of RFC 9579.
func macKey(mac macData) (derivation, func() hash.Hash, error) {
	alg := mac.Digest.Algorithm
	if alg.Algorithm.Equal(oidPBMAC1) {
		var params struct{ KDF, MAC pkix.AlgorithmIdentifier }
		if err := unmarshal(alg.Parameters.FullBytes, &params); err != nil {
			return derivation{}, nil, err
		}
		newHash, err := findHMAC("integrity check", params.MAC.Algorithm)
		if err != nil {
			return derivation{}, nil, err
		}
		kdf, err := pbkdf2Of(params.KDF, 0)
		return kdf, newHash, err
	}
	for _, d := range digests {
		if !d.oid.Equal(alg.Algorithm) {
			continue
		}
		if err := checkIterations(mac.Iterations); err != nil {
			return derivation{}, nil, err
		}
		return derivation{
			key: func(p *passphrase) []byte {
				return pkcs12Key(d.new, pkcs12MACID, p.bmp, mac.Salt, mac.Iterations, d.new().Size())
			},
			work: int64(mac.Iterations),
		}, d.new, nil
	}
	return derivation{}, nil, &UnsupportedError{Part: "integrity check", OID: alg.Algorithm}
}
