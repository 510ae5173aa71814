package certfile

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// check compares Contents with what they should hold.
func check(t *testing.T, got Contents, chain int, key *rsa.PrivateKey, certs ...[]byte) {
	t.Helper()
	if len(got.Certificates) != len(certs) || got.Chain != chain {
		t.Fatalf("got %d certificates, %d in the chain, want %d and %d",
			len(got.Certificates), got.Chain, len(certs), chain)
	}
	for i, c := range got.Certificates {
		if !bytes.Equal(c.Raw, certs[i]) {
			t.Errorf("certificate %d is %q", i, c.Subject)
		}
	}
	switch {
	case key == nil && got.Key != nil:
		t.Error("got a key, want none")
	case key != nil && (got.Key == nil || !got.Key.Equal(key)):
		t.Error("got no key or another one")
	}
}

// Every file of testdata that can be read holds the same things.
func TestParseFilesOfOtherPrograms(t *testing.T) {
	leaf, sub, root := readDER(t, "leaf.pem"), readDER(t, "sub.pem"), readDER(t, "root.pem")
	key := leafKey(t)
	for _, c := range []struct {
		name     string
		password string // empty: nobody is asked
		key      *rsa.PrivateKey
		certs    [][]byte
	}{
		{"openssl-modern.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"openssl-legacy.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"openssl-rc2-128.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"openssl-sha384.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"openssl-cyrillic.p12", "пароль", key, [][]byte{leaf, sub, root}},
		{"openssl-empty.p12", "", key, [][]byte{leaf, sub, root}},
		{"openssl-nomac.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"openssl-plain.p12", "", key, [][]byte{leaf, sub, root}},
		{"openssl-nokeys.p12", testPassword, nil, [][]byte{leaf, sub, root}},
		{"java.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"java-trust.p12", testPassword, nil, [][]byte{sub}},
		{"bouncycastle.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"nss.p12", testPassword, key, [][]byte{leaf, sub, root}},
		{"certs.p7b", "", nil, [][]byte{leaf, sub, root}},
		{"certs.p7b.pem", "", nil, [][]byte{leaf, sub, root}},
		{"signed.ber", "", nil, [][]byte{leaf, sub, root}},
		{"bags.pem", "", key, [][]byte{leaf, sub, root}},
		{"all.pem", "", nil, [][]byte{leaf, sub, root}},
		{"leaf.pem", "", nil, [][]byte{leaf}},
		{"trusted.pem", "", nil, [][]byte{leaf}},
		{"leaf.key", "", key, nil},
		{"pkcs8-pbes2.pem", testPassword, key, nil},
		{"pkcs8-des3.der", testPassword, key, nil},
		{"pkcs8-pbes1.pem", testPassword, key, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := readFile(t, c.name)
			ask := askNobody
			if c.password != "" {
				ask = answer(c.password)
			}
			got, err := Parse(data, ask)
			if err != nil {
				t.Fatal(err)
			}
			check(t, got, len(c.certs), c.key, c.certs...)

			if c.password == "" {
				return
			}
			if _, err := Parse(data, answer("wrong")); !errors.Is(err, ErrPassword) {
				t.Errorf("wrong password: %v", err)
			}
			if _, err := Parse(data, answer("")); !errors.Is(err, ErrPassword) {
				t.Errorf("empty password: %v", err)
			}
			if _, err := Parse(data, nil); !errors.Is(err, ErrPassword) {
				t.Errorf("nobody to ask: %v", err)
			}
			if _, err := Parse(data, askNobody); !errors.Is(err, errAsked) {
				t.Errorf("asking failed: %v", err)
			}
		})
	}
}

// RFC 9579 appendix A: three sound files and three that must be refused.
func TestParsePBMAC1(t *testing.T) {
	for name, want := range map[string]error{
		"a1": nil, "a2": nil, "a3": nil, "a4": ErrPassword, "a5": ErrPassword, "a6": ErrMalformed,
	} {
		got, err := Parse(readFile(t, "rfc9579-"+name+".b64"), answer("1234"))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if want == nil && (got.Key == nil || len(got.Certificates) == 0) {
			t.Errorf("%s: got %d certificates, key %v", name, len(got.Certificates), got.Key != nil)
		}
	}
}

func TestParseKeys(t *testing.T) {
	key := leafKey(t)
	pkcs1 := x509.MarshalPKCS1PrivateKey(key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := readFile(t, "leaf.pem")
	for name, data := range map[string][]byte{
		"PKCS #1 DER":       pkcs1,
		"PKCS #8 DER":       pkcs8,
		"PKCS #1 PEM":       pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: pkcs1}),
		"the key twice":     bytes.Repeat(readFile(t, "leaf.key"), 2),
		"the body of a PEM": []byte(" " + base64.StdEncoding.EncodeToString(pkcs8) + "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(data, askNobody)
			if err != nil {
				t.Fatal(err)
			}
			check(t, got, 0, key)
		})
	}
	t.Run("with its certificate", func(t *testing.T) {
		got, err := Parse(slices.Concat(readFile(t, "leaf.key"), readFile(t, "root.pem"), leaf), askNobody)
		if err != nil {
			t.Fatal(err)
		}
		check(t, got, 1, key, decodePEM(t, leaf), readDER(t, "root.pem"))
	})
}

