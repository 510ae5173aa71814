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

// FindingKind is what [Token.Check] finds.
type FindingKind int

// The kinds of finding.
const (
	// FindingHalfFormatted: the formatting was interrupted, or the token erased.
	// Format again.
	FindingHalfFormatted FindingKind = iota + 1
	// FindingLeftoverFile: a file of the application that nothing lists.
	FindingLeftoverFile
	// FindingLeftoverKey: a key file that nothing lists.
	FindingLeftoverKey
	// FindingUnlistedKey: a private key's file that nothing lists, while there is
	// a public key without its private one. Repair finds out whether they belong
	// together.
	FindingUnlistedKey
	// FindingMissingFile: an entry whose file is gone.
	FindingMissingFile
	// FindingDamagedDirectory: a directory file that ends in bytes that are no
	// entry.
	FindingDamagedDirectory
	// FindingNameDiffers: the name's copy in EF(DIR) is another one. Nothing
	// suffers; the administrator renaming the token mends it.
	FindingNameDiffers
	// FindingNotInDIR: EF(DIR) does not name the application, so that OpenSC does
	// not find it. The administrator renaming the token mends it.
	FindingNotInDIR
)

func (k FindingKind) String() string {
	switch k {
	case FindingHalfFormatted:
		return "half formatted"
	case FindingLeftoverFile:
		return "leftover file"
	case FindingLeftoverKey:
		return "leftover key"
	case FindingUnlistedKey:
		return "unlisted key"
	case FindingMissingFile:
		return "missing file"
	case FindingDamagedDirectory:
		return "damaged directory"
	case FindingNameDiffers:
		return "name differs"
	case FindingNotInDIR:
		return "not in EF(DIR)"
	}
	return fmt.Sprintf("FindingKind(%d)", int(k))
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind       FindingKind
	Path       pkcs15.Path // the file
	Directory  pkcs15.DirType
	Label      string // of the entry, if there is one
	Repairable bool   // by [Token.Repair]
}

