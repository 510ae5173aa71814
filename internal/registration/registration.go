// Package registration tells the applications of a user of the PKCS#11 module,
// and takes it back: p11-kit by a file of its own (pkcs11.conf(5)), and
// Mozilla's NSS, which Firefox, Thunderbird and Chromium use, by an entry in
// the list of modules that each certificate database has.
//
// A file is replaced as a whole, and everything else in it stays as it was. An
// application reads its list when it starts.
package registration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Name is what the module is called in a list, and in p11-kit's file names.
const (
	Name    = "KAZTOKEN"
	fileKit = "kaztoken.module"
)

// LibraryName is the module's file without its ending.
const LibraryName = "libkaztoken-pkcs11"

// ErrNoModule: the module is in none of the folders where it is installed.
var ErrNoModule = errors.New("the PKCS#11 module is not installed")

// ErrNoDatabase: a folder holds no certificate database.
var ErrNoDatabase = errors.New("no certificate database of NSS")

// ErrPath: a path has characters that the list of modules cannot hold.
var ErrPath = errors.New("path with a line break")

// Kind is a way in which applications find modules.
type Kind int

const (
	P11Kit Kind = iota // a file in p11-kit's folder of the user
	NSS                // an entry in pkcs11.txt of a certificate database
)

// String names the kind in English.
func (k Kind) String() string {
	switch k {
	case P11Kit:
		return "p11-kit"
	case NSS:
		return "nss"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Place is where a module can be registered.
type Place struct {
	Kind Kind
	// Program names whose place it is: "p11-kit", "Firefox", "Thunderbird",
	// "Chromium"; "NSS" where the path does not tell.
	Program string
	// Path is p11-kit's file, which need not exist, or the folder of the database.
	Path string
}

// System says where a user's applications keep their lists, and where modules lie.
type System struct {
	Home   string // the user's folder
	Config string // $XDG_CONFIG_HOME; "" for .config in Home
	// Kit is the folder of p11-kit in place of the user's, which it leaves alone in
	// programs of root; "" for the user's.
	Kit string
	// ModuleDirs are the folders in which a module may be installed; they may hold
	// the patterns of [filepath.Glob].
	ModuleDirs []string
	// Library is the file name of the module.
	Library string
}

// Places lists where the module can be registered for the user: p11-kit always,
// and every certificate database that is there. Applications in a sandbox (snap,
// Flatpak) see no module of the system and are left out.
func (s System) Places() []Place {
	config := s.Config
	if !filepath.IsAbs(config) { // XDG Base Directory Specification 0.8
		config = filepath.Join(s.Home, ".config")
	}
	kit := s.Kit
	if kit == "" {
		kit = filepath.Join(config, "pkcs11", "modules")
	}
	places := []Place{{P11Kit, "p11-kit", filepath.Join(kit, fileKit)}}
	for _, known := range []struct{ program, pattern string }{
		{"Chromium", ".pki/nssdb"},
		{"Firefox", ".mozilla/firefox/*"},
		{"Firefox", ".config/mozilla/firefox/*"},
		{"Firefox", "Library/Application Support/Firefox/Profiles/*"},
		{"Thunderbird", ".thunderbird/*"},
		{"Thunderbird", "Library/Thunderbird/Profiles/*"},
	} {
		dirs, err := filepath.Glob(filepath.Join(escape(s.Home), known.pattern))
		if err != nil {
			continue // the pattern is ours: it cannot be malformed
		}
		for _, dir := range dirs {
			if isDatabase(dir) {
				places = append(places, Place{NSS, known.program, dir})
			}
		}
	}
	return places
}

// Database is the place of a certificate database. The error is ErrNoDatabase or
// that of the file system.
func Database(dir string) (Place, error) {
	dir, err := filepath.Abs(strings.TrimPrefix(dir, "sql:"))
	if err != nil {
		return Place{}, err
	}
	if !isDatabase(dir) {
		return Place{}, fmt.Errorf("%s: %w", dir, ErrNoDatabase)
	}
	return Place{NSS, "NSS", dir}, nil
}

// isDatabase: NSS makes its list of modules with the database, the internal module
// first. A list without that one is none that we could add to.
func isDatabase(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "pkcs11.txt"))
	return err == nil && info.Mode().IsRegular()
}

// escape makes a path stand for itself in a pattern of [filepath.Glob].
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Module finds the installed module. The error is ErrNoModule, which names the
// folders.
func (s System) Module() (string, error) {
	for _, pattern := range s.ModuleDirs {
		found, err := filepath.Glob(filepath.Join(pattern, s.Library))
		if err != nil {
			return "", fmt.Errorf("folder %s: %w", pattern, err)
		}
		slices.Sort(found)
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%w: no %s in %s", ErrNoModule, s.Library, strings.Join(s.ModuleDirs, ", "))
}

// Registered gives the module that is registered in a place, "" for none. It is
// ours by its name or by the name of its file, whichever path it has.
func (p Place) Registered() (module string, err error) {
	text, err := p.read()
	if err != nil {
		return "", err
	}
	if p.Kind == P11Kit {
		return kitModule(text), nil
	}
	for _, e := range parseList(text) {
		if e.ours() {
			return e.value("library"), nil
		}
	}
	return "", nil
}

// Register enters the module at an absolute path. It reports whether that
// changed anything. The error is ErrPath or that of the file system.
func (p Place) Register(module string) (changed bool, err error) {
	if strings.ContainsAny(module, "\r\n") {
		return false, fmt.Errorf("%q: %w", module, ErrPath)
	}
	text, err := p.read()
	if err != nil {
		return false, err
	}
	if p.Kind == P11Kit {
		if kitModule(text) == module {
			return false, nil
		}
		return true, p.write("# Written by kaztoken register; kaztoken unregister removes it.\nmodule: " + module + "\n")
	}
	all := parseList(text)
	if sameEntry(all, module) {
		return false, nil
	}
	return true, p.write(join(append(without(all), entry{"library=" + module, "name=" + Name})))
}

// Unregister takes the module out. It reports whether it was there.
func (p Place) Unregister() (changed bool, err error) {
	text, err := p.read()
	if err != nil {
		return false, err
	}
	if p.Kind == P11Kit {
		if text == "" {
			return false, nil
		}
		return true, os.Remove(p.Path)
	}
	all := parseList(text)
	list := without(all)
	if len(list) == len(all) {
		return false, nil
	}
	return true, p.write(join(list))
}

// file is what is read and written.
func (p Place) file() string {
	if p.Kind == NSS {
		return filepath.Join(p.Path, "pkcs11.txt")
	}
	return p.Path
}

// maxList bounds what is read: a list has a few hundred bytes per module.
const maxList = 1 << 20

func (p Place) read() (string, error) {
	info, err := os.Stat(p.file())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxList {
		return "", fmt.Errorf("%s: not a list of modules", p.file())
	}
	b, err := os.ReadFile(p.file())
	return string(b), err
}

// write replaces the file as a whole, with the permissions that it has.
func (p Place) write(text string) error {
	// A link keeps being one: its target is replaced.
	path := p.file()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := fs.FileMode(0o600)
	if p.Kind == P11Kit {
		mode = 0o644
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".kaztoken-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // it is only a copy
	}
	return err
}
