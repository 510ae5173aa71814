package rsapad

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
)

// overhead is what PKCS #1 v1.5 adds to its data, bytes: two leading bytes,
// at least eight of padding and the zero that ends them, RFC 8017 §7.2.1, §9.2.
const overhead = 11

// digestInfo holds what stands before the digest in the DER encoding of a
// DigestInfo, RFC 8017 §9.2 note 1 and, for SHA-3, the object identifiers of
// NIST's register (2.16.840.1.101.3.4.2.7 to .10).
var digestInfo = map[crypto.Hash][]byte{
	crypto.MD5: {0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86,
		0xf7, 0x0d, 0x02, 0x05, 0x05, 0x00, 0x04, 0x10},
	crypto.SHA1: {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02,
		0x1a, 0x05, 0x00, 0x04, 0x14},
	crypto.SHA224:     nistInfo(0x04, 28),
	crypto.SHA256:     nistInfo(0x01, 32),
	crypto.SHA384:     nistInfo(0x02, 48),
	crypto.SHA512:     nistInfo(0x03, 64),
	crypto.SHA512_224: nistInfo(0x05, 28),
	crypto.SHA512_256: nistInfo(0x06, 32),
	crypto.SHA3_224:   nistInfo(0x07, 28),
	crypto.SHA3_256:   nistInfo(0x08, 32),
	crypto.SHA3_384:   nistInfo(0x09, 48),
	crypto.SHA3_512:   nistInfo(0x0a, 64),
	// TLS 1.0 and 1.1 sign the two digests with no DigestInfo around them.
	crypto.MD5SHA1: {},
}

// nistInfo is the prefix for the hash function 2.16.840.1.101.3.4.2.arc, whose
// digests are size bytes long.
func nistInfo(arc, size byte) []byte {
	return []byte{0x30, 0x11 + size, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00, 0x04, size}
}

// SignPKCS1v15 makes the block of a signature, EMSA-PKCS1-v1_5 of RFC 8017
// §9.2, for a modulus of k bytes. With hash 0 the digest is signed as it is,
// without a DigestInfo: any data of at most k-11 bytes.
//
// Errors: [ErrHash]; [ErrDigestSize]; [rsa.ErrMessageTooLong], wrapped, for a
// modulus too short for the digest.
func SignPKCS1v15(k int, hash crypto.Hash, digest []byte) ([]byte, error) {
	var prefix []byte
	if hash != 0 {
		var known bool
		if prefix, known = digestInfo[hash]; !known {
			return nil, fmt.Errorf("%w: %v", ErrHash, hash)
		}
		if len(digest) != hash.Size() {
			return nil, fmt.Errorf("%w: %d bytes, %v gives %d", ErrDigestSize, len(digest), hash, hash.Size())
		}
	}
	t := len(prefix) + len(digest)
	if t > k-overhead {
		return nil, fmt.Errorf("%w: %d bytes under a modulus of %d", rsa.ErrMessageTooLong, t, k)
	}

	// EM = 0x00 || 0x01 || PS || 0x00 || T, step 5.
	em := make([]byte, k)
	em[1] = 0x01
	ps := em[2 : k-t-1]
	for i := range ps {
		ps[i] = 0xff
	}
	copy(em[k-t:], prefix)
	copy(em[k-len(digest):], digest)
	return em, nil
}

// OpenPKCS1v15 takes the message out of a decrypted block, EME-PKCS1-v1_5 of
// RFC 8017 §7.2.2 step 3. em is the whole block, k bytes with its leading zero.
// The time taken does not depend on where a fault is, nor on the length of the
// padding, until it is known that there is no fault.
//
// Whether there is an error at all is what Bleichenbacher's attack lives on: a
// program that answers others must use [OpenPKCS1v15SessionKey] or
// [OpenOAEP]. The only error is [rsa.ErrDecryption].
func OpenPKCS1v15(em []byte) ([]byte, error) {
	valid, index := findPKCS1v15(em)
	if valid == 0 {
		return nil, rsa.ErrDecryption
	}
	return bytes.Clone(em[index:]), nil
}

// OpenPKCS1v15SessionKey takes a key of len(key) bytes out of a decrypted block
// and copies it over key. A block with a fault, or with a message of another
// length, leaves key as it was, in the same time and with no error: the caller
// has filled it with random bytes and goes on with them (RFC 3218 §2.3.2).
//
// The only error is [rsa.ErrDecryption], for a block too short to hold such a
// key whatever is in it.
func OpenPKCS1v15SessionKey(em, key []byte) error {
	if len(em)-overhead < len(key) {
		return rsa.ErrDecryption
	}
	valid, index := findPKCS1v15(em)
	valid &= subtle.ConstantTimeEq(int32(len(em)-index), int32(len(key)))
	subtle.ConstantTimeCopy(valid, key, em[len(em)-len(key):])
	return nil
}

// findPKCS1v15 looks at every byte of em = 0x00 || 0x02 || PS || 0x00 || M
// alike. valid is 1 or 0; index is where M begins, and 0 if valid is.
func findPKCS1v15(em []byte) (valid, index int) {
	if len(em) < overhead {
		return 0, 0
	}
	looking := 1 // 1 until the first zero after the padding
	for i := 2; i < len(em); i++ {
		zero := subtle.ConstantTimeByteEq(em[i], 0)
		index = subtle.ConstantTimeSelect(looking&zero, i, index)
		looking &^= zero
	}
	valid = subtle.ConstantTimeByteEq(em[0], 0) &
		subtle.ConstantTimeByteEq(em[1], 2) &
		(looking ^ 1) &
		subtle.ConstantTimeLessOrEq(2+8, index) // PS has eight bytes or more
	return valid, subtle.ConstantTimeSelect(valid, index+1, 0)
}
