package emu

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"testing"

	"kaztoken/internal/iso7816"
)

// testKey reads testdata/rsa-NAME.pem, made by "openssl genrsa -traditional".
func testKey(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	b, err := os.ReadFile("testdata/rsa-" + name + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("rsa-%s.pem holds no PEM block", name)
	}
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testKeys is a key source that gives the keys of testdata.
func testKeys(t testing.TB) Option {
	return WithKeySource(func(bits int) (*rsa.PrivateKey, error) {
		return testKey(t, fmt.Sprint(bits)), nil
	})
}

// reversed is x in n bytes, little-endian: written here without the code under
// test.
func reversed(x *big.Int, n int) []byte {
	b := x.FillBytes(make([]byte, n))
	slices.Reverse(b)
	return b
}

// privateBody and publicBody are the bodies that a host makes, from token.md 5.
func privateBody(k *rsa.PrivateKey) []byte {
	half := k.Size() / 2
	return slices.Concat(
		reversed(k.Primes[0], half), make([]byte, 4),
		reversed(k.Primes[1], half), make([]byte, 4),
		reversed(k.Precomputed.Qinv, half),
		reversed(k.Precomputed.Dp, half),
		reversed(k.Precomputed.Dq, half))
}

func publicBody(k *rsa.PrivateKey) []byte {
	return slices.Concat(reversed(k.N, k.Size()), reversed(big.NewInt(int64(k.E)), k.Size()/2))
}

// blocks cuts the body of CHANGE REFERENCE DATA 00 24 01 00 into chained commands
// as OpenSC does: 249 bytes in the first, 253 in the others.
func blocks(body []byte) [][]byte {
	data := []byte{0x80, 0x02, byte(len(body) >> 8), byte(len(body))}
	var commands [][]byte
	for len(body) > 0 {
		n := min(len(body), 255-2-len(data))
		data = append(append(data, 0xA5, byte(n)), body[:n]...)
		body = body[n:]
		cla := byte(0x10)
		if len(body) == 0 {
			cla = 0x00
		}
		commands = append(commands, append([]byte{cla, 0x24, 0x01, 0x00, byte(len(data))}, data...))
		data = nil
	}
	return commands
}

// chained cuts the data of a command into blocks of 255 bytes, Le in the last.
func chained(ins, p1, p2 byte, data []byte) [][]byte {
	var commands [][]byte
	for len(data) > 255 {
		commands = append(commands, append([]byte{0x10, ins, p1, p2, 255}, data[:255]...))
		data = data[255:]
	}
	last := append([]byte{0x00, ins, p1, p2, byte(len(data))}, data...)
	return append(commands, append(last, 0x00))
}

// exchange sends commands until one is refused, and follows 61xx; it gives the
// answer of the last one sent.
func exchange(t testing.TB, c *Card, commands ...[]byte) ([]byte, iso7816.SW) {
	t.Helper()
	for i, in := range commands {
		r, err := iso7816.ParseResponse(transmit(t, c, in))
		if err != nil {
			t.Fatal(err)
		}
		data := r.Data
		for n, more := r.SW.MoreData(); more; n, more = r.SW.MoreData() {
			if r, err = iso7816.ParseResponse(transmit(t, c, []byte{0x00, 0xC0, 0x00, 0x00, byte(n)})); err != nil {
				t.Fatal(err)
			}
			data = append(data, r.Data...)
		}
		if i == len(commands)-1 || r.SW != iso7816.SWOK {
			return data, r.SW
		}
	}
	t.Fatal("no command")
	return nil, 0
}

// createPair makes the two files of a key of k's size with id 00kk.
func createPair(t *testing.T, c *Card, k *rsa.PrivateKey, kk byte) {
	t.Helper()
	half := k.Size() / 2
	id := fmt.Sprintf("00 %02X", kk)
	size := func(n int) string { return fmt.Sprintf("%02X %02X", n>>8, n&0xFF) }
	play(t, c,
		createRSF(size(5*half+8), id, privateProps, privateRules), done,
		createRSF(size(3*half), id, publicProps, publicRules), done)
}

func selectKey(home, kk byte) []byte {
	return []byte{0x00, 0xA4, 0x08, 0x0C, 0x08, 0x10, 0x00, 0x10, 0x00, 0x60, home, 0x00, kk}
}

const (
	publicDF  = 0x01
	privateDF = 0x02
)

// load selects a key file and loads body.
func load(t *testing.T, c *Card, home, kk byte, body []byte) iso7816.SW {
	t.Helper()
	exchange(t, c, selectKey(home, kk))
	_, sw := exchange(t, c, blocks(body)...)
	return sw
}

// signs compares a signature of the card with that of crypto/rsa, which is the
// same for PKCS #1 v1.5.
func signs(t *testing.T, c *Card, k *rsa.PrivateKey) {
	t.Helper()
	digest := sha256.Sum256([]byte("a form to sign"))
	want, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	block := new(big.Int).Exp(new(big.Int).SetBytes(want), big.NewInt(int64(k.E)), k.N)
	got, sw := exchange(t, c, chained(0x2A, 0x9E, 0x9A, reversed(block, k.Size()))...)
	slices.Reverse(got)
	if sw != iso7816.SWOK || !bytes.Equal(got, want) {
		t.Errorf("signature %x, %v, want %x", got, sw, want)
	}
}

// deciphers compares what the card makes of a cryptogram with what was in it.
func deciphers(t *testing.T, c *Card, n *big.Int) {
	t.Helper()
	size := n.BitLen() / 8
	block := slices.Concat([]byte{0, 2}, bytes.Repeat([]byte{0x5A}, size-9), []byte("\x00secret"))
	plain := new(big.Int).SetBytes(block)
	cryptogram := new(big.Int).Exp(plain, big.NewInt(65537), n)
	got, sw := exchange(t, c, chained(0x2A, 0x80, 0x86, reversed(cryptogram, size))...)
	if want := reversed(plain, size); sw != iso7816.SWOK || !bytes.Equal(got, want) {
		t.Errorf("plain block %x, %v, want %x", got, sw, want)
	}
}

func TestRSA(t *testing.T) {
	for _, bits := range []int{1024, 2048, 3072, 4096} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			k := testKey(t, fmt.Sprint(bits))
			c := New(testKeys(t))
			play(t, c, verifyUser, done)
			createPair(t, c, k, 1)
			createPair(t, c, k, 2)

			n, sw := exchange(t, c, unhex(t, "00 46 80 01 00"))
			if sw != iso7816.SWOK || !bytes.Equal(n, reversed(k.N, k.Size())) {
				t.Fatalf("GENERATE KEY: modulus %x, %v", n, sw)
			}
			if sw := load(t, c, privateDF, 2, privateBody(k)); sw != iso7816.SWOK {
				t.Fatalf("private: %v", sw)
			}
			if sw := load(t, c, publicDF, 2, publicBody(k)); sw != iso7816.SWOK {
				t.Fatalf("public: %v", sw)
			}
			for _, kk := range []byte{1, 2} {
				private, public := c.key(kk).body, c.twin(c.key(kk)).body
				if !bytes.Equal(private, privateBody(k)) || !bytes.Equal(public, publicBody(k)) {
					t.Errorf("key %d: other bodies than the host's", kk)
				}
				play(t, c,
					fmt.Sprintf("00 22 41 B6 03 84 01 %02X", kk), done,
					fmt.Sprintf("00 22 41 B8 03 84 01 %02X", kk), done)
				signs(t, c, k)
				deciphers(t, c, k.N)
			}
		})
	}
}

