package pkcs11

import (
	"bytes"
	"context"
	"errors"
	"math/big"

	"kaztoken/firmware"
)

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
		key, err := x.token.fw.GenerateKey(ctx, o, nil)
		if err != nil {
			return err
		}
		if pub, priv, err = x.token.describePair(ctx, before, a, b); err != nil {
			// Nobody has its handles, so nobody is to find it.
			gone := x.token.fw.Delete(context.WithoutCancel(ctx), firmware.Selection{Keys: []firmware.Key{key}}, nil)
			return errors.Join(err, gone)
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return pub, priv, nil
}

// describePair writes what the templates say of a pair that was just made, and gives
// its handles. It is the body of a work.
func (t *token) describePair(ctx context.Context, before *firmware.Contents, public, private attributes) (pub, priv ObjectHandle, err error) {
	made, err := t.made(ctx, ClassPrivateKey, before)
	if err != nil {
		return 0, 0, err
	}
	id := made.priv.ID
	if err := t.amend(ctx, made, private.flags()); err != nil {
		return 0, 0, err
	}
	other, err := t.find(func(o *object) bool { return o.pub != nil && bytes.Equal(o.pub.ID, id) })
	if err != nil {
		return 0, 0, err
	}
	changes := public.flags()
	for _, at := range []AttributeType{AttrLabel, AttrID} {
		if len(public[at]) > 0 {
			changes[at] = public[at]
		}
	}
	return other.handle, made.handle, t.amend(ctx, other, changes)
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