func TestParseCertificates(t *testing.T) {
	leaf, sub, root := readDER(t, "leaf.pem"), readDER(t, "sub.pem"), readDER(t, "root.pem")
	gost := gostCertificate(t)
	for _, c := range []struct {
		name  string
		data  []byte
		chain int
		certs [][]byte
	}{
		{"DER", leaf, 1, [][]byte{leaf}},
		{"one after another", slices.Concat(root, leaf, sub), 3, [][]byte{leaf, sub, root}},
		{"the same twice", slices.Concat(leaf, leaf), 1, [][]byte{leaf}},
		{"text before", slices.Concat([]byte("0\x01 Bag\n"), PEM(leaf), []byte("after")), 1, [][]byte{leaf}},
		{"old label", bytes.ReplaceAll(PEM(leaf), []byte("CERT"), []byte("X509 CERT")), 1, [][]byte{leaf}},
		{"other blocks", slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}}), PEM(leaf)), 1, [][]byte{leaf}},
		{"GOST", gost, 1, [][]byte{gost}},
		{"GOST in PEM", PEM(gost), 1, [][]byte{gost}},
		{"unreadable", unreadable(t, otherKey()), 1, [][]byte{unreadable(t, otherKey())}},
		{"unreadable and readable", slices.Concat(unreadable(t, otherKey()), leaf), 1, [][]byte{leaf, unreadable(t, otherKey())}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.data, askNobody)
			if err != nil {
				t.Fatal(err)
			}
			check(t, got, c.chain, nil, c.certs...)
		})
	}
}