func TestLongAnswersComeInParts(t *testing.T) {
	k := testKey(t, "4096")
	c := New(testKeys(t))
	play(t, c, verifyUser, done)
	createPair(t, c, k, 1)
	n := reversed(k.N, 512)
	play(t, c,
		"00 46 80 01 08 A6 06 94 04 01 00 01 00 00", spaced(n[:256])+" 61 00",
		"00 C0 00 00 00", spaced(n[256:])+" 90 00",
		"00 C0 00 00 00", "69 85",
	)
}

// crypto/rsa makes the key when no source is given.
func TestGenerateKeyWithoutSource(t *testing.T) {
	c := New()
	play(t, c, verifyUser, done,
		createRSF("01 48", "00 01", privateProps, privateRules), done,
		createRSF("00 C0", "00 01", publicProps, publicRules), done)
	n, sw := exchange(t, c, unhex(t, "00 46 80 01 00"))
	if sw != iso7816.SWOK || len(n) != 128 {
		t.Fatalf("%d bytes, %v", len(n), sw)
	}
	play(t, c, "00 22 41 B8 03 84 01 01", done)
	deciphers(t, c, bigEndian(n))
}

func TestLoadRefusesWrongKeys(t *testing.T) {
	k, other := testKey(t, "2048"), testKey(t, "2048-other")
	private, public := privateBody(k), publicBody(k)
	change := func(body []byte, at int, to byte) []byte {
		body = bytes.Clone(body)
		body[at] = to
		return body
	}
	composite := *k
	composite.Primes = []*big.Int{new(big.Int).Add(k.Primes[0], big.NewInt(2)), k.Primes[1]}
	for _, tt := range []struct {
		name string
		home byte
		body []byte
	}{
		{"short", privateDF, private[:647]},
		{"long", privateDF, append(bytes.Clone(private), 0)},
		{"gap after p", privateDF, change(private, 128, 1)},
		{"gap after q", privateDF, change(private, 263, 1)},
		{"p even", privateDF, change(private, 0, private[0]&^1)},
		{"p changed", privateDF, change(private, 5, private[5]^2)},
		{"q too small", privateDF, change(private, 259, 0)},
		{"q zero", privateDF, append(append(bytes.Clone(private[:132]), make([]byte, 132)...), private[264:]...)},
		{"iqmp", privateDF, change(private, 264, private[264]^1)},
		{"dmp1", privateDF, change(private, 392, private[392]^2)},
		{"dmq1", privateDF, change(private, 520, private[520]^2)},
		{"not of the public half", privateDF, privateBody(other)},
		{"e=1", privateDF, slices.Concat(private[:392], onesOf(128), onesOf(128))},
		{"public short", publicDF, public[:383]},
		{"modulus even", publicDF, change(public, 0, public[0]&^1)},
		{"modulus too small", publicDF, change(public, 255, 0)},
		{"exponent 0", publicDF, append(bytes.Clone(public[:256]), make([]byte, 128)...)},
		{"exponent even", publicDF, change(public, 256, 2)},
		{"exponent not of the private half", publicDF, change(public, 257, 1)},
		{"modulus not of the private half", publicDF, publicBody(other)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New()
			play(t, c, verifyUser, done)
			createPair(t, c, k, 1)
			// The other half is loaded already.
			first, body := byte(publicDF), public
			if tt.home == publicDF {
				first, body = privateDF, private
			}
			if sw := load(t, c, first, 1, body); sw != iso7816.SWOK {
				t.Fatal(sw)
			}
			if sw := load(t, c, tt.home, 1, tt.body); sw != iso7816.SWWrongData {
				t.Errorf("got %v, want 6A80", sw)
			}
			if f := c.current; f.body != nil {
				t.Errorf("a body of %d bytes was kept", len(f.body))
			}
		})
	}
}

