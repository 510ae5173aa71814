package pkcs11_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"kaztoken/bridge/pkcs11"
)

// signing is a mechanism that signs.
type signing struct {
	name  string
	mech  pkcs11.Mechanism
	hash  crypto.Hash // that the mechanism makes; 0 if it takes the block's content
	pss   *rsa.PSSOptions
	input int // bytes of data, where hash is 0
}

func pss(h pkcs11.MechanismType, mgf, salt uint) *pkcs11.PSSParams {
	return &pkcs11.PSSParams{Hash: h, MGF: mgf, SaltLen: salt}
}

var signings = []signing{
	{"RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, 0, nil, 51},
	{"RSA_X_509", pkcs11.Mechanism{Type: pkcs11.MechRSAX509}, 0, nil, 256},
	{"MD5_RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechMD5RSAPKCS}, crypto.MD5, nil, 0},
	{"SHA1_RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCS}, crypto.SHA1, nil, 0},
	{"SHA224_RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechSHA224RSAPKCS}, crypto.SHA224, nil, 0},
	{"SHA256_RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, crypto.SHA256, nil, 0},
	{"SHA384_RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechSHA384RSAPKCS}, crypto.SHA384, nil, 0},
	{"SHA512_RSA_PKCS", pkcs11.Mechanism{Type: pkcs11.MechSHA512RSAPKCS}, crypto.SHA512, nil, 0},
	{"RSA_PKCS_PSS", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSPSS, Parameter: pss(pkcs11.MechSHA256, 2, 32)}, 0, &rsa.PSSOptions{SaltLength: 32}, 32},
	{"SHA1_RSA_PKCS_PSS", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA1, 1, 20)}, crypto.SHA1, &rsa.PSSOptions{SaltLength: 20}, 0},
	{"SHA224_RSA_PKCS_PSS", pkcs11.Mechanism{Type: pkcs11.MechSHA224RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA224, 5, 1)}, crypto.SHA224, &rsa.PSSOptions{SaltLength: 1}, 0},
	{"SHA256_RSA_PKCS_PSS", pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA256, 2, 0)}, crypto.SHA256, &rsa.PSSOptions{}, 0},
	{"SHA384_RSA_PKCS_PSS", pkcs11.Mechanism{Type: pkcs11.MechSHA384RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA384, 3, 48)}, crypto.SHA384, &rsa.PSSOptions{SaltLength: 48}, 0},
	{"SHA512_RSA_PKCS_PSS", pkcs11.Mechanism{Type: pkcs11.MechSHA512RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA512, 4, 190)}, crypto.SHA512, &rsa.PSSOptions{SaltLength: 190}, 0},
}

func (s signing) data() []byte {
	if s.hash != 0 {
		return []byte("some data to be signed")
	}
	d := bytes.Repeat([]byte{0x2A}, s.input)
	d[0] = 0
	return d
}

// verifies checks a signature with crypto/rsa.
func (s signing) verifies(pub *rsa.PublicKey, data, sig []byte) error {
	hash := s.hash
	if hash != 0 {
		h := hash.New()
		h.Write(data)
		data = h.Sum(nil)
	}
	switch {
	case s.mech.Type == pkcs11.MechRSAX509:
		n := new(big.Int).Exp(new(big.Int).SetBytes(sig), big.NewInt(int64(pub.E)), pub.N)
		if !bytes.Equal(n.FillBytes(make([]byte, pub.Size())), data) {
			return rsa.ErrVerification
		}
		return nil
	case s.pss != nil:
		if hash == 0 {
			hash = crypto.SHA256
		}
		return rsa.VerifyPSS(pub, hash, data, sig, s.pss)
	}
	return rsa.VerifyPKCS1v15(pub, hash, data, sig)
}

