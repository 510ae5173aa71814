package pkcs11_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"kaztoken/bridge/pkcs11"
	"kaztoken/firmware/emu"
)

func rsaTemplate(pub *rsa.PublicKey) []pkcs11.Attribute {
	return []pkcs11.Attribute{
		class(pkcs11.ClassPublicKey), {pkcs11.AttrKeyType, pkcs11.Ulong(0)},
		{pkcs11.AttrModulus, pub.N.Bytes()}, {pkcs11.AttrPublicExponent, big.NewInt(int64(pub.E)).Bytes()},
	}
}

func privateTemplate(k *rsa.PrivateKey) []pkcs11.Attribute {
	k.Precompute()
	return []pkcs11.Attribute{
		class(pkcs11.ClassPrivateKey), {pkcs11.AttrKeyType, pkcs11.Ulong(0)}, token(true),
		{pkcs11.AttrPrivate, pkcs11.Bool(true)}, {pkcs11.AttrSensitive, pkcs11.Bool(true)},
		{pkcs11.AttrModulus, k.N.Bytes()}, {pkcs11.AttrPublicExponent, []byte{1, 0, 1}}, {pkcs11.AttrPrivateExponent, k.D.Bytes()},
		{pkcs11.AttrPrime1, k.Primes[0].Bytes()}, {pkcs11.AttrPrime2, k.Primes[1].Bytes()},
		{pkcs11.AttrExponent1, k.Precomputed.Dp.Bytes()}, {pkcs11.AttrExponent2, k.Precomputed.Dq.Bytes()},
		{pkcs11.AttrCoefficient, k.Precomputed.Qinv.Bytes()},
	}
}

func certTemplate(c *x509.Certificate) []pkcs11.Attribute {
	return []pkcs11.Attribute{class(pkcs11.ClassCertificate), {pkcs11.AttrCertificateType, pkcs11.Ulong(0)}, {pkcs11.AttrValue, c.Raw}}
}

func dataTemplate(value string) []pkcs11.Attribute {
	return []pkcs11.Attribute{class(pkcs11.ClassData), {pkcs11.AttrApplication, []byte("app")}, {pkcs11.AttrValue, []byte(value)}}
}

func with(template []pkcs11.Attribute, more ...pkcs11.Attribute) []pkcs11.Attribute {
	return slices.Concat(template, more)
}

