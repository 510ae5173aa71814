package pkcs11

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"maps"
	"math/big"
	"slices"
	"unicode/utf8"

	"kaztoken/firmware"
	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/secret"
)

// Attributes that a template for a new object may have, beside those of every
// object. What a token decides by itself (CKA_LOCAL and its like) is not among
// them.
var (
	anyClass = []AttributeType{AttrClass, AttrToken, AttrPrivate, AttrLabel, AttrModifiable, AttrCopyable, AttrDestroyable}
	anyKey   = []AttributeType{AttrKeyType, AttrID, AttrSubject, AttrDerive, AttrStartDate, AttrEndDate, AttrPublicKeyInfo, AttrAllowedMechanisms}

	creatable = map[Class][]AttributeType{
		ClassData: {AttrApplication, AttrObjectID, AttrValue},
		ClassCertificate: {
			AttrCertificateType, AttrID, AttrSubject, AttrIssuer, AttrSerialNumber, AttrValue, AttrTrusted, AttrCertificateCategory, AttrStartDate,
			AttrEndDate, AttrPublicKeyInfo, AttrCheckValue, AttrURL, AttrHashOfSubjectPublicKey, AttrHashOfIssuerPublicKey, AttrJavaMIDPSecurityDomain,
		},
		ClassPublicKey: slices.Concat(anyKey, []AttributeType{
			AttrModulus, AttrModulusBits, AttrPublicExponent, AttrEncrypt, AttrVerify, AttrVerifyRecover, AttrWrap, AttrTrusted,
		}),
		ClassPrivateKey: slices.Concat(anyKey, []AttributeType{
			AttrModulus, AttrPublicExponent, AttrPrivateExponent, AttrPrime1, AttrPrime2, AttrExponent1, AttrExponent2, AttrCoefficient,
			AttrSensitive, AttrExtractable, AttrDecrypt, AttrSign, AttrSignRecover, AttrUnwrap, AttrAlwaysAuthenticate, AttrWrapWithTrusted,
		}),
	}
)

// CreateObject is C_CreateObject. Certificates, data and public keys are stored on
// the token or, without CKA_TOKEN, in this process until the session ends; RSA
// private keys only on the token, and their public key with them, because the
// token does not tell it. A certificate that is on the token already gets the ID
// and the label of the template.
func (m *Module) CreateObject(h SessionHandle, template []Attribute) (ObjectHandle, error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	a, err := parseTemplate(template)
	if err != nil {
		return 0, err
	}
	return x.create(a)
}

func (x *session) create(a attributes) (ObjectHandle, error) {
	n, ok := a.number(AttrClass)
	if !ok {
		return 0, ErrTemplateIncomplete
	}
	class := Class(n)
	allowed, ok := creatable[class]
	if !ok {
		return 0, ErrAttributeValueInvalid
	}
	if err := a.only(allowed); err != nil {
		return 0, err
	}
	if !a.truth(AttrToken, false) {
		return x.createHere(class, a)
	}
	if err := x.mayWrite(); err != nil {
		return 0, err
	}
	if !keepable(class, a) {
		return 0, ErrAttributeValueInvalid
	}
	var handle ObjectHandle
	err := x.token.work(func(ctx context.Context) (err error) {
		if err := x.token.refresh(ctx); err != nil {
			return err
		}
		handle, err = x.token.store(ctx, class, a)
		return err
	})
	return handle, err
}

// only refuses attributes that no object of a class has, beside those that every
// object has. What a vendor has defined is dropped: NSS gives each certificate
// some, whatever the token.
func (a attributes) only(allowed []AttributeType) error {
	maps.DeleteFunc(a, func(t AttributeType, _ []byte) bool { return t&vendorDefined != 0 })
	for t := range a {
		if !slices.Contains(allowed, t) && !slices.Contains(anyClass, t) {
			return ErrAttributeTypeInvalid
		}
	}
	return nil
}

// vendorDefined is CKA_VENDOR_DEFINED.
const vendorDefined AttributeType = 0x80000000

// mayWrite checks that a session may change objects on the token, for which the
// token wants the user.
func (x *session) mayWrite() error {
	switch {
	case x.flags&SessionRW == 0:
		return ErrSessionReadOnly
	case x.role() != firmware.User:
		return ErrUserNotLoggedIn
	}
	return nil
}