// TestSign signs with every mechanism, in one piece and in several, checks it with
// crypto/rsa and with the module, and has it refused when anything is wrong.
func TestSign(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	pub, priv := p.generate(h, 2048, "k")
	key := &testKeys()[2048][0].PublicKey
	for _, s := range signings {
		t.Run(s.name, func(t *testing.T) {
			data := s.data()
			sig, err := p.sign(h, s.mech, priv, data)
			p.ok("sign", err)
			if err := s.verifies(key, data, sig); err != nil {
				t.Errorf("one piece: %v", err)
			}
			p.ok("init", p.SignInit(h, &s.mech, priv))
			for i := range data {
				p.ok("update", p.SignUpdate(h, data[i:i+1]))
			}
			parts := make([]byte, 300)
			if n, err := p.SignFinal(h, make([]byte, 255)); n != 256 || err != pkcs11.ErrBufferTooSmall {
				t.Errorf("a short buffer: %d, %v", n, err)
			}
			n, err := p.SignFinal(h, parts)
			p.ok("final", err)
			if err := s.verifies(key, data, parts[:n]); err != nil {
				t.Errorf("pieces: %v", err)
			}
			_, err = p.SignFinal(h, parts)
			want(t, "final again", err, pkcs11.ErrOperationNotInitialized)

			verify := func(data, sig []byte) error {
				p.ok("verify init", p.VerifyInit(h, &s.mech, pub))
				return p.Verify(h, data, sig)
			}
			want(t, "verify", verify(data, sig), nil)
			p.ok("verify init", p.VerifyInit(h, &s.mech, pub))
			for i := range data {
				p.ok("update", p.VerifyUpdate(h, data[i:i+1]))
			}
			want(t, "verify pieces", p.VerifyFinal(h, sig), nil)
			wrong := bytes.Clone(sig)
			wrong[100] ^= 1
			want(t, "wrong signature", verify(data, wrong), pkcs11.ErrSignatureInvalid)
			want(t, "short signature", verify(data, sig[1:]), pkcs11.ErrSignatureLenRange)
			want(t, "number too large", verify(data, bytes.Repeat([]byte{0xFF}, 256)), pkcs11.ErrSignatureInvalid)
			other := bytes.Clone(data)
			other[len(other)-1] ^= 1
			want(t, "other data", verify(other, sig), pkcs11.ErrSignatureInvalid)
		})
	}
}

// TestSignRefuses has what cannot be signed.
func TestSignRefuses(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	pub, priv := p.generate(h, 1024, "k")
	raw := pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}
	sign := func(m pkcs11.Mechanism, data []byte) error { _, err := p.sign(h, m, priv, data); return err }
	for _, c := range []struct {
		name string
		mech pkcs11.Mechanism
		data []byte
		want error
	}{
		{"much data", raw, make([]byte, 118), pkcs11.ErrDataLenRange},
		{"no data", pkcs11.Mechanism{Type: pkcs11.MechRSAX509}, nil, pkcs11.ErrDataLenRange},
		{"more than the modulus", pkcs11.Mechanism{Type: pkcs11.MechRSAX509}, make([]byte, 129), pkcs11.ErrDataLenRange},
		{"not less than the modulus", pkcs11.Mechanism{Type: pkcs11.MechRSAX509}, bytes.Repeat([]byte{0xFF}, 128), pkcs11.ErrDataInvalid},
		{"no digest", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSPSS, Parameter: pss(pkcs11.MechSHA1, 1, 20)}, make([]byte, 21), pkcs11.ErrDataLenRange},
		{"parameter", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS, Parameter: pkcs11.RawParameter{1}}, nil, pkcs11.ErrMechanismParamInvalid},
		{"no parameter", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS}, nil, pkcs11.ErrMechanismParamInvalid},
		{"short parameter", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS, Parameter: pkcs11.RawParameter{1}}, nil, pkcs11.ErrMechanismParamInvalid},
		{"another hash", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA256, 2, 32)}, nil, pkcs11.ErrMechanismParamInvalid},
		{"another MGF", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA1, 2, 20)}, nil, pkcs11.ErrMechanismParamInvalid},
		{"unknown hash", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSPSS, Parameter: pss(pkcs11.MechMD5, 1, 20)}, nil, pkcs11.ErrMechanismParamInvalid},
		{"long salt", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA1, 1, 107)}, nil, pkcs11.ErrMechanismParamInvalid},
		{"huge salt", pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA1, 1, ^uint(0))}, nil, pkcs11.ErrMechanismParamInvalid},
		{"hash too long for the key", pkcs11.Mechanism{Type: pkcs11.MechSHA512RSAPKCSPSS, Parameter: pss(pkcs11.MechSHA512, 4, 64)}, nil, pkcs11.ErrMechanismParamInvalid},
		{"OAEP does not sign", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSOAEP}, nil, pkcs11.ErrMechanismInvalid},
		{"unknown", pkcs11.Mechanism{Type: 0x9999}, nil, pkcs11.ErrMechanismInvalid},
	} {
		want(t, c.name, sign(c.mech, c.data), c.want)
		want(t, c.name+": ended", p.SignUpdate(h, nil), pkcs11.ErrOperationNotInitialized)
	}
	want(t, "public key", p.SignInit(h, &raw, pub), pkcs11.ErrKeyTypeInconsistent)
	want(t, "private key", p.VerifyInit(h, &raw, priv), pkcs11.ErrKeyTypeInconsistent)
	want(t, "no key", p.SignInit(h, &raw, 999), pkcs11.ErrKeyHandleInvalid)
	p.ok("init", p.SignInit(h, &raw, priv))
	want(t, "twice", p.SignInit(h, &raw, priv), pkcs11.ErrOperationActive)
	p.ok("update", p.SignUpdate(h, []byte("x")))
	_, err := p.Sign(h, []byte("x"), make([]byte, 128))
	want(t, "one piece after others", err, pkcs11.ErrOperationActive)
	p.ok("end", p.SignInit(h, nil, 0))
	p.ok("init", p.SignInit(h, &raw, priv))
	want(t, "much in pieces", p.SignUpdate(h, make([]byte, 5000)), pkcs11.ErrDataLenRange)
	p.ok("init", p.SignInit(h, &raw, priv))
	p.ok("cancel", p.SessionCancel(h, pkcs11.FlagSign))
	want(t, "cancelled", p.SignUpdate(h, nil), pkcs11.ErrOperationNotInitialized)
	p.ok("no more signing", p.SetAttributeValue(h, priv, []pkcs11.Attribute{{Type: pkcs11.AttrSign, Value: []byte{0}}}))
	want(t, "not for signing", p.SignInit(h, &raw, priv), pkcs11.ErrKeyFunctionNotPermitted)
}

