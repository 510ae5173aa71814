package firmware

import (
	"context"
	"fmt"
	"slices"

	"kaztoken/firmware/pkcs15"
)

// undo deletes files that an operation made before it failed, last first. Before
// that it takes out of the directories what names them: if an answer was lost,
// an entry may be there or not. A cancelled operation cleans up, too; what cannot
// be is left to Check.
func (t *Token) undo(ctx context.Context, made ...pkcs15.Path) error {
	ctx = context.WithoutCancel(ctx)
	t.cache = cache{} // what was kept is not certain
	if err := t.unlist(ctx, made); err != nil {
		return cleaning(err)
	}
	unnamed, err := t.unnamed(ctx)
	if err != nil {
		return cleaning(err)
	}
	files := slices.Concat(t.emptied(ctx), unnamed, made)
	for _, p := range slices.Backward(files) {
		if err := t.deleteIfThere(ctx, p); err != nil {
			return cleaning(err)
		}
	}
	return nil
}

// unnamed gives the new directories that the ODF does not name: it was not
// written, or the answer to that was lost and it was.
func (t *Token) unnamed(ctx context.Context) ([]pkcs15.Path, error) {
	var paths []pkcs15.Path
	for _, e := range t.pending {
		named, err := t.inODF(ctx, e.Path)
		if err != nil {
			return nil, err
		}
		if !named {
			paths = append(paths, e.Path)
		}
	}
	t.pending = nil
	t.founded = slices.DeleteFunc(t.founded, func(p pkcs15.Path) bool {
		return slices.ContainsFunc(paths, func(u pkcs15.Path) bool { return u.Equal(p) })
	})
	return paths, nil
}

// cleaning is the error of a clean-up. If the card is gone, the operation's own
// error says so already.
func cleaning(err error) error {
	if err == nil || !refusal(err) {
		return nil
	}
	return fmt.Errorf("clean up: %w", err)
}

// unlist removes all entries that name one of the files, the ODF's included.
func (t *Token) unlist(ctx context.Context, files []pkcs15.Path) error {
	among := func(p pkcs15.Path) bool {
		p = p.Absolute(t.app)
		return len(p) > 0 && slices.ContainsFunc(files, func(f pkcs15.Path) bool { return f.Equal(p) })
	}
	for _, dt := range listTypes {
		if err := t.removeEntries(ctx, dt, func(e pkcs15.Entry) bool { return among(pathOf(dt, e)) }); err != nil {
			return err
		}
	}
	return t.unlistDirectories(ctx, among)
}

// unlistDirectories removes entries of the ODF.
func (t *Token) unlistDirectories(ctx context.Context, among func(pkcs15.Path) bool) error {
	odf, err := t.odf(ctx)
	if err != nil {
		return err
	}
	list, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return fmt.Errorf("ODF: %w", err)
	}
	var next []byte
	for _, e := range list {
		if e.Err != nil || !among(e.Path) {
			next = e.AppendTo(next)
		}
	}
	if err := t.rewrite(ctx, 0, odf, next); err != nil {
		return fmt.Errorf("ODF: %w", err)
	}
	return nil
}

// emptied takes the directories that the operation made, if nothing is in them,
// out of the ODF, and gives their paths. They take memory that the next operation
// may need.
func (t *Token) emptied(ctx context.Context) []pkcs15.Path {
	var empty, rest []pkcs15.Path
	for _, p := range t.founded {
		if d, err := t.readDirectory(ctx, p); err == nil && d.end == 0 && d.damage == nil {
			empty = append(empty, p)
		} else {
			rest = append(rest, p)
		}
	}
	t.founded = rest
	if len(empty) == 0 {
		return nil
	}
	t.cache = cache{}
	err := t.unlistDirectories(ctx, func(p pkcs15.Path) bool {
		return slices.ContainsFunc(empty, func(e pkcs15.Path) bool { return e.Equal(p.Absolute(t.app)) })
	})
	if err != nil {
		return nil // they stay, which does no harm
	}
	return empty
}

// pathOf is the file that an entry of a directory names, nil if it names none or
// is not understood.
func pathOf(dt pkcs15.DirType, e pkcs15.Entry) pkcs15.Path {
	switch dt {
	case pkcs15.PrKDF:
		k, _ := one(e, pkcs15.ParsePrKDF)
		return k.Path
	case pkcs15.PuKDF, pkcs15.TPuKDF:
		k, _ := one(e, pkcs15.ParsePuKDF)
		return k.Path
	case pkcs15.CDF, pkcs15.TrustedCDF, pkcs15.UsefulCDF:
		c, _ := one(e, pkcs15.ParseCDF)
		return c.Path
	case pkcs15.DODF:
		d, _ := one(e, pkcs15.ParseDODF)
		return d.Path
	}
	return nil
}

// settle deletes the one of two namesakes that the ODF does not name. If its
// answer was lost, only the card knows which that is.
func (t *Token) settle(ctx context.Context, old, next pkcs15.Path) error {
	ctx = context.WithoutCancel(ctx)
	t.cache = cache{}
	odf, err := t.odf(ctx)
	if err != nil {
		return cleaning(err)
	}
	list, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return cleaning(err)
	}
	names := func(p pkcs15.Path) bool {
		return slices.ContainsFunc(list, func(e pkcs15.ODFEntry) bool { return e.Path.Absolute(t.app).Equal(p) })
	}
	switch {
	case names(old) && !names(next):
		return cleaning(t.deleteIfThere(ctx, next))
	case names(next) && !names(old):
		return cleaning(t.deleteIfThere(ctx, old))
	}
	return nil
}
