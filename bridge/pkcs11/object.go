package pkcs11

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"maps"
	"math/big"
	"slices"

	"kaztoken/firmware"
	"kaztoken/firmware/pkcs15"
)

// ObjectHandle is a CK_OBJECT_HANDLE. 0 is none.
type ObjectHandle uint

// object is something that an application sees by a handle: an entry on the token
// or, with an owner, something in this process.
type object struct {
	handle ObjectHandle
	owner  *session // nil for an object on the token
	class  Class
	attrs  attributes // replaced as a whole, never changed; guarded by run.mu
	loaded bool       // attrs have what is in the file, too; guarded by the token's turn

	// One of them is set for an object on the token; guarded by the token's turn.
	cert *pkcs15.Certificate
	priv *pkcs15.PrivateKey
	pub  *pkcs15.PublicKey
	data *pkcs15.Data

	rsa *rsa.PublicKey       // once loaded, nil for another kind of key
	key *firmware.PrivateKey // once it was used
}

// private reports whether only the user may see the object.
func (o *object) private() bool { return o.attrs.truth(AttrPrivate, false) }

// raw is the entry of an object on the token, and where its content is.
func (o *object) raw() (raw []byte, path pkcs15.Path) {
	switch {
	case o.cert != nil:
		return o.cert.Raw, o.cert.Path
	case o.priv != nil:
		return o.priv.Raw, o.priv.Path
	case o.pub != nil:
		return o.pub.Raw, o.pub.Path
	case o.data != nil:
		return o.data.Raw, o.data.Path
	}
	return nil, nil
}

// same reports whether an object of a new list is one of the old list, perhaps
// with other attributes.
func (o *object) same(n *object) bool {
	if o.class != n.class {
		return false
	}
	oldRaw, oldPath := o.raw()
	newRaw, newPath := n.raw()
	if bytes.Equal(oldRaw, newRaw) {
		return true
	}
	return len(oldPath) > 0 && oldPath.Equal(newPath) && bytes.Equal(o.attrs[AttrID], n.attrs[AttrID])
}

// hidePrivate forgets the handles of private objects, because nobody is logged in
// any more (PKCS #11 v3.0 §5.6.9). Those on the token come again under the same
// handles. The caller holds run.mu.
func (s *slot) hidePrivate() {
	for h, o := range s.objects {
		if o.owner != nil && o.private() {
			delete(s.objects, h)
		}
	}
}

// refresh brings the objects on the token up to what is there. It is the body of
// a work.
func (t *token) refresh(ctx context.Context) error {
	now, err := t.fw.Contents(ctx, t.contents)
	var state *firmware.StateError
	if errors.As(err, &state) { // what is on it, if anything, cannot be known
		now, err = &firmware.Contents{}, nil
	}
	if err != nil {
		return err
	}
	if now == t.contents {
		return nil
	}
	t.contents = now
	fresh := objectsOf(now)
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.slot.token != t {
		return ErrDeviceRemoved
	}
	for h, o := range t.slot.objects {
		if o.owner != nil {
			continue
		}
		i := slices.IndexFunc(fresh, func(n *object) bool { return n.handle == 0 && o.same(n) })
		if i < 0 {
			delete(t.slot.objects, h)
			continue
		}
		n := fresh[i]
		oldRaw, _ := o.raw()
		newRaw, _ := n.raw()
		n.handle = h
		if bytes.Equal(oldRaw, newRaw) { // with what was loaded
			fresh[i] = o
		}
	}
	for _, o := range fresh {
		if o.handle == 0 {
			r.lastObject++
			o.handle = r.lastObject
		}
		t.slot.objects[o.handle] = o
	}
	return nil
}

// objectsOf makes the objects of all entries, with what the entries say of them.
func objectsOf(c *firmware.Contents) []*object {
	var all []*object
	for _, e := range c.PrivateKeys {
		all = append(all, &object{class: ClassPrivateKey, priv: &e, attrs: privateKeyAttributes(e)})
	}
	for _, e := range c.PublicKeys {
		all = append(all, &object{class: ClassPublicKey, pub: &e, attrs: publicKeyAttributes(e)})
	}
	for _, e := range c.Certificates {
		all = append(all, &object{class: ClassCertificate, cert: &e, attrs: certificateAttributes(e)})
	}
	for _, e := range c.Data {
		all = append(all, &object{class: ClassData, data: &e, attrs: dataAttributes(e)})
	}
	return all
}

// commonAttributes are those that every object on the token has, PKCS #11 v3.0
// §4.4. A copy on the token would be a second object that nobody can tell from
// the first.
func commonAttributes(class Class, c pkcs15.Common, path pkcs15.Path) attributes {
	return attributes{
		AttrClass: Ulong(uint(class)), AttrToken: Bool(true), AttrPrivate: Bool(c.Flags&pkcs15.Private != 0),
		AttrLabel: []byte(c.Label), AttrModifiable: Bool(c.Flags&pkcs15.Modifiable != 0), AttrCopyable: Bool(false), AttrDestroyable: Bool(true),
		AttrUniqueID: []byte(path.String()),
	}
}