// TestRecover signs so that the data comes back.
func TestRecover(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	pub, priv := p.generate(h, 1024, "k")
	for _, c := range []struct {
		mech pkcs11.MechanismType
		data []byte
	}{{pkcs11.MechRSAPKCS, []byte("data")}, {pkcs11.MechRSAX509, append(make([]byte, 124), "data"...)}} {
		m := &pkcs11.Mechanism{Type: c.mech}
		p.ok("init", p.SignRecoverInit(h, m, priv))
		sig := make([]byte, 128)
		_, err := p.SignRecover(h, c.data, sig)
		p.ok("sign", err)
		p.ok("init", p.VerifyRecoverInit(h, m, pub))
		if n, err := p.VerifyRecover(h, sig, make([]byte, 1)); n != uint(len(c.data)) || err != pkcs11.ErrBufferTooSmall {
			t.Errorf("a short buffer: %d, %v", n, err)
		}
		out := make([]byte, 128)
		n, err := p.VerifyRecover(h, sig, out)
		if err != nil || !bytes.Equal(out[:n], c.data) {
			t.Errorf("recovered % x, %v", out[:n], err)
		}
		sig[5] ^= 1
		p.ok("init", p.VerifyRecoverInit(h, m, pub))
		if n, err = p.VerifyRecover(h, sig, out); c.mech == pkcs11.MechRSAPKCS && err != pkcs11.ErrSignatureInvalid {
			t.Errorf("wrong signature: %d, %v", n, err)
		}
	}
}

// TestRecoverTiny: what a program takes for a public key may have a modulus of one
// byte, in which there is no room for any padding.
func TestRecoverTiny(t *testing.T) {
	_, _, p := plugged(t)
	h := p.session(pkcs11.SessionRW | pkcs11.SessionSerial)
	pub, err := p.CreateObject(h, []pkcs11.Attribute{
		class(pkcs11.ClassPublicKey), {Type: pkcs11.AttrKeyType, Value: pkcs11.Ulong(0)},
		{Type: pkcs11.AttrModulus, Value: []byte{0x0F}}, {Type: pkcs11.AttrPublicExponent, Value: []byte{3}},
	})
	p.ok("create", err)
	for _, sig := range []byte{0, 1, 14} {
		p.ok("init", p.VerifyRecoverInit(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, pub))
		_, err := p.VerifyRecover(h, []byte{sig}, make([]byte, 1))
		want(t, "recover", err, pkcs11.ErrSignatureInvalid)
	}
}

