package firmware

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"

	"kaztoken/firmware/pkcs15"
)

// Key is a key pair on the token. The slices must not be changed.
type Key struct {
	ID        []byte // that of its certificates, too
	Label     string
	Algorithm string // "RSA", "GOST R 34.10-2001", …
	Bits      int    // of the modulus; 0 if the token does not say
	Reference byte   // its number in commands to the card
	Usage     pkcs15.KeyUsage
	Local     bool        // made on the token, so that it never was anywhere else
	Path      pkcs15.Path // of the private key's RSF
	// Certificates counts those on the token with the same ID.
	Certificates int

	entry pkcs15.PrivateKey
}

// Keys lists the key pairs. It needs no log-in.
func (t *Token) Keys(ctx context.Context) ([]Key, error) {
	var keys []Key
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpList); err != nil {
			return err
		}
		keys, err = t.keys(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

func (t *Token) keys(ctx context.Context) ([]Key, error) {
	keys, err := t.keyEntries(ctx)
	if err != nil {
		return nil, err
	}
	certs, err := certificates(ctx, t)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		for _, c := range certs {
			if c.Err == nil && bytes.Equal(c.ID, keys[i].ID) {
				keys[i].Certificates++
			}
		}
	}
	return keys, nil
}

// keyEntries lists the key pairs without counting their certificates.
func (t *Token) keyEntries(ctx context.Context) ([]Key, error) {
	entries, err := privateKeys(ctx, t)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(entries))
	for _, e := range entries {
		if e.Err == nil {
			keys = append(keys, keyOf(e, t.app))
		}
	}
	return keys, nil
}

func keyOf(e pkcs15.PrivateKey, app pkcs15.Path) Key {
	k := Key{
		ID: e.ID, Label: e.Label, Algorithm: e.Kind.String(), Bits: e.Bits, Usage: e.Usage,
		Local: e.Access&pkcs15.AccessLocal != 0, Path: e.Path.Absolute(app), entry: e,
	}
	if e.Reference >= 0 && e.Reference <= 0xFF {
		k.Reference = byte(e.Reference)
	}
	return k
}

// parsed reads all directories of some types with one parser.
func parsed[T any](ctx context.Context, t *Token, parse func([]byte) ([]T, error), types ...pkcs15.DirType) ([]T, error) {
	var all []T
	for _, dt := range types {
		dirs, err := t.directories(ctx, dt)
		if err != nil {
			return nil, err
		}
		for _, d := range dirs {
			entries, err := parse(d.entries())
			if err != nil {
				return nil, fmt.Errorf("%v: %w", dt, err)
			}
			all = append(all, entries...)
		}
	}
	return all, nil
}

func privateKeys(ctx context.Context, t *Token) ([]pkcs15.PrivateKey, error) {
	return parsed(ctx, t, pkcs15.ParsePrKDF, pkcs15.PrKDF)
}

func publicKeys(ctx context.Context, t *Token) ([]pkcs15.PublicKey, error) {
	return parsed(ctx, t, pkcs15.ParsePuKDF, pkcs15.PuKDF, pkcs15.TPuKDF)
}

// certificateTypes are the directories that certificates are listed in.
var certificateTypes = []pkcs15.DirType{pkcs15.CDF, pkcs15.TrustedCDF, pkcs15.UsefulCDF}

func certificates(ctx context.Context, t *Token) ([]pkcs15.Certificate, error) {
	return parsed(ctx, t, pkcs15.ParseCDF, certificateTypes...)
}

func dataObjects(ctx context.Context, t *Token) ([]pkcs15.Data, error) {
	return parsed(ctx, t, pkcs15.ParseDODF, pkcs15.DODF)
}

