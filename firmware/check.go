package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
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
	// entry. Repair cuts them off, but in the ODF, behind whose damage the other
	// directories may be.
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

	inODF bool // the entry is one of the ODF
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
	// unclear: a directory is damaged or gone, or an entry not understood, so that
	// what seems to be a leftover may not be one. Nothing is deleted then.
	unclear bool
	trouble error // why a repair could not do all
}

func (s *survey) find(f Finding) { s.findings = append(s.findings, f) }

// isThere reports whether there is a file, if need be by asking the card.
func (t *Token) isThere(ctx context.Context, s *survey, p pkcs15.Path) (bool, error) {
	if s.there[string(p)] {
		return true, nil
	}
	_, err := t.selectFile(ctx, p)
	if errors.Is(err, iso7816.ErrNotFound) {
		return false, nil
	}
	return true, passRefusal(err)
}

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
	damaged := func(dt pkcs15.DirType, d *directory) {
		if d.damage != nil {
			s.unclear = true
			s.find(Finding{Kind: FindingDamagedDirectory, Path: d.path, Directory: dt, Repairable: dt != 0})
		}
	}
	damaged(0, odf)
	names, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return err
	}
	listed := 0
	for _, e := range names {
		if e.Err != nil {
			s.unclear = true
			continue
		}
		if !slices.Contains(listTypes, e.Type) {
			continue
		}
		listed++
		p := e.Path.Absolute(t.app)
		there, err := t.isThere(ctx, s, p)
		if err != nil {
			return err
		}
		if !there {
			s.unclear = true
			s.find(Finding{Kind: FindingMissingFile, Path: p, Directory: e.Type, Repairable: true, inODF: true})
		}
	}
	read := 0
	for _, dt := range listTypes {
		dirs, err := t.directories(ctx, dt)
		if err != nil {
			return err
		}
		for _, d := range dirs {
			damaged(dt, d)
		}
		read += len(dirs)
	}
	s.unclear = s.unclear || read < listed // one that is there was not found
	return nil
}

// surveyEntries looks for entries whose file is gone.
func (t *Token) surveyEntries(ctx context.Context, s *survey) error {
	check := func(dt pkcs15.DirType, e pkcs15.Entry, p pkcs15.Path, label string) error {
		if e.Err != nil {
			s.unclear = s.unclear || len(p) == 0
			return nil
		}
		if len(p) < 2 || len(p)%2 != 0 {
			return nil
		}
		p = p.Absolute(t.app)
		there, err := t.isThere(ctx, s, p)
		if err == nil && !there {
			s.find(Finding{Kind: FindingMissingFile, Path: p, Directory: dt, Label: label, Repairable: true})
		}
		return err
	}
	privates, err := privateKeys(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range privates {
		if err := check(pkcs15.PrKDF, e.Entry, e.Path, e.Label); err != nil {
			return err
		}
	}
	publics, err := publicKeys(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range publics {
		if err := check(pkcs15.PuKDF, e.Entry, e.Path, e.Label); err != nil {
			return err
		}
	}
	certs, err := certificates(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range certs {
		if err := check(pkcs15.CDF, e.Entry, e.Path, e.Label); err != nil {
			return err
		}
	}
	data, err := dataObjects(ctx, t)
	if err != nil {
		return err
	}
	for _, e := range data {
		if err := check(pkcs15.DODF, e.Entry, e.Path, e.Label); err != nil {
			return err
		}
	}
	return nil
}

// passRefusal lets status words pass.
func passRefusal(err error) error {
	if err != nil && !refused(err) {
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
		if k.Reference > 0 && k.Reference <= 0xFF {
			listed[string(pkcs15.PrivateKeyPath(byte(k.Reference)))] = true
			listed[string(pkcs15.PublicKeyPath(byte(k.Reference)))] = true
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
		s.find(Finding{Kind: kind, Path: f.Path, Directory: pkcs15.PrKDF, Repairable: !s.unclear || kind == FindingUnlistedKey})
	}
	for _, f := range publics {
		if f.Kind != KindRSF || listed[string(f.Path)] {
			continue
		}
		private, err := t.isThere(ctx, s, secretDF.Append(f.Path.ID()))
		if err != nil {
			return err
		}
		if !private {
			s.find(Finding{Kind: FindingLeftoverKey, Path: f.Path, Directory: pkcs15.PuKDF, Repairable: !s.unclear})
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
		case isDirectoryID(id):
			s.loneDirs = append(s.loneDirs, f)
		default:
			continue // not of ours
		}
		s.find(Finding{Kind: FindingLeftoverFile, Path: f.Path, Repairable: !s.unclear})
	}
	return nil
}

// isDirectoryID reports whether directories of this package are made under a
// file identifier.
func isDirectoryID(id uint16) bool {
	return slices.ContainsFunc(listTypes, func(dt pkcs15.DirType) bool {
		p := dt.Path()
		return p != nil && id&^shadowBit == p.ID()
	})
}