// TestCrypt encrypts here and decrypts on the token.
func TestCrypt(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	pub, priv := p.generate(h, 1024, "k")
	key := &testKeys()[1024][0].PublicKey
	oaep := func(hash pkcs11.MechanismType, mgf uint, label string) pkcs11.Mechanism {
		return pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSOAEP, Parameter: &pkcs11.OAEPParams{Hash: hash, MGF: mgf, Source: 1, Label: []byte(label)}}
	}
	for _, c := range []struct {
		name string
		mech pkcs11.Mechanism
		data []byte
	}{
		{"PKCS", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, []byte("data")},
		{"PKCS, nothing", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, []byte{}},
		{"PKCS, longest", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, make([]byte, 117)},
		{"X.509", pkcs11.Mechanism{Type: pkcs11.MechRSAX509}, append([]byte{0}, make([]byte, 127)...)},
		{"OAEP", oaep(pkcs11.MechSHA1, 1, ""), []byte("data")},
		{"OAEP, two hashes", oaep(pkcs11.MechSHA256, 1, "label"), []byte("data")},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.ok("init", p.EncryptInit(h, &c.mech, pub))
			n, err := p.Encrypt(h, c.data, nil)
			if n != 128 || err != nil {
				t.Fatalf("length %d, %v", n, err)
			}
			box := make([]byte, n)
			_, err = p.Encrypt(h, c.data, box)
			p.ok("encrypt", err)
			p.ok("init", p.EncryptInit(h, &c.mech, pub))
			p.ok("update", p.EncryptUpdate(h, c.data))
			parts := make([]byte, n)
			_, err = p.EncryptFinal(h, parts)
			p.ok("encrypt in pieces", err)
			for _, box := range [][]byte{box, parts} {
				p.ok("init", p.DecryptInit(h, &c.mech, priv))
				if len(c.data) > 0 {
					n, err := p.Decrypt(h, box, make([]byte, len(c.data)-1))
					if n != uint(len(c.data)) || err != pkcs11.ErrBufferTooSmall {
						t.Errorf("a short buffer: %d, %v", n, err)
					}
				}
				out := make([]byte, 128)
				n, err := p.Decrypt(h, box, out)
				if err != nil || !bytes.Equal(out[:n], c.data) {
					t.Errorf("decrypted % x, %v, want % x", out[:n], err, c.data)
				}
			}
			p.ok("init", p.DecryptInit(h, &c.mech, priv))
			p.ok("update", p.DecryptUpdate(h, box[:50]))
			p.ok("update", p.DecryptUpdate(h, box[50:]))
			out := make([]byte, 128)
			n, err = p.DecryptFinal(h, out)
			if err != nil || !bytes.Equal(out[:n], c.data) {
				t.Errorf("decrypted in pieces % x, %v", out[:n], err)
			}
			decrypt := func(box []byte) error {
				p.ok("init", p.DecryptInit(h, &c.mech, priv))
				_, err := p.Decrypt(h, box, out)
				want(t, "ended", p.DecryptUpdate(h, nil), pkcs11.ErrOperationNotInitialized)
				return err
			}
			want(t, "short", decrypt(box[1:]), pkcs11.ErrEncryptedDataLenRange)
			want(t, "number too large", decrypt(bytes.Repeat([]byte{0xFF}, 128)), pkcs11.ErrEncryptedDataInvalid)
			if c.mech.Type != pkcs11.MechRSAX509 {
				foreign, err := rsa.EncryptOAEP(crypto.SHA224.New(), rand.Reader, key, []byte("x"), []byte("other"))
				if err != nil {
					t.Fatal(err)
				}
				want(t, "padded in another way", decrypt(foreign), pkcs11.ErrEncryptedDataInvalid)
			}
			p.ok("init", p.EncryptInit(h, &c.mech, pub))
			_, err = p.Encrypt(h, make([]byte, 129), out)
			want(t, "too much", err, pkcs11.ErrDataLenRange)
		})
	}
	for name, m := range map[string]pkcs11.Mechanism{
		"no parameter": {Type: pkcs11.MechRSAPKCSOAEP},
		"MD5":          oaep(pkcs11.MechMD5, 1, ""),
		"MGF 99":       oaep(pkcs11.MechSHA1, 99, ""),
		"source":       {Type: pkcs11.MechRSAPKCSOAEP, Parameter: &pkcs11.OAEPParams{Hash: pkcs11.MechSHA1, MGF: 1, Source: 7}},
	} {
		want(t, name, p.DecryptInit(h, &m, priv), pkcs11.ErrMechanismParamInvalid)
	}
	long := oaep(pkcs11.MechSHA512, 4, "")
	want(t, "hash too long for the key", p.EncryptInit(h, &long, pub), pkcs11.ErrKeySizeRange)
}

