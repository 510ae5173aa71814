package pkcs11

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"maps"
	"math/big"
	"slices"

	"kaztoken/firmware"
	"kaztoken/firmware/pkcs15"
)

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

// onToken gives the objects on the token that fit, in the order of their handles.
func (t *token) onToken(fits func(*object) bool) []*object {
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.slot.token != t {
		return nil
	}
	var all []*object
	for _, h := range slices.Sorted(maps.Keys(t.slot.objects)) {
		if o := t.slot.objects[h]; o.owner == nil && fits(o) {
			all = append(all, o)
		}
	}
	return all
}

// find gives the object on the token that fits, the latest of several.
func (t *token) find(fits func(*object) bool) (*object, error) {
	all := t.onToken(fits)
	if len(all) == 0 {
		return nil, ErrFunctionFailed
	}
	return all[len(all)-1], nil
}

// twin is a public key on the token that is pub and has that ID.
func (t *token) twin(ctx context.Context, pub *rsa.PublicKey, id []byte) *object {
	if id == nil {
		id = modulusID(pub)
	}
	candidates := t.onToken(func(o *object) bool {
		return o.pub != nil && bytes.Equal(o.pub.ID, id) && o.pub.Bits == pub.N.BitLen()
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
	for _, have := range t.onToken(func(o *object) bool { return o.cert != nil }) {
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
