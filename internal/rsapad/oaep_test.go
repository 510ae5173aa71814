package rsapad

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"testing"
)

func TestOpenOAEPVectors(t *testing.T) {
	all := records(t, "oaep.txt")
	if len(all) != 4 {
		t.Fatalf("%d vectors, want 4", len(all))
	}
	for i, r := range all {
		em := raw(t, r.bytes(t, "ciphertext"), r.number(t, "d"), r.number(t, "n"))
		msg := r.bytes(t, "message")
		got, err := OpenOAEP(crypto.SHA1, 0, em, nil)
		if err != nil || !bytes.Equal(got, msg) {
			t.Errorf("vector %d: got %x, %v, want %x", i, got, err, msg)
		}
		if made := sealOAEP(len(em), crypto.SHA1, crypto.SHA1, r.bytes(t, "seed"), msg, nil); !bytes.Equal(made, em) {
			t.Errorf("vector %d: the test's own encoding is %x, want %x", i, made, em)
		}
	}
}

func TestOpenOAEPFromCryptoRSA(t *testing.T) {
	for _, key := range keys(t) {
		for _, hash := range maskHashes {
			room := key.Size() - 2*hash.Size() - 2
			if room < 0 {
				continue // 1024 bits do not hold SHA-512 twice
			}
			t.Run(fmt.Sprint(key.N.BitLen(), " ", hash), func(t *testing.T) {
				for _, mgf := range []crypto.Hash{0, hash, crypto.SHA1, crypto.SHA512} {
					for _, label := range []string{"", "label"} {
						msg := bytes.Repeat([]byte{0, 1, 0xff}, room)[:room*len(label)/5]
						c, err := rsa.EncryptOAEPWithOptions(rand.Reader, &key.PublicKey, msg,
							&rsa.OAEPOptions{Hash: hash, MGFHash: mgf, Label: []byte(label)})
						if err != nil {
							t.Fatal(err)
						}
						em := key.private(t, c)
						kept := bytes.Clone(em)
						got, err := OpenOAEP(hash, mgf, em, []byte(label))
						if err != nil || !bytes.Equal(got, msg) {
							t.Errorf("MGF1 with %v, label %q: got %x, %v", hashName(mgf), label, got, err)
						}
						if !bytes.Equal(em, kept) {
							t.Error("the block was changed")
						}
						if got, err := OpenOAEP(hash, mgf, em, []byte("other")); err != rsa.ErrDecryption || got != nil {
							t.Errorf("wrong label: got %x, %v", got, err)
						}
					}
				}
			})
		}
	}
}

// sealOAEP is EME-OAEP encoding, RFC 8017 §7.1.1 step 2, with the seed given.
func sealOAEP(k int, hash, mgf crypto.Hash, seed, msg, label []byte) []byte {
	h := hash.New()
	h.Write(label)
	db := h.Sum(nil)
	db = append(db, make([]byte, k-len(msg)-2*hash.Size()-2)...)
	db = append(append(db, 1), msg...)
	return maskOAEP(0, mgf, seed, db)
}

// maskOAEP is the rest of it, over any DB and any first byte.
func maskOAEP(first byte, mgf crypto.Hash, seed, db []byte) []byte {
	mask := func(seed []byte, n int) []byte {
		var out []byte
		for i := 0; len(out) < n; i++ {
			h := mgf.New()
			h.Write(seed)
			h.Write([]byte{0, 0, byte(i >> 8), byte(i)})
			out = h.Sum(out)
		}
		return out[:n]
	}
	xor := func(a, b []byte) []byte {
		out := bytes.Clone(a)
		for i := range out {
			out[i] ^= b[i]
		}
		return out
	}
	maskedDB := xor(db, mask(seed, len(db)))
	maskedSeed := xor(seed, mask(maskedDB, len(seed)))
	return bytes.Join([][]byte{{first}, maskedSeed, maskedDB}, nil)
}

