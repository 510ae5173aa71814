package rsapad

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
)

// OpenOAEP takes the message out of a decrypted block, EME-OAEP of RFC 8017
// §7.1.2 step 3. em is the whole block, k bytes with its leading zero; mgfHash
// is the hash function inside MGF1, and 0 means the same as hash; label is
// often empty.
//
// Every fault of the block gives the same [rsa.ErrDecryption] after the same
// time, as step 3.g demands (Manger's attack tells a wrong first byte from the
// rest). [ErrHash] depends on the arguments alone.
func OpenOAEP(hash, mgfHash crypto.Hash, em, label []byte) ([]byte, error) {
	h, err := newHash(hash)
	if err != nil {
		return nil, err
	}
	if mgfHash == 0 {
		mgfHash = hash
	}
	mgf, err := newHash(mgfHash)
	if err != nil {
		return nil, err
	}
	hLen := h.Size()
	if len(em) < 2*hLen+2 { // step 1.c: a fault of the key, not of the block
		return nil, rsa.ErrDecryption
	}

	h.Write(label)
	lHash := h.Sum(nil)

	// Steps 3.b to 3.f, in a copy: em is the caller's.
	block := bytes.Clone(em)
	defer clear(block)
	seed, db := block[1:1+hLen], block[1+hLen:]
	xorMGF1(seed, mgf, db)
	xorMGF1(db, mgf, seed)

	// Step 3.g: DB = lHash' || PS || 0x01 || M, with PS zero, and Y zero.
	rest := db[hLen:]
	looking, index, bad := 1, 0, 0 // looking for the 0x01; bad: met something else
	for i, b := range rest {
		one := subtle.ConstantTimeByteEq(b, 1)
		zero := subtle.ConstantTimeByteEq(b, 0)
		index = subtle.ConstantTimeSelect(looking&one, i, index)
		looking &^= one
		bad |= looking &^ zero
	}
	valid := subtle.ConstantTimeByteEq(block[0], 0) &
		subtle.ConstantTimeCompare(lHash, db[:hLen]) &
		(bad ^ 1) &
		(looking ^ 1)
	if valid == 0 {
		return nil, rsa.ErrDecryption
	}
	return bytes.Clone(rest[index+1:]), nil
}
