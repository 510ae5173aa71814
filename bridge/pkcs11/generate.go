package pkcs11

import (
	"bytes"
	"context"
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
