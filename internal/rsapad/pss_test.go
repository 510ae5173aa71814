package rsapad

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

var maskHashes = []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512,
	crypto.SHA512_224, crypto.SHA512_256, crypto.SHA3_224, crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512}

// The signatures of RSA Laboratories, opened with the public key, are the
// blocks that their salts give.
func TestSignPSSVectors(t *testing.T) {
	all := records(t, "pss.txt")
	if len(all) != 10 {
		t.Fatalf("%d vectors, want 10", len(all))
	}
	for _, r := range all {
		n := r.number(t, "n")
		t.Run(fmt.Sprint(n.BitLen()), func(t *testing.T) {
			want := raw(t, r.bytes(t, "signature"), r.number(t, "e"), n)
			digest := sha1.Sum(r.bytes(t, "message"))
			for _, saltLen := range []int{20, rsa.PSSSaltLengthEqualsHash} {
				got, err := SignPSS(bytes.NewReader(r.bytes(t, "salt")), n.BitLen(), crypto.SHA1, digest[:], saltLen)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("salt length %d: got %x, %v, want %x", saltLen, got, err, want)
				}
			}
		})
	}
}

func TestSignPSSVerifiesInCryptoRSA(t *testing.T) {
	for _, key := range keys(t) {
		for _, hash := range maskHashes {
			emLen := (key.N.BitLen() - 1 + 7) / 8
			longest := emLen - hash.Size() - 2
			for _, c := range []struct{ ask, want int }{
				{rsa.PSSSaltLengthAuto, longest},
				{rsa.PSSSaltLengthEqualsHash, hash.Size()},
				{NoSalt, 0},
				{1, 1},
				{longest, longest},
			} {
				t.Run(fmt.Sprint(key.N.BitLen(), " ", hash, " ", c.ask), func(t *testing.T) {
					digest := digestOf(hash)
					em, err := SignPSS(nil, key.N.BitLen(), hash, digest, c.ask)
					if c.want > longest { // 1024 bits do not hold SHA-512 twice
						if !errors.Is(err, rsa.ErrMessageTooLong) {
							t.Fatalf("got %v, want ErrMessageTooLong", err)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					sig := key.private(t, em)
					for _, verify := range []int{rsa.PSSSaltLengthAuto, c.want} {
						if err := rsa.VerifyPSS(&key.PublicKey, hash, digest, sig, &rsa.PSSOptions{SaltLength: verify}); err != nil {
							t.Errorf("verified with salt length %d: %v", verify, err)
						}
					}
				})
			}
		}
	}
}

// Two signatures of one digest differ: nil reads real random bytes.
func TestSignPSSSaltIsRandom(t *testing.T) {
	digest := digestOf(crypto.SHA256)
	a, err := SignPSS(nil, 2048, crypto.SHA256, digest, 32)
	if err != nil {
		t.Fatal(err)
	}
	b, err := SignPSS(nil, 2048, crypto.SHA256, digest, 32)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		t.Error("two blocks of one digest are alike")
	}
}

func TestSignPSSRefuses(t *testing.T) {
	broken := errors.New("broken generator")
	for _, c := range []struct {
		name    string
		rand    io.Reader
		bits    int
		hash    crypto.Hash
		n       int // bytes of digest
		saltLen int
		want    error
	}{
		{"SHA-512 twice in 1024 bits", nil, 1024, crypto.SHA512, 64, rsa.PSSSaltLengthEqualsHash, rsa.ErrMessageTooLong},
		{"no room for the digest", nil, 512, crypto.SHA512, 64, rsa.PSSSaltLengthAuto, rsa.ErrMessageTooLong},
		{"one bit too few", nil, 8*(32+32+2) - 7, crypto.SHA256, 32, 32, rsa.ErrMessageTooLong},
		{"no modulus", nil, 0, crypto.SHA256, 32, rsa.PSSSaltLengthAuto, rsa.ErrMessageTooLong},
		{"a modulus below zero", nil, -9, crypto.SHA256, 32, rsa.PSSSaltLengthAuto, rsa.ErrMessageTooLong},
		{"endless salt", nil, 2048, crypto.SHA256, 32, 1 << 40, rsa.ErrMessageTooLong},
		{"salt length -2", nil, 2048, crypto.SHA256, 32, -2, ErrSaltLength},
		{"short digest", nil, 2048, crypto.SHA256, 31, 32, ErrDigestSize},
		{"no hash", nil, 2048, 0, 32, 32, ErrHash},
		{"no such hash", nil, 2048, crypto.Hash(200), 32, 32, ErrHash},
		{"a hash that is not linked in", nil, 2048, crypto.BLAKE2b_256, 32, 32, ErrHash},
		{"broken generator", iotest.ErrReader(broken), 2048, crypto.SHA256, 32, 32, broken},
		{"generator that ends", bytes.NewReader(make([]byte, 31)), 2048, crypto.SHA256, 32, 32, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			em, err := SignPSS(c.rand, c.bits, c.hash, make([]byte, c.n), c.saltLen)
			if !errors.Is(err, c.want) || em != nil {
				t.Errorf("got %x, %v, want %v", em, err, c.want)
			}
		})
	}
	// The smallest modulus for SHA-256 and its salt: emLen is 66 bytes.
	if _, err := SignPSS(nil, 8*(32+32+2)-6, crypto.SHA256, make([]byte, 32), 32); err != nil {
		t.Errorf("smallest modulus: %v", err)
	}
}