// findKey gives the key with that ID, its certificates not counted, or
// [ErrNotFound].
func (t *Token) findKey(ctx context.Context, id []byte) (Key, error) {
	keys, err := t.keyEntries(ctx)
	if err != nil {
		return Key{}, err
	}
	for _, k := range keys {
		if bytes.Equal(k.ID, id) {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("key %X: %w", id, ErrNotFound)
}

// PublicKey reads the public part of a key pair: from its own entry or else from
// a certificate with the same ID. [ErrNotFound] says that neither is there.
func (t *Token) PublicKey(ctx context.Context, id []byte) (*rsa.PublicKey, error) {
	var pub *rsa.PublicKey
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpRead); err != nil {
			return err
		}
		pub, err = t.publicKey(ctx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	return pub, nil
}

func (t *Token) publicKey(ctx context.Context, id []byte) (*rsa.PublicKey, error) {
	entries, err := publicKeys(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Err != nil || e.Kind != pkcs15.KeyRSA || !bytes.Equal(e.ID, id) {
			continue
		}
		der := e.Direct
		if der == nil {
			if der, err = t.content(ctx, e.Path.Absolute(t.app)); err != nil {
				if refused(err) {
					continue // Check reports it
				}
				return nil, err
			}
		}
		if pub, err := parsePublicKey(der); err == nil {
			return pub, nil
		}
	}
	certs, err := certificates(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, e := range certs {
		if e.Err != nil || !bytes.Equal(e.ID, id) {
			continue
		}
		c, err := t.certificate(ctx, e)
		if err != nil {
			return nil, err
		}
		if c.X509 != nil {
			if pub, ok := c.X509.PublicKey.(*rsa.PublicKey); ok {
				return pub, nil
			}
		}
	}
	return nil, fmt.Errorf("public key %X: %w", id, ErrNotFound)
}

// parsePublicKey reads RSAPublicKey or SubjectPublicKeyInfo, whatever stands
// behind it in its file.
func parsePublicKey(der []byte) (*rsa.PublicKey, error) {
	n, _, err := pkcs15.End(der)
	if err != nil {
		return nil, err
	}
	der = der[:n]
	pub, err := x509.ParsePKCS1PublicKey(der)
	if err == nil {
		return pub, nil
	}
	other, spkiErr := x509.ParsePKIXPublicKey(der)
	if pub, ok := other.(*rsa.PublicKey); ok && spkiErr == nil {
		return pub, nil
	}
	return nil, fmt.Errorf("public key: %w: %w", ErrAnswer, err)
}

// modulusID is the ID that OpenSC gives a key that was not given one: SHA-1 of
// the modulus, big-endian without leading zeros.
func modulusID(pub *rsa.PublicKey) []byte {
	sum := sha1.Sum(pub.N.Bytes())
	return sum[:]
}

// checkNewID makes sure that no key has that ID yet.
func (t *Token) checkNewID(ctx context.Context, id []byte) error {
	if len(id) == 0 || len(id) > pkcs15.MaxID {
		return &OptionError{Option: "ID", Value: len(id), Min: 1, Max: pkcs15.MaxID}
	}
	_, err := t.findKey(ctx, id)
	switch {
	case err == nil:
		return fmt.Errorf("key %X: %w", id, ErrExists)
	case errors.Is(err, ErrNotFound):
		return nil
	}
	return err
}

// keyFiles makes the two RSFs of a key pair under one new reference. The card
// files them by their type. Both are empty.
func (t *Token) keyFiles(ctx context.Context, bits int) (reference byte, err error) {
	entries, err := privateKeys(ctx, t)
	if err != nil {
		return 0, err
	}
	taken := map[uint16]bool{}
	for _, e := range entries {
		if e.Reference > 0 {
			taken[uint16(e.Reference)] = true
		}
	}
	half := bits / 16
	for {
		private := fcp{
			kind: KindRSF, id: 1, size: 5*half + 8, properties: []byte{rsfRSAPrivate, 0, 0, 0xAA, 0, 0},
			rules: rules{0x46, 0, user, user, 0, 0, 0, user},
		}
		p, err := t.createFree(ctx, t.app, private, 0xFF, func(id uint16) bool { return taken[id] })
		if err != nil {
			return 0, err
		}
		id := p.ID()
		public := fcp{
			kind: KindRSF, id: id, size: 3 * half, properties: []byte{rsfRSAPublic, 0, 0, 0xAA, 0, 0},
			rules: rules{0x46, 0, user, 0, 0, 0, 0, user},
		}
		err = t.create(ctx, t.app, public)
		if err == nil {
			return byte(id), nil
		}
		if isExists(err) {
			if err := t.deleteFile(ctx, secretDF.Append(id)); err != nil {
				return 0, err
			}
		} else {
			return 0, errors.Join(err, t.undo(ctx, secretDF.Append(id)))
		}
		taken[id] = true // half of a pair is left there
	}
}

// publicEntry makes the EF with the public key and gives its entry.
func (t *Token) publicEntry(ctx context.Context, pub *rsa.PublicKey, e pkcs15.PrivateKey) (pkcs15.PublicKey, error) {
	der := x509.MarshalPKCS1PublicKey(pub)
	p, err := t.store(ctx, pkcs15.FilePublicKey, der, false)
	if err != nil {
		return pkcs15.PublicKey{}, err
	}
	return pkcs15.NewPublicKey(e.Label, e.ID, e.Bits, p), nil
}

// The low byte of an object's file identifier is its number among its kind.
const objectKindMask = 0xFF00

// Rules of an EF that the user may change: one that anybody may read, and one
// that only the user may.
var (
	freeRules    = rules{0x43, always, user, 0, 0, 0, 0, user}
	privateRules = rules{0x43, user, user, 0, 0, 0, 0, user}
)

// store makes an EF under a free identifier of its kind and fills it. Nothing
// refers to it yet.
func (t *Token) store(ctx context.Context, first uint16, content []byte, private bool) (pkcs15.Path, error) {
	if len(content) == 0 || len(content) > maxFile {
		return nil, &OptionError{Option: "size of a file", Value: len(content), Min: 1, Max: maxFile}
	}
	taken, err := t.takenFiles(ctx)
	if err != nil {
		return nil, err
	}
	f := fcp{kind: KindEF, id: first, size: len(content), rules: freeRules}
	if private {
		f.rules = privateRules
	}
	p, err := t.createFree(ctx, t.app, f, first|^uint16(objectKindMask), func(id uint16) bool { return taken[id] })
	if err != nil {
		return nil, err
	}
	if err := t.writeNew(ctx, p, content); err != nil {
		return nil, errors.Join(err, t.undo(ctx, p))
	}
	if !private { // that is not to be kept beyond the log-in
		t.keep(p, bytes.Clone(content))
	}
	return p, nil
}

// takenFiles are the identifiers below the application that the directories
// name.
func (t *Token) takenFiles(ctx context.Context) (map[uint16]bool, error) {
	paths, err := t.listedFiles(ctx)
	if err != nil {
		return nil, err
	}
	taken := make(map[uint16]bool, len(paths))
	for _, p := range paths {
		if len(p) >= 2 && parent(p).Equal(t.app) {
			taken[p.ID()] = true
		}
	}
	return taken, nil
}

// listedFiles are the paths of all files that entries name.
func (t *Token) listedFiles(ctx context.Context) ([]pkcs15.Path, error) {
	var paths []pkcs15.Path
	add := func(p pkcs15.Path) {
		if len(p) >= 2 && len(p)%2 == 0 {
			paths = append(paths, p.Absolute(t.app))
		}
	}
	pubs, err := publicKeys(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, e := range pubs {
		add(e.Path)
	}
	certs, err := certificates(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, e := range certs {
		add(e.Path)
	}
	data, err := dataObjects(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, e := range data {
		add(e.Path)
	}
	return paths, nil
}
