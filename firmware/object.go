package firmware

import (
	"context"
	"errors"
	"fmt"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// Object is a data object on the token.
type Object struct {
	Label       string
	Application string // name of the application it belongs to, "" if none
	OID         string // dotted, "" if none
	Private     bool   // only the user may read it
	Size        int    // bytes; -1 if its file is gone
	Path        pkcs15.Path

	entry pkcs15.Data
}

// Objects lists the data objects. It needs no log-in.
func (t *Token) Objects(ctx context.Context) ([]Object, error) {
	var list []Object
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpList); err != nil {
			return err
		}
		entries, err := dataObjects(ctx, t)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Err != nil {
				continue
			}
			o, err := t.objectOf(ctx, e)
			if err != nil {
				return err
			}
			list = append(list, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	return list, nil
}

func (t *Token) objectOf(ctx context.Context, e pkcs15.Data) (Object, error) {
	o := Object{Label: e.Label, Application: e.Application, Private: e.Flags&pkcs15.Private != 0, Size: len(e.Direct), entry: e}
	if e.OID != nil {
		o.OID = e.OID.String()
	}
	if e.Direct != nil {
		return o, nil
	}
	o.Path, o.Size = e.Path.Absolute(t.app), e.Part.Count
	if e.Part == (pkcs15.Part{}) {
		f, err := t.selectFile(ctx, o.Path)
		if err != nil && !refused(err) {
			return o, err
		}
		o.Size = f.size
		if err != nil {
			o.Size = -1
		}
	}
	return o, nil
}

// ReadObject reads what a data object holds. A private one needs the user
// logged in.
func (t *Token) ReadObject(ctx context.Context, o Object) ([]byte, error) {
	if o.entry.Direct != nil {
		return o.entry.Direct, nil
	}
	var content []byte
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpRead); err != nil {
			return err
		}
		content, err = t.readFile(ctx, o.Path)
		if errors.Is(err, iso7816.ErrSecurityStatus) {
			return &RoleError{Op: OpRead, Need: User}
		}
		content = partOf(content, o.entry.Part)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read object %q: %w", o.Label, err)
	}
	return content, nil
}

// NewObject is a data object to be stored.
type NewObject struct {
	Label       string
	Application string
	OID         string // dotted; none if ""
	Private     bool   // only the user may read it
	Data        []byte // 1 to 32768 bytes
}

// WriteObject stores a data object; the user has to be logged in. There may be
// several with one label.
func (t *Token) WriteObject(ctx context.Context, n NewObject) (Object, error) {
	var o Object
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpWrite, User); err != nil {
			return err
		}
		o, err = t.writeObject(ctx, n)
		return err
	})
	if err != nil {
		return Object{}, fmt.Errorf("write object %q: %w", n.Label, err)
	}
	return o, nil
}

func (t *Token) writeObject(ctx context.Context, n NewObject) (Object, error) {
	if err := errors.Join(checkLabel(n.Label), checkLabel(n.Application)); err != nil {
		return Object{}, err
	}
	var oid pkcs15.OID
	if n.OID != "" {
		var err error
		if oid, err = pkcs15.ParseOID(n.OID); err != nil {
			return Object{}, &OptionError{Option: "OID", Violation: err.Error()}
		}
	}
	first := uint16(pkcs15.FileData)
	if n.Private {
		first = pkcs15.FilePrivateData
	}
	p, err := t.store(ctx, first, n.Data, n.Private)
	if err != nil {
		return Object{}, err
	}
	e := pkcs15.NewData(n.Label, n.Application, p, n.Private)
	e.OID = oid
	if err := t.add(ctx, pkcs15.DODF, e.AppendTo(nil)); err != nil {
		return Object{}, errors.Join(err, t.undo(ctx, p))
	}
	return Object{
		Label: n.Label, Application: n.Application, OID: n.OID, Private: n.Private, Size: len(n.Data), Path: p, entry: e,
	}, t.touch(ctx)
}