// A GOST certificate has everything but an algorithm that Go could name.
func TestParseGOSTFields(t *testing.T) {
	got, err := Parse(gostCertificate(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Certificates[0]
	if c.Subject.CommonName != "ГОСТ" || c.NotAfter.IsZero() || c.PublicKey != nil ||
		c.SignatureAlgorithm != x509.UnknownSignatureAlgorithm || c.PublicKeyAlgorithm != x509.UnknownPublicKeyAlgorithm {
		t.Errorf("got subject %v, not after %v, key %v, algorithms %v and %v",
			c.Subject, c.NotAfter, c.PublicKey, c.SignatureAlgorithm, c.PublicKeyAlgorithm)
	}
}

// The key finds its certificate even where Go cannot read it.
func TestParseKeyOfUnreadableCertificate(t *testing.T) {
	key := otherKey()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	der := unreadable(t, key)
	got, err := Parse(slices.Concat(readFile(t, "leaf.pem"), PEM(der),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, 1, key, der, readDER(t, "leaf.pem"))
}

func TestParseRefuses(t *testing.T) {
	key, leaf := leafKey(t), readDER(t, "leaf.pem")
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	other, err := x509.MarshalPKCS8PrivateKey(otherKey())
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalPKCS8PrivateKey((*authority)(nil).issue(t, "EC", true).key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey((*authority)(nil).issue(t, "EC", true).key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	long := marshal(t, []*big.Int{big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), maxKeyBits), big.NewInt(3),
		big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(3)})
	padded := marshal(t, []*big.Int{big.NewInt(0), key.N, big.NewInt(int64(key.E)), key.D,
		new(big.Int).Lsh(big.NewInt(1), 1<<20), key.Primes[1], big.NewInt(3), big.NewInt(3), big.NewInt(3)})
	wrong := marshal(t, []*big.Int{big.NewInt(0), key.N, big.NewInt(int64(key.E)), key.D,
		key.Primes[0], key.Primes[0], big.NewInt(3), big.NewInt(3), big.NewInt(3)})
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, ErrUnknownFormat},
		{"text", []byte("IIN000000000000"), ErrUnknownFormat},
		{"binary", []byte{0xff, 0xd8, 0xff}, ErrUnknownFormat},
		{"another ASN.1", []byte{0x30, 0x03, 0x02, 0x01, 0x05}, ErrUnknownFormat},
		{"base64 of another ASN.1", []byte("MAMCAQU="), ErrUnknownFormat},
		{"base64 of nothing", []byte("AAAA"), ErrUnknownFormat},
		{"public key", public, ErrUnknownFormat},
		{"public key in PEM", block("PUBLIC KEY", public), ErrUnknownFormat},
		{"PEM without an end", []byte("-----BEGIN CERTIFICATE-----\nMAA="), ErrUnknownFormat},
		{"too large", make([]byte, Limit+1), ErrTooLarge},
		{"empty PEM block", block("CERTIFICATE", nil), ErrMalformed},
		{"key as certificate", block("CERTIFICATE", other), ErrMalformed},
		{"certificate as key", block("PRIVATE KEY", leaf), ErrMalformed},
		{"certificate and more", append(bytes.Clone(leaf), 0), ErrMalformed},
		{"certificate and a key", slices.Concat(leaf, other), ErrMalformed},
		{"key and more", append(bytes.Clone(other), 0), ErrMalformed},
		{"EC key", ec, ErrKeyType},
		{"EC key, SEC 1", sec1, ErrKeyType},
		{"EC key, SEC 1 in PEM", block("EC PRIVATE KEY", sec1), ErrKeyType},
		{"DSA key", block("DSA PRIVATE KEY", sec1), ErrKeyType},
		{"GOST key", pkcs8Of(t, oidGOSTKey, make([]byte, 64)), ErrKeyType},
		{"RSA key of 8193 bits", long, ErrKeyType},
		{"RSA key with a factor of a million bits", padded, ErrMalformed},
		{"RSA key with wrong factors", wrong, ErrMalformed},
		{"RSA key of no numbers", pkcs8Of(t, oidRSA, []byte{0x30, 0x00}), ErrMalformed},
		{"encrypted by PEM", readFile(t, "traditional.pem"), ErrEncryptedKey},
		{"another key", append(readFile(t, "leaf.pem"), block("PRIVATE KEY", other)...), ErrKeyMismatch},
		{"two keys", append(readFile(t, "leaf.key"), block("PRIVATE KEY", other)...), ErrSeveralKeys},
		{"scrypt", readFile(t, "pkcs8-scrypt.pem"), ErrUnsupported},
		{"RC4", readFile(t, "openssl-rc4.p12"), ErrUnsupported},
		{"PKCS #7 of plain data", marshal(t, contentInfo{oidData, explicit(marshal(t, leaf))}), ErrUnsupported},
		{"PKCS #7 of nothing", marshal(t, contentInfo{ContentType: oidSignedData}), ErrUnknownFormat},
		{"PKCS #7 cut", marshal(t, contentInfo{oidSignedData, explicit([]byte{0x30, 0x00})}), ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.data, answer(testPassword))
			if !errors.Is(err, c.want) || got.Key != nil || got.Certificates != nil {
				t.Errorf("got %d certificates, %v, want %v", len(got.Certificates), err, c.want)
			}
		})
	}
}