// keepable reports whether the token can keep what a template promises its owner:
// an object there is never copied and can always be destroyed by the user, and
// only data and private keys are hidden.
func keepable(class Class, a attributes) bool {
	hidden := class == ClassData || class == ClassPrivateKey
	for _, t := range []AttributeType{AttrLabel, AttrApplication} {
		if !utf8.Valid(a[t]) { // §3.2 has it so, and an entry has no other text
			return false
		}
	}
	return a.truth(AttrDestroyable, true) && !a.truth(AttrCopyable, false) && (hidden || !a.truth(AttrPrivate, false))
}

// createHere makes an object in this process.
func (x *session) createHere(class Class, a attributes) (ObjectHandle, error) {
	if class == ClassPrivateKey {
		return 0, ErrTemplateInconsistent // a key of this token is on the token
	}
	if a.truth(AttrPrivate, false) && x.role() != firmware.User {
		return 0, ErrUserNotLoggedIn
	}
	all := attributes{}
	for t, v := range a {
		all[t] = bytes.Clone(v)
		if all[t] == nil {
			all[t] = []byte{}
		}
	}
	byDefault := func(t AttributeType, v []byte) {
		if _, ok := all[t]; !ok {
			all[t] = v
		}
	}
	byDefault(AttrLabel, []byte{})
	for t, v := range map[AttributeType]bool{
		AttrToken: false, AttrPrivate: false, AttrModifiable: true, AttrCopyable: true, AttrDestroyable: true,
	} {
		byDefault(t, Bool(v))
	}
	switch class {
	case ClassData:
		byDefault(AttrApplication, []byte{})
		byDefault(AttrObjectID, []byte{})
		byDefault(AttrValue, []byte{})
	case ClassCertificate:
		c, err := certificateOf(a)
		if err != nil {
			return 0, err
		}
		byDefault(AttrID, []byte{})
		byDefault(AttrTrusted, Bool(false))
		more := attributes{}
		x509Attributes(more, c.Raw, false)
		for t, v := range more {
			byDefault(t, v)
		}
	case ClassPublicKey:
		pub, err := publicKeyIn(a)
		if err != nil {
			return 0, err
		}
		rsaAttributes(all, pub)
		for _, t := range []AttributeType{AttrID, AttrSubject, AttrStartDate, AttrEndDate} {
			byDefault(t, []byte{})
		}
		for _, t := range []AttributeType{AttrEncrypt, AttrVerify, AttrVerifyRecover} {
			byDefault(t, Bool(true))
		}
		for _, t := range []AttributeType{AttrWrap, AttrDerive, AttrTrusted, AttrLocal} {
			byDefault(t, Bool(false))
		}
		byDefault(AttrKeyGenMechanism, Ulong(Unavailable))
	}
	return x.adopt(&object{owner: x, class: class, attrs: all, loaded: true})
}

// adopt gives an object of this process a handle.
func (x *session) adopt(o *object) (ObjectHandle, error) {
	r := x.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.token != x.slot.token {
		return 0, ErrDeviceRemoved
	}
	r.lastObject++
	o.handle = r.lastObject
	x.slot.objects[o.handle] = o
	return o.handle, nil
}

// certificateOf checks the template of a certificate.
func certificateOf(a attributes) (*x509.Certificate, error) {
	if ct, ok := a.number(AttrCertificateType); !ok || a[AttrValue] == nil {
		return nil, ErrTemplateIncomplete
	} else if ct != certX509 {
		return nil, ErrAttributeValueInvalid
	}
	c, err := x509.ParseCertificate(a[AttrValue])
	if err != nil {
		return nil, ErrAttributeValueInvalid
	}
	return c, nil
}

// publicKeyIn checks the template of a public key.
func publicKeyIn(a attributes) (*rsa.PublicKey, error) {
	kt, ok := a.number(AttrKeyType)
	if !ok || a[AttrModulus] == nil || a[AttrPublicExponent] == nil {
		return nil, ErrTemplateIncomplete
	}
	pub := publicKeyOf(a)
	if kt != keyRSA || pub == nil {
		return nil, ErrAttributeValueInvalid
	}
	return pub, nil
}

