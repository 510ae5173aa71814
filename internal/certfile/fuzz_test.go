package certfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"
	"time"
)

// fuzzWork is enough for a file of OpenSSL's and bounds what a changed one can
// ask for.
const fuzzWork = 20_000

func FuzzParse(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if !file.IsDir() {
			f.Add(readFile(f, file.Name()))
		}
	}
	f.Add(gostCertificate(f))
	f.Add(pfxOf(f, safeOf(f, certBagOf(f, oidX509Certificate, gostCertificate(f)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		start := time.Now()
		got, err := parse(data, answer(testPassword), fuzzWork)
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
		if !bytes.Equal(data, kept) {
			t.Fatal("the file was changed")
		}
		if err != nil {
			if got.Key != nil || got.Certificates != nil {
				t.Fatalf("contents with the error %v", err)
			}
			return
		}
		again := reparse(t, got)
		if len(again.Certificates) != len(got.Certificates) || again.Chain != got.Chain ||
			(again.Key == nil) != (got.Key == nil) || got.Key != nil && !got.Key.Equal(again.Key) {
			t.Fatalf("%d certificates, chain of %d, key %v became %d, %d, %v", len(got.Certificates), got.Chain,
				got.Key != nil, len(again.Certificates), again.Chain, again.Key != nil)
		}
		for i, c := range got.Certificates {
			if len(c.Raw) == 0 || !bytes.Equal(c.Raw, again.Certificates[i].Raw) {
				t.Fatalf("certificate %d is not the same again", i)
			}
		}
	})
}

// reparse writes contents as PEM and reads that: what Parse gives, it takes.
func reparse(t *testing.T, c Contents) Contents {
	t.Helper()
	if len(c.Certificates) == 0 && c.Key == nil {
		t.Fatal("no error, and nothing found")
	}
	var file []byte
	for _, cert := range c.Certificates {
		file = append(file, PEM(cert.Raw)...)
	}
	if c.Key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	again, err := parse(file, askNobody, 0)
	if err != nil {
		t.Fatal(err)
	}
	return again
}