// What is not supported is named.
func TestParseNames(t *testing.T) {
	_, err := Parse(pkcs8Of(t, oidGOSTKey, make([]byte, 64)), nil)
	var key *KeyTypeError
	if !errors.As(err, &key) || !key.Algorithm.Equal(oidGOSTKey) || !strings.Contains(err.Error(), "1.2.398.3.10.1.1.2.2.2") {
		t.Errorf("GOST key: %v", err)
	}
	long := marshal(t, []*big.Int{big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), 9000), big.NewInt(3),
		big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(3)})
	if _, err = Parse(long, nil); !errors.As(err, &key) || key.Bits != 9001 || !strings.Contains(err.Error(), "9001 bits") {
		t.Errorf("long key: %v", err)
	}
	_, err = Parse(readFile(t, "pkcs8-scrypt.pem"), nil)
	var part *UnsupportedError
	scrypt := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	if !errors.As(err, &part) || part.Part != "key derivation" || !part.OID.Equal(scrypt) || !strings.Contains(err.Error(), scrypt.String()) {
		t.Errorf("scrypt: %v", err)
	}
}

func TestParseManyCertificates(t *testing.T) {
	var file []byte
	for i := range maxCertificates + 1 {
		file = append(file, certificateOf{signature: oidGOSTSignature, key: oidGOSTKey, subject: name("Many"), serial: big.NewInt(int64(i))}.der(t)...)
		if i == maxCertificates-1 {
			if got, err := Parse(file, nil); err != nil || len(got.Certificates) != maxCertificates {
				t.Errorf("got %d certificates, %v", len(got.Certificates), err)
			}
		}
	}
	if _, err := Parse(file, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// The caller may wipe the file and the password as soon as Parse returns.
func TestParseAliasesNothing(t *testing.T) {
	for _, name := range []string{"bags.pem", "openssl-plain.p12", "all.pem", "certs.p7b", "leaf.pem"} {
		data := readFile(t, name)
		kept := bytes.Clone(data)
		got, err := Parse(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, kept) {
			t.Errorf("%s: the file was changed", name)
		}
		clear(data)
		if !bytes.Equal(got.Certificates[0].Raw, readDER(t, "leaf.pem")) {
			t.Errorf("%s: the certificate went with the file", name)
		}
	}
	password := []byte(testPassword)
	if _, err := Parse(readFile(t, "openssl-modern.p12"), func() ([]byte, error) { return password, nil }); err != nil {
		t.Fatal(err)
	}
	if string(password) != testPassword {
		t.Error("the password was changed")
	}
}

func TestPEM(t *testing.T) {
	der := readDER(t, "leaf.pem")
	block, rest := pem.Decode(PEM(der))
	if block == nil || block.Type != "CERTIFICATE" || !bytes.Equal(block.Bytes, der) || len(rest) > 0 {
		t.Errorf("got %v and %d bytes more", block, len(rest))
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, n int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write("target", 7), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		n    int
		want error
	}{
		{write("empty", 0), 0, nil},
		{write("longest", Limit), Limit, nil},
		{write("too long", Limit+1), 0, ErrTooLarge},
		{link, 7, nil},
		{filepath.Join(dir, "absent"), 0, os.ErrNotExist},
		{dir, 0, ErrNotAFile},
		{socket, 0, ErrNotAFile},
		{os.DevNull, 0, ErrNotAFile},
	} {
		data, err := Read(c.path)
		if !errors.Is(err, c.want) || len(data) != c.n {
			t.Errorf("%s: got %d bytes, %v, want %d, %v", c.path, len(data), err, c.n, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: the error does not name the file: %v", c.path, err)
		}
	}
}