// store makes an object on the token. It is the body of a work.
func (t *token) store(ctx context.Context, class Class, a attributes) (ObjectHandle, error) {
	o := firmware.ImportOptions{ID: a[AttrID], Label: string(a[AttrLabel])}
	if len(o.ID) == 0 {
		o.ID = nil
	}
	before := t.contents
	var err error
	switch class {
	case ClassData:
		err = t.storeData(ctx, a)
	case ClassCertificate:
		return t.storeCertificate(ctx, a, o)
	case ClassPublicKey:
		var pub *rsa.PublicKey
		if pub, err = publicKeyIn(a); err != nil {
			return 0, err
		}
		if twin := t.twin(ctx, pub, o.ID); twin != nil { // it came with its private key
			return twin.handle, t.amend(ctx, twin, attributes{AttrLabel: a[AttrLabel]})
		}
		err = t.fw.AddPublicKey(ctx, pub, o)
	case ClassPrivateKey:
		err = t.storePrivateKey(ctx, a, o)
	}
	if err != nil {
		return 0, err
	}
	made, err := t.made(ctx, class, before)
	if err != nil {
		return 0, err
	}
	return made.handle, t.amend(ctx, made, a.flags())
}

// flags are what of a template an entry says of a key's use.
func (a attributes) flags() attributes {
	f := attributes{}
	for _, t := range slices.Concat(privateUsage.attributes(), publicUsage.attributes(), []AttributeType{AttrAlwaysAuthenticate, AttrSubject, AttrModifiable}) {
		if v, ok := a[t]; ok {
			f[t] = v
		}
	}
	return f
}

// made refreshes the objects and gives the new one of a class.
func (t *token) made(ctx context.Context, class Class, before *firmware.Contents) (*object, error) {
	known := map[string]bool{}
	for _, o := range objectsOf(before) {
		raw, _ := o.raw()
		known[string(raw)] = true
	}
	if err := t.refresh(ctx); err != nil {
		return nil, err
	}
	return t.find(func(o *object) bool {
		raw, _ := o.raw()
		return o.class == class && !known[string(raw)]
	})
}

// find gives the object on the token with the highest handle that fits.
func (t *token) find(fits func(*object) bool) (*object, error) {
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	var found *object
	if t.slot.token == t {
		for _, o := range t.slot.objects {
			if o.owner == nil && fits(o) && (found == nil || o.handle > found.handle) {
				found = o
			}
		}
	}
	if found == nil {
		return nil, ErrFunctionFailed
	}
	return found, nil
}

// twin is a public key on the token that is pub and has that ID.
func (t *token) twin(ctx context.Context, pub *rsa.PublicKey, id []byte) *object {
	if id == nil {
		id = modulusID(pub)
	}
	var candidates []*object
	_, _ = t.find(func(o *object) bool {
		if o.pub != nil && bytes.Equal(o.pub.ID, id) && o.pub.Bits == pub.N.BitLen() {
			candidates = append(candidates, o)
		}
		return false
	})
	for _, o := range candidates {
		if t.load(ctx, o) == nil && o.rsa != nil && o.rsa.Equal(pub) {
			return o
		}
	}
	return nil
}

// modulusID is the ID of a key that was given none, as OpenSC has it.
func modulusID(pub *rsa.PublicKey) []byte {
	sum := sha1.Sum(pub.N.Bytes())
	return sum[:]
}

func (t *token) storeData(ctx context.Context, a attributes) error {
	n := firmware.NewObject{
		Label: string(a[AttrLabel]), Application: string(a[AttrApplication]), Private: a.truth(AttrPrivate, false), Data: a[AttrValue],
	}
	if der := a[AttrObjectID]; len(der) > 0 {
		var v asn1.RawValue
		if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 || v.Class != asn1.ClassUniversal || v.Tag != asn1.TagOID {
			return ErrAttributeValueInvalid
		}
		n.OID = pkcs15.OID(v.Bytes).String()
	}
	_, err := t.fw.WriteObject(ctx, n)
	return err
}

// storeCertificate stores a certificate or, if it is on the token already, gives
// that the names of the template.
func (t *token) storeCertificate(ctx context.Context, a attributes, o firmware.ImportOptions) (ObjectHandle, error) {
	c, err := certificateOf(a)
	if err != nil {
		return 0, err
	}
	before := t.contents
	_, err = t.fw.ImportCertificate(ctx, c.Raw, o)
	switch {
	case err == nil:
		made, err := t.made(ctx, ClassCertificate, before)
		if err != nil {
			return 0, err
		}
		return made.handle, t.amend(ctx, made, a.flags())
	case !errors.Is(err, firmware.ErrExists):
		return 0, err
	}
	var all []*object
	_, _ = t.find(func(o *object) bool {
		if o.cert != nil {
			all = append(all, o)
		}
		return false
	})
	for _, have := range all {
		if err := t.load(ctx, have); err != nil {
			return 0, err
		}
		if bytes.Equal(t.snapshot(have).attrs[AttrValue], c.Raw) {
			names := attributes{}
			for _, at := range []AttributeType{AttrID, AttrLabel} {
				if len(a[at]) > 0 {
					names[at] = a[at]
				}
			}
			return have.handle, t.amend(ctx, have, names)
		}
	}
	return 0, ErrFunctionFailed
}

