package pkcs11

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"unicode/utf8"

	"kaztoken/firmware/pkcs15"
)

// usageBit pairs an attribute with what an entry says of a key's use.
type usageBit struct {
	attr AttributeType
	bits pkcs15.KeyUsage
}

type usageBits []usageBit

// What the attributes of keys are in an entry, PKCS #15 v1.1 §6.1.9.
var (
	privateUsage = usageBits{
		{AttrSign, pkcs15.UsageSign | pkcs15.UsageNonRepudiation}, {AttrSignRecover, pkcs15.UsageSignRecover},
		{AttrDecrypt, pkcs15.UsageDecrypt | pkcs15.UsageUnwrap},
	}
	publicUsage = usageBits{
		{AttrVerify, pkcs15.UsageVerify | pkcs15.UsageNonRepudiation}, {AttrVerifyRecover, pkcs15.UsageVerifyRecover},
		{AttrEncrypt, pkcs15.UsageEncrypt | pkcs15.UsageWrap},
	}
)

func (u usageBits) attributes() []AttributeType {
	var all []AttributeType
	for _, b := range u {
		all = append(all, b.attr)
	}
	return all
}

// change gives the usage with an attribute changed. What was set already keeps its
// finer distinctions.
func (u usageBits) change(now pkcs15.KeyUsage, at AttributeType, v []byte) (pkcs15.KeyUsage, bool) {
	for _, b := range u {
		if b.attr != at {
			continue
		}
		switch on := len(v) == 1 && v[0] != 0; {
		case !on:
			return now &^ b.bits, true
		case now&b.bits == 0:
			first := b.bits & -b.bits // sign and not non-repudiation, decrypt and not unwrap
			return now | first, true
		}
		return now, true
	}
	return now, false
}

// SetAttributeValue is C_SetAttributeValue. On the token, CKA_LABEL can be changed
// and, of certificates and keys, CKA_ID; of keys CKA_SUBJECT and what they may be
// used for.
func (m *Module) SetAttributeValue(h SessionHandle, oh ObjectHandle, template []Attribute) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	changes, err := parseTemplate(template)
	if err != nil {
		return err
	}
	o, err := x.visible(oh)
	if err != nil {
		return err
	}
	values, err := x.values(o, func(o *object) bool {
		for t := range changes {
			if o.isLate(t) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	if !values.truth(AttrModifiable, true) {
		return ErrActionProhibited
	}
	for t, v := range changes {
		have, err := (&object{class: o.class, attrs: values}).get(t)
		switch {
		case err == ErrAttributeSensitive:
			return ErrAttributeReadOnly
		case err != nil:
			return err
		case bytes.Equal(have, v):
			delete(changes, t)
		case !o.changeable(t):
			return ErrAttributeReadOnly
		}
	}
	if o.owner != nil {
		r := x.slot.run
		r.mu.Lock()
		defer r.mu.Unlock()
		copied := attributes{}
		for t, v := range changes {
			copied[t] = append([]byte{}, v...)
		}
		o.extend(copied)
		return nil
	}
	if err := x.mayWrite(); err != nil {
		return err
	}
	return x.token.work(func(ctx context.Context) error { return x.token.amend(ctx, o, changes) })
}

// changeable reports whether an attribute of an object can be changed.
func (o *object) changeable(t AttributeType) bool {
	switch {
	case t == AttrLabel:
		return true
	case o.class == ClassData:
		return o.owner != nil && slices.Contains([]AttributeType{AttrApplication, AttrObjectID, AttrValue}, t)
	case t == AttrID:
		return true
	case o.class == ClassPrivateKey:
		return t == AttrSubject || slices.Contains(privateUsage.attributes(), t)
	case o.class == ClassPublicKey:
		return t == AttrSubject || slices.Contains(publicUsage.attributes(), t)
	}
	return false
}

// amend changes the entry of an object on the token; what is so already, or is
// nothing of this class, is passed over. It is the body of a work.
func (t *token) amend(ctx context.Context, o *object, changes attributes) error {
	raw, _ := o.raw()
	next, err := o.amended(changes)
	if err != nil {
		return err
	}
	encoded := next.AppendTo(nil)
	if bytes.Equal(encoded, raw) {
		return nil
	}
	if o.priv != nil && changes[AttrID] != nil {
		// By its ID the public key is found: afterwards it may be too late.
		if err := t.load(ctx, o); err != nil {
			return err
		}
	}
	if err := t.fw.Amend(ctx, raw, next); err != nil {
		return err
	}
	return t.renew(ctx, o, encoded)
}

// entry is what an entry of a directory can do.
type entry interface{ AppendTo([]byte) []byte }

// amended is the entry of an object with changes.
func (o *object) amended(changes attributes) (entry, error) {
	for _, at := range []AttributeType{AttrLabel, AttrID} {
		limit := pkcs15.MaxLabel
		if at == AttrID {
			limit = pkcs15.MaxID
		}
		if len(changes[at]) > limit {
			return nil, ErrAttributeValueInvalid
		}
	}
	if !utf8.Valid(changes[AttrLabel]) {
		return nil, ErrAttributeValueInvalid
	}
	common := func(c *pkcs15.Common) {
		if v, ok := changes[AttrLabel]; ok && v != nil {
			c.Label = string(v)
		}
		if !changes.truth(AttrModifiable, true) {
			c.Flags &^= pkcs15.Modifiable
		}
	}
	identify := func(id *[]byte) {
		if v, ok := changes[AttrID]; ok && v != nil {
			*id = bytes.Clone(v)
		}
	}
	use := func(u *pkcs15.KeyUsage, bits usageBits) {
		for at, v := range changes {
			*u, _ = bits.change(*u, at, v)
		}
	}
	name := func(subject *[]byte) {
		if v, ok := changes[AttrSubject]; ok && len(v) > 0 {
			*subject = bytes.Clone(v)
		}
	}
	switch {
	case o.cert != nil:
		e := *o.cert
		common(&e.Common)
		identify(&e.ID)
		return e, nil
	case o.pub != nil:
		e := *o.pub
		common(&e.Common)
		identify(&e.ID)
		name(&e.Subject)
		use(&e.Usage, publicUsage)
		return e, nil
	case o.priv != nil:
		e := *o.priv
		common(&e.Common)
		identify(&e.ID)
		name(&e.Subject)
		use(&e.Usage, privateUsage)
		if v, ok := changes[AttrAlwaysAuthenticate]; ok {
			e.UserConsent = min(len(bytes.Trim(v, "\x00")), 1)
		}
		return e, nil
	}
	e := *o.data
	common(&e.Common)
	return e, nil
}

// renew gives the object of a changed entry the handle that it had, and what was
// read of it.
func (t *token) renew(ctx context.Context, old *object, encoded []byte) error {
	if err := t.refresh(ctx); err != nil {
		return err
	}
	now, err := t.find(func(o *object) bool {
		raw, _ := o.raw()
		return o.class == old.class && bytes.Equal(raw, encoded)
	})
	if err != nil {
		return err
	}
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.slot.token != t {
		return ErrDeviceRemoved
	}
	maps.DeleteFunc(t.slot.objects, func(_ ObjectHandle, o *object) bool { return o == now })
	now.handle = old.handle
	t.slot.objects[now.handle] = now
	if old.loaded && !now.loaded { // its file is the same
		more := attributes{}
		for _, at := range late[old.class] {
			if v, ok := old.attrs[at]; ok {
				more[at] = v
			}
		}
		now.extend(more)
		now.rsa, now.loaded = old.rsa, true
	}
	return nil
}