// onesOf is the number 1 in n bytes.
func onesOf(n int) []byte {
	b := make([]byte, n)
	b[0] = 1
	return b
}

// p and q that are not prime pass all checks but the one for that.
func TestLoadRefusesComposites(t *testing.T) {
	three := big.NewInt(3)
	find := func(from *big.Int) *big.Int { // a multiple of three with an inverse of e
		p := new(big.Int).Mul(from, three)
		p.Rsh(p, 1).Sub(p, new(big.Int).Mod(p, three))
		for e := big.NewInt(65537); ; p.Add(p, three) {
			if p.Bit(0) == 1 && new(big.Int).GCD(nil, nil, e, minus1(p)).Cmp(one) == 0 && p.BitLen() == 512 {
				return p
			}
		}
	}
	k := testKey(t, "1024")
	p, q := find(new(big.Int).Rsh(k.Primes[0], 1)), k.Primes[1]
	if new(big.Int).Mul(p, q).BitLen() != 1024 {
		p.SetBit(p, 511, 1)
	}
	e := big.NewInt(65537)
	body := slices.Concat(
		reversed(p, 64), make([]byte, 4), reversed(q, 64), make([]byte, 4),
		reversed(new(big.Int).ModInverse(q, p), 64),
		reversed(new(big.Int).ModInverse(e, minus1(p)), 64),
		reversed(new(big.Int).ModInverse(e, minus1(q)), 64))
	parsed, ok := parseRSAPrivate(body)
	if !ok || parsed.prime() {
		t.Fatalf("parsed %v, prime %v: the test's key is not what it says", ok, ok && parsed.prime())
	}
	c := New()
	play(t, c, verifyUser, done)
	createPair(t, c, k, 1)
	if sw := load(t, c, privateDF, 1, body); sw != iso7816.SWWrongData {
		t.Errorf("got %v, want 6A80", sw)
	}
}

func TestRawFindsFaults(t *testing.T) {
	k, _ := parseRSAPrivate(privateBody(testKey(t, "1024")))
	x := big.NewInt(12345)
	if _, ok := k.raw(x); !ok {
		t.Fatal("a good key fails")
	}
	k.dmp1 = new(big.Int).Add(k.dmp1, one)
	if _, ok := k.raw(x); ok {
		t.Error("a faulty result was given out")
	}
}

