package certfile

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"hash"
	"math/big"
)

// pbkdf2 is PBKDF2 of RFC 8018 §5.2. The standard library's takes the password
// as a string, which nobody can wipe.
func pbkdf2(newHash func() hash.Hash, password, salt []byte, iterations, keyLen int) []byte {
	prf := hmac.New(newHash, password)
	var key []byte
	for i := uint32(1); len(key) < keyLen; i++ {
		prf.Reset()
		prf.Write(salt)
		prf.Write(binary.BigEndian.AppendUint32(nil, i))
		u := prf.Sum(nil)
		t := bytes.Clone(u)
		for range iterations - 1 {
			prf.Reset()
			prf.Write(u)
			u = prf.Sum(u[:0])
			for j := range t {
				t[j] ^= u[j]
			}
		}
		key = append(key, t...)
	}
	return key[:keyLen]
}

// What a key of pkcs12Key is for, RFC 7292 §B.3.
const (
	pkcs12KeyID byte = 1
	pkcs12IVID  byte = 2
	pkcs12MACID byte = 3
)

// pkcs12Key is the derivation of RFC 7292 §B.2; its names are the RFC's.
func pkcs12Key(newHash func() hash.Hash, id byte, password, salt []byte, r, n int) []byte {
	h := newHash()
	v := h.BlockSize()
	d := bytes.Repeat([]byte{id}, v)
	i := append(fill(salt, v), fill(password, v)...)
	defer clear(i)

	var out []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(i)
		a := h.Sum(nil)
		for range r - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		if out = append(out, a...); len(out) >= n {
			return out[:n]
		}

		// Step 6.B and 6.C: every block of I becomes (I_j + B + 1) mod 2^v.
		b := new(big.Int).SetBytes(bytes.Repeat(a, v/len(a)+1)[:v])
		b.Add(b, big.NewInt(1))
		sum := make([]byte, v+1)
		for j := 0; j < len(i); j += v {
			x := new(big.Int).SetBytes(i[j : j+v])
			x.Add(x, b).FillBytes(sum)
			copy(i[j:], sum[1:])
		}
	}
}

// fill repeats s over whole blocks of v bytes; the last repetition is cut.
func fill(s []byte, v int) []byte {
	if len(s) == 0 {
		return nil
	}
	n := (len(s) + v - 1) / v * v
	return bytes.Repeat(s, n/len(s)+1)[:n]
}