// TestGenerated has the attributes of a generated key pair.
func TestGenerated(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	pub, priv := p.generate(h, 2048, "k")
	key := testKeys()[2048][0]
	yes, no := pkcs11.Bool(true), pkcs11.Bool(false)
	for _, c := range []struct {
		o    pkcs11.ObjectHandle
		t    pkcs11.AttributeType
		want []byte
	}{
		{pub, pkcs11.AttrClass, pkcs11.Ulong(2)}, {priv, pkcs11.AttrClass, pkcs11.Ulong(3)},
		{pub, pkcs11.AttrToken, yes}, {pub, pkcs11.AttrPrivate, no}, {priv, pkcs11.AttrPrivate, yes},
		{pub, pkcs11.AttrKeyType, pkcs11.Ulong(0)}, {priv, pkcs11.AttrKeyType, pkcs11.Ulong(0)},
		{pub, pkcs11.AttrID, []byte("k")}, {priv, pkcs11.AttrID, []byte("k")}, {priv, pkcs11.AttrLabel, []byte("k")},
		{pub, pkcs11.AttrModulus, key.N.Bytes()}, {priv, pkcs11.AttrModulus, key.N.Bytes()},
		{pub, pkcs11.AttrModulusBits, pkcs11.Ulong(2048)},
		{pub, pkcs11.AttrPublicExponent, []byte{1, 0, 1}}, {priv, pkcs11.AttrPublicExponent, []byte{1, 0, 1}},
		{priv, pkcs11.AttrSensitive, yes}, {priv, pkcs11.AttrExtractable, no}, {priv, pkcs11.AttrAlwaysSensitive, yes},
		{priv, pkcs11.AttrNeverExtractable, yes}, {priv, pkcs11.AttrLocal, yes}, {priv, pkcs11.AttrKeyGenMechanism, pkcs11.Ulong(0)},
		{priv, pkcs11.AttrSign, yes}, {priv, pkcs11.AttrDecrypt, yes}, {priv, pkcs11.AttrUnwrap, no}, {priv, pkcs11.AttrDerive, no},
		{pub, pkcs11.AttrVerify, yes}, {pub, pkcs11.AttrEncrypt, yes}, {pub, pkcs11.AttrWrap, no},
		{priv, pkcs11.AttrAlwaysAuthenticate, no}, {priv, pkcs11.AttrModifiable, yes}, {priv, pkcs11.AttrCopyable, no},
		{priv, pkcs11.AttrSubject, nil}, {priv, pkcs11.AttrStartDate, nil},
	} {
		if got := p.get(h, c.o, c.t); !bytes.Equal(got, c.want) {
			t.Errorf("%v of %d: got % x, want % x", c.t, c.o, got, c.want)
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.get(h, priv, pkcs11.AttrPublicKeyInfo); !bytes.Equal(got, spki) {
		t.Errorf("public key info % x", got)
	}
	if n, err := p.GetObjectSize(h, priv); err != nil || n < 256 {
		t.Errorf("size %d, %v", n, err)
	}
	// Who is not logged in sees the public key alone.
	p.ok("log out", p.Logout(h))
	if got := p.find(h); !slices.Equal(got, []pkcs11.ObjectHandle{pub}) {
		t.Errorf("objects for everybody: %v, want %v", got, pub)
	}
	want(t, "a private one", p.GetAttributeValue(h, priv, nil), pkcs11.ErrObjectHandleInvalid)
	want(t, "its use", p.SignInit(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, priv), pkcs11.ErrUserNotLoggedIn)
}

// TestGenerateRefuses has templates that no key pair can be made of.
func TestGenerateRefuses(t *testing.T) {
	_, _, p := plugged(t)
	r, h := p.session(ro), p.session(rw)
	gen := pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSKeyPairGen}
	bits := pkcs11.Attribute{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(1024)}
	try := func(h pkcs11.SessionHandle, m *pkcs11.Mechanism, a, b []pkcs11.Attribute) error {
		_, _, err := p.GenerateKeyPair(h, m, a, b)
		return err
	}
	one := func(a ...pkcs11.Attribute) []pkcs11.Attribute { return a }
	want(t, "nobody is logged in", try(h, &gen, one(bits), nil), pkcs11.ErrUserNotLoggedIn)
	p.ok("log in", p.Login(h, pkcs11.UserNormal, userPIN))
	want(t, "read-only", try(r, &gen, one(bits), nil), pkcs11.ErrSessionReadOnly)
	for _, c := range []struct {
		name string
		mech pkcs11.Mechanism
		a, b []pkcs11.Attribute
		want error
	}{
		{"other mechanism", pkcs11.Mechanism{Type: pkcs11.MechRSAPKCS}, one(bits), nil, pkcs11.ErrMechanismInvalid},
		{"parameter", pkcs11.Mechanism{Type: gen.Type, Parameter: pkcs11.RawParameter("x")}, one(bits), nil, pkcs11.ErrMechanismParamInvalid},
		{"no size", gen, nil, nil, pkcs11.ErrTemplateIncomplete},
		{"odd size", gen, one(pkcs11.Attribute{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(1025)}), nil, pkcs11.ErrKeySizeRange},
		{"huge size", gen, one(pkcs11.Attribute{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(^uint(0))}), nil, pkcs11.ErrKeySizeRange},
		{"short number", gen, one(pkcs11.Attribute{Type: pkcs11.AttrModulusBits, Value: []byte{4}}), nil, pkcs11.ErrAttributeValueInvalid},
		{"exponent 3", gen, one(bits, pkcs11.Attribute{Type: pkcs11.AttrPublicExponent, Value: []byte{3}}), nil, pkcs11.ErrAttributeValueInvalid},
		{"twice", gen, one(bits, bits), nil, pkcs11.ErrTemplateInconsistent},
		{"session key", gen, one(bits), one(token(false)), pkcs11.ErrTemplateInconsistent},
		{"other class", gen, one(bits, class(pkcs11.ClassData)), nil, pkcs11.ErrTemplateInconsistent},
		{"EC", gen, one(bits, pkcs11.Attribute{Type: pkcs11.AttrKeyType, Value: pkcs11.Ulong(3)}), nil, pkcs11.ErrTemplateInconsistent},
		{"a modulus", gen, one(bits, pkcs11.Attribute{Type: pkcs11.AttrModulus, Value: []byte{1}}), nil, pkcs11.ErrTemplateInconsistent},
		{"unknown attribute", gen, one(bits, pkcs11.Attribute{Type: 0x1234}), nil, pkcs11.ErrAttributeTypeInvalid},
		{"long label", gen, one(bits), one(label(string(make([]byte, 300)))), pkcs11.ErrAttributeValueInvalid},
		{"long label of the public key alone", gen, one(bits, label(string(make([]byte, 300)))), one(label("x")), pkcs11.ErrAttributeValueInvalid},
	} {
		want(t, c.name, try(h, &c.mech, c.a, c.b), c.want)
	}
	if got := p.find(h); len(got) != 0 {
		t.Errorf("something was made: %v", got)
	}
	// What the templates ask for beside the size.
	pub, priv, err := p.GenerateKeyPair(h, &gen,
		one(bits, label("public"), pkcs11.Attribute{Type: pkcs11.AttrEncrypt, Value: pkcs11.Bool(false)}),
		one(label("private"), pkcs11.Attribute{Type: pkcs11.AttrDecrypt, Value: pkcs11.Bool(false)}, pkcs11.Attribute{Type: pkcs11.AttrAlwaysAuthenticate, Value: pkcs11.Bool(true)}))
	p.ok("generate", err)
	for _, c := range []struct {
		o    pkcs11.ObjectHandle
		t    pkcs11.AttributeType
		want []byte
	}{
		{pub, pkcs11.AttrLabel, []byte("public")}, {priv, pkcs11.AttrLabel, []byte("private")},
		{pub, pkcs11.AttrEncrypt, []byte{0}}, {pub, pkcs11.AttrVerify, []byte{1}},
		{priv, pkcs11.AttrDecrypt, []byte{0}}, {priv, pkcs11.AttrSign, []byte{1}}, {priv, pkcs11.AttrAlwaysAuthenticate, []byte{1}},
	} {
		if got := p.get(h, c.o, c.t); !bytes.Equal(got, c.want) {
			t.Errorf("%v of %d: got %q, want %q", c.t, c.o, got, c.want)
		}
	}
}

// TestCreate stores one object of each class on the token, with a second program
// looking on.
func TestCreate(t *testing.T) {
	w := newWorld()
	w.plug(reader, newCard(), true)
	p, other := start(t, w), start(t, w)
	h := p.user()
	ho := other.session(ro)
	key := testKeys()[1024][7]
	cert := certify(t, "Somebody", key)
	id := pkcs11.Attribute{Type: pkcs11.AttrID, Value: []byte{0x45}}
	create := func(template []pkcs11.Attribute) pkcs11.ObjectHandle {
		t.Helper()
		o, err := p.CreateObject(h, template)
		p.ok("create", err)
		return o
	}
	nss := pkcs11.Attribute{Type: 0xCE534352, Value: []byte("me@example.org")} // CKA_NSS_EMAIL
	c := create(with(certTemplate(cert), token(true), id, label("cert"), nss))
	k := create(with(privateTemplate(key), id, label("key")))
	d := create(with(dataTemplate("public text"), token(true), label("data"), pkcs11.Attribute{Type: pkcs11.AttrObjectID, Value: []byte{6, 3, 0x55, 4, 3}}))
	secret := create(with(dataTemplate("secret text"), token(true), pkcs11.Attribute{Type: pkcs11.AttrPrivate, Value: pkcs11.Bool(true)}))
	if again := create(with(certTemplate(cert), token(true), label("cert two"))); again != c {
		t.Errorf("the same certificate again: object %d, want %d", again, c)
	}
	pub := p.find(h, class(pkcs11.ClassPublicKey))
	if len(pub) != 1 {
		t.Fatalf("public keys: %v, want that of the private key", pub)
	}
	if same := create(with(rsaTemplate(&key.PublicKey), token(true), id, label("pub"))); same != pub[0] {
		t.Errorf("the public key again: object %d, want %d", same, pub[0])
	}
	lone := create(with(rsaTemplate(&testKeys()[1536][0].PublicKey), token(true), label("lone")))

	serial, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []struct {
		o    pkcs11.ObjectHandle
		t    pkcs11.AttributeType
		want []byte
	}{
		{c, pkcs11.AttrLabel, []byte("cert two")}, {c, pkcs11.AttrID, id.Value}, {c, pkcs11.AttrValue, cert.Raw},
		{c, pkcs11.AttrSubject, cert.RawSubject}, {c, pkcs11.AttrIssuer, cert.RawIssuer}, {c, pkcs11.AttrSerialNumber, serial},
		{c, pkcs11.AttrStartDate, []byte("20260101")}, {c, pkcs11.AttrEndDate, []byte("20361231")},
		{c, pkcs11.AttrCertificateCategory, pkcs11.Ulong(1)}, {c, pkcs11.AttrTrusted, []byte{0}},
		{k, pkcs11.AttrModulus, key.N.Bytes()}, {k, pkcs11.AttrLocal, []byte{0}}, {k, pkcs11.AttrAlwaysSensitive, []byte{0}},
		{k, pkcs11.AttrKeyGenMechanism, pkcs11.Ulong(pkcs11.Unavailable)},
		{d, pkcs11.AttrValue, []byte("public text")}, {d, pkcs11.AttrApplication, []byte("app")}, {d, pkcs11.AttrObjectID, []byte{6, 3, 0x55, 4, 3}},
		{secret, pkcs11.AttrValue, []byte("secret text")}, {pub[0], pkcs11.AttrLabel, []byte("pub")},
		{lone, pkcs11.AttrModulusBits, pkcs11.Ulong(1536)},
	} {
		if got := p.get(h, a.o, a.t); !bytes.Equal(got, a.want) {
			t.Errorf("%v of %d: got % x, want % x", a.t, a.o, got, a.want)
		}
	}
	if got := len(other.find(ho)); got != 4 { // certificate, two public keys, data
		t.Errorf("the other program sees %d objects, want 4", got)
	}
	if got := other.find(ho, pkcs11.Attribute{Type: pkcs11.AttrSubject, Value: cert.RawSubject}); len(got) != 1 {
		t.Errorf("by its subject: %v", got)
	}
	other.ok("log in", other.Login(ho, pkcs11.UserNormal, userPIN))
	keys := other.find(ho, class(pkcs11.ClassPrivateKey))
	if len(keys) != 1 {
		t.Fatalf("the other program's private keys: %v", keys)
	}
	if _, err := other.sign(ho, pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCS}, keys[0], []byte("data")); err != nil {
		t.Error(err)
	}

	// Each is deleted alone.
	for i, o := range []pkcs11.ObjectHandle{c, pub[0], lone, d, secret, k} {
		p.ok("destroy", p.DestroyObject(h, o))
		want(t, "destroy again", p.DestroyObject(h, o), pkcs11.ErrObjectHandleInvalid)
		if got := len(p.find(h)); got != 5-i {
			t.Errorf("%d objects after %d were destroyed, want %d", got, i+1, 5-i)
		}
	}
	_, err = other.sign(ho, pkcs11.Mechanism{Type: pkcs11.MechSHA1RSAPKCS}, keys[0], []byte("data"))
	want(t, "sign with a key that another program has deleted", err, pkcs11.ErrKeyHandleInvalid)
}

