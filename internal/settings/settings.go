// Package settings keeps the user's choices in one TOML file, for the commands and
// the panel alike, and reads those that the machine's administrator made for the
// service. Nothing in them is secret.
//
// What the person wrote into the file stays as it is, byte by byte, comments and
// unknown keys included: only the values that change are replaced.
package settings

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kaztoken/internal/pinpolicy"
)

// maxSize bounds a file, in bytes.
const maxSize = 1 << 20

// Languages lists what Settings.Language may be, the standard value first.
func Languages() []string { return []string{"auto", "kk", "ru", "en"} }

// Backends lists what Settings.Backend may be: the roads to the token, the standard
// one first.
func Backends() []string { return []string{"auto", "usb", "pcsc"} }

// Readers lists what Settings.Readers may be: which readers are driven, the standard
// choice first.
func Readers() []string { return []string{"kaztoken", "rutoken", "all"} }

// WeakPINRules lists what Settings.WeakPINs may be: what is done about a weak new
// PIN, the standard rule first.
func WeakPINRules() []string { return []string{"warn", "forbid", "allow"} }

// The ranges of the settings that are numbers.
const (
	MinPINLengthLow, MinPINLengthHigh = 6, 32      // characters
	IdleMinutesLow, IdleMinutesHigh   = 0, 24 * 60 // minutes
)

// Settings are the user's choices. [Standard] gives what holds without a file; the
// zero value is not valid. A Settings may be copied.
type Settings struct {
	Language string // one of Languages: "auto" leaves it to the environment or browser
	Backend  string // one of Backends
	Readers  string // one of Readers

	WarnDefaultPIN bool   // say so when somebody logs in with a default PIN
	MinPINLength   int    // characters of a new PIN, from MinPINLengthLow to MinPINLengthHigh
	WeakPINs       string // one of WeakPINRules, for new PINs
	AskLastTry     bool   // ask before the last try of a PIN is used

	IdleMinutes int // the panel logs out after so long; 0 is never, IdleMinutesHigh the most

	// defaults: the default certificate's id by the number of its token, both
	// in lower-case hexadecimal digits. It is never changed, only replaced.
	defaults map[string]string
}

// Standard is what holds where nothing is chosen.
func Standard() Settings {
	return Settings{
		Language: Languages()[0], Backend: Backends()[0], Readers: Readers()[0],
		WarnDefaultPIN: true, MinPINLength: MinPINLengthLow, WeakPINs: WeakPINRules()[0], AskLastTry: true,
		IdleMinutes: 10,
	}
}

// fileName is the file in the folder of kaztoken's settings.
const fileName = "config.toml"

// Path is where the file is: kaztoken/config.toml in $XDG_CONFIG_HOME (XDG Base
// Directory Specification 0.8: an absolute path) or else in the system's folder
// for settings: ~/.config, on macOS ~/Library/Application Support.
func Path(getenv func(string) string) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("settings: %w", err)
		}
	}
	return filepath.Join(dir, "kaztoken", fileName), nil
}

// Load reads the file; what it does not say has its standard value. An error that
// is not of the file system is an [Error] and [ErrMalformed]. Where there is no
// file, settings.json beside it counts, which older programs wrote.
func Load(path string) (Settings, error) {
	_, s, _, err := load(path)
	return s, err
}

// load reads the file. Old is the path of what was read in its place, if so.
func load(path string) (d document, s Settings, old string, err error) {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if s, old, err = loadOld(path); err != nil {
			return document{}, Settings{}, "", err
		}
		return document{}, s, old, nil
	}
	if err == nil {
		d, s, err = parse(text)
	}
	if err != nil {
		return document{}, Settings{}, "", inFile(path, err)
	}
	return d, s, "", nil
}

// read reads a file that is not too large.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSize {
		return nil, &Error{File: path, Want: fmt.Sprintf("larger than %d bytes", maxSize)}
	}
	return text, nil
}

// inFile says in which file a mistake is.
func inFile(path string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = path
	}
	return err
}

// parse reads the text of the file.
func parse(text []byte) (document, Settings, error) {
	d, err := parseDocument(text)
	if err != nil {
		return document{}, Settings{}, err
	}
	s, err := d.settings()
	return d, s, err
}

func (d *document) settings() (Settings, error) {
	s := Standard()
	for _, k := range keys {
		if err := d.readKey(k, &s); err != nil {
			return Settings{}, err
		}
	}
	all, ok := d.value(defaultsTable)
	if !ok {
		return s, nil
	}
	table, ok := all.(map[string]any)
	if !ok {
		return Settings{}, d.mistake(all, "want a table", defaultsTable)
	}
	s.defaults = make(map[string]string)
	for _, serial := range slices.Sorted(maps.Keys(table)) {
		id, _ := table[serial].(string)
		if !isHex(serial) || !isHex(id) {
			return Settings{}, d.mistake(table[serial], `want serial = "id", both in lower-case hexadecimal digits`, defaultsTable, serial)
		}
		s.defaults[serial] = id
	}
	return s, nil
}

// isHex reports whether s is of whole bytes in lower-case hexadecimal digits.
func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s != "" && s == strings.ToLower(s)
}

// mistake is an error about a value that is in the text.
func (d *document) mistake(got any, want string, parts ...string) *Error {
	e := &Error{Line: d.line(parts...), Key: strings.Join(parts, "."), Got: literal(got), Want: want}
	if at, ok := d.entry(parts...); ok {
		e.Line = at.line
	}
	return e
}

// Check finds the first value that may not be; the error is an [Error] without a
// file.
func (s Settings) Check() error {
	for _, k := range keys {
		if v := k.get(&s); !k.allows(v) {
			return &Error{Key: strings.Join(k.path, "."), Got: literal(v), Want: k.want}
		}
	}
	return nil
}

// NewPINs is what is asked of new PINs.
func (s Settings) NewPINs() pinpolicy.Policy {
	rule := map[string]pinpolicy.Rule{"warn": pinpolicy.Warn, "forbid": pinpolicy.Forbid, "allow": pinpolicy.Allow}[s.WeakPINs]
	return pinpolicy.Policy{MinLength: s.MinPINLength, Weak: rule}
}

// DefaultCertificate is the id of the default certificate of the token with a
// serial number, nil if none was chosen.
func (s Settings) DefaultCertificate(serial []byte) []byte {
	id, _ := hex.DecodeString(s.defaults[hex.EncodeToString(serial)]) // only digits come in
	if len(id) == 0 {
		return nil
	}
	return id
}

// SetDefaultCertificate chooses the default certificate of a token; a nil id
// chooses none.
func (s *Settings) SetDefaultCertificate(serial, id []byte) {
	if len(serial) == 0 {
		return // nothing could be told apart by it
	}
	defaults := maps.Clone(s.defaults)
	if defaults == nil {
		defaults = make(map[string]string)
	}
	if key := hex.EncodeToString(serial); len(id) > 0 {
		defaults[key] = hex.EncodeToString(id)
	} else {
		delete(defaults, key)
	}
	s.defaults = defaults
}
