package pkcs11

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"maps"
	"slices"
	"unicode/utf8"

	"kaztoken/firmware"
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
