package pkcs11_test

import (
	"bytes"
	"errors"
	"testing"

	"kaztoken/bridge/pkcs11"
)

// decodeTemplate makes a template of bytes: for each attribute its type by a
// number in a list, the length of its value and the value.
func decodeTemplate(b []byte) []pkcs11.Attribute {
	known := []pkcs11.AttributeType{
		pkcs11.AttrClass, pkcs11.AttrToken, pkcs11.AttrPrivate, pkcs11.AttrLabel, pkcs11.AttrValue, pkcs11.AttrApplication, pkcs11.AttrObjectID,
		pkcs11.AttrCertificateType, pkcs11.AttrKeyType, pkcs11.AttrID, pkcs11.AttrSubject, pkcs11.AttrModulus, pkcs11.AttrPublicExponent,
		pkcs11.AttrModulusBits, pkcs11.AttrSign, pkcs11.AttrVerify, pkcs11.AttrEncrypt, pkcs11.AttrModifiable, pkcs11.AttrCopyable,
		pkcs11.AttrDestroyable, pkcs11.AttrStartDate, pkcs11.AttrPrime1, pkcs11.AttrPrime2, pkcs11.AttrPrivateExponent, 0x1234,
	}
	var t []pkcs11.Attribute
	for len(b) >= 2 {
		at, n := known[int(b[0])%len(known)], min(int(b[1]), len(b)-2)
		v := b[2 : 2+n]
		b = b[2+n:]
		switch at { // numbers that could be meant
		case pkcs11.AttrClass, pkcs11.AttrKeyType, pkcs11.AttrCertificateType, pkcs11.AttrModulusBits:
			if len(v) == 1 {
				v = pkcs11.Ulong(uint(v[0]))
			}
		}
		t = append(t, pkcs11.Attribute{Type: at, Value: v})
	}
	return t
}

// FuzzTemplate makes objects of any template. One that is made has what the
// template says, is found by it, can be copied or says that it cannot, and goes
// when it is destroyed; one that is not leaves everything as it was.
func FuzzTemplate(f *testing.F) {
	f.Add([]byte{0, 1, 0, 4, 4, 'd', 'a', 't', 'a', 3, 1, 'x'})
	f.Add([]byte{0, 1, 2, 8, 1, 0, 11, 3, 0xC1, 2, 3, 12, 1, 3, 9, 1, 7})
	f.Add([]byte{0, 1, 0, 1, 1, 1, 4, 4, 'd', 'a', 't', 'a', 2, 1, 1})
	f.Add([]byte{0, 1, 3, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, p := plugged(t)
		h := p.user()
		before := len(p.find(h))
		template := decodeTemplate(b)
		o, err := p.CreateObject(h, template)
		var rv pkcs11.Rv
		if err != nil {
			if !errors.As(err, &rv) || rv == pkcs11.ErrGeneralError || rv == pkcs11.ErrFunctionFailed || rv == pkcs11.ErrDeviceError {
				t.Errorf("%v", err)
			}
			if got := len(p.find(h)); got != before {
				t.Errorf("refused with %v, and there are %d objects instead of %d", err, got, before)
			}
			return
		}
		for _, a := range template {
			if a.Type == pkcs11.AttrID && len(a.Value) == 0 {
				continue // a key with no ID gets one
			}
			q := []pkcs11.Query{{Type: a.Type, Buffer: make([]byte, len(a.Value)+8)}}
			if err := p.GetAttributeValue(h, o, q); err != nil {
				t.Errorf("%v: %v", a.Type, err)
				continue
			}
			got := q[0].Buffer[:q[0].Len]
			same := bytes.Equal(got, a.Value)
			switch a.Type {
			case pkcs11.AttrToken, pkcs11.AttrPrivate, pkcs11.AttrSign, pkcs11.AttrVerify, pkcs11.AttrEncrypt, pkcs11.AttrModifiable,
				pkcs11.AttrCopyable, pkcs11.AttrDestroyable:
				same = len(got) == 1 && got[0] == min(a.Value[0], 1)
			// Numbers, without zeros before them.
			case pkcs11.AttrModulus, pkcs11.AttrPublicExponent:
				same = bytes.Equal(bytes.TrimLeft(got, "\x00"), bytes.TrimLeft(a.Value, "\x00"))
			case pkcs11.AttrModulusBits: // that of the modulus, whatever the template says
				same = true
			}
			if !same {
				t.Errorf("%v: got % x, want % x", a.Type, got, a.Value)
			}
		}
		if _, err := p.CopyObject(h, o, nil); err != nil && !errors.Is(err, pkcs11.ErrActionProhibited) {
			t.Errorf("copy: %v", err)
		}
		if err := p.DestroyObject(h, o); err != nil {
			if !errors.Is(err, pkcs11.ErrActionProhibited) {
				t.Errorf("destroy: %v", err)
			}
			return
		}
		if err := p.GetAttributeValue(h, o, nil); !errors.Is(err, pkcs11.ErrObjectHandleInvalid) {
			t.Errorf("destroyed, and there: %v", err)
		}
	})
}

// FuzzMechanism begins operations with any parameter and any data: no panic, and
// what is signed verifies.
func FuzzMechanism(f *testing.F) {
	w := newWorld()
	w.plug(reader, newCard(), false)
	p := start(f, w)
	h := p.user()
	pub, priv := p.generate(h, 1024, "k")
	f.Add(uint(0x43), uint(0x250), uint(2), uint(32), []byte("data"), byte(0))
	f.Add(uint(1), uint(0), uint(0), uint(0), []byte("data"), byte(1))
	f.Add(uint(9), uint(0x220), uint(1), uint(1), []byte("label"), byte(2))
	f.Fuzz(func(t *testing.T, mech, hash, mgf, n uint, data []byte, kind byte) {
		m := &pkcs11.Mechanism{Type: pkcs11.MechanismType(mech)}
		switch kind % 3 {
		case 0:
			m.Parameter = &pkcs11.PSSParams{Hash: pkcs11.MechanismType(hash), MGF: mgf, SaltLen: n}
		case 2:
			m.Parameter = &pkcs11.OAEPParams{Hash: pkcs11.MechanismType(hash), MGF: mgf, Source: n, Label: data}
		}
		if sig, err := p.sign(h, *m, priv, data); err == nil {
			if err := p.VerifyInit(h, m, pub); err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(h, data, sig); err != nil {
				t.Errorf("signed, and not verified: %v", err)
			}
		}
		if err := p.EncryptInit(h, m, pub); err == nil {
			box := make([]byte, 128)
			_, err := p.Encrypt(h, data, box)
			if err != nil {
				return
			}
			if err := p.DecryptInit(h, m, priv); err != nil {
				t.Fatal(err)
			}
			out := make([]byte, 128)
			n, err := p.Decrypt(h, box, out)
			if err != nil || !bytes.Equal(bytes.TrimLeft(out[:n], "\x00"), bytes.TrimLeft(data, "\x00")) {
				t.Errorf("decrypted % x, %v, want % x", out[:n], err, data)
			}
		}
	})
}