func TestGenerateKey(t *testing.T) {
	pair := []string{
		verifyUser, done,
		createRSF("01 48", "00 01", privateProps, privateRules), done,
		createRSF("00 C0", "00 01", publicProps, publicRules), done,
	}
	with := func(more ...string) []string { return append(slices.Clone(pair), more...) }
	fails := WithKeySource(func(int) (*rsa.PrivateKey, error) { return nil, errors.New("none") })
	other := WithKeySource(func(int) (*rsa.PrivateKey, error) { return testKey(t, "2048"), nil })
	playAll(t, []sessionTest{
		{"needs a login", []Option{testKeys(t)}, with(
			logout, done,
			"00 46 80 01 00", "69 82",
		)},
		{"needs both files", []Option{testKeys(t)}, []string{
			verifyUser, done,
			"00 46 80 01 00", "6A 88",
			"00 46 80 00 00", "6A 88",
			createRSF("01 48", "00 01", privateProps, privateRules), done,
			"00 46 80 01 00", "6A 88",
			createRSF("01 80", "00 01", publicProps, publicRules), done,
			"00 46 80 01 00", "69 85", // of different sizes
		}},
		{"an algorithm for each file", []Option{testKeys(t)}, []string{
			verifyUser, done,
			createRSF("01 48", "00 01", privateProps, privateRules), done,
			createRSF("00 40", "00 01", "13 20 00 AA 00 00", publicRules), done,
			"00 46 80 01 00", "6A 88",
			createRSF("00 20", "00 02", "03 30 00 AA 00 00", privateRules), done,
			createRSF("00 40", "00 02", "13 20 00 AA 00 00", publicRules), done,
			"00 46 80 02 00", "6A 88", // of different parameters
		}},
		{"exponents", []Option{testKeys(t)}, with(
			"00 46 80 01 08 A6 06 94 04 03 00 00 00 00", "6A 80",
			"00 46 80 01 07 A6 05 94 03 01 00 01 00", "6A 80",
			"00 46 80 01 08 A6 06 94 04 01 00 01 00", "61 80",
		)},
		{"header", []Option{testKeys(t)}, with(
			"00 46 00 01 00", "6A 86",
			"00 46 81 01 00", "6A 86",
		)},
		{"no generator", []Option{fails}, with(
			"00 46 80 01 00", "64 00",
			"00 22 41 B6 03 84 01 01", done,
			"00 2A 9E 9A 01 00 00", "69 85",
		)},
		{"a generator of other keys", []Option{other}, with("00 46 80 01 00", "64 00")},
	})
}

