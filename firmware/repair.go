package firmware

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/rsapad"
)

// Repair clears what [Token.Check] finds, or completes it: a key whose files are
// whole is listed if a signature proves that its halves belong together, what
// nothing refers to is deleted, an entry whose file is gone is removed. Where a
// directory is damaged or gone, or an entry not understood, nothing is deleted.
// The user has to be logged in. It looks again by itself, and does nothing else.
func (t *Token) Repair(ctx context.Context) error {
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpRepair, User); err != nil {
			return err
		}
		s, err := t.survey(ctx)
		if err != nil {
			return err
		}
		return t.repair(ctx, s)
	})
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	return nil
}

func (t *Token) repair(ctx context.Context, s *survey) error {
	if len(s.findings) == 0 {
		return nil
	}
	// Directories come before what is listed in them: one may be made anew under
	// the name of a leftover.
	if err := t.repairDirectories(ctx, s); err != nil {
		return err
	}
	if err := t.listPrivates(ctx, s); err != nil {
		return err
	}
	if err := t.listPublics(ctx, s); err != nil {
		return err
	}
	for _, f := range s.findings {
		if f.Kind == FindingMissingFile && !f.inODF {
			if err := t.dropEntry(ctx, f); err != nil {
				return err
			}
		}
	}
	if !s.unclear {
		if err := t.deleteLeftovers(ctx, s); err != nil {
			return err
		}
	}
	return errors.Join(t.touch(ctx), s.trouble)
}

// unreadable notes that a public key is there and could not be read, so that
// nobody knows which private key is a leftover.
func (s *survey) unreadable(err error) {
	if !errors.Is(err, iso7816.ErrNotFound) {
		s.unclear, s.trouble = true, errors.Join(s.trouble, err)
	}
}

