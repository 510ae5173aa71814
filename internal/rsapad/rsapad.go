// Package rsapad holds the RSA paddings of RFC 8017 (PKCS #1 v2.2) for a key
// whose owner does the raw operation alone: a token that raises a number to its
// private exponent and neither adds nor checks a padding.
//
// The Sign functions give the block that the raw operation turns into a
// signature; the Open functions take the block that the raw operation makes of
// a ciphertext. Every block is k bytes long, k being the length of the modulus
// in bytes, and big-endian as in the RFC: a caller whose card counts from the
// other end reverses it.
//
// Results and errors are those of crypto/rsa, so that a [crypto.Signer] or
// [crypto.Decrypter] over a card looks to its caller like one over a key in
// memory: [rsa.ErrMessageTooLong] for a key too small for what is asked of it,
// [rsa.ErrDecryption] for every fault of a decrypted block.
//
// No function keeps or changes its arguments, except where its comment says so;
// results are new slices that belong to the caller. Every function is safe for
// concurrent use.
package rsapad

import (
	"crypto"
	_ "crypto/sha1" // every hash that a padding may name is linked in
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// Errors of wrong arguments; faults of data have the errors of crypto/rsa.
var (
	// ErrHash says that a hash function has no place in the padding, or is not
	// linked into this program.
	ErrHash = errors.New("hash function not supported by the padding")

	// ErrDigestSize says that a digest is not as long as its hash function
	// makes it. It is wrapped with both lengths.
	ErrDigestSize = errors.New("digest length does not fit the hash function")

	// ErrSaltLength says that a salt length is negative and none of the
	// constants of crypto/rsa.
	ErrSaltLength = errors.New("invalid PSS salt length")
)

// newHash gives a fresh h, or ErrHash where crypto.Hash.New would panic.
func newHash(h crypto.Hash) (hash.Hash, error) {
	if !h.Available() {
		return nil, fmt.Errorf("%w: %v", ErrHash, h)
	}
	return h.New(), nil
}

// xorMGF1 applies the mask MGF1(seed, len(out)) to out, RFC 8017 appendix B.2.1.
func xorMGF1(out []byte, h hash.Hash, seed []byte) {
	var counter [4]byte
	var mask []byte
	for n := uint32(0); len(out) > 0; n++ {
		binary.BigEndian.PutUint32(counter[:], n)
		h.Reset()
		h.Write(seed)
		h.Write(counter[:])
		mask = h.Sum(mask[:0])
		m := min(len(mask), len(out))
		for i := range m {
			out[i] ^= mask[i]
		}
		out = out[m:]
	}
	h.Reset()
	clear(mask)
}
