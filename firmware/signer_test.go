package firmware_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

// keyOn makes a key of a size on a new token and gives it, the user logged in.
func keyOn(t testing.TB, w *wire, bits int) (*firmware.Token, *firmware.PrivateKey) {
	t.Helper()
	if w.card == nil {
		w.card = newCard()
	}
	token := open(t, w)
	login(t, token, firmware.User)
	key, err := token.GenerateKey(t.Context(), firmware.GenerateOptions{Bits: bits, Label: "key"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key.Bits != bits || key.Algorithm != "RSA" || !key.Local {
		t.Errorf("key %+v", key)
	}
	private, err := token.PrivateKey(t.Context(), key.ID)
	if err != nil {
		t.Fatal(err)
	}
	return token, private
}

// TestSignerSizes signs and decrypts with a key of each size in each way; package
// rsa checks what comes out.
func TestSignerSizes(t *testing.T) {
	for bits := 1024; bits <= 4096; bits += 512 {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			token, private := keyOn(t, &wire{}, bits)
			pub, ok := private.Public().(*rsa.PublicKey)
			if !ok || pub.N.Cmp(testKey(bits, 0).N) != 0 || pub.E != 65537 {
				t.Fatalf("public key %v", pub)
			}
			if again, err := token.PublicKey(t.Context(), private.Key().ID); err != nil || !again.Equal(pub) {
				t.Errorf("public key %v, %v", again, err)
			}
			for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				h := hash.New()
				h.Write([]byte("text"))
				digest := h.Sum(nil)
				sig, err := private.Sign(rand.Reader, digest, hash)
				if err != nil {
					t.Fatalf("%v: %v", hash, err)
				}
				if err := rsa.VerifyPKCS1v15(pub, hash, digest, sig); err != nil {
					t.Errorf("%v: %v", hash, err)
				}
				if bits == 1024 && hash == crypto.SHA512 {
					continue // with a salt of the same length it does not fit
				}
				for _, salt := range []int{rsa.PSSSaltLengthAuto, rsa.PSSSaltLengthEqualsHash, 8} {
					opts := &rsa.PSSOptions{SaltLength: salt, Hash: hash}
					sig, err := private.Sign(rand.Reader, digest, opts)
					if err != nil {
						t.Fatalf("PSS %v: %v", hash, err)
					}
					if err := rsa.VerifyPSS(pub, hash, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}); err != nil {
						t.Errorf("PSS %v, salt %d: %v", hash, salt, err)
					}
				}
			}
			if sig, err := private.Sign(rand.Reader, []byte("any data"), crypto.Hash(0)); err != nil {
				t.Error(err)
			} else if err := rsa.VerifyPKCS1v15(pub, 0, []byte("any data"), sig); err != nil {
				t.Errorf("without a hash: %v", err)
			}
			decryptEach(t, private, pub)
		})
	}
}

func decryptEach(t *testing.T, private *firmware.PrivateKey, pub *rsa.PublicKey) {
	plain := []byte("sixteen bytes...")
	label := []byte("label")
	for _, o := range []*rsa.OAEPOptions{{Hash: crypto.SHA1}, {Hash: crypto.SHA256, Label: label}} {
		msg, err := rsa.EncryptOAEP(o.Hash.New(), rand.Reader, pub, plain, o.Label)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := private.Decrypt(rand.Reader, msg, o); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("OAEP %v: %q, %v", o.Hash, got, err)
		}
		if _, err := private.Decrypt(rand.Reader, msg, &rsa.OAEPOptions{Hash: o.Hash, Label: []byte("another")}); !errors.Is(err, rsa.ErrDecryption) {
			t.Errorf("OAEP %v, wrong label: %v", o.Hash, err)
		}
	}
	// An OAEP block of another MGF than its hash.
	msg, err := rsa.EncryptOAEPWithOptions(rand.Reader, pub, plain, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := private.Decrypt(nil, msg, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1}); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("OAEP with MGF1 of SHA-1: %q, %v", got, err)
	}
	msg, err = rsa.EncryptPKCS1v15(rand.Reader, pub, plain) //lint:ignore SA1019 old messages are still to be read
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []crypto.DecrypterOpts{
		nil,
		&rsa.PKCS1v15DecryptOptions{}, //lint:ignore SA1019 as above
		&rsa.PKCS1v15DecryptOptions{SessionKeyLen: len(plain)}, //lint:ignore SA1019 as above
	} {
		for _, random := range []io.Reader{rand.Reader, nil} {
			if got, err := private.Decrypt(random, msg, opts); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("PKCS #1 v1.5 %+v: %q, %v", opts, got, err)
			}
		}
	}
	// A session key of a wrong length comes out random, without an error.
	got, err := private.Decrypt(rand.Reader, msg, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 20}) //lint:ignore SA1019 as above
	if err != nil || len(got) != 20 || bytes.Contains(plain, got[:8]) {
		t.Errorf("session key of another length: %q, %v", got, err)
	}
	if _, err := private.Decrypt(rand.Reader, make([]byte, pub.Size()), nil); !errors.Is(err, rsa.ErrDecryption) {
		t.Errorf("a block of zeros: %v", err)
	}
	if _, err := private.Decrypt(rand.Reader, msg, "options"); !errors.Is(err, firmware.ErrUnsupported) {
		t.Errorf("strange options: %v", err)
	}
}