// repairDirectories makes every directory one that can be read and written.
func (t *Token) repairDirectories(ctx context.Context, s *survey) error {
	if !s.unclear {
		if err := t.deleteFiles(ctx, s.loneDirs); err != nil {
			return err
		}
	}
	for _, f := range s.findings {
		var err error
		switch {
		case f.Kind == FindingDamagedDirectory && f.Repairable:
			err = t.mendDirectory(ctx, f.Directory, f.Path)
		case f.Kind == FindingMissingFile && f.inODF:
			err = t.mendODF(ctx, s, f.Path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteLeftovers deletes the files that nothing refers to.
func (t *Token) deleteLeftovers(ctx context.Context, s *survey) error {
	for _, f := range s.findings {
		var p pkcs15.Path
		switch {
		case f.Kind == FindingLeftoverKey && f.Directory == pkcs15.PuKDF:
			p = f.Path
		case f.Kind == FindingMissingFile && f.Directory == pkcs15.PrKDF && parent(f.Path).Equal(secretDF):
			p = publicDF.Append(f.Path.ID()) // the other half of a key that is gone
		default:
			continue
		}
		if err := t.deleteIfThere(ctx, p); err != nil {
			return err
		}
	}
	for _, f := range s.lonePrivates {
		if err := t.deleteIfThere(ctx, f.Path); err != nil {
			return err
		}
		if err := t.deleteIfThere(ctx, publicDF.Append(f.Path.ID())); err != nil {
			return err
		}
	}
	return t.deleteFiles(ctx, s.loneFiles)
}

func (t *Token) deleteFiles(ctx context.Context, files []File) error {
	for _, f := range files {
		if err := t.deleteIfThere(ctx, f.Path); err != nil {
			return err
		}
	}
	return nil
}

// mendODF puts right an entry of the ODF whose directory is gone: it names the
// directory's other name if that is there, else it is removed.
func (t *Token) mendODF(ctx context.Context, s *survey, gone pkcs15.Path) error {
	odf, err := t.odf(ctx)
	if err != nil {
		return err
	}
	list, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return fmt.Errorf("ODF: %w", err)
	}
	twin := parent(gone).Append(gone.ID() ^ shadowBit)
	found := slices.ContainsFunc(s.loneDirs, func(f File) bool { return f.Path.Equal(twin) })
	var next []byte
	for _, e := range list {
		if e.Err == nil && e.Path.Absolute(t.app).Equal(gone) {
			if !found {
				continue
			}
			e.Path = twin
		}
		next = e.AppendTo(next)
	}
	if err := t.rewrite(ctx, 0, odf, next); err != nil {
		return fmt.Errorf("ODF: %w", err)
	}
	t.cache = cache{}
	return nil
}

// mendDirectory puts an end behind the entries that can be read, if it reads the
// same a second time: what is behind that is lost for good.
func (t *Token) mendDirectory(ctx context.Context, dt pkcs15.DirType, p pkcs15.Path) error {
	dirs, err := t.directories(ctx, dt)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if !d.path.Equal(p) || d.damage == nil {
			continue
		}
		again, err := t.readDirectory(ctx, p)
		if err != nil {
			return err
		}
		if !bytes.Equal(again.content, d.content) {
			return fmt.Errorf("%v: %w: it is not the same when read again", p, ErrAnswer)
		}
		if err := t.update(ctx, d.end, []byte{0}); err != nil {
			t.cache = cache{}
			return err
		}
		d.content, d.damage = append(d.content[:d.end], 0), nil
	}
	return nil
}

// dropEntry removes the entries of a file that is gone.
func (t *Token) dropEntry(ctx context.Context, f Finding) error {
	types := []pkcs15.DirType{f.Directory}
	switch f.Directory {
	case pkcs15.CDF:
		types = certificateTypes
	case pkcs15.PuKDF:
		types = append(types, pkcs15.TPuKDF)
	}
	for _, dt := range types {
		err := t.removeEntries(ctx, dt, func(e pkcs15.Entry) bool { return pathOf(dt, e).Absolute(t.app).Equal(f.Path) })
		if err != nil {
			return err
		}
	}
	return nil
}

// listPrivates lists private keys whose public key is listed already: what an
// interruption just before the last step of making a key leaves behind.
func (t *Token) listPrivates(ctx context.Context, s *survey) error {
	for _, e := range s.lonePublics {
		der := e.Direct
		if der == nil {
			var err error
			if der, err = t.content(ctx, e.Path.Absolute(t.app)); err != nil {
				if !refused(err) {
					return err
				}
				s.unreadable(err)
				continue
			}
		}
		pub, err := parsePublicKey(der)
		if err != nil {
			continue
		}
		for i, f := range s.lonePrivates {
			k := pkcs15.NewPrivateKey(e.Label, e.ID, byte(f.Path.ID()), pub.N.BitLen(), pkcs15.AccessImported)
			fits, err := t.belongs(ctx, keyOf(k, t.app), pub)
			if err != nil {
				return err
			}
			if !fits {
				continue
			}
			if err := t.add(ctx, pkcs15.PrKDF, k.AppendTo(nil)); err != nil {
				return err
			}
			s.lonePrivates = slices.Delete(s.lonePrivates, i, i+1)
			break
		}
	}
	return nil
}

// listPublics lists public keys that are in a file of their own while their
// private key is listed: what an interrupted deletion leaves behind.
func (t *Token) listPublics(ctx context.Context, s *survey) error {
	for _, k := range s.bareKeys {
		for i, f := range s.loneFiles {
			if f.Path.ID()&objectKindMask != pkcs15.FilePublicKey {
				continue
			}
			content, err := t.content(ctx, f.Path)
			if err != nil {
				if !refused(err) {
					return err
				}
				s.unreadable(err)
				continue
			}
			pub, err := parsePublicKey(content)
			if err != nil {
				continue
			}
			fits, err := t.belongs(ctx, keyOf(k, t.app), pub)
			if err != nil {
				return err
			}
			if !fits {
				continue
			}
			e := pkcs15.NewPublicKey(k.Label, k.ID, k.Bits, f.Path)
			if err := t.add(ctx, pkcs15.PuKDF, e.AppendTo(nil)); err != nil {
				return err
			}
			s.loneFiles = slices.Delete(s.loneFiles, i, i+1)
			break
		}
	}
	return nil
}

// belongs makes a signature to see whether a private key belongs to a public
// one. A refusal means no: an RSF that was never filled cannot sign. Only where
// the card's memory failed (SW1 65) nothing is known.
func (t *Token) belongs(ctx context.Context, k Key, pub *rsa.PublicKey) (bool, error) {
	digest := sha256.Sum256([]byte("does this key belong to that one"))
	block, err := rsapad.SignPKCS1v15(pub.Size(), crypto.SHA256, digest[:])
	if err != nil {
		return false, nil
	}
	sig, err := t.compute(ctx, k, templateSign, psoSignature, psoToSign, block)
	var status *StatusError
	if errors.As(err, &status) && status.SW.SW1() != iso7816.SWMemoryFailure.SW1() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil, nil
}