var keyTypes = map[pkcs15.KeyKind]uint{pkcs15.KeyRSA: keyRSA, pkcs15.KeyEC: keyEC, pkcs15.KeyGOST: keyGOST}

// Object identifiers of the parameter sets of GOST R 34.10-2001, DER (RFC 4357
// §10.8), by the number that the entry has, and of GOST R 34.11-94 (§10.4).
var (
	gostParams = map[int][]byte{
		1: {0x06, 0x07, 0x2A, 0x85, 0x03, 0x02, 0x02, 0x23, 0x01},
		2: {0x06, 0x07, 0x2A, 0x85, 0x03, 0x02, 0x02, 0x23, 0x02},
		3: {0x06, 0x07, 0x2A, 0x85, 0x03, 0x02, 0x02, 0x23, 0x03},
	}
	gostHashParams = []byte{0x06, 0x07, 0x2A, 0x85, 0x03, 0x02, 0x02, 0x1E, 0x01}
)

func keyAttributes(a attributes, kind pkcs15.KeyKind, id []byte, bits int, g pkcs15.GOSTParams, subject []byte, start, end string) {
	if kt, ok := keyTypes[kind]; ok {
		a[AttrKeyType] = Ulong(kt)
	}
	a[AttrID], a[AttrDerive] = id, Bool(false)
	a[AttrStartDate], a[AttrEndDate] = entryDate(start), entryDate(end)
	a[AttrSubject] = subject
	if a[AttrSubject] == nil {
		a[AttrSubject] = []byte{}
	}
	if a[AttrID] == nil {
		a[AttrID] = []byte{}
	}
	if kind == pkcs15.KeyRSA && bits > 0 {
		a[AttrModulusBits] = Ulong(uint(bits))
	}
	if params, ok := gostParams[g.R3410]; ok && kind == pkcs15.KeyGOST {
		a[AttrGOSTR3410Params], a[AttrGOSTR3411Params] = params, gostHashParams
	}
}

// entryDate makes a CK_DATE of the text of a GeneralizedTime.
func entryDate(s string) []byte {
	if len(s) < 8 {
		return []byte{}
	}
	return []byte(s[:8])
}

func privateKeyAttributes(e pkcs15.PrivateKey) attributes {
	a := commonAttributes(ClassPrivateKey, e.Common, e.Path)
	keyAttributes(a, e.Kind, e.ID, e.Bits, e.GOST, e.Subject, e.StartDate, e.EndDate)
	local := e.Access&pkcs15.AccessLocal != 0
	a[AttrLocal] = Bool(local)
	a[AttrKeyGenMechanism] = keyGenMechanism(e.Kind, local)
	// Whatever the entry says, the token has no command that gives a key away.
	a[AttrSensitive], a[AttrExtractable] = Bool(true), Bool(false)
	a[AttrAlwaysSensitive] = Bool(e.Access&pkcs15.AccessAlwaysSensitive != 0)
	a[AttrNeverExtractable] = Bool(e.Access&pkcs15.AccessNeverExtractable != 0)
	a[AttrDecrypt] = Bool(e.Usage&(pkcs15.UsageDecrypt|pkcs15.UsageUnwrap) != 0)
	a[AttrSign] = Bool(e.Usage&(pkcs15.UsageSign|pkcs15.UsageNonRepudiation) != 0)
	a[AttrSignRecover] = Bool(e.Usage&pkcs15.UsageSignRecover != 0)
	a[AttrUnwrap], a[AttrWrapWithTrusted] = Bool(false), Bool(false)
	a[AttrAlwaysAuthenticate] = Bool(e.UserConsent > 0)
	a[AttrAllowedMechanisms] = allowed(e.Kind, FlagSign|FlagDecrypt)
	return a
}

func publicKeyAttributes(e pkcs15.PublicKey) attributes {
	a := commonAttributes(ClassPublicKey, e.Common, e.Path)
	keyAttributes(a, e.Kind, e.ID, e.Bits, e.GOST, e.Subject, e.StartDate, e.EndDate)
	local := e.Access&pkcs15.AccessLocal != 0
	a[AttrLocal] = Bool(local)
	a[AttrKeyGenMechanism] = keyGenMechanism(e.Kind, local)
	a[AttrEncrypt] = Bool(e.Usage&(pkcs15.UsageEncrypt|pkcs15.UsageWrap) != 0)
	a[AttrVerify] = Bool(e.Usage&(pkcs15.UsageVerify|pkcs15.UsageNonRepudiation) != 0)
	a[AttrVerifyRecover] = Bool(e.Usage&pkcs15.UsageVerifyRecover != 0)
	a[AttrWrap], a[AttrTrusted] = Bool(false), Bool(false)
	a[AttrAllowedMechanisms] = allowed(e.Kind, FlagVerify|FlagEncrypt)
	return a
}

// allowed lists the mechanisms that a key can be used with.
func allowed(kind pkcs15.KeyKind, flags MechanismFlags) []byte {
	list := []byte{}
	if kind == pkcs15.KeyRSA {
		for _, t := range slices.Sorted(maps.Keys(mechanisms)) {
			if mechanisms[t].flags&flags != 0 {
				list = append(list, Ulong(uint(t))...)
			}
		}
	}
	return list
}