// Check compares what is on the token with what its directories say. It changes
// nothing and needs no log-in. Nothing found is no error and no findings.
func (t *Token) Check(ctx context.Context) ([]Finding, error) {
	var found []Finding
	err := t.operation(ctx, func(ctx context.Context) error {
		switch t.state {
		case StateHalf, StateWiped:
			found = []Finding{{Kind: FindingHalfFormatted, Path: mf}}
			return nil
		}
		if err := t.need(OpList); err != nil {
			return err
		}
		s, err := t.survey(ctx)
		found = s.findings
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	return found, nil
}

// survey is what a check sees.
type survey struct {
	findings []Finding
	// lonePrivates are files of private keys that no entry names, lonePublics
	// entries of public keys without a private one, bareKeys private keys without
	// a public entry.
	lonePrivates []File
	lonePublics  []pkcs15.PublicKey
	bareKeys     []pkcs15.PrivateKey
	loneFiles    []File // of objects, no entry names them
	loneDirs     []File // directories that the ODF does not name
	there        map[string]bool
}

func (s *survey) find(f Finding) { s.findings = append(s.findings, f) }

func (t *Token) survey(ctx context.Context) (*survey, error) {
	t.cache = cache{} // what was kept is not evidence
	s := &survey{there: make(map[string]bool)}
	privates, err := t.childrenIfAny(ctx, secretDF)
	if err != nil {
		return s, err
	}
	publics, err := t.childrenIfAny(ctx, publicDF)
	if err != nil {
		return s, err
	}
	files, err := t.children(ctx, t.app)
	if err != nil {
		return s, err
	}
	for _, f := range slices.Concat(privates, publics, files) {
		s.there[string(f.Path)] = true
	}
	if err := t.surveyDirectories(ctx, s); err != nil {
		return s, err
	}
	if err := t.surveyEntries(ctx, s); err != nil {
		return s, err
	}
	if err := t.surveyKeys(ctx, s, privates, publics); err != nil {
		return s, err
	}
	if err := t.surveyFiles(ctx, s, files); err != nil {
		return s, err
	}
	return s, t.surveyName(ctx, s)
}

// surveyName compares the name with its copy in EF(DIR), and looks whether the
// application is named there at all.
func (t *Token) surveyName(ctx context.Context, s *survey) error {
	info, err := t.tokenInfo(ctx)
	if err != nil {
		return passRefusal(err)
	}
	p := mf.Append(pkcs15.FileDIR)
	dir, err := t.readFile(ctx, p)
	if err != nil && !refusal(err) {
		return err
	}
	apps, _ := pkcs15.ParseDIR(dir)
	for _, a := range apps {
		if !a.IsPKCS15() || !a.Path.Equal(t.app) {
			continue
		}
		if a.Label != info.Label {
			s.find(Finding{Kind: FindingNameDiffers, Path: p, Label: a.Label})
		}
		return nil
	}
	s.find(Finding{Kind: FindingNotInDIR, Path: p, Label: info.Label})
	return nil
}

// childrenIfAny lists a DF that need not exist.
func (t *Token) childrenIfAny(ctx context.Context, df pkcs15.Path) ([]File, error) {
	files, err := t.children(ctx, df)
	if errors.Is(err, iso7816.ErrNotFound) {
		return nil, nil
	}
	return files, err
}

// listTypes are the directories that hold what this package manages.
var listTypes = []pkcs15.DirType{
	pkcs15.PrKDF, pkcs15.PuKDF, pkcs15.TPuKDF, pkcs15.CDF, pkcs15.TrustedCDF, pkcs15.UsefulCDF, pkcs15.DODF,
}

func (t *Token) surveyDirectories(ctx context.Context, s *survey) error {
	odf, err := t.odf(ctx)
	if err != nil {
		return err
	}
	names, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return err
	}
	for _, e := range names {
		if p := e.Path.Absolute(t.app); e.Err == nil && slices.Contains(listTypes, e.Type) && !s.there[string(p)] {
			s.find(Finding{Kind: FindingMissingFile, Path: p, Directory: e.Type})
		}
	}
	for _, dt := range listTypes {
		dirs, err := t.directories(ctx, dt)
		if err != nil {
			return err
		}
		for _, d := range dirs {
			if d.damage != nil {
				s.find(Finding{Kind: FindingDamagedDirectory, Path: d.path, Directory: dt, Repairable: true})
			}
		}
	}
	return nil
}

// surveyEntries looks for entries whose file is gone.
func (t *Token) surveyEntries(ctx context.Context, s *survey) error {
	check := func(dt pkcs15.DirType, p pkcs15.Path, label string) error {
		if len(p) < 2 || len(p)%2 != 0 {
			return nil
		}
		p = p.Absolute(t.app)
		if s.there[string(p)] {
			return nil
		}
		if _, err := t.selectFile(ctx, p); err == nil || !errors.Is(err, iso7816.ErrNotFound) {
			return passRefusal(err) // it is in another DF
		}
		s.find(Finding{Kind: FindingMissingFile, Path: p, Directory: dt, Label: label, Repairable: true})
		return nil
	}
	privates, err := privateKeys(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range privates {
		if e.Err == nil {
			if err := check(pkcs15.PrKDF, e.Path, e.Label); err != nil {
				return err
			}
		}
	}
	publics, err := publicKeys(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range publics {
		if e.Err == nil {
			if err := check(pkcs15.PuKDF, e.Path, e.Label); err != nil {
				return err
			}
		}
	}
	certs, err := certificates(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range certs {
		if e.Err == nil {
			if err := check(pkcs15.CDF, e.Path, e.Label); err != nil {
				return err
			}
		}
	}
	data, err := dataObjects(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range data {
		if e.Err == nil {
			if err := check(pkcs15.DODF, e.Path, e.Label); err != nil {
				return err
			}
		}
	}
	return nil
}

// passRefusal lets the card's own answers pass.
func passRefusal(err error) error {
	if err != nil && !refusal(err) {
		return err
	}
	return nil
}

// surveyKeys matches key files with entries, and private with public ones.
func (t *Token) surveyKeys(ctx context.Context, s *survey, privates, publics []File) error {
	keys, err := privateKeys(ctx, t)
	if err != nil {
		return err
	}
	entries, err := publicKeys(ctx, t)
	if err != nil {
		return err
	}
	listed := make(map[string]bool)
	for _, k := range keys {
		if p := k.Path.Absolute(t.app); len(p) >= 2 {
			listed[string(p)] = true
			listed[string(publicDF.Append(p.ID()))] = true // the other half
		}
		if k.Err == nil && k.Kind == pkcs15.KeyRSA &&
			!slices.ContainsFunc(entries, func(e pkcs15.PublicKey) bool { return e.Err == nil && bytes.Equal(e.ID, k.ID) }) {
			s.bareKeys = append(s.bareKeys, k)
		}
	}
	for _, e := range entries {
		listed[string(e.Path.Absolute(t.app))] = true
		if e.Err == nil && e.Kind == pkcs15.KeyRSA &&
			!slices.ContainsFunc(keys, func(k pkcs15.PrivateKey) bool { return k.Err == nil && bytes.Equal(k.ID, e.ID) }) {
			s.lonePublics = append(s.lonePublics, e)
		}
	}
	for _, f := range privates {
		if f.Kind != KindRSF || listed[string(f.Path)] {
			continue
		}
		s.lonePrivates = append(s.lonePrivates, f)
		kind := FindingLeftoverKey
		if len(s.lonePublics) > 0 {
			kind = FindingUnlistedKey
		}
		s.find(Finding{Kind: kind, Path: f.Path, Directory: pkcs15.PrKDF, Repairable: true})
	}
	for _, f := range publics {
		if f.Kind == KindRSF && !listed[string(f.Path)] && !s.there[string(secretDF.Append(f.Path.ID()))] {
			s.find(Finding{Kind: FindingLeftoverKey, Path: f.Path, Directory: pkcs15.PuKDF, Repairable: true})
		}
	}
	return nil
}

// surveyFiles looks for files of the application that nothing names: objects,
// and directories under either of their names.
func (t *Token) surveyFiles(ctx context.Context, s *survey, files []File) error {
	named := make(map[string]bool)
	paths, err := t.listedFiles(ctx)
	if err != nil {
		return err
	}
	for _, p := range paths {
		named[string(p)] = true
	}
	odf, err := t.odf(ctx)
	if err != nil {
		return err
	}
	names, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return err
	}
	for _, e := range names {
		named[string(e.Path.Absolute(t.app))] = true
	}
	for _, f := range files {
		if f.Kind != KindEF || named[string(f.Path)] {
			continue
		}
		id := f.Path.ID()
		switch {
		case id >= pkcs15.FilePublicKey && id <= pkcs15.FilePrivateData|^uint16(objectKindMask):
			s.loneFiles = append(s.loneFiles, f)
		case slices.ContainsFunc(listTypes, func(dt pkcs15.DirType) bool { return id&^shadowBit == dt.Path().ID() }):
			s.loneDirs = append(s.loneDirs, f)
		default:
			continue // not of ours
		}
		s.find(Finding{Kind: FindingLeftoverFile, Path: f.Path, Repairable: true})
	}
	return nil
}

// Repair clears what [Token.Check] finds, or completes it: a key whose files are
// whole is listed if a signature proves that its halves belong together, what
// nothing refers to is deleted, an entry whose file is gone is removed. The user
// has to be logged in. It looks again by itself, and does nothing else.
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
	for _, f := range s.findings {
		if f.Kind == FindingDamagedDirectory {
			if err := t.mendDirectory(ctx, f.Directory, f.Path); err != nil {
				return err
			}
		}
	}
	// Before anything is listed: a directory of that name may be made by it.
	if err := t.deleteFiles(ctx, s.loneDirs); err != nil {
		return err
	}
	if err := t.listPrivates(ctx, s); err != nil {
		return err
	}
	if err := t.listPublics(ctx, s); err != nil {
		return err
	}
	for _, f := range s.findings {
		var err error
		switch f.Kind {
		case FindingMissingFile:
			if f.Repairable {
				err = t.dropEntry(ctx, f)
			}
		case FindingLeftoverKey:
			if f.Directory == pkcs15.PuKDF {
				err = t.deleteIfThere(ctx, f.Path)
			}
		}
		if err != nil {
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
	if err := t.deleteFiles(ctx, s.loneFiles); err != nil {
		return err
	}
	return t.touch(ctx)
}

func (t *Token) deleteFiles(ctx context.Context, files []File) error {
	for _, f := range files {
		if err := t.deleteIfThere(ctx, f.Path); err != nil {
			return err
		}
	}
	return nil
}

// mendDirectory puts an end behind the entries that can be read.
func (t *Token) mendDirectory(ctx context.Context, dt pkcs15.DirType, p pkcs15.Path) error {
	dirs, err := t.directories(ctx, dt)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if d.path.Equal(p) && d.damage != nil {
			if _, err := t.selectFile(ctx, p); err != nil {
				return err
			}
			if err := t.update(ctx, d.end, []byte{0}); err != nil {
				return err
			}
			d.content, d.damage = append(d.content[:d.end], 0), nil
		}
	}
	return nil
}

// dropEntry removes the entries of a file that is gone.
func (t *Token) dropEntry(ctx context.Context, f Finding) error {
	gone := func(p pkcs15.Path) bool { return p.Absolute(t.app).Equal(f.Path) }
	match := map[pkcs15.DirType]func(pkcs15.Entry) bool{
		pkcs15.PrKDF: func(e pkcs15.Entry) bool { k, ok := one(e, pkcs15.ParsePrKDF); return ok && gone(k.Path) },
		pkcs15.PuKDF: func(e pkcs15.Entry) bool { k, ok := one(e, pkcs15.ParsePuKDF); return ok && gone(k.Path) },
		pkcs15.CDF:   func(e pkcs15.Entry) bool { c, ok := one(e, pkcs15.ParseCDF); return ok && gone(c.Path) },
		pkcs15.DODF:  func(e pkcs15.Entry) bool { d, ok := one(e, pkcs15.ParseDODF); return ok && gone(d.Path) },
	}[f.Directory]
	types := []pkcs15.DirType{f.Directory}
	switch f.Directory {
	case pkcs15.CDF:
		types = certificateTypes
	case pkcs15.PuKDF:
		types = append(types, pkcs15.TPuKDF)
	}
	for _, dt := range types {
		if err := t.removeEntries(ctx, dt, match); err != nil {
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
				if !refusal(err) {
					return err
				}
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
				if !refusal(err) {
					return err
				}
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
// one. A refusal means no: an RSF that was never filled cannot sign.
func (t *Token) belongs(ctx context.Context, k Key, pub *rsa.PublicKey) (bool, error) {
	digest := sha256.Sum256([]byte("does this key belong to that one"))
	block, err := rsapad.SignPKCS1v15(pub.Size(), crypto.SHA256, digest[:])
	if err != nil {
		return false, nil
	}
	sig, err := t.compute(ctx, k, templateSign, psoSignature, psoToSign, block)
	if err != nil {
		return false, passRefusal(err)
	}
	return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil, nil
}