// Every fault behind the mask gives the one error.
func TestOpenOAEPFaults(t *testing.T) {
	seed := bytes.Repeat([]byte{0x42}, 20)
	lHash := crypto.SHA1.New().Sum(nil)
	db := func(rest ...byte) []byte { return append(bytes.Clone(lHash), rest...) }
	otherHash := bytes.Repeat([]byte{1}, 20)
	for _, c := range []struct {
		name  string
		block []byte
		want  []byte // nil: refused
	}{
		{"sound", maskOAEP(0, crypto.SHA1, seed, db(0, 0, 1, 7, 0)), []byte{7, 0}},
		{"empty message", maskOAEP(0, crypto.SHA1, seed, db(0, 0, 0, 0, 1)), []byte{}},
		{"no padding", maskOAEP(0, crypto.SHA1, seed, db(1, 1, 0, 0, 1)), []byte{1, 0, 0, 1}},
		{"first byte", maskOAEP(1, crypto.SHA1, seed, db(0, 0, 1, 7, 0)), nil},
		{"label", maskOAEP(0, crypto.SHA1, seed, append(otherHash, 0, 0, 1, 7, 0)), nil},
		{"padding", maskOAEP(0, crypto.SHA1, seed, db(0, 2, 1, 7, 0)), nil},
		{"padding at once", maskOAEP(0, crypto.SHA1, seed, db(2, 0, 1, 7, 0)), nil},
		{"no 01", maskOAEP(0, crypto.SHA1, seed, db(0, 0, 0, 0, 0)), nil},
		{"no 01 and something else", maskOAEP(0, crypto.SHA1, seed, db(0, 0, 0, 0, 2)), nil},
		{"one byte too short", maskOAEP(0, crypto.SHA1, seed, lHash), nil},
		{"nothing", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := OpenOAEP(crypto.SHA1, 0, c.block, nil)
			if c.want == nil {
				if err != rsa.ErrDecryption || got != nil {
					t.Errorf("got %x, %v, want ErrDecryption", got, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("got %x, %v, want %x", got, err, c.want)
			}
		})
	}
	for _, c := range []struct{ hash, mgf crypto.Hash }{
		{0, 0}, {0, crypto.SHA1}, {crypto.SHA1, crypto.Hash(200)}, {crypto.Hash(200), 0}, {crypto.BLAKE2b_256, 0},
	} {
		if _, err := OpenOAEP(c.hash, c.mgf, make([]byte, 256), nil); !errors.Is(err, ErrHash) {
			t.Errorf("hashes %d and %d: %v, want ErrHash", c.hash, c.mgf, err)
		}
	}
}

// A sealed message opens to itself; the same block with one bit changed does
// not open to another message; any other bytes do no harm.
func FuzzOpenOAEP(f *testing.F) {
	f.Add([]byte("message"), []byte("label"), []byte("seed"), uint8(0), uint16(0), []byte{})
	f.Add([]byte{}, []byte{}, []byte{}, uint8(3), uint16(900), make([]byte, 42))
	f.Fuzz(func(t *testing.T, msg, label, seed []byte, which uint8, flip uint16, noise []byte) {
		hash := maskHashes[int(which)%len(maskHashes)]
		mgf := maskHashes[int(which)/len(maskHashes)%len(maskHashes)]
		msg = msg[:min(len(msg), 1024)]
		seed = append(bytes.Clone(seed), make([]byte, hash.Size())...)[:hash.Size()]
		k := 2*hash.Size() + 2 + len(msg) + int(which)
		block := sealOAEP(k, hash, mgf, seed, msg, label)
		got, err := OpenOAEP(hash, mgf, block, label)
		if err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("got %x, %v, want %x", got, err, msg)
		}
		bit := int(flip) % (8 * k)
		block[bit/8] ^= 1 << (bit % 8)
		if got, err := OpenOAEP(hash, mgf, block, label); err != rsa.ErrDecryption {
			t.Fatalf("bit %d changed: got %x, %v", bit, got, err)
		}
		if got, err := OpenOAEP(hash, mgf, noise, label); err != rsa.ErrDecryption {
			// Sealed by chance: it must be what sealing gives back.
			if err != nil || len(noise) < 2*hash.Size()+2+len(got) || noise[0] != 0 {
				t.Fatalf("noise %x: got %x, %v", noise, got, err)
			}
		}
	})
}
