package rsapad

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
)

// signHashes are all that SignPKCS1v15 knows, with the object identifiers of
// RFC 8017 appendix B.1 and of NIST's register.
var signHashes = []struct {
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
}{
	{crypto.MD5, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}},
	{crypto.SHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}},
	{crypto.SHA224, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}},
	{crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}},
	{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}},
	{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}},
	{crypto.SHA512_224, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 5}},
	{crypto.SHA512_256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 6}},
	{crypto.SHA3_224, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 7}},
	{crypto.SHA3_256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 8}},
	{crypto.SHA3_384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 9}},
	{crypto.SHA3_512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 10}},
	{crypto.MD5SHA1, nil},
	{0, nil},
}

// digestOf gives bytes of the length of a digest; 0 stands for unhashed data.
func digestOf(h crypto.Hash) []byte {
	n := 40
	if h != 0 {
		n = h.Size()
	}
	d := make([]byte, n)
	for i := range d {
		d[i] = byte(i*11 + 1)
	}
	return d
}

// hashName names 0 as well, for which crypto.Hash.String would print a value.
func hashName(h crypto.Hash) string {
	if h == 0 {
		return "unhashed"
	}
	return h.String()
}

func TestSignPKCS1v15VerifiesInCryptoRSA(t *testing.T) {
	for _, key := range keys(t) {
		for _, row := range signHashes {
			t.Run(fmt.Sprint(key.N.BitLen(), " ", hashName(row.hash)), func(t *testing.T) {
				digest := digestOf(row.hash)
				em, err := SignPKCS1v15(key.Size(), row.hash, digest)
				if err != nil {
					t.Fatal(err)
				}
				if err := rsa.VerifyPKCS1v15(&key.PublicKey, row.hash, digest, key.private(t, em)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The DigestInfo that is typed in the package, built from its definition.
func TestSignPKCS1v15DigestInfo(t *testing.T) {
	type algorithm struct {
		OID  asn1.ObjectIdentifier
		Null asn1.RawValue
	}
	for _, row := range signHashes {
		t.Run(hashName(row.hash), func(t *testing.T) {
			want := digestOf(row.hash)
			if row.oid != nil {
				var err error
				want, err = asn1.Marshal(struct {
					Algorithm algorithm
					Digest    []byte
				}{algorithm{row.oid, asn1.NullRawValue}, want})
				if err != nil {
					t.Fatal(err)
				}
			}
			em, err := SignPKCS1v15(128, row.hash, digestOf(row.hash))
			if err != nil {
				t.Fatal(err)
			}
			if got := em[len(em)-len(want):]; !bytes.Equal(got, want) {
				t.Errorf("got %x, want %x", got, want)
			}
		})
	}
}

// The whole block as RFC 8017 §9.2 draws it, for the smallest modulus that
// SHA-256 fits (62 bytes) and the prefix of note 1.
func TestSignPKCS1v15Block(t *testing.T) {
	want, err := hex.DecodeString("0001" + "ffffffffffffffff" + "00" +
		"3031300d060960864801650304020105000420" + // RFC 8017 §9.2 note 1
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") // SHA-256("abc"), FIPS 180-2 B.1
	if err != nil {
		t.Fatal(err)
	}
	got, err := SignPKCS1v15(62, crypto.SHA256, want[len(want)-32:])
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
}

func TestSignPKCS1v15Refuses(t *testing.T) {
	for _, c := range []struct {
		name string
		k    int
		hash crypto.Hash
		n    int // bytes of digest
		want error
	}{
		{"SHA-256 in 61 bytes", 61, crypto.SHA256, 32, rsa.ErrMessageTooLong},
		{"SHA-512 in 64 bytes", 64, crypto.SHA512, 64, rsa.ErrMessageTooLong},
		{"k-10 unhashed bytes", 128, 0, 118, rsa.ErrMessageTooLong},
		{"no modulus", 0, 0, 0, rsa.ErrMessageTooLong},
		{"a modulus below zero", -1, crypto.SHA1, 20, rsa.ErrMessageTooLong},
		{"short digest", 128, crypto.SHA256, 31, ErrDigestSize},
		{"long digest", 128, crypto.SHA256, 33, ErrDigestSize},
		{"no digest", 128, crypto.SHA1, 0, ErrDigestSize},
		{"MD4", 128, crypto.MD4, 16, ErrHash},
		{"no such hash", 128, crypto.Hash(200), 16, ErrHash},
	} {
		t.Run(c.name, func(t *testing.T) {
			em, err := SignPKCS1v15(c.k, c.hash, make([]byte, c.n))
			if !errors.Is(err, c.want) || em != nil {
				t.Errorf("got %x, %v, want %v", em, err, c.want)
			}
		})
	}
	if _, err := SignPKCS1v15(128, 0, make([]byte, 117)); err != nil {
		t.Errorf("k-11 unhashed bytes: %v", err)
	}
	if em, err := SignPKCS1v15(11, 0, nil); err != nil || len(em) != 11 {
		t.Errorf("no data in 11 bytes: %x, %v", em, err)
	}
}

func TestOpenPKCS1v15FromCryptoRSA(t *testing.T) {
	for _, key := range keys(t) {
		for _, n := range []int{0, 1, 48, key.Size() - 11} {
			msg := bytes.Repeat([]byte{0x5A}, n)
			//lint:ignore SA1019 others still encrypt like this, and their messages must open
			c, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, msg)
			if err != nil {
				t.Fatal(err)
			}
			em := key.private(t, c)
			kept := bytes.Clone(em)
			got, err := OpenPKCS1v15(em)
			if err != nil || !bytes.Equal(got, msg) {
				t.Errorf("%d bits, %d bytes: got %x, %v", key.N.BitLen(), n, got, err)
			}
			if n >= 16 {
				session := make([]byte, n)
				if err := OpenPKCS1v15SessionKey(em, session); err != nil || !bytes.Equal(session, msg) {
					t.Errorf("%d bits, session key of %d bytes: got %x, %v", key.N.BitLen(), n, session, err)
				}
			}
			if !bytes.Equal(em, kept) {
				t.Errorf("%d bits, %d bytes: the block was changed", key.N.BitLen(), n)
			}
		}
	}
}

// block02 builds 00 02 || PS || 00 || msg over k bytes.
func block02(k int, msg []byte) []byte {
	em := bytes.Repeat([]byte{0xA5}, k)
	em[0], em[1] = 0, 2
	em[k-len(msg)-1] = 0
	copy(em[k-len(msg):], msg)
	return em
}

func TestOpenPKCS1v15Faults(t *testing.T) {
	msg := bytes.Repeat([]byte{0x77}, 16)
	with := func(i int, b byte) []byte {
		em := block02(64, msg)
		em[i] = b
		return em
	}
	for _, c := range []struct {
		name string
		em   []byte
	}{
		{"first byte", with(0, 1)},
		{"block type 1", with(1, 1)},
		{"block type 0", with(1, 0)},
		{"no zero at all", with(64-17, 0xA5)},
		{"seven bytes of padding", with(9, 0)},
		{"no padding", with(2, 0)},
		{"all zero", make([]byte, 64)},
		{"ten bytes", []byte{0, 2, 1, 1, 1, 1, 1, 1, 1, 0}},
		{"one byte", []byte{0}},
		{"nothing", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := OpenPKCS1v15(c.em); err != rsa.ErrDecryption || got != nil {
				t.Errorf("got %x, %v", got, err)
			}
			key := bytes.Repeat([]byte{0x33}, 16)
			err := OpenPKCS1v15SessionKey(c.em, key)
			if short := len(c.em) < 16+11; short != (err == rsa.ErrDecryption) || !short && err != nil {
				t.Errorf("session key: %v from %d bytes", err, len(c.em))
			}
			if !bytes.Equal(key, bytes.Repeat([]byte{0x33}, 16)) {
				t.Errorf("the random session key was changed to %x", key)
			}
		})
	}
	t.Run("message of another length", func(t *testing.T) {
		for _, n := range []int{15, 17} {
			key := bytes.Repeat([]byte{0x33}, 16)
			if err := OpenPKCS1v15SessionKey(block02(64, bytes.Repeat([]byte{0x77}, n)), key); err != nil {
				t.Error(err)
			}
			if !bytes.Equal(key, bytes.Repeat([]byte{0x33}, 16)) {
				t.Errorf("%d bytes: the random session key was changed to %x", n, key)
			}
		}
	})
	t.Run("eight bytes of padding are enough", func(t *testing.T) {
		if got, err := OpenPKCS1v15(block02(11, nil)); err != nil || len(got) != 0 {
			t.Errorf("got %x, %v", got, err)
		}
	})
}

// openPlainly is RFC 8017 §7.2.2 step 3 read aloud, with no thought of time.
func openPlainly(em []byte) ([]byte, bool) {
	if len(em) < 11 || em[0] != 0 || em[1] != 2 {
		return nil, false
	}
	ps, m, found := bytes.Cut(em[2:], []byte{0})
	return m, found && len(ps) >= 8
}

func FuzzOpenPKCS1v15(f *testing.F) {
	f.Add(block02(64, []byte("sixteen bytes ..")))
	f.Add(block02(11, nil))
	f.Add(block02(12, nil)[:11])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, em []byte) {
		kept := bytes.Clone(em)
		want, valid := openPlainly(em)
		got, err := OpenPKCS1v15(em)
		if valid != (err == nil) || !bytes.Equal(got, want) && valid {
			t.Fatalf("%x: got %x, %v, want %x, %v", em, got, err, want, valid)
		}
		key := bytes.Repeat([]byte{0x33}, 16)
		switch err := OpenPKCS1v15SessionKey(em, key); {
		case len(em) < 27:
			if err != rsa.ErrDecryption {
				t.Fatalf("%x: session key from a short block: %v", em, err)
			}
		case err != nil:
			t.Fatalf("%x: session key: %v", em, err)
		case valid && len(want) == 16:
			if !bytes.Equal(key, want) {
				t.Fatalf("%x: session key %x, want %x", em, key, want)
			}
		default:
			if !bytes.Equal(key, bytes.Repeat([]byte{0x33}, 16)) {
				t.Fatalf("%x: the random session key was changed to %x", em, key)
			}
		}
		if !bytes.Equal(em, kept) {
			t.Fatal("the block was changed")
		}
	})
}

func FuzzSignPKCS1v15(f *testing.F) {
	f.Add(uint16(256), uint8(crypto.SHA256), digestOf(crypto.SHA256))
	f.Add(uint16(62), uint8(crypto.SHA256), digestOf(crypto.SHA256))
	f.Add(uint16(11), uint8(0), []byte{})
	f.Add(uint16(128), uint8(255), []byte{1})
	f.Fuzz(func(t *testing.T, k uint16, hash uint8, digest []byte) {
		em, err := SignPKCS1v15(int(k), crypto.Hash(hash), digest)
		if err != nil {
			if !errors.Is(err, ErrHash) && !errors.Is(err, ErrDigestSize) && !errors.Is(err, rsa.ErrMessageTooLong) {
				t.Fatalf("unknown error %v", err)
			}
			return
		}
		// Type 1 opens like type 2 where the padding has no zero.
		if len(em) != int(k) || em[0] != 0 || em[1] != 1 {
			t.Fatalf("block %x for %d bytes", em, k)
		}
		ps, rest, found := bytes.Cut(em[2:], []byte{0})
		if !found || len(ps) < 8 || bytes.Count(ps, []byte{0xff}) != len(ps) ||
			!bytes.Equal(rest, append(bytes.Clone(digestInfo[crypto.Hash(hash)]), digest...)) {
			t.Fatalf("block %x for %x", em, digest)
		}
	})
}