// TestCreateRefuses has templates that no object can be made of.
func TestCreateRefuses(t *testing.T) {
	_, _, p := plugged(t)
	r, h := p.session(ro), p.session(rw)
	cert := certTemplate(certify(t, "Somebody", testKeys()[1024][7]))
	key := testKeys()[1024][7]
	a := func(t pkcs11.AttributeType, v []byte) pkcs11.Attribute { return pkcs11.Attribute{Type: t, Value: v} }
	_, err := p.CreateObject(r, with(cert, token(true)))
	want(t, "read-only", err, pkcs11.ErrSessionReadOnly)
	_, err = p.CreateObject(h, with(cert, token(true)))
	want(t, "nobody is logged in", err, pkcs11.ErrUserNotLoggedIn)
	_, err = p.CreateObject(h, with(dataTemplate("x"), a(pkcs11.AttrPrivate, pkcs11.Bool(true))))
	want(t, "private, and nobody is logged in", err, pkcs11.ErrUserNotLoggedIn)
	p.ok("log in", p.Login(h, pkcs11.UserNormal, userPIN))
	before := len(p.find(h))
	for _, c := range []struct {
		name     string
		template []pkcs11.Attribute
		want     error
	}{
		{"nothing", nil, pkcs11.ErrTemplateIncomplete},
		{"no class", cert[1:], pkcs11.ErrTemplateIncomplete},
		{"unknown class", []pkcs11.Attribute{class(77)}, pkcs11.ErrAttributeValueInvalid},
		{"secret key", []pkcs11.Attribute{class(4)}, pkcs11.ErrAttributeValueInvalid},
		{"twice", with(cert, class(pkcs11.ClassCertificate)), pkcs11.ErrTemplateInconsistent},
		{"unknown attribute", with(cert, a(0x1234, nil)), pkcs11.ErrAttributeTypeInvalid},
		{"attribute of a key", with(cert, a(pkcs11.AttrSign, pkcs11.Bool(true))), pkcs11.ErrAttributeTypeInvalid},
		{"what the token decides", with(privateTemplate(key), a(pkcs11.AttrLocal, pkcs11.Bool(true))), pkcs11.ErrAttributeTypeInvalid},
		{"two bytes of truth", with(cert, a(pkcs11.AttrToken, []byte{1, 0})), pkcs11.ErrAttributeValueInvalid},
		{"no certificate", []pkcs11.Attribute{cert[0], cert[1], token(true), a(pkcs11.AttrValue, []byte("no DER"))}, pkcs11.ErrAttributeValueInvalid},
		{"no value", cert[:2], pkcs11.ErrTemplateIncomplete},
		{"no certificate type", []pkcs11.Attribute{cert[0], cert[2]}, pkcs11.ErrTemplateIncomplete},
		{"attribute certificate", []pkcs11.Attribute{cert[0], cert[2], a(pkcs11.AttrCertificateType, pkcs11.Ulong(1))}, pkcs11.ErrAttributeValueInvalid},
		{"no modulus", []pkcs11.Attribute{class(pkcs11.ClassPublicKey), a(pkcs11.AttrKeyType, pkcs11.Ulong(0))}, pkcs11.ErrTemplateIncomplete},
		{"EC", with(rsaTemplate(&key.PublicKey)[2:], class(pkcs11.ClassPublicKey), a(pkcs11.AttrKeyType, pkcs11.Ulong(3))), pkcs11.ErrAttributeValueInvalid},
		{"private key in a session", privateTemplate(key)[:2], pkcs11.ErrTemplateInconsistent},
		{"no primes", privateTemplate(key)[:8], pkcs11.ErrTemplateIncomplete},
		{"wrong primes", slices.Concat(privateTemplate(key)[:8], []pkcs11.Attribute{a(pkcs11.AttrPrime1, []byte{7}), a(pkcs11.AttrPrime2, []byte{11})}), pkcs11.ErrAttributeValueInvalid},
		{"huge prime", slices.Concat(privateTemplate(key)[:8], []pkcs11.Attribute{a(pkcs11.AttrPrime1, make([]byte, 1<<16)), a(pkcs11.AttrPrime2, []byte{11})}), pkcs11.ErrAttributeValueInvalid},
		{"label too long", with(cert, token(true), label(string(make([]byte, 255)))), pkcs11.ErrAttributeValueInvalid},
		{"ID too long", with(cert, token(true), a(pkcs11.AttrID, make([]byte, 256))), pkcs11.ErrAttributeValueInvalid},
		{"no data", with(dataTemplate(""), token(true)), pkcs11.ErrAttributeValueInvalid},
		{"too much data", with(dataTemplate(string(make([]byte, 1<<16))), token(true)), pkcs11.ErrAttributeValueInvalid},
		{"no object identifier", with(dataTemplate("x"), token(true), a(pkcs11.AttrObjectID, []byte{4, 0})), pkcs11.ErrAttributeValueInvalid},
		{"too many attributes", make([]pkcs11.Attribute, 300), pkcs11.ErrArgumentsBad},
	} {
		_, err := p.CreateObject(h, c.template)
		want(t, c.name, err, c.want)
	}
	if got := len(p.find(h)); got != before {
		t.Errorf("%d objects, want %d", got, before)
	}
}