func keyGenMechanism(kind pkcs15.KeyKind, local bool) []byte {
	if local && kind == pkcs15.KeyRSA {
		return Ulong(uint(MechRSAPKCSKeyPairGen))
	}
	return Ulong(Unavailable)
}

func certificateAttributes(e pkcs15.Certificate) attributes {
	a := commonAttributes(ClassCertificate, e.Common, e.Path)
	a[AttrCertificateType], a[AttrTrusted] = Ulong(certX509), Bool(false)
	a[AttrID] = e.ID
	if e.ID == nil {
		a[AttrID] = []byte{}
	}
	a[AttrURL], a[AttrHashOfSubjectPublicKey], a[AttrHashOfIssuerPublicKey] = []byte{}, []byte{}, []byte{}
	a[AttrJavaMIDPSecurityDomain] = Ulong(0)
	return a
}

func dataAttributes(e pkcs15.Data) attributes {
	a := commonAttributes(ClassData, e.Common, e.Path)
	a[AttrApplication], a[AttrObjectID] = []byte(e.Application), []byte{}
	if len(e.OID) > 0 {
		if der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagOID, Bytes: e.OID}); err == nil {
			a[AttrObjectID] = der
		}
	}
	return a
}

// late are the attributes that only the file of an object has.
var late = map[Class][]AttributeType{
	ClassData: {AttrValue},
	ClassCertificate: {
		AttrValue, AttrSubject, AttrIssuer, AttrSerialNumber, AttrPublicKeyInfo, AttrStartDate, AttrEndDate, AttrCertificateCategory, AttrCheckValue,
	},
	ClassPublicKey:  {AttrModulus, AttrModulusBits, AttrPublicExponent, AttrPublicKeyInfo},
	ClassPrivateKey: {AttrModulus, AttrModulusBits, AttrPublicExponent, AttrPublicKeyInfo},
}

// load reads the file of an object on the token. It is the body of a work.
func (t *token) load(ctx context.Context, o *object) error {
	if o.owner != nil || o.loaded {
		return nil
	}
	more := attributes{}
	switch {
	case o.cert != nil:
		c, err := t.fw.ReadCertificate(ctx, *o.cert)
		if err != nil {
			return err
		}
		x509Attributes(more, c.DER, c.Authority)
	case o.data != nil:
		content, err := t.fw.ReadData(ctx, *o.data)
		if err != nil {
			return err
		}
		more[AttrValue] = content
	case o.pub != nil && o.pub.Kind == pkcs15.KeyRSA:
		pub, err := t.fw.ReadPublicKey(ctx, *o.pub)
		if err != nil {
			return err
		}
		o.rsa = pub
		rsaAttributes(more, pub)
	case o.priv != nil && o.priv.Kind == pkcs15.KeyRSA:
		pub, err := t.publicOf(ctx, o)
		if err != nil {
			return err
		}
		if o.rsa = pub; pub != nil {
			rsaAttributes(more, pub)
		} else {
			more[AttrModulusBits] = Ulong(uint(o.priv.Bits))
		}
	}
	o.loaded = true
	t.slot.run.mu.Lock()
	defer t.slot.run.mu.Unlock()
	o.extend(more)
	return nil
}

// extend adds attributes. The caller holds run.mu.
func (o *object) extend(more attributes) {
	all := make(attributes, len(o.attrs)+len(more))
	for t, v := range o.attrs {
		all[t] = v
	}
	for t, v := range more {
		all[t] = v
	}
	o.attrs = all
}

// publicOf is the public key of a private one: that of a public key or of a
// certificate with the same ID; nil if neither is there. The token does not give
// it otherwise.
func (t *token) publicOf(ctx context.Context, o *object) (*rsa.PublicKey, error) {
	for _, e := range t.contents.PublicKeys {
		if e.Kind == pkcs15.KeyRSA && bytes.Equal(e.ID, o.priv.ID) && e.Bits == o.priv.Bits {
			pub, err := t.fw.ReadPublicKey(ctx, e)
			if err == nil && pub.N.BitLen() == o.priv.Bits {
				return pub, nil
			}
			if err != nil && t.gone() {
				return nil, err
			}
		}
	}
	for _, e := range t.contents.Certificates {
		if !bytes.Equal(e.ID, o.priv.ID) {
			continue
		}
		c, err := t.fw.ReadCertificate(ctx, e)
		if err != nil {
			return nil, err
		}
		if c.X509 == nil {
			continue
		}
		if pub, ok := c.X509.PublicKey.(*rsa.PublicKey); ok && pub.N.BitLen() == o.priv.Bits {
			return pub, nil
		}
	}
	return nil, nil
}

func rsaAttributes(a attributes, pub *rsa.PublicKey) {
	a[AttrModulus], a[AttrModulusBits] = pub.N.Bytes(), Ulong(uint(pub.N.BitLen()))
	a[AttrPublicExponent] = big.NewInt(int64(pub.E)).Bytes()
	if spki, err := x509.MarshalPKIXPublicKey(pub); err == nil {
		a[AttrPublicKeyInfo] = spki
	}
}