// verifyPlainly is EMSA-PSS-VERIFY, RFC 8017 §9.1.2, over a block of k bytes.
func verifyPlainly(block []byte, bits int, hash crypto.Hash, digest []byte) (salt []byte, err error) {
	emBits := bits - 1
	emLen := (emBits + 7) / 8
	for _, b := range block[:len(block)-emLen] {
		if b != 0 {
			return nil, errors.New("bytes before EM")
		}
	}
	em := bytes.Clone(block[len(block)-emLen:])
	hLen := hash.Size()
	if em[emLen-1] != 0xbc {
		return nil, errors.New("no bc at the end")
	}
	db, h := em[:emLen-hLen-1], em[emLen-hLen-1:emLen-1]
	spare := 8*emLen - emBits
	if db[0]>>(8-spare) != 0 {
		return nil, errors.New("bits above emBits")
	}
	for i := 0; i*hLen < len(db); i++ {
		m := hash.New()
		m.Write(h)
		m.Write([]byte{0, 0, byte(i >> 8), byte(i)})
		for j, b := range m.Sum(nil) {
			if i*hLen+j < len(db) {
				db[i*hLen+j] ^= b
			}
		}
	}
	db[0] &= 0xff >> spare
	db = bytes.TrimLeft(db, "\x00")
	if len(db) == 0 || db[0] != 1 {
		return nil, errors.New("no 01 before the salt")
	}
	salt = db[1:]
	m := hash.New()
	m.Write(make([]byte, 8))
	m.Write(digest)
	m.Write(salt)
	if !bytes.Equal(m.Sum(nil), h) {
		return nil, errors.New("digest")
	}
	return salt, nil
}

func FuzzSignPSS(f *testing.F) {
	f.Add(uint16(2048), uint8(crypto.SHA256), digestOf(crypto.SHA256), 32, []byte("salt"))
	f.Add(uint16(1025), uint8(crypto.SHA1), digestOf(crypto.SHA1), 0, []byte{})
	f.Add(uint16(1031), uint8(crypto.SHA3_384), digestOf(crypto.SHA3_384), -1, []byte{1})
	f.Add(uint16(7), uint8(0), []byte{}, -2, []byte{})
	f.Fuzz(func(t *testing.T, bits uint16, hash uint8, digest []byte, saltLen int, seed []byte) {
		// Enough bytes for every salt of a modulus of 65535 bits.
		salts := append(seed, make([]byte, 8192)...)
		h := crypto.Hash(hash)
		if h.Available() { // else almost no input has the right length
			digest = append(digest, make([]byte, h.Size())...)[:h.Size()]
		}
		block, err := SignPSS(bytes.NewReader(salts), int(bits), h, digest, saltLen)
		if err != nil {
			if !errors.Is(err, ErrHash) && !errors.Is(err, ErrSaltLength) && !errors.Is(err, rsa.ErrMessageTooLong) {
				t.Fatalf("unknown error %v", err)
			}
			return
		}
		if len(block) != (int(bits)+7)/8 {
			t.Fatalf("%d bytes for %d bits", len(block), bits)
		}
		salt, err := verifyPlainly(block, int(bits), h, digest)
		if err != nil {
			t.Fatalf("%x: %v", block, err)
		}
		if !bytes.HasPrefix(salts, salt) || saltLen > 0 && len(salt) != saltLen {
			t.Fatalf("salt %x, asked for %d bytes", salt, saltLen)
		}
	})
}
