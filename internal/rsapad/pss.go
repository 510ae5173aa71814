package rsapad

import (
	"crypto"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"math"
)

// NoSalt is the length of a salt that has no bytes; 0 is taken already, by
// [rsa.PSSSaltLengthAuto].
const NoSalt = math.MinInt

// SignPSS makes the block of a signature, EMSA-PSS of RFC 8017 §9.1.1 with
// MGF1 over the same hash function, for a modulus of the given number of bits.
// The salt is read from rand; nil means [cryptorand.Reader].
//
// saltLen is a number of bytes, [NoSalt], [rsa.PSSSaltLengthAuto] for the longest salt
// that fits (as crypto/rsa signs outside FIPS 140 mode) or
// [rsa.PSSSaltLengthEqualsHash].
//
// The result is k = ⌈bits/8⌉ bytes long. Where 8 divides bits-1 the RFC's EM is
// one byte shorter, and the first byte of the result is zero.
//
// Errors: [ErrHash]; [ErrDigestSize]; [ErrSaltLength]; [rsa.ErrMessageTooLong],
// wrapped, for a modulus too short for digest and salt; those of rand.
func SignPSS(rand io.Reader, bits int, hash crypto.Hash, digest []byte, saltLen int) ([]byte, error) {
	h, err := newHash(hash)
	if err != nil {
		return nil, err
	}
	hLen := h.Size()
	if len(digest) != hLen {
		return nil, fmt.Errorf("%w: %d bytes, %v gives %d", ErrDigestSize, len(digest), hash, hLen)
	}
	emBits := max(bits-1, 0)
	emLen := (emBits + 7) / 8
	room := emLen - hLen - 2 // for the salt
	switch {
	case saltLen == rsa.PSSSaltLengthAuto:
		saltLen = max(room, 0) // none fits: said below
	case saltLen == rsa.PSSSaltLengthEqualsHash:
		saltLen = hLen
	case saltLen == NoSalt:
		saltLen = 0
	case saltLen < 0:
		return nil, fmt.Errorf("%w: %d", ErrSaltLength, saltLen)
	}
	if saltLen > room { // step 3
		return nil, fmt.Errorf("%w: %v and %d bytes of salt under a modulus of %d bits",
			rsa.ErrMessageTooLong, hash, saltLen, bits)
	}

	block := make([]byte, (bits+7)/8)
	em := block[len(block)-emLen:]
	db, tail := em[:emLen-hLen-1], em[emLen-hLen-1:]

	// Step 8: DB = PS || 0x01 || salt, with PS zero.
	salt := db[len(db)-saltLen:]
	if rand == nil {
		rand = cryptorand.Reader
	}
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, fmt.Errorf("PSS salt: %w", err)
	}
	db[len(db)-saltLen-1] = 0x01

	// Steps 5 and 6: H = Hash(eight zeros || mHash || salt).
	h.Write(make([]byte, 8))
	h.Write(digest)
	h.Write(salt)
	h.Sum(tail[:0])
	tail[hLen] = 0xbc

	// Steps 9 to 12. The first 8*emLen-emBits bits stay zero, so that the block
	// is a number below the modulus.
	xorMGF1(db, h, tail[:hLen])
	db[0] &= 0xff >> (8*emLen - emBits)
	return block, nil
}