// TestDigest hashes, in pieces and with the state carried to another session.
func TestDigest(t *testing.T) {
	_, _, p := plugged(t)
	h, other := p.session(ro), p.session(ro)
	for mech, hash := range map[pkcs11.MechanismType]crypto.Hash{
		pkcs11.MechMD5: crypto.MD5, pkcs11.MechSHA1: crypto.SHA1, pkcs11.MechSHA224: crypto.SHA224,
		pkcs11.MechSHA256: crypto.SHA256, pkcs11.MechSHA384: crypto.SHA384, pkcs11.MechSHA512: crypto.SHA512,
	} {
		sum := hash.New()
		sum.Write([]byte("some data"))
		m := &pkcs11.Mechanism{Type: mech}
		out := make([]byte, 64)
		p.ok("init", p.DigestInit(h, m))
		if n, err := p.Digest(h, nil, out[:hash.Size()-1]); n != uint(hash.Size()) || err != pkcs11.ErrBufferTooSmall {
			t.Errorf("a short buffer: %d, %v", n, err)
		}
		n, err := p.Digest(h, []byte("some data"), out)
		if err != nil || !bytes.Equal(out[:n], sum.Sum(nil)) {
			t.Errorf("%v: % x, %v", hash, out[:n], err)
		}
		p.ok("init", p.DigestInit(h, m))
		p.ok("update", p.DigestUpdate(h, []byte("some")))
		n, err = p.GetOperationState(h, nil)
		p.ok("length of the state", err)
		state := make([]byte, n)
		_, err = p.GetOperationState(h, state)
		p.ok("state", err)
		p.ok("set state", p.SetOperationState(other, state, 0, 0))
		p.ok("update", p.DigestUpdate(other, []byte(" data")))
		n, err = p.DigestFinal(other, out)
		if err != nil || !bytes.Equal(out[:n], sum.Sum(nil)) {
			t.Errorf("%v in pieces: % x, %v", hash, out[:n], err)
		}
		want(t, "key", p.DigestKey(h, 1), pkcs11.ErrKeyHandleInvalid)
		_, err = p.Digest(h, nil, out)
		want(t, "one piece after others", err, pkcs11.ErrOperationActive)
		p.ok("end", p.DigestInit(h, nil))
		want(t, "broken state", p.SetOperationState(h, state[:len(state)-1], 0, 0), pkcs11.ErrSavedStateInvalid)
		want(t, "state with a key", p.SetOperationState(h, state, 1, 0), pkcs11.ErrKeyNotNeeded)
	}
	want(t, "no digest", p.DigestInit(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}), pkcs11.ErrMechanismInvalid)
	want(t, "state of a signature", p.SetOperationState(h, []byte{0, 0, 0, 1}, 0, 0), pkcs11.ErrSavedStateInvalid)
}

