package firmware

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"kaztoken/firmware/pkcs15"
)

// Contents is what the directories of a token list, entry by entry, as the
// documents of PKCS #15 have it: for callers to whom a certificate, a private key
// and a public key are three things. Entries that are not understood are left
// out. Nothing in it may be changed.
type Contents struct {
	Certificates []pkcs15.Certificate
	PrivateKeys  []pkcs15.PrivateKey
	PublicKeys   []pkcs15.PublicKey
	Data         []pkcs15.Data

	raw []byte // the entries of all directories
}

// contentTypes are the directories of [Contents].
var contentTypes = slices.Concat(certificateTypes, []pkcs15.DirType{pkcs15.PrKDF, pkcs15.PuKDF, pkcs15.TPuKDF, pkcs15.DODF})

// Contents lists what is on the token. It needs no log-in and reads no object.
// If nothing has changed since known was listed the result is known itself.
func (t *Token) Contents(ctx context.Context, known *Contents) (*Contents, error) {
	var c *Contents
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpList); err != nil {
			return err
		}
		c, err = t.contents(ctx, known)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	return c, nil
}

func (t *Token) contents(ctx context.Context, known *Contents) (*Contents, error) {
	c := &Contents{}
	for _, dt := range contentTypes {
		dirs, err := t.directories(ctx, dt)
		if err != nil {
			return nil, err
		}
		c.raw = append(c.raw, byte(dt))
		for _, d := range dirs {
			c.raw = append(c.raw, d.entries()...)
		}
	}
	if known != nil && bytes.Equal(known.raw, c.raw) {
		return known, nil
	}
	var err error
	if c.Certificates, err = certificates(ctx, t); err != nil {
		return nil, err
	}
	if c.PrivateKeys, err = privateKeys(ctx, t); err != nil {
		return nil, err
	}
	if c.PublicKeys, err = publicKeys(ctx, t); err != nil {
		return nil, err
	}
	if c.Data, err = dataObjects(ctx, t); err != nil {
		return nil, err
	}
	c.Certificates = understood(c.Certificates, func(e pkcs15.Certificate) error { return e.Err })
	c.PrivateKeys = understood(c.PrivateKeys, func(e pkcs15.PrivateKey) error { return e.Err })
	c.PublicKeys = understood(c.PublicKeys, func(e pkcs15.PublicKey) error { return e.Err })
	c.Data = understood(c.Data, func(e pkcs15.Data) error { return e.Err })
	return c, nil
}

func understood[T any](all []T, fault func(T) error) []T {
	return slices.DeleteFunc(all, func(e T) bool { return fault(e) != nil })
}

// ReadCertificate reads the certificate of an entry; see [Token.Certificates].
func (t *Token) ReadCertificate(ctx context.Context, e pkcs15.Certificate) (Certificate, error) {
	var c Certificate
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpRead); err != nil {
			return err
		}
		c, err = t.certificate(ctx, e)
		return err
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("read certificate %q: %w", e.Label, err)
	}
	return c, nil
}

// ReadData reads what the data object of an entry holds. A private one needs the
// user logged in.
func (t *Token) ReadData(ctx context.Context, e pkcs15.Data) ([]byte, error) {
	return t.ReadObject(ctx, Object{Label: e.Label, Path: e.Path.Absolute(pkcs15.AppPath()), entry: e})
}

// ReadPublicKey reads the public key of an entry. The error is [ErrUnsupported]
// for a key that is not RSA.
func (t *Token) ReadPublicKey(ctx context.Context, e pkcs15.PublicKey) (*rsa.PublicKey, error) {
	if e.Kind != pkcs15.KeyRSA {
		return nil, fmt.Errorf("public key %q: %v: %w", e.Label, e.Kind, ErrUnsupported)
	}
	var pub *rsa.PublicKey
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpRead); err != nil {
			return err
		}
		der := e.Direct
		if der == nil {
			if der, err = t.content(ctx, e.Path.Absolute(t.app)); err != nil {
				return err
			}
		}
		pub, err = parsePublicKey(der)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read public key %q: %w", e.Label, err)
	}
	return pub, nil
}

// PrivateKeyOf is the private key of an entry. pub is its public key, with which
// its results are then checked; nil if it is not known. Nothing is asked of the
// token.
func (t *Token) PrivateKeyOf(e pkcs15.PrivateKey, pub *rsa.PublicKey) (*PrivateKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &PrivateKey{t: t, key: keyOf(e, t.app), ctx: context.Background(), public: &lazyPublic{}}
	if err := k.usable(); err != nil {
		return nil, fmt.Errorf("private key %q: %w", e.Label, err)
	}
	if pub != nil && pub.N.BitLen() == k.key.Bits {
		k.public.pub = pub
	}
	return k, nil
}