// TestSignerRefuses gives a key what it cannot take.
func TestSignerRefuses(t *testing.T) {
	w := &wire{}
	token, private := keyOn(t, w, 1024)
	w.forget()
	for n, size := range map[string]int{"block": 127, "long block": 129, "no block": 0} {
		var oe *firmware.OptionError
		if _, err := private.SignBlock(make([]byte, size)); !errors.As(err, &oe) || *oe != (firmware.OptionError{Option: "bytes", Value: size, Min: 128, Max: 128}) {
			t.Errorf("sign a %s: %v", n, err)
		}
		if _, err := private.DecryptBlock(make([]byte, size)); !errors.As(err, &oe) {
			t.Errorf("decrypt a %s: %v", n, err)
		}
		if _, err := private.Decrypt(nil, make([]byte, size), nil); !errors.As(err, &oe) {
			t.Errorf("decrypt a %s: %v", n, err)
		}
	}
	var oe *firmware.OptionError
	if _, err := private.Sign(rand.Reader, make([]byte, 20), crypto.SHA256); !errors.As(err, &oe) || oe.Value != 20 || oe.Min != 32 {
		t.Errorf("digest of another hash: %v", err)
	}
	if _, err := private.Sign(rand.Reader, make([]byte, 64), &rsa.PSSOptions{Hash: crypto.SHA512, SaltLength: rsa.PSSSaltLengthEqualsHash}); !errors.Is(err, rsa.ErrMessageTooLong) {
		t.Errorf("PSS that does not fit: %v", err)
	}
	if _, err := private.Sign(rand.Reader, make([]byte, 120), crypto.Hash(0)); !errors.Is(err, rsa.ErrMessageTooLong) {
		t.Errorf("data that does not fit: %v", err)
	}
	if len(w.sent) > 0 {
		t.Errorf("sent % X", w.sent)
	}
	// As large as the modulus: the card refuses it.
	var se *firmware.StatusError
	if _, err := private.SignBlock(bytes.Repeat([]byte{0xFF}, 128)); !errors.As(err, &se) || se.INS != 0x2A {
		t.Errorf("sign more than the modulus: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := private.WithContext(ended).Sign(rand.Reader, make([]byte, 32), crypto.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	logout(t, token)
	var re *firmware.RoleError
	if _, err := private.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); !errors.As(err, &re) || re.Op != firmware.OpSign {
		t.Errorf("sign without a log-in: %v", err)
	}
	if _, err := private.DecryptBlock(make([]byte, 128)); !errors.As(err, &re) || re.Op != firmware.OpDecrypt {
		t.Errorf("decrypt without a log-in: %v", err)
	}
}

// TestSignerRepeats signs again with the same key: only the data is sent, until
// there is a new log-in.
func TestSignerRepeats(t *testing.T) {
	w := &wire{}
	token, private := keyOn(t, w, 1024)
	for _, want := range []int{3, 1, 1} { // SELECT, MANAGE SECURITY ENVIRONMENT, PERFORM SECURITY OPERATION
		w.forget()
		if _, err := private.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err != nil || len(w.sent) != want {
			t.Errorf("%d commands, want %d; %v", len(w.sent), want, err)
		}
	}
	logout(t, token)
	login(t, token, firmware.User)
	w.forget()
	if _, err := private.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err != nil || w.count(0x00, 0x22) != 1 {
		t.Errorf("after a new log-in: %q, %v", w.names(), err)
	}
}

// TestSignerLies has the card give results that are none. Once the public key is
// known, nothing wrong is given out: from a faulty result the key could be found.
func TestSignerLies(t *testing.T) {
	digest := sha256.Sum256(nil)
	for _, test := range []struct {
		name string
		lie  func([]byte) []byte
	}{
		{"one bit", func(a []byte) []byte { a[5] ^= 1; return a }},
		{"shorter", func(a []byte) []byte { return a[1:] }},
		{"zeros", func(a []byte) []byte { return append(make([]byte, 128), 0x90, 0x00) }},
		{"nothing", func([]byte) []byte { return []byte{0x90, 0x00} }},
	} {
		w := &wire{}
		_, private := keyOn(t, w, 1024)
		if _, err := private.ReadPublic(); err != nil {
			t.Fatal(err)
		}
		w.lie = func(apdu, answer []byte) []byte {
			if apdu[0] == 0x00 && apdu[1] == 0x2A {
				return test.lie(answer)
			}
			return answer
		}
		if sig, err := private.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, firmware.ErrAnswer) || sig != nil {
			t.Errorf("%s: sign: %v", test.name, err)
		}
		if block, err := private.DecryptBlock(append(make([]byte, 127), 2)); !errors.Is(err, firmware.ErrAnswer) || block != nil {
			t.Errorf("%s: decrypt: %v", test.name, err)
		}
		w.lie = nil
		if err := signs(t, open(t, w.card), private.Key()); err == nil { // another Token knows nothing of the log-in
			t.Errorf("%s: signed without a log-in", test.name)
		}
		if _, err := private.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			t.Errorf("%s: afterwards: %v", test.name, err)
		}
	}
}