// TestAlwaysAuthenticate has a key that wants the PIN for each use.
func TestAlwaysAuthenticate(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	_, priv, err := p.GenerateKeyPair(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSKeyPairGen},
		[]pkcs11.Attribute{{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(1024)}},
		[]pkcs11.Attribute{{Type: pkcs11.AttrAlwaysAuthenticate, Value: pkcs11.Bool(true)}})
	p.ok("generate", err)
	mech := &pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}
	out := make([]byte, 128)
	for range 2 {
		p.ok("init", p.SignInit(h, mech, priv))
		_, err = p.Sign(h, []byte("data"), out)
		want(t, "without the PIN", err, pkcs11.ErrUserNotLoggedIn)
		p.ok("log in", p.Login(h, pkcs11.UserContextSpecific, userPIN))
		_, err = p.Sign(h, []byte("data"), out)
		want(t, "with the PIN", err, nil)
	}
	want(t, "nothing wants it", p.Login(h, pkcs11.UserContextSpecific, userPIN), pkcs11.ErrOperationNotInitialized)

	// One log-in is for one operation: the newest that waits.
	secret := make([]byte, 128)
	p.ok("init", p.SignInit(h, mech, priv))
	p.ok("init to decrypt", p.DecryptInit(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAX509}, priv))
	p.ok("log in", p.Login(h, pkcs11.UserContextSpecific, userPIN))
	_, err = p.Sign(h, []byte("data"), out)
	want(t, "the older one", err, pkcs11.ErrUserNotLoggedIn)
	_, err = p.Decrypt(h, secret, secret)
	want(t, "the newer one", err, nil)
	p.ok("log in for the older one", p.Login(h, pkcs11.UserContextSpecific, userPIN))
	_, err = p.Sign(h, []byte("data"), out)
	want(t, "the older one, with the PIN", err, nil)

	p.ok("init", p.SignInit(h, mech, priv))
	for _, pin := range [][]byte{nil, make([]byte, 300)} { // which the token is not asked about
		want(t, "PIN of no length", p.Login(h, pkcs11.UserContextSpecific, pin), pkcs11.ErrPINLenRange)
		want(t, "old PIN of no length", p.SetPIN(h, pin, userPIN), pkcs11.ErrPINLenRange)
		if i, err := p.GetSessionInfo(h); err != nil || i.State != pkcs11.StateRWUser {
			t.Errorf("after a PIN of %d bytes: %+v, %v", len(pin), i, err)
		}
	}
	want(t, "wrong PIN", p.Login(h, pkcs11.UserContextSpecific, wrongPIN), pkcs11.ErrPINIncorrect)
	_, err = p.Sign(h, []byte("data"), out)
	want(t, "with a wrong PIN", err, pkcs11.ErrUserNotLoggedIn)

	// What was used without a log-in has ended by the standard, and begins anew.
	p.ok("log in", p.Login(h, pkcs11.UserNormal, userPIN))
	want(t, "init of what has a log-in to come", p.SignInit(h, mech, priv), nil)
	want(t, "twice", p.SignInit(h, mech, priv), pkcs11.ErrOperationActive)
	_, err = p.Sign(h, []byte("data"), out)
	want(t, "without the PIN", err, pkcs11.ErrUserNotLoggedIn)
	p.ok("init after that", p.SignInit(h, mech, priv))
	_, err = p.Sign(h, []byte("data"), out)
	want(t, "the log-in is for each", err, pkcs11.ErrUserNotLoggedIn)
	p.ok("log in", p.Login(h, pkcs11.UserContextSpecific, userPIN))
	want(t, "in again, before it is used", p.SignInit(h, mech, priv), pkcs11.ErrOperationActive)
	_, err = p.Sign(h, []byte("data"), out)
	want(t, "with the PIN", err, nil)
}

// TestCommandsPerSign counts what a signature costs the token once the key was
// used: the two commands of a chain, and one where a block fits into one.
func TestCommandsPerSign(t *testing.T) {
	for _, shared := range []bool{false, true} {
		w := newWorld()
		place := w.plug(reader, newCard(), shared)
		p := start(t, w)
		h := p.user()
		for bits, most := range map[uint]int{1024: 1, 2048: 2, 4096: 4} { // 4096: three parts, and GET RESPONSE
			_, priv := p.generate(h, bits, fmt.Sprint(bits))
			mech := pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}
			for n := range 5 {
				place.count()
				if _, err := p.sign(h, mech, priv, []byte("data")); err != nil {
					t.Fatal(err)
				}
				if got := place.count(); n > 0 && got > most {
					t.Errorf("shared %v, %d bits: %d commands, want %d", shared, bits, got, most)
				}
			}
		}
		place.count()
		p.find(h)
		if got := place.count(); got > 2 {
			t.Errorf("shared %v: %d commands to find what is known", shared, got)
		}
	}
}

