package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// ServicePath is the file of the machine's administrator. Its table [service] is
// for kaztoken serve.
const ServicePath = "/etc/kaztoken/config.toml"

// LegacySlotsHigh is the most that Service.LegacySlots may be.
const LegacySlotsHigh = 256

// Service is what the administrator chose for kaztoken serve. A field without a
// value leaves the choice to the command line and what it has by default.
type Service struct {
	Readers string // which readers to drive, one of Readers
	// Groups and Users are who may use the service, by name or number, beside root
	// and the user of the active session.
	Groups, Users []string
	// LegacySlots is the number of readers that clients before pcsc-lite 2.5 expect,
	// at most LegacySlotsHigh.
	LegacySlots int
}

const serviceTable = "service"

// LoadService reads the table [service] of a file; without a file nothing was
// chosen. A key that is known neither here nor to [Load] is an error: a rule that
// was mistyped must not be dropped silently. The error is an [Error] and
// [ErrMalformed], unless it is of the file system.
func LoadService(path string) (Service, error) {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Service{}, nil
	}
	if err != nil {
		return Service{}, err
	}
	s, err := parseService(text)
	return s, inFile(path, err)
}

func parseService(text []byte) (Service, error) {
	d, _, err := parse(text)
	if err != nil {
		return Service{}, err
	}
	if path := d.unknown(); path != nil {
		return Service{}, &Error{Line: d.line(path...), Key: strings.Join(path, "."), Want: "no such setting"}
	}
	var s Service
	if v, ok := d.value(serviceTable); ok {
		if _, isTable := v.(map[string]any); !isTable {
			return Service{}, d.mistake(v, "want a table", serviceTable)
		}
	}
	if v, ok := d.value(serviceTable, "readers"); ok {
		s.Readers, _ = v.(string)
		if !slices.Contains(Readers(), s.Readers) {
			return Service{}, d.mistake(v, "want "+oneOf(Readers()), serviceTable, "readers")
		}
	}
	for name, field := range map[string]*[]string{"groups": &s.Groups, "users": &s.Users} {
		v, ok := d.value(serviceTable, name)
		if !ok {
			continue
		}
		if *field, ok = textList(v); !ok {
			return Service{}, d.mistake(v, `want a list of names or numbers in quotes, as in ["smartcard", "1000"]`, serviceTable, name)
		}
	}
	if v, ok := d.value(serviceTable, "legacy_slots"); ok {
		n, isNumber := v.(int64)
		if !isNumber || n < 0 || n > LegacySlotsHigh {
			return Service{}, d.mistake(v, fmt.Sprintf("want a whole number from 0 to %d", LegacySlotsHigh), serviceTable, "legacy_slots")
		}
		s.LegacySlots = int(n)
	}
	return s, nil
}

// textList reads a list of texts that are not empty.
func textList(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	texts := make([]string, len(list))
	for i, e := range list {
		if texts[i], ok = e.(string); !ok || texts[i] == "" {
			return nil, false
		}
	}
	return texts, true
}

// serviceKeys are those of the table [service].
var serviceKeys = []string{"readers", "groups", "users", "legacy_slots"}

// unknown finds a key that is neither the user's nor the service's, nil if there is
// none.
func (d *document) unknown() []string {
	known := map[string][]string{"": nil, serviceTable: serviceKeys}
	for _, k := range keys {
		table := ""
		if len(k.path) > 1 {
			table = k.path[0]
		}
		known[table] = append(known[table], k.path[len(k.path)-1])
	}
	for _, name := range slices.Sorted(maps.Keys(d.values)) {
		inside, isTable := known[name]
		switch {
		case name == defaultsTable, slices.Contains(known[""], name):
			continue
		case !isTable || name == "":
			return []string{name}
		}
		table, _ := d.values[name].(map[string]any) // what is no table is found later
		for _, key := range slices.Sorted(maps.Keys(table)) {
			if !slices.Contains(inside, key) {
				return []string{name, key}
			}
		}
	}
	return nil
}
