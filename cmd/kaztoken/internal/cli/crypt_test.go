package cli

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/internal/describe"
)

// encryptFor encrypts as RSAES-PKCS1-v1_5, which older programs still do.
func encryptFor(t *testing.T, key *rsa.PrivateKey, plain string) string {
	t.Helper()
	block := make([]byte, key.Size())
	pad := block[2 : len(block)-len(plain)-1]
	for i := range pad {
		pad[i] = byte(i%255) + 1
	}
	block[1] = 2
	copy(block[len(block)-len(plain):], plain)
	return string(power(key, block))
}

// power is the public operation of a key.
func power(key *rsa.PrivateKey, block []byte) []byte {
	n := newInt(block)
	n.Exp(n, newInt([]byte{byte(key.E >> 16), byte(key.E >> 8), byte(key.E)}), key.N)
	return n.FillBytes(make([]byte, key.Size()))
}

func TestSign(t *testing.T) {
	key := generatedKey(t)
	d := newDesk(t).files()
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	letter := []byte("Qazaqstan\n")
	for _, c := range []struct {
		args string
		hash crypto.Hash
		pss  bool
	}{
		{"", crypto.SHA256, false},
		{"--hash sha384", crypto.SHA384, false},
		{"--hash SHA512 --pss", crypto.SHA512, true},
		{"--hash sha1", crypto.SHA1, false},
		{"--pss", crypto.SHA256, true},
	} {
		h := c.hash.New()
		h.Write(letter)
		verify := func(sig []byte) {
			t.Helper()
			err := rsa.VerifyPKCS1v15(&key.PublicKey, c.hash, h.Sum(nil), sig)
			if c.pss {
				err = rsa.VerifyPSS(&key.PublicKey, c.hash, h.Sum(nil), sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			}
			if err != nil {
				t.Errorf("%q: %v", c.args, err)
			}
		}
		args := append([]string{"sign", "--key", "work", "--pin-file", "@user.pin"}, strings.Fields(c.args)...)
		verify([]byte(d.must(append(args, "@letter.txt")...).out))
		verify([]byte(d.runWith(t.Context(), string(letter), args...).out))
		digits, err := hex.DecodeString(strings.TrimSpace(d.must(append(args, "--format", "hex", "@letter.txt")...).out))
		if err != nil {
			t.Error(err)
		}
		verify(digits)
		d.must(append(args, "-o", "@sig", "@letter.txt")...)
		file, err := os.ReadFile(filepath.Join(d.dir, "sig"))
		if err != nil {
			t.Error(err)
		}
		verify(file)
		var j struct{ Signature string }
		if err := json.Unmarshal([]byte(d.must(append(args, "--json", "@letter.txt")...).out), &j); err != nil {
			t.Error(err)
		}
		text, err := base64.StdEncoding.DecodeString(j.Signature)
		if err != nil {
			t.Error(err)
		}
		verify(text)
	}
}

func TestDecrypt(t *testing.T) {
	key := generatedKey(t)
	d := newDesk(t).files()
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	const plain = "one\nsecret"
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, []byte(plain), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.file("pkcs1", encryptFor(t, key, plain))
	d.file("oaep", string(oaep))
	args := []string{"decrypt", "--key", "work", "--pin-file", "@user.pin"}
	for _, more := range [][]string{{"@pkcs1"}, {"--oaep", "sha256", "@oaep"}} {
		if r := d.must(append(args, more...)...); r.out != plain {
			t.Errorf("%v: %q", more, r.out)
		}
	}
	if r := d.runWith(t.Context(), string(oaep), append(args, "--oaep", "sha256")...); r.out != plain {
		t.Errorf("standard input: %q, %s", r.out, r.err)
	}
	d.run(append(args, "--oaep", "sha1", "@oaep")...).want(t, exitFailed, "cannot decrypt", "default PIN")
	d.run(append(args, "@letter.txt")...).want(t, exitUsage, "bytes 10", "default PIN")
	d.must(append(args, "-o", "@plain", "@pkcs1")...)
	info, err := os.Stat(filepath.Join(d.dir, "plain"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the secret is %v, %v", info.Mode(), err)
	}
}

// TestBinaryStaysOffTerminals: bytes that are no text would garble it.
func TestBinaryStaysOffTerminals(t *testing.T) {
	d := newDesk(t).files()
	d.onTerminal = true
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	d.must("object", "write", "@demo.p12", "--pin-file", "@user.pin")
	for _, args := range []string{
		"sign --key work --pin-file @user.pin @letter.txt", "random --format raw", "object read demo.p12",
	} {
		if r := d.run(strings.Fields(args)...); r.code != exitUsage || r.out != "" || !strings.Contains(r.err, "-o") {
			t.Errorf("%s: exit code %d, %q, %s", args, r.code, r.out, r.err)
		}
	}
	if r := d.run("random", "--bytes", "4"); r.code != exitOK || len(r.out) != 9 {
		t.Errorf("random: exit code %d, %q", r.code, r.out)
	}
}

func TestCSR(t *testing.T) {
	d := newDesk(t).files()
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	r := d.must("key", "csr", "work", "--subject", "CN=Үлгі,O=x\\, y,C=KZ", "--dns", "a.kz", "--dns", "b.kz", "--email", "a@b.kz",
		"--pin-file", "@user.pin")
	block, rest := pem.Decode([]byte(r.out))
	if block == nil || len(rest) > 0 {
		t.Fatalf("prints %q", r.out)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.CheckSignature(); err != nil {
		t.Error(err)
	}
	if got := formatSubject(describe.Name(csr.RawSubject)); got != `CN=Үлгі,O=x\, y,C=KZ` {
		t.Errorf("subject %s", got)
	}
	if !bytes.Equal(csr.PublicKey.(*rsa.PublicKey).N.Bytes(), generatedKey(t).N.Bytes()) ||
		strings.Join(csr.DNSNames, " ") != "a.kz b.kz" || strings.Join(csr.EmailAddresses, " ") != "a@b.kz" {
		t.Errorf("names %v, %v", csr.DNSNames, csr.EmailAddresses)
	}
}

func TestRandom(t *testing.T) {
	d := newDesk(t)
	a, b := d.must("random").out, d.must("random").out
	if len(a) != 65 || a == b {
		t.Errorf("%q, then %q", a, b)
	}
	if r := d.must("random", "--bytes", "1000", "--format", "raw"); len(r.out) != 1000 {
		t.Errorf("%d bytes", len(r.out))
	}
}

func newInt(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
