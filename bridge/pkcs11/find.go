package pkcs11

import (
	"bytes"
	"context"
	"slices"

	"kaztoken/firmware"
)

// secrets are the attributes of a private key that never leave the token.
var secrets = []AttributeType{AttrPrivateExponent, AttrPrime1, AttrPrime2, AttrExponent1, AttrExponent2, AttrCoefficient, AttrValue}

// get gives an attribute of an object whose file was read if it had to be. The
// error is ErrAttributeSensitive or ErrAttributeTypeInvalid.
func (o *object) get(t AttributeType) ([]byte, error) {
	if v, ok := o.attrs[t]; ok {
		return v, nil
	}
	if o.class == ClassPrivateKey && slices.Contains(secrets, t) {
		return nil, ErrAttributeSensitive
	}
	return nil, ErrAttributeTypeInvalid
}

// isLate reports whether an attribute is known only when the object's file was
// read.
func (o *object) isLate(t AttributeType) bool {
	_, known := o.attrs[t]
	return !known && slices.Contains(late[o.class], t)
}

// visible gives an object that a session may see. The object of another session
// may be seen, too (PKCS #11 v3.0 §5.1.2 leaves them to the application).
func (x *session) visible(h ObjectHandle) (*object, error) {
	r := x.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	o := x.slot.objects[h]
	if o == nil || x.token != x.slot.token || o.private() && x.slot.login.role != firmware.User {
		return nil, ErrObjectHandleInvalid
	}
	return o, nil
}

// GetAttributeValue is C_GetAttributeValue: it fills all of the template that can
// be filled. If anything cannot be, the error is one of
// [ErrAttributeSensitive], [ErrAttributeTypeInvalid] and [ErrBufferTooSmall], and
// the Len of that attribute is [Unavailable].
func (m *Module) GetAttributeValue(h SessionHandle, oh ObjectHandle, template []Query) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	o, err := x.visible(oh)
	if err != nil {
		return err
	}
	values, err := x.values(o, func(o *object) bool {
		return slices.ContainsFunc(template, func(q Query) bool { return o.isLate(q.Type) })
	})
	if err != nil {
		return err
	}
	o = &object{class: o.class, attrs: values}
	var first error
	for i := range template {
		q := &template[i]
		v, err := o.get(q.Type)
		switch {
		case err != nil:
			q.Len = Unavailable
		case q.Buffer == nil:
			q.Len = uint(len(v))
		case len(q.Buffer) < len(v):
			q.Len, err = Unavailable, ErrBufferTooSmall
		default:
			q.Len = uint(copy(q.Buffer, v))
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// values gives the attributes of an object, whose file is read first if need says
// so.
func (x *session) values(o *object, need func(*object) bool) (attributes, error) {
	now := x.token.snapshot(o)
	if o.owner != nil || !need(now) {
		return now.attrs, nil
	}
	if err := x.token.work(func(ctx context.Context) error { return x.token.load(ctx, o) }); err != nil {
		return nil, err
	}
	return x.token.snapshot(o).attrs, nil
}

// GetObjectSize is C_GetObjectSize: about the bytes that the object's attributes
// take.
func (m *Module) GetObjectSize(h SessionHandle, oh ObjectHandle) (uint, error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	o, err := x.visible(oh)
	if err != nil {
		return 0, err
	}
	values, err := x.values(o, func(*object) bool { return true })
	if err != nil {
		return 0, err
	}
	var n uint
	for _, v := range values {
		n += uint(len(v))
	}
	return n, nil
}

// finding is a search that FindObjectsInit began.
type finding struct{ left []ObjectHandle }

// FindObjectsInit is C_FindObjectsInit.
func (m *Module) FindObjectsInit(h SessionHandle, template []Attribute) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if x.find != nil {
		return ErrOperationActive
	}
	want, err := parseTemplate(template)
	if err != nil {
		return err
	}
	var found []ObjectHandle
	err = x.token.work(func(ctx context.Context) error {
		if err := x.token.refresh(ctx); err != nil {
			return err
		}
		for _, o := range x.list() {
			ok, err := x.token.matches(ctx, o, want)
			if err != nil {
				return err
			}
			if ok {
				found = append(found, o.handle)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(found)
	x.find = &finding{found}
	return nil
}

// snapshot is an object with the attributes that it has now, for reading alone.
func (t *token) snapshot(o *object) *object {
	t.slot.run.mu.Lock()
	defer t.slot.run.mu.Unlock()
	return &object{owner: o.owner, class: o.class, attrs: o.attrs}
}

// list gives the objects that a session may see.
func (x *session) list() []*object {
	r := x.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.slot.token != x.token {
		return nil
	}
	var all []*object
	for _, o := range x.slot.objects {
		if !o.private() || x.slot.login.role == firmware.User {
			all = append(all, o)
		}
	}
	return all
}

// matches compares an object with a template; its file is read only if the rest
// fits. It is the body of a work.
func (t *token) matches(ctx context.Context, o *object, want attributes) (bool, error) {
	for _, loaded := range []bool{false, true} {
		wait := false
		now := t.snapshot(o)
		for at, v := range want {
			if !loaded && now.isLate(at) {
				wait = true
				continue
			}
			have, err := now.get(at)
			if err != nil || !bytes.Equal(have, v) {
				return false, nil
			}
		}
		if !wait {
			return true, nil
		}
		if err := t.load(ctx, o); err != nil {
			if t.gone() || rvOf(err) == ErrUserNotLoggedIn {
				return false, err
			}
			return false, nil // a file that is gone: it has no such attribute
		}
	}
	return true, nil
}

// FindObjects is C_FindObjects: it gives the next handles, at most limit.
func (m *Module) FindObjects(h SessionHandle, limit int) ([]ObjectHandle, error) {
	x, err := m.in(h)
	if err != nil {
		return nil, err
	}
	defer x.mu.Unlock()
	if x.find == nil {
		return nil, ErrOperationNotInitialized
	}
	n := max(0, min(limit, len(x.find.left)))
	found := x.find.left[:n]
	x.find.left = x.find.left[n:]
	return found, nil
}

// FindObjectsFinal is C_FindObjectsFinal.
func (m *Module) FindObjectsFinal(h SessionHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if x.find == nil {
		return ErrOperationNotInitialized
	}
	x.find = nil
	return nil
}
