// Package settings keeps the user's choices in one JSON file, for the commands
// and the panel alike. Nothing in it is secret.
package settings

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// maxSize bounds the file, in bytes.
const maxSize = 1 << 20

// ErrMalformed: the file is not one that [Update] wrote.
var ErrMalformed = errors.New("malformed settings")

// Settings are the user's choices. The zero value is what holds without a file.
type Settings struct {
	// defaults: the default certificate's id by the number of its token, both
	// in lower-case hexadecimal digits.
	defaults map[string]string
	// rest is what a newer program wrote; it is kept.
	rest map[string]json.RawMessage
}

const defaultsKey = "default_certificates"

// Path is where the file is: kaztoken/settings.json in $XDG_CONFIG_HOME (XDG
// Base Directory Specification 0.8: an absolute path) or else in the system's
// folder for settings.
func Path(getenv func(string) string) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("settings: %w", err)
		}
	}
	return filepath.Join(dir, "kaztoken", "settings.json"), nil
}

// Load reads the file; without one the settings are empty. An error that is not
// of the file system is [ErrMalformed].
func Load(path string) (Settings, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Settings{}, err
	}
	if len(data) > maxSize {
		return Settings{}, fmt.Errorf("%s: %w: more than %d bytes", path, ErrMalformed, maxSize)
	}
	s, err := parse(data)
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// parse reads the bytes of the file.
func parse(data []byte) (Settings, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return Settings{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	s := Settings{rest: all}
	if raw, ok := all[defaultsKey]; ok {
		if err := json.Unmarshal(raw, &s.defaults); err != nil {
			return Settings{}, fmt.Errorf("%w: %s: %w", ErrMalformed, defaultsKey, err)
		}
		for serial, id := range s.defaults {
			for _, digits := range []string{serial, id} {
				if _, err := hex.DecodeString(digits); err != nil || digits == "" || digits != strings.ToLower(digits) {
					return Settings{}, fmt.Errorf("%w: %s: %q", ErrMalformed, defaultsKey, digits)
				}
			}
		}
	}
	delete(s.rest, defaultsKey)
	return s, nil
}

// bytes are those of the file.
func (s Settings) bytes() ([]byte, error) {
	all := make(map[string]any)
	for key, value := range s.rest {
		all[key] = value
	}
	if len(s.defaults) > 0 {
		all[defaultsKey] = s.defaults
	}
	data, err := json.MarshalIndent(all, "", "  ")
	return append(data, '\n'), err
}

// DefaultCertificate is the id of the default certificate of the token with a
// serial number, nil if none was chosen.
func (s Settings) DefaultCertificate(serial []byte) []byte {
	id, _ := hex.DecodeString(s.defaults[hex.EncodeToString(serial)]) // parse has seen it
	if len(id) == 0 {
		return nil
	}
	return id
}

// SetDefaultCertificate chooses the default certificate of a token; a nil id
// chooses none.
func (s *Settings) SetDefaultCertificate(serial, id []byte) {
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

// Update reads the file, lets change change the settings and replaces the file
// as a whole, so that a crash leaves the old one or the new one. If two
// programs do it at the same moment, the later one wins.
func Update(path string, change func(*Settings)) error {
	s, err := Load(path)
	if err != nil {
		return err
	}
	change(&s)
	data, err := s.bytes()
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".settings-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
