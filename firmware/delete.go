package firmware

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"kaztoken/firmware/pkcs15"
)

// Selection says what to delete. The key pairs of certificates go with them,
// unless another certificate that stays is for the same key.
type Selection struct {
	Certificates []Certificate
	Keys         []Key
	Objects      []Object
}

// Delete deletes certificates, key pairs and data objects; the user has to be
// logged in. Entries go before files, so that an interruption leaves no entry
// that leads nowhere. What is not on the token any more is passed over, even if
// another certificate has its place by now.
func (t *Token) Delete(ctx context.Context, s Selection, progress Progress) error {
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpDelete, User); err != nil {
			return err
		}
		return t.delete(ctx, s, progress)
	})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func (t *Token) delete(ctx context.Context, s Selection, progress Progress) error {
	chosen, err := t.chosen(ctx, s.Certificates)
	if err != nil {
		return err
	}
	keyIDs, err := t.keysToDelete(ctx, s.Keys, chosen)
	if err != nil {
		return err
	}
	var files []pkcs15.Path // in the order in which they go
	drop := func(p pkcs15.Path) {
		if len(p) >= 2 {
			files = append(files, p.Absolute(t.app))
		}
	}
	certs, err := t.pick(ctx, certificateTypes, func(e pkcs15.Entry) bool {
		c, ok := one(e, pkcs15.ParseCDF)
		if !ok || !isChosen(chosen, c) {
			return false
		}
		drop(c.Path)
		return true
	})
	if err != nil {
		return err
	}
	objects, err := t.pick(ctx, []pkcs15.DirType{pkcs15.DODF}, func(e pkcs15.Entry) bool {
		if !slices.ContainsFunc(s.Objects, func(o Object) bool { return bytes.Equal(o.entry.AppendTo(nil), e.Raw) }) {
			return false
		}
		if d, ok := one(e, pkcs15.ParseDODF); ok {
			drop(d.Path)
		}
		return true
	})
	if err != nil {
		return err
	}
	publics, err := t.pick(ctx, []pkcs15.DirType{pkcs15.PuKDF, pkcs15.TPuKDF}, func(e pkcs15.Entry) bool {
		k, ok := one(e, pkcs15.ParsePuKDF)
		if !ok || !contains(keyIDs, k.ID) {
			return false
		}
		drop(k.Path)
		return true
	})
	if err != nil {
		return err
	}
	privates, err := t.pick(ctx, []pkcs15.DirType{pkcs15.PrKDF}, func(e pkcs15.Entry) bool {
		k, ok := one(e, pkcs15.ParsePrKDF)
		if !ok || !contains(keyIDs, k.ID) {
			return false
		}
		drop(k.Path)
		if p := k.Path.Absolute(t.app); len(p) >= 4 && parent(p).Equal(secretDF) {
			drop(publicDF.Append(p.ID()))
		}
		return true
	})
	if err != nil {
		return err
	}
	// The public key's entry goes before the private key's: while that one is
	// there, the key is not deleted.
	changes := slices.Concat(certs, objects, publics, privates)
	step := steps(progress, len(changes)+len(files)+1)
	for _, c := range changes {
		if err := t.rewrite(ctx, c.dt, c.dir, c.next); err != nil {
			return err
		}
		step()
	}
	for _, p := range files {
		if err := t.deleteIfThere(ctx, p); err != nil {
			return err
		}
		delete(t.cache.files, string(p))
		step()
	}
	if len(changes) > 0 {
		if err := t.touch(ctx); err != nil {
			return err
		}
	}
	step()
	return nil
}

// chosen are the entries of certificates. Where a file was, another certificate
// may be by now: it has to have the same content.
func (t *Token) chosen(ctx context.Context, certs []Certificate) ([]pkcs15.Certificate, error) {
	if len(certs) == 0 {
		return nil, nil
	}
	entries, err := certificates(ctx, t)
	if err != nil {
		return nil, err
	}
	var chosen []pkcs15.Certificate
	for _, e := range entries {
		if e.Err != nil || !slices.ContainsFunc(certs, func(c Certificate) bool {
			return bytes.Equal(c.ID, e.ID) && c.Path.Equal(e.Path.Absolute(t.app))
		}) {
			continue
		}
		now, err := t.certificate(ctx, e)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(certs, func(c Certificate) bool {
			same := bytes.Equal(c.ID, now.ID) && c.Path.Equal(now.Path)
			if c.DER == nil || now.DER == nil { // not readable: then by its entry
				return same && c.Label == now.Label
			}
			return same && bytes.Equal(c.DER, now.DER)
		}) {
			chosen = append(chosen, e)
		}
	}
	return chosen, nil
}

// isChosen reports whether an entry is one of some.
func isChosen(chosen []pkcs15.Certificate, e pkcs15.Certificate) bool {
	return slices.ContainsFunc(chosen, func(c pkcs15.Certificate) bool { return bytes.Equal(c.Raw, e.Raw) })
}

// keysToDelete are the IDs of the chosen key pairs and of those that belong to
// the chosen certificates and to none that stays.
func (t *Token) keysToDelete(ctx context.Context, keys []Key, chosen []pkcs15.Certificate) ([][]byte, error) {
	var ids [][]byte
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	if len(chosen) == 0 {
		return ids, nil
	}
	all, err := certificates(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, c := range chosen {
		stays := slices.ContainsFunc(all, func(e pkcs15.Certificate) bool {
			return bytes.Equal(e.ID, c.ID) && !isChosen(chosen, e)
		})
		if !stays {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

func contains(ids [][]byte, id []byte) bool {
	return slices.ContainsFunc(ids, func(x []byte) bool { return bytes.Equal(x, id) })
}

// one parses a single entry.
func one[T any](e pkcs15.Entry, parse func([]byte) ([]T, error)) (v T, ok bool) {
	list, err := parse(e.Raw)
	if err != nil || len(list) != 1 {
		return v, false
	}
	return list[0], true
}

// change is a directory and what its entries are to be.
type change struct {
	dt   pkcs15.DirType
	dir  *directory
	next []byte
}

// pick finds the directories of some types that have entries which match, and
// what is left of them without those.
func (t *Token) pick(ctx context.Context, types []pkcs15.DirType, match func(pkcs15.Entry) bool) ([]change, error) {
	var changes []change
	for _, dt := range types {
		dirs, err := t.directories(ctx, dt)
		if err != nil {
			return nil, err
		}
		for _, d := range dirs {
			entries, err := pkcs15.Entries(d.entries())
			if err != nil {
				return nil, fmt.Errorf("%v: %w", dt, err)
			}
			next := make([]byte, 0, d.end)
			for _, e := range entries {
				if !match(e) {
					next = append(next, e.Raw...)
				}
			}
			if len(next) < d.end {
				changes = append(changes, change{dt, d, next})
			}
		}
	}
	return changes, nil
}

// removeEntries takes the entries that match out of the directories of a type.
func (t *Token) removeEntries(ctx context.Context, dt pkcs15.DirType, match func(pkcs15.Entry) bool) error {
	changes, err := t.pick(ctx, []pkcs15.DirType{dt}, match)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := t.rewrite(ctx, c.dt, c.dir, c.next); err != nil {
			return err
		}
	}
	return nil
}
