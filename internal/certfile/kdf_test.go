package certfile

import (
	"bytes"
	stdpbkdf2 "crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"testing"
)

// The vectors of RFC 6070 that take no minutes.
func TestPBKDF2(t *testing.T) {
	for _, c := range []struct {
		password, salt string
		iterations     int
		want           string
	}{
		{"password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
		{"password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"},
		{"passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096,
			"3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"},
		{"pass\x00word", "sa\x00lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"},
	} {
		want := unhex(t, c.want)
		if got := pbkdf2(sha1.New, []byte(c.password), []byte(c.salt), c.iterations, len(want)); !bytes.Equal(got, want) {
			t.Errorf("%q, %d iterations: got %x, want %x", c.password, c.iterations, got, want)
		}
	}
}

func TestPBKDF2LikeTheStandardLibrary(t *testing.T) {
	for name, newHash := range map[string]func() hash.Hash{"SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-512": sha512.New} {
		for _, n := range []int{1, 20, 21, 64, 65, 200} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				want, err := stdpbkdf2.Key(newHash, "пароль", []byte("salt"), 7, n)
				if err != nil {
					t.Fatal(err)
				}
				if got := pbkdf2(newHash, []byte("пароль"), []byte("salt"), 7, n); !bytes.Equal(got, want) {
					t.Errorf("got %x, want %x", got, want)
				}
			})
		}
	}
}

// Vectors that implementers of PKCS #12 have shared since 1999 (OpenSSL and
// Bouncy Castle have them in their tests).
func TestPKCS12Key(t *testing.T) {
	for _, c := range []struct {
		password, salt string
		iterations     int
		id             byte
		want           string
	}{
		{"smeg", "0a58cf64530d823f", 1, pkcs12KeyID, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"},
		{"smeg", "0a58cf64530d823f", 1, pkcs12IVID, "79993dfe048d3b76"},
		{"smeg", "3d83c0e4546ac140", 1, pkcs12MACID, "8d967d88f6caa9d714800ab3d48051d63f73a312"},
		{"queeg", "05dec959acff72f7", 1000, pkcs12KeyID, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"},
		{"queeg", "1682c0fc5b3f7ec5", 1000, pkcs12KeyID, "483dd6e919d7de2e8e648ba8f862f3fbfbdc2bcb2c02957f"},
		{"queeg", "1682c0fc5b3f7ec5", 1000, pkcs12IVID, "9d461d1b00355c50"},
		{"queeg", "263216fcc2fab31c", 1000, pkcs12MACID, "5ec4c7a80df652294c3925b6489a7ab857c83476"},
	} {
		want := unhex(t, c.want)
		p := newPassphrase([]byte(c.password))
		if got := pkcs12Key(sha1.New, c.id, p.bmp, unhex(t, c.salt), c.iterations, len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s, id %d: got %x, want %x", c.password, c.id, got, want)
		}
	}
}

func TestPassphrase(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "0000"},
		{"Beavis", "0042006500610076006900730000"}, // RFC 7292 §B.1
		{"қ", "049b0000"},
		{"\U0001F511", "d83ddd110000"}, // a surrogate pair
		{"\xe9\xff", "00e900ff0000"},   // Latin-1
	} {
		if got := newPassphrase([]byte(c.in)); !bytes.Equal(got.bmp, unhex(t, c.want)) || string(got.utf8) != c.in {
			t.Errorf("%q: got %x and %x, want %s", c.in, got.bmp, got.utf8, c.want)
		}
	}
}