// TestSessionObjects live in the process, for all sessions with the token, and
// end with the session that made them.
func TestSessionObjects(t *testing.T) {
	_, place, p := plugged(t)
	a, b := p.session(ro), p.session(ro)
	cert := certify(t, "Somebody", testKeys()[1024][7])
	place.count()
	o, err := p.CreateObject(a, with(certTemplate(cert), label("mine")))
	p.ok("create", err)
	if got := p.get(b, o, pkcs11.AttrSubject); !bytes.Equal(got, cert.RawSubject) {
		t.Errorf("subject % x", got)
	}
	want(t, "set", p.SetAttributeValue(b, o, []pkcs11.Attribute{label("ours")}), nil)
	want(t, "set the value", p.SetAttributeValue(b, o, []pkcs11.Attribute{{Type: pkcs11.AttrValue, Value: []byte{1}}}), pkcs11.ErrAttributeReadOnly)
	copied, err := p.CopyObject(b, o, []pkcs11.Attribute{label("copy"), {Type: pkcs11.AttrModifiable, Value: pkcs11.Bool(false)}})
	p.ok("copy", err)
	want(t, "set what is not modifiable", p.SetAttributeValue(b, copied, []pkcs11.Attribute{label("x")}), pkcs11.ErrActionProhibited)
	_, err = p.CopyObject(b, o, []pkcs11.Attribute{{Type: pkcs11.AttrValue, Value: []byte{1}}})
	want(t, "copy with another value", err, pkcs11.ErrAttributeReadOnly)
	_, err = p.CopyObject(b, o, []pkcs11.Attribute{token(true)})
	want(t, "copy to the token", err, pkcs11.ErrSessionReadOnly)
	if n := place.count(); n != 0 {
		t.Errorf("%d commands for objects that are not on the token", n)
	}
	if got := p.find(b, label("ours")); !slices.Equal(got, []pkcs11.ObjectHandle{o}) {
		t.Errorf("by its new label: %v", got)
	}
	p.ok("close", p.CloseSession(a))
	if got := p.find(b); !slices.Equal(got, []pkcs11.ObjectHandle{copied}) {
		t.Errorf("after the session of the original: %v, want the copy", got)
	}
	pub, err := p.CreateObject(b, rsaTemplate(&testKeys()[1024][7].PublicKey))
	p.ok("public key", err)
	if got := p.get(b, pub, pkcs11.AttrVerify); !bytes.Equal(got, []byte{1}) {
		t.Errorf("verify: % x", got)
	}
	p.ok("destroy", p.DestroyObject(b, pub))

	// A private one goes with the log-in.
	p.ok("log in", p.Login(b, pkcs11.UserNormal, userPIN))
	hidden, err := p.CreateObject(b, with(dataTemplate("x"), pkcs11.Attribute{Type: pkcs11.AttrPrivate, Value: pkcs11.Bool(true)}))
	p.ok("create", err)
	p.ok("log out", p.Logout(b))
	p.ok("log in", p.Login(b, pkcs11.UserNormal, userPIN))
	want(t, "a private one after a log-out", p.GetAttributeValue(b, hidden, nil), pkcs11.ErrObjectHandleInvalid)
}

