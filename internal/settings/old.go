package settings

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
)

// oldName is the file that programs before config.toml wrote. It held the default
// certificates and nothing else.
const oldName = "settings.json"

// loadOld reads the settings that an older program left beside path; without any
// they are [Standard] and the path is "".
func loadOld(path string) (s Settings, old string, err error) {
	old = filepath.Join(filepath.Dir(path), oldName)
	text, err := read(old)
	if errors.Is(err, fs.ErrNotExist) {
		return Standard(), "", nil
	}
	if err != nil {
		return Settings{}, "", err
	}
	if s, err = parseOld(text); err != nil {
		return Settings{}, "", inFile(old, err)
	}
	return s, old, nil
}

func parseOld(text []byte) (Settings, error) {
	var o struct {
		Defaults map[string]string `json:"default_certificates"`
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return Settings{}, &Error{Want: err.Error()}
	}
	s := Standard()
	s.defaults = o.Defaults
	for serial, id := range o.Defaults {
		if !isHex(serial) || !isHex(id) {
			return Settings{}, &Error{Key: defaultsTable, Got: literal(serial), Want: "want hexadecimal digits"}
		}
	}
	return s, nil
}