func TestSecurityOperation(t *testing.T) {
	zeros := spaced(make([]byte, 128))
	sign := "00 2A 9E 9A 80 " + zeros + " 00"
	decipher := "00 2A 80 86 80 " + zeros + " 00"
	with := func(more ...string) []string {
		return append([]string{
			verifyUser, done,
			createRSF("01 48", "00 01", privateProps, privateRules), done,
			createRSF("00 C0", "00 01", publicProps, publicRules), done,
		}, more...)
	}
	modulus := spaced(reversed(testKey(t, "1024").N, 128))
	playAll(t, []sessionTest{
		{"without a key", nil, []string{
			verifyUser, done,
			sign, "69 85",
			decipher, "69 85",
			"00 A4 00 0C 02 2F 00", done,
			sign, "69 85",
		}},
		{"without a body", nil, with(
			"00 22 41 B6 03 84 01 01", done,
			sign, "69 85",
			"00 A4 08 0C 08 10 00 10 00 60 02 00 01", done,
			sign, "69 85",
			decipher, "69 85",
		)},
		{"with a public key", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			"00 A4 08 0C 08 10 00 10 00 60 01 00 01", done,
			sign, "69 81",
			"00 A4 08 0C 06 10 00 10 00 00 01", done,
			sign, "69 81",
		)},
		{"MSE or the selected file, each its own use", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			"00 A4 00 0C 02 3F 00", done,
			"00 22 41 B6 03 84 01 01", done,
			sign, zeros+" 90 00", // 0 to any power
			decipher, "69 85",
			"00 22 41 B8 03 84 01 01", done,
			decipher, zeros+" 90 00",
			"reset", "",
			verifyUser, done,
			sign, "69 85",
			"00 A4 08 0C 08 10 00 10 00 60 02 00 01", done,
			sign, zeros+" 90 00",
			decipher, zeros+" 90 00",
		)},
		{"the later of MSE and SELECT counts", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			createRSF("01 48", "00 02", privateProps, privateRules), done,
			"00 22 41 B6 03 84 01 01", done,
			sign, zeros+" 90 00",
			"00 A4 08 0C 08 10 00 10 00 60 02 00 02", done,
			sign, "69 85",
			"00 22 41 B6 03 84 01 01", done,
			sign, zeros+" 90 00",
			"00 A4 08 0C 08 10 00 10 00 60 02 00 01", done,
			"00 22 41 B6 03 84 01 02", done,
			sign, "69 85",
		)},
		{"a key that MSE named and is deleted", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			"00 A4 08 0C 08 10 00 10 00 60 02 00 01", done,
			"00 22 41 B6 03 84 01 01", done,
			"00 E4 00 00 02 00 01", done,
			sign, "69 85",
		)},
		{"needs the rule of the key", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			"00 22 41 B6 03 84 01 01", done,
			logout, done,
			sign, "69 82",
			"10 2A 9E 9A 01 00", "69 82",
			verifyAdmin, done,
			sign, "69 82",
		)},
		{"lengths and values", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			"00 22 41 B6 03 84 01 01", done,
			"00 2A 9E 9A", "67 00",
			"00 2A 9E 9A 02 00 00 00", "67 00",
			"00 2A 9E 9A 81 "+zeros+" 00 00", "67 00",
			"10 2A 9E 9A 80 "+zeros, done,
			"00 2A 9E 9A 01 00 00", "67 00",
			"10 2A 9E 9A 80 "+zeros, done,
			"10 2A 9E 9A 01 00", "67 00",
			"00 2A 9E 9A 80 "+modulus+" 00", "6A 80",
		)},
		{"a chain goes with its operation", []Option{testKeys(t)}, with(
			"00 46 80 01 80", modulus+" 90 00",
			"00 22 41 B6 03 84 01 01", done,
			"10 2A 9E 9A 7F "+zeros[3:], done,
			"00 2A 80 86 01 00 00", "69 81", // its key is the selected one, a public one
			"00 2A 9E 9A 01 00 00", "67 00",
			"10 2A 9E 9A 7F "+zeros[3:], done,
			"00 2A 9E 9A 01 00 00", zeros+" 90 00",
		)},
		{"header", nil, []string{
			"00 2A 9E 9B 01 00 00", "6A 86",
			"00 2A 80 84 01 00 00", "6A 86",
			"00 22 41 B7 03 84 01 01", "6A 86",
			"00 22 F3 B6 03 84 01 01", "6A 86", // MSE RESTORE
			"00 22 41 B6 03 83 01 01", "6A 80",
			"00 22 41 B6 03 84 02 01", "6A 80",
			"00 22 41 B6 06 84 01 01 80 01 01", "6A 80",
			"00 22 41 B6", "6A 80",
			"00 22 41 B6 03 84 01 01", "6A 88",
			"00 22 41 B6 03 84 01 00", "6A 88",
		}},
	})
}

func TestLoadNeedsASelectedKey(t *testing.T) {
	playAll(t, []sessionTest{
		{"", nil, []string{
			"00 24 01 00 05 80 02 00 01 A5", "69 86",
			"00 A4 00 0C 02 2F 00", done,
			"00 24 01 00 05 80 02 00 01 A5", "69 81",
			"00 A4 08 0C 06 10 00 10 00 00 02", done,
			"00 24 01 00 05 80 02 00 01 A5", "69 81", // a PIN has its reference
			verifyUser, done,
			createRSF("00 20", "00 01", "03 20 00 AA 00 00", privateRules), done, // selected by that
			"00 24 01 00 26 80 02 00 20 A5 20 05" + zeros(31), done,
			logout, done,
			"00 24 01 00 26 80 02 00 20 A5 20 05" + zeros(31), "69 82",
			"00 B0 00 00 00", "69 81",
			"00 D6 00 00 01 00", "69 81",
		}},
	})
}

func zeros(n int) string { return " " + spaced(make([]byte, n)) }

// A command that allocates nothing: what a session sends most.
func TestTransmitDoesNotAllocate(t *testing.T) {
	c := New()
	ctx := context.Background()
	buf := make([]byte, 0, 258)
	for _, in := range []string{
		"00 A4 08 00 04 50 00 60 05 00", "00 B0 00 00 00", "00 CA 01 8A 00", "00 20 00 02", "00 A4 00 02 02 60 05 00",
		"00 20 00 02 01 30",
	} {
		apdu := unhex(t, in)
		if n := testing.AllocsPerRun(5, func() {
			if _, err := c.Transmit(ctx, buf, apdu); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}