// TestSetAttributes changes what can be changed on the token.
func TestSetAttributes(t *testing.T) {
	w, _, p := plugged(t)
	h := p.user()
	pub, priv := p.generate(h, 1024, "k")
	subject := certify(t, "Somebody", testKeys()[1024][7]).RawSubject
	set := func(o pkcs11.ObjectHandle, a ...pkcs11.Attribute) error { return p.SetAttributeValue(h, o, a) }
	a := func(t pkcs11.AttributeType, v []byte) pkcs11.Attribute { return pkcs11.Attribute{Type: t, Value: v} }
	want(t, "label and ID", set(priv, label("new"), a(pkcs11.AttrID, []byte("i"))), nil)
	want(t, "subject", set(pub, a(pkcs11.AttrSubject, subject)), nil)
	want(t, "use", set(pub, a(pkcs11.AttrVerifyRecover, []byte{0})), nil)
	want(t, "what it has already", set(priv, a(pkcs11.AttrSensitive, []byte{1})), nil)
	want(t, "less secret", set(priv, a(pkcs11.AttrSensitive, []byte{0})), pkcs11.ErrAttributeReadOnly)
	want(t, "another modulus", set(priv, a(pkcs11.AttrModulus, []byte{1})), pkcs11.ErrAttributeReadOnly)
	want(t, "a secret", set(priv, a(pkcs11.AttrPrime1, []byte{1})), pkcs11.ErrAttributeReadOnly)
	want(t, "unknown", set(priv, a(0x1234, nil)), pkcs11.ErrAttributeTypeInvalid)
	want(t, "private", set(pub, a(pkcs11.AttrPrivate, []byte{1})), pkcs11.ErrAttributeReadOnly)
	_, err := p.CopyObject(h, pub, nil)
	want(t, "copy", err, pkcs11.ErrActionProhibited)
	r := p.session(ro)
	want(t, "read-only", p.SetAttributeValue(r, pub, []pkcs11.Attribute{label("x")}), pkcs11.ErrSessionReadOnly)
	want(t, "read-only", p.DestroyObject(r, pub), pkcs11.ErrSessionReadOnly)
	p.ok("finalize", p.Finalize())

	p = start(t, w)
	h = p.user()
	pub, priv = p.find(h, class(pkcs11.ClassPublicKey))[0], p.find(h, class(pkcs11.ClassPrivateKey))[0]
	for _, c := range []struct {
		o    pkcs11.ObjectHandle
		t    pkcs11.AttributeType
		want []byte
	}{
		{priv, pkcs11.AttrLabel, []byte("new")}, {priv, pkcs11.AttrID, []byte("i")}, {pub, pkcs11.AttrID, []byte("k")},
		{pub, pkcs11.AttrSubject, subject}, {pub, pkcs11.AttrVerifyRecover, []byte{0}}, {pub, pkcs11.AttrVerify, []byte{1}},
	} {
		if got := p.get(h, c.o, c.t); !bytes.Equal(got, c.want) {
			t.Errorf("%v of %d: got %q, want %q", c.t, c.o, got, c.want)
		}
	}
}

