package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ServicePath is the file of the machine's administrator for kaztoken serve.
const ServicePath = "/etc/kaztoken/serve.json"

// Service is what the administrator chose for kaztoken serve. A field without a
// value leaves the choice to the command line and what it has by default.
type Service struct {
	// Readers says which readers to drive: "kaztoken", "rutoken" or "all".
	Readers string `json:"readers,omitempty"`
	// Groups and Users are who may use the service, by name or number, beside root
	// and the user of the active session.
	Groups []string `json:"groups,omitempty"`
	Users  []string `json:"users,omitempty"`
	// LegacySlots is the number of readers that clients before pcsc-lite 2.5 expect.
	LegacySlots int `json:"legacy_slots,omitempty"`
}

// LoadService reads the file of a service; without one nothing was chosen. A file
// with a key that is not one of [Service] is [ErrMalformed]: a rule that was
// mistyped must not be dropped silently.
func LoadService(path string) (Service, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Service{}, nil
	}
	if err != nil {
		return Service{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Service{}, err
	}
	if len(data) > maxSize {
		return Service{}, fmt.Errorf("%s: %w: more than %d bytes", path, ErrMalformed, maxSize)
	}
	s, err := parseService(data)
	if err != nil {
		return Service{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func parseService(data []byte) (Service, error) {
	var s Service
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Service{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Service{}, fmt.Errorf("%w: something follows the settings", ErrMalformed)
	}
	if s.LegacySlots < 0 {
		return Service{}, fmt.Errorf("%w: legacy_slots: %d", ErrMalformed, s.LegacySlots)
	}
	return s, nil
}
