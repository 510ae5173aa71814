package roads

import (
	"testing"

	"kaztoken/bridge/pkcs11"
	"kaztoken/internal/host"
)

// BenchmarkSign signs with a key of 1024 bits, through a service to a token in
// software, which takes most of the time.
func BenchmarkSign(b *testing.B) {
	serve(b)
	m := pkcs11.New(New(host.Options{Backend: "pcsc"}), [2]byte{})
	if err := m.Initialize(); err != nil {
		b.Fatal(err)
	}
	defer m.Finalize()
	h, err := m.OpenSession(0, pkcs11.SessionSerial|pkcs11.SessionRW)
	if err != nil {
		b.Fatal(err)
	}
	if err := m.Login(h, pkcs11.UserNormal, []byte("12345678")); err != nil {
		b.Fatal(err)
	}
	_, key, err := m.GenerateKeyPair(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSKeyPairGen},
		[]pkcs11.Attribute{{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(1024)}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	mech, out := &pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		if err := m.SignInit(h, mech, key); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Sign(h, []byte("data"), out); err != nil {
			b.Fatal(err)
		}
	}
}