// TestAttributeRules has the rules of C_GetAttributeValue: everything is tried,
// and each attribute says how it went.
func TestAttributeRules(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	_, priv := p.generate(h, 1024, "key")
	ask := func(q ...pkcs11.Query) ([]pkcs11.Query, error) { return q, p.GetAttributeValue(h, priv, q) }
	room := func(n int) []byte { return bytes.Repeat([]byte{0xEE}, n) }
	for _, c := range []struct {
		name string
		q    pkcs11.Query
		len  uint
		err  error
		got  string
	}{
		{"length", pkcs11.Query{Type: pkcs11.AttrLabel}, 3, nil, ""},
		{"exact", pkcs11.Query{Type: pkcs11.AttrLabel, Buffer: room(3)}, 3, nil, "key"},
		{"more room", pkcs11.Query{Type: pkcs11.AttrLabel, Buffer: room(5)}, 3, nil, "key\xEE\xEE"},
		{"less room", pkcs11.Query{Type: pkcs11.AttrLabel, Buffer: room(2)}, pkcs11.Unavailable, pkcs11.ErrBufferTooSmall, "\xEE\xEE"},
		{"no room", pkcs11.Query{Type: pkcs11.AttrLabel, Buffer: []byte{}}, pkcs11.Unavailable, pkcs11.ErrBufferTooSmall, ""},
		{"secret", pkcs11.Query{Type: pkcs11.AttrPrivateExponent, Buffer: room(2)}, pkcs11.Unavailable, pkcs11.ErrAttributeSensitive, "\xEE\xEE"},
		{"secret's length", pkcs11.Query{Type: pkcs11.AttrPrime1}, pkcs11.Unavailable, pkcs11.ErrAttributeSensitive, ""},
		{"of another class", pkcs11.Query{Type: pkcs11.AttrIssuer, Buffer: room(1)}, pkcs11.Unavailable, pkcs11.ErrAttributeTypeInvalid, "\xEE"},
		{"unknown", pkcs11.Query{Type: 0x80001234}, pkcs11.Unavailable, pkcs11.ErrAttributeTypeInvalid, ""},
		{"empty", pkcs11.Query{Type: pkcs11.AttrSubject, Buffer: []byte{}}, 0, nil, ""},
	} {
		q, err := ask(c.q)
		want(t, c.name, err, c.err)
		if q[0].Len != c.len || string(q[0].Buffer) != c.got {
			t.Errorf("%s: length %d, %q, want %d, %q", c.name, q[0].Len, q[0].Buffer, c.len, c.got)
		}
		// With others around it, they are as without.
		q, err = ask(pkcs11.Query{Type: pkcs11.AttrID, Buffer: room(3)}, c.q, pkcs11.Query{Type: pkcs11.AttrModulus})
		want(t, c.name+" among others", err, c.err)
		if q[0].Len != 3 || string(q[0].Buffer) != "key" || q[1].Len != c.len || q[2].Len != 128 {
			t.Errorf("%s among others: %v", c.name, q)
		}
	}
}

// TestForeignFormat has a token that another software formatted: its PINs can be
// used, and nothing is on it or comes to be.
func TestForeignFormat(t *testing.T) {
	_, _, p := plugged(t, emu.WithVendorFormat())
	h := p.user()
	if got := p.find(h); len(got) != 0 {
		t.Errorf("objects: %v", got)
	}
	_, err := p.CreateObject(h, with(dataTemplate("x"), token(true)))
	want(t, "create", err, pkcs11.ErrTokenWriteProtected)
	_, _, err = p.GenerateKeyPair(h, &pkcs11.Mechanism{Type: pkcs11.MechRSAPKCSKeyPairGen},
		[]pkcs11.Attribute{{Type: pkcs11.AttrModulusBits, Value: pkcs11.Ulong(1024)}}, nil)
	want(t, "generate", err, pkcs11.ErrTokenWriteProtected)
	want(t, "set PIN", p.SetPIN(h, userPIN, []byte("new-user")), nil)
	if o, err := p.CreateObject(h, dataTemplate("x")); err != nil {
		t.Errorf("an object of the session: %d, %v", o, err)
	}
}