func (t *token) storePrivateKey(ctx context.Context, a attributes, o firmware.ImportOptions) error {
	if kt, ok := a.number(AttrKeyType); !ok {
		return ErrTemplateIncomplete
	} else if kt != keyRSA {
		return ErrAttributeValueInvalid
	}
	for _, at := range []AttributeType{AttrModulus, AttrPrivateExponent, AttrPrime1, AttrPrime2} {
		if len(a[at]) == 0 {
			return ErrTemplateIncomplete
		}
	}
	if a.truth(AttrExtractable, false) || !a.truth(AttrSensitive, true) {
		// The token keeps it nevertheless: what was asked for is less than what is given.
		delete(a, AttrExtractable)
		delete(a, AttrSensitive)
	}
	for at, most := range map[AttributeType]int{AttrModulus: maxRSABits, AttrPrivateExponent: maxRSABits, AttrPrime1: maxRSABits / 2, AttrPrime2: maxRSABits / 2} {
		if len(bytes.TrimLeft(a[at], "\x00"))*8 > most { // checking it would take long
			return ErrAttributeValueInvalid
		}
	}
	number := func(at AttributeType) *big.Int { return new(big.Int).SetBytes(a[at]) }
	e := number(AttrPublicExponent)
	if e.Sign() == 0 {
		e.SetInt64(65537)
	}
	if e.BitLen() > 31 {
		return ErrAttributeValueInvalid
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(AttrModulus), E: int(e.Int64())},
		D:         number(AttrPrivateExponent),
		Primes:    []*big.Int{number(AttrPrime1), number(AttrPrime2)},
	}
	defer wipeKey(key)
	_, err := t.fw.ImportIdentity(ctx, firmware.Identity{Key: key}, o, nil)
	return err
}

// wipeKey overwrites the numbers of a key.
func wipeKey(k *rsa.PrivateKey) {
	for _, n := range append(slices.Clone(k.Primes), k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv) {
		if n != nil {
			words := n.Bits()
			clear(words[:cap(words)])
		}
	}
}

// CopyObject is C_CopyObject. What is on the token is not copied (CKA_COPYABLE is
// false), what is in this process is, with the attributes of the template
// changed.
func (m *Module) CopyObject(h SessionHandle, oh ObjectHandle, template []Attribute) (ObjectHandle, error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	changes, err := parseTemplate(template)
	if err != nil {
		return 0, err
	}
	o, err := x.visible(oh)
	if err != nil {
		return 0, err
	}
	values, _ := x.values(o, func(*object) bool { return false }) // needs no file
	if !values.truth(AttrCopyable, true) {
		return 0, ErrActionProhibited
	}
	a := maps.Clone(values)
	for t, v := range changes {
		switch t {
		case AttrLabel, AttrID, AttrToken, AttrPrivate, AttrModifiable, AttrCopyable, AttrDestroyable, AttrSubject:
			a[t] = v
		default:
			return 0, ErrAttributeReadOnly
		}
	}
	for t := range a {
		if !slices.Contains(creatable[o.class], t) && !slices.Contains(anyClass, t) {
			delete(a, t)
		}
	}
	return x.create(a)
}

// DestroyObject is C_DestroyObject: it deletes this object and no other.
func (m *Module) DestroyObject(h SessionHandle, oh ObjectHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	o, err := x.visible(oh)
	if err != nil {
		return err
	}
	values, _ := x.values(o, func(*object) bool { return false })
	if !values.truth(AttrDestroyable, true) {
		return ErrActionProhibited
	}
	if o.owner != nil {
		r := x.slot.run
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(x.slot.objects, oh)
		return nil
	}
	if err := x.mayWrite(); err != nil {
		return err
	}
	return x.token.work(func(ctx context.Context) error {
		raw, _ := o.raw()
		if err := x.token.fw.Remove(ctx, raw); err != nil {
			return err
		}
		return x.token.refresh(ctx)
	})
}