// TestSignerWithoutPublic uses a key whose public half is nowhere on the token.
func TestSignerWithoutPublic(t *testing.T) {
	w := &wire{}
	token, private := keyOn(t, w, 1024)
	w.lie = func(apdu, answer []byte) []byte { // its file is gone
		if bytes.HasPrefix(apdu, []byte{0x00, 0xA4, 0x08, 0x00, 0x04, 0x50, 0x00, 0x02}) {
			return []byte{0x6A, 0x82}
		}
		return answer
	}
	fresh := open(t, w)
	if _, err := fresh.PublicKey(t.Context(), private.Key().ID); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("public key: %v", err)
	}
	login(t, fresh, firmware.User)
	lone, err := fresh.PrivateKey(t.Context(), private.Key().ID)
	if err != nil {
		t.Fatal(err)
	}
	if lone.Public() != nil {
		t.Errorf("public key %v", lone.Public())
	}
	if _, err := lone.ReadPublic(); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("public key: %v", err)
	}
	if err := signs(t, fresh, lone.Key()); err != nil {
		t.Errorf("sign: %v", err)
	}
	if _, err := fresh.CertificateRequest(t.Context(), lone.Key().ID, &x509.CertificateRequest{}); !errors.Is(err, firmware.ErrNotFound) {
		t.Errorf("request: %v", err)
	}
	_ = token
}

// TestCertificateRequest makes requests, and x509 checks them.
func TestCertificateRequest(t *testing.T) {
	ctx := t.Context()
	token, private := keyOn(t, &wire{}, 2048)
	for _, algorithm := range []x509.SignatureAlgorithm{0, x509.SHA256WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS} {
		der, err := token.CertificateRequest(ctx, private.Key().ID, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "Aliya", Country: []string{"KZ"}}, SignatureAlgorithm: algorithm,
		})
		if err != nil {
			t.Errorf("%v: %v", algorithm, err)
			continue
		}
		request, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := request.CheckSignature(); err != nil {
			t.Errorf("%v: %v", algorithm, err)
		}
		if request.Subject.CommonName != "Aliya" || !private.Public().(*rsa.PublicKey).Equal(request.PublicKey) {
			t.Errorf("%v: request %+v", algorithm, request)
		}
	}
	if _, err := token.CertificateRequest(ctx, private.Key().ID, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA256}); err == nil {
		t.Error("a request signed by ECDSA")
	}
}

// TestTLS shakes hands with keys of two tokens, one at each end.
func TestTLS(t *testing.T) {
	root := certify(t, "Root", 1, testKey(1024, rootKey), nil, nil)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	end := func(serial int64) tls.Certificate {
		_, private := keyOn(t, &wire{card: emu.New(emu.WithKeySource(func(bits int) (*rsa.PrivateKey, error) { return testKey(bits, 0), nil }))}, 2048)
		cert := certify(t, "End", serial, testKey(2048, 0), root, testKey(1024, rootKey))
		return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: private, Leaf: cert}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			a, b := net.Pipe()
			server := tls.Server(a, &tls.Config{
				Certificates: []tls.Certificate{end(2)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
				MinVersion: version, MaxVersion: version, Time: noon,
			})
			client := tls.Client(b, &tls.Config{
				Certificates: []tls.Certificate{end(3)}, RootCAs: roots, ServerName: "token.test",
				MinVersion: version, MaxVersion: version, Time: noon,
			})
			done := make(chan error, 1)
			go func() {
				_, err := server.Write([]byte("from one token to the other"))
				done <- errors.Join(err, server.Close())
			}()
			got, err := io.ReadAll(client)
			if err != nil || string(got) != "from one token to the other" {
				t.Errorf("%q, %v", got, err)
			}
			if err := <-done; err != nil {
				t.Errorf("server: %v", err)
			}
			if s := client.ConnectionState(); !s.HandshakeComplete || s.Version != version {
				t.Errorf("state %+v", s)
			}
			client.Close()
		})
	}
}