// AddPublicKey stores a public key without a private one; the user has to be
// logged in. There may be several with one ID.
func (t *Token) AddPublicKey(ctx context.Context, pub *rsa.PublicKey, o ImportOptions) error {
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpImport, User); err != nil {
			return err
		}
		if o.ID == nil {
			o.ID = modulusID(pub)
		}
		if len(o.ID) > pkcs15.MaxID {
			return &OptionError{Option: "ID", Value: len(o.ID), Max: pkcs15.MaxID}
		}
		if err := checkLabel(o.Label); err != nil {
			return err
		}
		named := pkcs15.NewPrivateKey(o.Label, o.ID, 0, pub.N.BitLen(), 0) // only what the two entries share
		e, err := t.publicEntry(ctx, pub, named)
		if err != nil {
			return err
		}
		if err := t.add(ctx, pkcs15.PuKDF, e.AppendTo(nil)); err != nil {
			return errors.Join(err, t.undo(ctx, e.Path))
		}
		return t.touch(ctx)
	})
	if err != nil {
		return fmt.Errorf("store public key: %w", err)
	}
	return nil
}

// appender is an entry of a directory.
type appender interface{ AppendTo([]byte) []byte }

// Amend puts next, an entry of one of the types in [Contents] whose fields were
// changed, into the place of the entry raw that it was read from; the user has to
// be logged in. [ErrNotFound] says that there is no such entry any more.
func (t *Token) Amend(ctx context.Context, raw []byte, next interface{ AppendTo([]byte) []byte }) error {
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpWrite, User); err != nil {
			return err
		}
		return t.replaceEntry(ctx, raw, next)
	})
	if err != nil {
		return fmt.Errorf("change entry: %w", err)
	}
	return nil
}

func (t *Token) replaceEntry(ctx context.Context, raw []byte, with appender) error {
	for _, dt := range contentTypes {
		dirs, err := t.directories(ctx, dt)
		if err != nil {
			return err
		}
		for _, d := range dirs {
			entries, err := pkcs15.Entries(d.entries())
			if err != nil {
				return fmt.Errorf("%v: %w", dt, err)
			}
			i := slices.IndexFunc(entries, func(e pkcs15.Entry) bool { return bytes.Equal(e.Raw, raw) })
			if i < 0 {
				continue
			}
			next := bytes.Clone(d.entries()[:entries[i].Offset])
			if with != nil {
				next = with.AppendTo(next)
			}
			next = append(next, d.entries()[entries[i].Offset+entries[i].Len:]...)
			if err := t.rewrite(ctx, dt, d, next); err != nil {
				return err
			}
			return t.touch(ctx)
		}
	}
	return fmt.Errorf("entry: %w", ErrNotFound)
}

// Remove deletes one object and nothing that belongs with it: the entry raw of one
// of the types in [Contents], then its file and, of a private key, both internal
// files. The user has to be logged in. [ErrNotFound] says that there is no such
// entry any more.
func (t *Token) Remove(ctx context.Context, raw []byte) error {
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpDelete, User); err != nil {
			return err
		}
		files, err := t.filesOf(ctx, raw)
		if err != nil {
			return err
		}
		if err := t.replaceEntry(ctx, raw, nil); err != nil {
			return err
		}
		for _, p := range files {
			if err := t.deleteIfThere(ctx, p); err != nil {
				return err
			}
			delete(t.cache.files, string(p))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// filesOf are the files of an entry that no other entry names.
func (t *Token) filesOf(ctx context.Context, raw []byte) ([]pkcs15.Path, error) {
	c, err := t.contents(ctx, nil)
	if err != nil {
		return nil, err
	}
	var files, others []pkcs15.Path
	add := func(e pkcs15.Entry, paths ...pkcs15.Path) {
		for _, p := range paths {
			switch p = p.Absolute(t.app); {
			case len(p) < 2:
			case bytes.Equal(e.Raw, raw):
				files = append(files, p)
			default:
				others = append(others, p)
			}
		}
	}
	for _, e := range c.Certificates {
		add(e.Entry, e.Path)
	}
	for _, e := range c.PublicKeys {
		add(e.Entry, e.Path)
	}
	for _, e := range c.Data {
		add(e.Entry, e.Path)
	}
	for _, e := range c.PrivateKeys {
		add(e.Entry, e.Path)
		if p := e.Path.Absolute(t.app); len(p) >= 4 && parent(p).Equal(secretDF) {
			add(e.Entry, publicDF.Append(p.ID()))
		}
	}
	return slices.DeleteFunc(files, func(p pkcs15.Path) bool {
		return slices.ContainsFunc(others, func(o pkcs15.Path) bool { return o.Equal(p) })
	}), nil
}