// GenerateKeyPair is C_GenerateKeyPair: an RSA key pair, which the token makes and
// keeps, also where the template does not say CKA_TOKEN: there is no other place.
func (m *Module) GenerateKeyPair(h SessionHandle, mech *Mechanism, public, private []Attribute) (pub, priv ObjectHandle, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, 0, err
	}
	defer x.mu.Unlock()
	if mech == nil {
		return 0, 0, ErrArgumentsBad
	}
	if mech.Type != MechRSAPKCSKeyPairGen {
		return 0, 0, ErrMechanismInvalid
	}
	if raw, ok := mech.Parameter.(RawParameter); mech.Parameter != nil && (!ok || len(raw) > 0) {
		return 0, 0, ErrMechanismParamInvalid
	}
	a, b, err := pairTemplates(public, private)
	if err != nil {
		return 0, 0, err
	}
	if err := x.mayWrite(); err != nil {
		return 0, 0, err
	}
	bits, _ := a.number(AttrModulusBits)
	o := firmware.GenerateOptions{Bits: int(min(bits, maxModulus)), ID: b[AttrID], Label: string(b[AttrLabel])}
	if len(o.ID) == 0 {
		o.ID = a[AttrID]
	}
	if len(o.ID) == 0 {
		o.ID = nil
	}
	if o.Label == "" {
		o.Label = string(a[AttrLabel])
	}
	err = x.token.work(func(ctx context.Context) error {
		if err := x.token.refresh(ctx); err != nil {
			return err
		}
		before := x.token.contents
		if _, err := x.token.fw.GenerateKey(ctx, o, nil); err != nil {
			return err
		}
		made, err := x.token.made(ctx, ClassPrivateKey, before)
		if err != nil {
			return err
		}
		priv = made.handle
		id := made.priv.ID
		if err := x.token.amend(ctx, made, b.flags()); err != nil {
			return err
		}
		other, err := x.token.find(func(o *object) bool { return o.pub != nil && bytes.Equal(o.pub.ID, id) })
		if err != nil {
			return err
		}
		pub = other.handle
		changes := a.flags()
		for _, at := range []AttributeType{AttrLabel, AttrID} {
			if len(a[at]) > 0 {
				changes[at] = a[at]
			}
		}
		return x.token.amend(ctx, other, changes)
	})
	return pub, priv, err
}

// pairTemplates checks the templates of a key pair.
func pairTemplates(public, private []Attribute) (a, b attributes, err error) {
	if a, err = parseTemplate(public); err != nil {
		return nil, nil, err
	}
	if b, err = parseTemplate(private); err != nil {
		return nil, nil, err
	}
	for _, c := range []struct {
		a     attributes
		class Class
	}{{a, ClassPublicKey}, {b, ClassPrivateKey}} {
		if err := c.a.only(creatable[c.class]); err != nil {
			return nil, nil, err
		}
		if n, ok := c.a.number(AttrClass); ok && Class(n) != c.class {
			return nil, nil, ErrTemplateInconsistent
		}
		if n, ok := c.a.number(AttrKeyType); ok && n != keyRSA {
			return nil, nil, ErrTemplateInconsistent
		}
		for _, t := range []AttributeType{AttrModulus, AttrPrivateExponent, AttrPrime1, AttrPrime2} {
			if _, ok := c.a[t]; ok {
				return nil, nil, ErrTemplateInconsistent
			}
		}
	}
	if _, ok := a.number(AttrModulusBits); !ok {
		return nil, nil, ErrTemplateIncomplete
	}
	if e, ok := a[AttrPublicExponent]; ok && new(big.Int).SetBytes(e).Cmp(big.NewInt(65537)) != 0 {
		return nil, nil, ErrAttributeValueInvalid // the token knows one exponent
	}
	if !keepable(ClassPublicKey, a) || !keepable(ClassPrivateKey, b) {
		return nil, nil, ErrAttributeValueInvalid
	}
	if !b.truth(AttrToken, true) {
		return nil, nil, ErrTemplateInconsistent // nothing makes a key that lives in a session
	}
	return a, b, nil
}

// GenerateRandom is C_GenerateRandom: random bytes of the token.
func (m *Module) GenerateRandom(h SessionHandle, out []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	err = x.token.work(func(ctx context.Context) error { return x.token.fw.Random(ctx, out) })
	if err != nil {
		secret.Wipe(out)
	}
	return err
}

// SeedRandom is C_SeedRandom: the token's generator takes no seed.
func (m *Module) SeedRandom(h SessionHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	x.mu.Unlock()
	return ErrRandomSeedNotSupported
}

// Unsupported answers the functions that no token of this kind can carry out.
func (m *Module) Unsupported(h SessionHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	x.mu.Unlock()
	return ErrFunctionNotSupported
}