// TestRandom takes random bytes of the token, across the length of a command.
func TestRandom(t *testing.T) {
	_, _, p := plugged(t)
	h := p.session(ro)
	a, b := make([]byte, 600), make([]byte, 600)
	p.ok("random", p.GenerateRandom(h, a))
	p.ok("random", p.GenerateRandom(h, b))
	if bytes.Equal(a, b) || bytes.Equal(a[:100], a[300:400]) {
		t.Error("the same bytes again")
	}
	p.ok("none", p.GenerateRandom(h, nil))
	want(t, "seed", p.SeedRandom(h), pkcs11.ErrRandomSeedNotSupported)
	want(t, "other functions", p.Unsupported(h), pkcs11.ErrFunctionNotSupported)
	var rv pkcs11.Rv
	if err := error(pkcs11.Rv(0x80000005)); !errors.As(err, &rv) || err.Error() != "CKR_(0x80000005)" {
		t.Errorf("an unknown code: %v", err)
	}
}

// TestMechanisms has what the token can do, and the sizes of its keys.
func TestMechanisms(t *testing.T) {
	_, _, p := plugged(t)
	all, err := p.GetMechanismList(0)
	if err != nil || len(all) != 22 {
		t.Errorf("%d mechanisms, %v", len(all), err)
	}
	for _, mech := range all {
		i, err := p.GetMechanismInfo(0, mech)
		if err != nil {
			t.Errorf("%#x: %v", uint(mech), err)
		}
		want := pkcs11.MechanismInfo{MinKeySize: 1024, MaxKeySize: 4096, Flags: i.Flags}
		if i.Flags == pkcs11.FlagDigest {
			want.MinKeySize, want.MaxKeySize = 0, 0
		}
		if i != want {
			t.Errorf("%#x: %+v, want %+v", uint(mech), i, want)
		}
	}
	_, err = p.GetMechanismInfo(0, 0x9999)
	want(t, "unknown", err, pkcs11.ErrMechanismInvalid)
	_, err = p.GetMechanismList(9)
	want(t, "no slot", err, pkcs11.ErrSlotIDInvalid)
}

// TestPublicOfCertificate has a private key whose public one is in a certificate
// alone, or nowhere.
func TestPublicOfCertificate(t *testing.T) {
	w, _, p := plugged(t)
	h := p.user()
	key := testKeys()[1024][7]
	id := pkcs11.Attribute{Type: pkcs11.AttrID, Value: []byte{7}}
	_, err := p.CreateObject(h, with(privateTemplate(key), id))
	p.ok("create", err)
	_, err = p.CreateObject(h, with(certTemplate(certify(t, "Somebody", key)), token(true), id))
	p.ok("create", err)
	p.ok("destroy", p.DestroyObject(h, p.find(h, class(pkcs11.ClassPublicKey))[0]))
	p.ok("finalize", p.Finalize())

	p = start(t, w)
	h = p.user()
	priv := p.find(h, class(pkcs11.ClassPrivateKey))[0]
	if got := p.get(h, priv, pkcs11.AttrModulus); !bytes.Equal(got, key.N.Bytes()) {
		t.Errorf("modulus % x", got)
	}
	p.ok("destroy", p.DestroyObject(h, p.find(h, class(pkcs11.ClassCertificate))[0]))
	p.ok("finalize", p.Finalize())

	p = start(t, w)
	h = p.user()
	priv = p.find(h, class(pkcs11.ClassPrivateKey))[0]
	want(t, "a modulus that nobody knows", p.GetAttributeValue(h, priv, []pkcs11.Query{{Type: pkcs11.AttrModulus}}), pkcs11.ErrAttributeTypeInvalid)
	if got := p.get(h, priv, pkcs11.AttrModulusBits); !bytes.Equal(got, pkcs11.Ulong(1024)) {
		t.Errorf("bits % x", got)
	}
	s := signings[3]
	sig, err := p.sign(h, s.mech, priv, s.data())
	p.ok("sign", err)
	if err := s.verifies(&key.PublicKey, s.data(), sig); err != nil {
		t.Error(err)
	}
	p.ok("init", p.DecryptInit(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, priv))
	if n, err := p.Decrypt(h, nil, nil); n != 117 || err != nil {
		t.Errorf("the longest message: %d, %v", n, err)
	}
}
